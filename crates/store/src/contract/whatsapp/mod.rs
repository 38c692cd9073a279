//! The contract suite of WhatsApp devices: what it means to be a
//! [`DeviceStore`](sessile_core::whatsapp::DeviceStore).
//!
//! [`device_contract!`](crate::device_contract!) turns the list into tests of one engine.
//!
//! ```
//! use sessile_core::SystemClock;
//! use sessile_store::contract::whatsapp::TestDevices;
//! use sessile_store::whatsapp::MemoryDevices;
//! use std::sync::Arc;
//!
//! async fn engine() -> TestDevices {
//!     let store = Arc::new(MemoryDevices::new(Arc::new(SystemClock)));
//!     let same = store.clone();
//!     TestDevices::new(store, Arc::new(move |device| {
//!         same.lapse(&device);
//!         Box::pin(std::future::ready(()))
//!     }))
//! }
//! sessile_store::device_contract!(engine);
//! ```

mod cases;
mod faulty;
mod harness;

pub use faulty::FaultyDevices;
pub use harness::{Lapse, Reopen, TestDevices};

macro_rules! cases {
    ($d:tt $($module:ident: $($name:ident),+;)+) => {
        $($(
            #[doc = concat!("The contract: `", stringify!($name), "`.")]
            pub async fn $name(test: TestDevices) {
                cases::$module::$name(&test).await;
            }
        )+)+

        /// Turns every case of the device contract into a test of the engine that `$factory` makes: an
        /// `async fn() -> TestDevices`, called once per case.
        #[macro_export]
        macro_rules! device_contract {
            ($d factory:path) => {
                $($(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $name() {
                        let case = async { $crate::contract::whatsapp::$name($d factory().await).await };
                        $crate::contract::within_limit(case).await;
                    }
                )+)+
            };
        }
    };
}

cases! { $
    owning:
        it_answers_and_says_which_store_it_is,
        a_device_that_nobody_has_seen_is_made_empty,
        one_owner_at_a_time,
        a_lapsed_lease_is_taken_over_and_the_old_owner_is_fenced,
        a_lapsed_lease_that_nobody_took_does_not_fence,
        one_of_sixteen_acquirers_owns_the_device,
        whether_it_should_run_is_kept;
    stepping:
        a_step_is_there_whole,
        steps_follow_without_a_gap,
        a_repeated_step_is_recognised,
        copies_of_a_step_are_applied_once,
        of_two_steps_for_one_version_one_is_applied,
        the_old_owner_writes_nothing_after_the_new_one,
        a_first_login_stores_812_pre_keys_in_one_step,
        fifteen_hundred_and_one_rows_come_back,
        too_much_is_refused_and_changes_nothing,
        what_was_acknowledged_survives_a_restart;
    moving:
        a_whole_device_is_taken_over,
        taking_over_again_is_safe,
        another_history_is_never_taken_over,
        a_tombstone_refuses_everything,
        a_device_comes_back_over_its_tombstone;
    ending:
        a_destroyed_device_keeps_its_name_epoch_and_version,
        a_destroyed_device_can_be_paired_anew,
        devices_are_listed_by_name,
        unused_devices_are_removed_and_counted;
    flow:
        a_lost_reply_is_safe_to_repeat_at_every_call;
}
