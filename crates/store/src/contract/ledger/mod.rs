//! The contract suite of ledgers: what it means to be a [`LedgerStore`](sessile_core::ledger::LedgerStore).
//!
//! One public list of cases that every engine passes. [`ledger_contract!`](crate::ledger_contract!) turns the list
//! into tests, so that no engine can forget one. A [`TestLedger`] owns its schema or file: a case may count rows,
//! damage them and read the whole audit without meeting another's.

mod cases;
mod chance;
mod faulty;
mod given;
mod harness;

pub use faulty::FaultyLedger;
pub use harness::{Backstage, ReopenLedger, Sql, TestLedger};

macro_rules! ledger_cases {
    ($d:tt $($module:ident: $($name:ident),+;)+) => {
        $($(
            #[doc = concat!("The contract: `", stringify!($name), "`.")]
            pub async fn $name(test: TestLedger) {
                cases::$module::$name(&test).await;
            }
        )+)+

        /// Turns every case of the ledger's contract into a test of the engine that `$factory` makes: an
        /// `async fn() -> TestLedger`, called once per case.
        #[macro_export]
        macro_rules! ledger_contract {
            ($d factory:path) => {
                $($(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $name() {
                        let case = async { $crate::contract::ledger::$name($d factory().await).await };
                        $crate::contract::within_limit(case).await;
                    }
                )+)+
            };
        }
    };
}

ledger_cases! { $
    keeping:
        every_field_of_every_record_survives;
    writing:
        create_never_overwrites,
        unique_values_stay_unique,
        update_carries_the_version,
        update_never_inserts,
        everything_of_a_plan_or_nothing,
        neighbours_survive_a_failing_one,
        the_same_message_is_recorded_once,
        a_number_is_bound_once,
        a_lost_reply_is_safe_to_repeat,
        one_plan_may_hand_a_place_over;
    racing:
        a_coupon_is_never_used_more_often_than_it_may_be,
        many_transactions_leave_one_chain,
        two_instances_leave_one_chain,
        one_of_many_opens_a_payment;
    links:
        what_reads_name_is_loaded_with_its_links,
        numbers_and_messages_are_known,
        nothing_is_loaded_for_nobody,
        places_belong_to_a_user_or_to_a_guest,
        only_standing_grants_of_a_user_are_loaded;
    due:
        overdue_checkouts_are_due_unless_money_is_under_way,
        overdue_payments_are_due_while_they_are_pending,
        payments_without_an_address_are_listed,
        payments_are_asked_about_when_it_is_time,
        refunds_are_due_until_the_provider_is_asked,
        what_money_touched_is_not_purged;
    purging:
        a_purged_name_is_never_used_again;
    lists:
        pages_show_every_row_once,
        pages_are_limited_and_stay_in_place,
        pages_of_every_kind_are_filtered,
        the_census_counts_what_there_is;
    outbox:
        each_effect_goes_to_one_claimer,
        a_claim_ends_with_its_lease,
        effects_are_retried_given_up_and_put_back,
        the_same_effect_twice_is_one_row;
    chain:
        audit_rows_cannot_be_changed_by_sql,
        a_changed_row_is_found,
        a_missing_row_is_found,
        a_changed_log_is_found,
        history_tells_what_happened_to_a_row,
        it_answers;
    users:
        users_are_vouched_for_once_and_keep_their_tier;
}
