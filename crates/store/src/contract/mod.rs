//! The contract suite: what it means to be a [`LoginStore`](sessile_core::login::LoginStore).
//!
//! One public list of cases that every engine passes, in this crate or outside it. [`contract!`](crate::contract!)
//! turns the list into tests, so that no engine can forget a case; a case that is missing from the list does not
//! compile without a warning, because nothing uses it. Engines differ only where [`Capabilities`] says so.
//!
//! ```
//! use sessile_store::{Choice, LoginOptions, contract::TestStore, memory::MemoryLogins};
//!
//! async fn engine() -> TestStore {
//!     let options = LoginOptions { events: Choice::Yes, ..LoginOptions::default() };
//!     TestStore::new(std::sync::Arc::new(MemoryLogins::new(options)))
//! }
//! sessile_store::contract!(engine);
//! ```
//!
//! A [`TestStore`] owns its schema, file or key prefix: a case may sweep and read events without meeting another's.

mod cases;
mod faulty;
pub mod generation;
mod harness;
pub mod ledger;
pub mod whatsapp;

pub use faulty::{Fault, FaultyStore, Moment, Trouble};
pub use harness::{Capabilities, Corrupt, EventLog, Expiry, Must, Reopen, TestStore, within_limit};

macro_rules! cases {
    ($d:tt $($module:ident: $($name:ident),+;)+) => {
        $($(
            #[doc = concat!("The contract: `", stringify!($name), "`.")]
            pub async fn $name(store: TestStore) {
                cases::$module::$name(&store).await;
            }
        )+)+

        /// Turns every case of the contract into a test of the engine that `$factory` makes: an
        /// `async fn() -> TestStore`, called once per case.
        #[macro_export]
        macro_rules! contract {
            ($d factory:path) => {
                $($(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $name() {
                        let case = async { $crate::contract::$name($d factory().await).await };
                        $crate::contract::within_limit(case).await;
                    }
                )+)+
            };
        }
    };
}

cases! { $
    keeping:
        create_then_load_gives_it_back,
        create_refuses_a_taken_id,
        create_refuses_an_ended_id,
        commit_merges_disjoint_keys,
        same_key_last_commit_wins,
        strict_commit_conflicts_when_keys_changed_but_not_after_a_touch,
        oversize_is_refused_and_changes_nothing,
        touch_never_moves_back,
        ids_that_look_alike_are_different,
        one_bad_row_does_not_fail_its_neighbours,
        what_was_acknowledged_survives_a_restart;
    ending:
        commit_never_inserts,
        commit_never_revives_a_destroyed_session,
        touch_never_revives,
        commit_after_destroy_race,
        expired_is_gone_before_the_sweep,
        lost_reply_is_safe_to_repeat;
    replacing:
        replace_has_no_gap,
        replaced_id_answers_until_its_grace_ends_and_no_longer,
        replace_refuses_a_taken_id_and_keeps_the_old_one,
        replace_never_revives_an_ended_session;
    racing:
        many_writers_lose_no_update,
        many_rounds_lose_no_update,
        one_of_many_creators_wins;
    people:
        list_shows_a_users_sessions_newest_first,
        list_is_bounded,
        what_lives_is_counted,
        list_follows_the_user_that_a_commit_sets,
        revoke_ends_that_session_only,
        revoke_refuses_another_users_handle,
        revoke_all_spares_the_current_one;
    sweeping:
        sweep_is_bounded,
        concurrent_sweepers_remove_each_once,
        events_tell_each_change_once;
    porting:
        what_is_exported_is_what_is_there,
        what_is_imported_replaces_nothing_newer_and_revives_nothing,
        a_retiring_session_moves_with_its_grace,
        a_value_is_amended_only_where_it_is_still_the_same;
    flow:
        sign_in_survives_a_fault_at_every_call,
        it_answers_and_says_which_store_it_is;
}
