//! The contract suite of generation sessions: what it means to be a
//! [`GenerationStore`](sessile_core::generation::GenerationStore).
//!
//! [`generation_contract!`](crate::generation_contract!) turns the list into tests of one engine.
//!
//! ```
//! use sessile_store::contract::generation::TestGenerations;
//! use sessile_store::generation::MemoryGenerations;
//!
//! async fn engine() -> TestGenerations {
//!     TestGenerations::new(std::sync::Arc::new(MemoryGenerations::default()))
//! }
//! sessile_store::generation_contract!(engine);
//! ```

mod cases;
mod harness;

pub use harness::{Lose, Plant, TestGenerations};

macro_rules! cases {
    ($d:tt $($module:ident: $($name:ident),+;)+) => {
        $($(
            #[doc = concat!("The contract: `", stringify!($name), "`.")]
            pub async fn $name(test: TestGenerations) {
                cases::$module::$name(&test).await;
            }
        )+)+

        /// Turns every case of the generation contract into a test of the engine that `$factory` makes: an
        /// `async fn() -> TestGenerations`, called once per case.
        #[macro_export]
        macro_rules! generation_contract {
            ($d factory:path) => {
                $($(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $name() {
                        let case = async { $crate::contract::generation::$name($d factory().await).await };
                        $crate::contract::within_limit(case).await;
                    }
                )+)+
            };
        }
    };
}

cases! { $
    keeping:
        what_was_created_is_there_byte_for_byte,
        create_refuses_a_taken_name,
        commit_needs_the_revision_before,
        commit_never_inserts,
        many_writers_lose_no_change,
        thirty_days_after_the_last_change_it_is_gone,
        values_of_the_older_application_are_read,
        a_value_that_cannot_be_read_is_kept,
        recent_lists_by_status;
    binding:
        a_bound_job_has_both_names,
        binding_again_is_a_success_and_another_name_a_conflict,
        many_binders_make_one_job,
        what_nobody_stored_cannot_be_bound;
    claiming:
        a_due_job_is_held_by_one_of_many,
        a_lease_that_ran_out_is_taken_over_and_fenced,
        what_is_not_due_is_not_claimed,
        work_that_no_index_knows_is_found;
    marking:
        a_payment_is_found_among_many,
        a_guest_is_found_until_somebody_signs_in,
        marks_that_no_index_knows_are_found,
        what_there_is_is_counted;
    events:
        an_event_is_kept_once,
        a_kept_event_is_taken_by_one_of_many,
        an_applied_event_is_remembered_and_gone,
        a_postponed_event_comes_back;
}
