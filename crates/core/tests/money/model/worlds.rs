//! The worlds that are explored completely, and the ones in which a rule is broken on purpose.

use super::shop::{May, Sabotage, Shop, State};
use crate::world::{DAY, HOUR, terms};
use sessile_core::checkout::{CheckoutId, CheckoutState, InvalidReason};
use sessile_core::payment::{Discount, Disposition, How, PaymentState, RefundReason, Telling, Terms};
use stateright::{Checker as _, HasDiscoveries, Model as _};
use std::sync::Arc;
use std::time::Duration;

/// Two threads, as the machines of continuous integration have.
const THREADS: usize = 2;

fn world() -> Shop {
    Shop {
        choices: vec![('a', "basic", false)],
        coupon: None,
        checkouts_max: 1,
        payments_max: 1,
        attempts_max: 1,
        moments: vec![Duration::ZERO],
        may: vec![],
        sabotage: None,
        reaches: vec![],
        terms: Arc::new(Terms { tier_sync: Telling::Outbox, ..terms() }),
    }
}

fn did(state: &State, wanted: &Disposition) -> bool {
    state.tables.payments().any(|payment| {
        matches!(&payment.state, PaymentState::Completed { disposition, .. } if disposition == wanted)
    })
}

fn went_back(state: &State, reason: RefundReason) -> bool {
    did(state, &Disposition::Refunded { reason })
}

/// Explores every interleaving.
fn explore(name: &str, shop: Shop) {
    let checker = shop.checker().threads(THREADS).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: states: {}, unique: {}, depth: {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
    );
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        let failed = property.expectation.discovery_is_failure();
        if let Some(path) = found.clone().filter(|_| failed) {
            panic!("{name}: {:?} does not hold after {:#?}", property.name, path.into_actions());
        }
        assert!(failed || found.is_some(), "{name}: {:?} is not reachable", property.name);
    }
    assert!(checker.is_done(), "{name}: not every state was seen");
}

/// One link and a provider that repeats itself, reorders, makes mistakes, and cancels late; a clock that jumps.
#[test]
fn a_provider_at_its_worst() {
    explore(
        "the provider",
        Shop {
            attempts_max: 2,
            moments: vec![Duration::ZERO, HOUR],
            may: vec![
                May::Sweep,
                May::Reconcile,
                May::Mistake,
                May::LoseReplies,
                May::CancelPaid,
                May::CancelPayment,
                May::AskRefund,
                May::Refund,
                May::ClockBack,
            ],
            reaches: vec![("late money is granted", |_, s| {
                s.tables
                    .payments()
                    .any(|payment| matches!(&payment.state, PaymentState::Completed { how: How::Late, .. }))
            })],
            ..world()
        },
    );
}

/// A checkout that expires, is held, recovered by two tabs, purged, and paid late.
#[test]
fn a_checkout_that_comes_back() {
    explore(
        "recovery",
        Shop {
            checkouts_max: 2,
            payments_max: 2,
            moments: vec![Duration::ZERO, DAY, 9 * DAY],
            may: vec![
                May::Sweep,
                May::Recover,
                May::Validate,
                May::Reconcile,
                May::Mistake,
                May::LoseReplies,
            ],
            reaches: vec![
                ("a held checkout", |shop, s| {
                    s.tables.payments().any(|p| p.state.is_processing())
                        && s.tables.checkouts().any(|row| {
                            row.state == CheckoutState::Active && shop.at(s.moment) >= row.expires_at
                        })
                }),
                ("a renewal gives way to late money", |_, s| {
                    s.tables.checkouts().any(|row| {
                        matches!(
                            row.state,
                            CheckoutState::Invalidated { reason: InvalidReason::PaidByPredecessor, .. }
                        )
                    })
                }),
                ("the second payment goes back", |_, s| went_back(s, RefundReason::AlreadyPaid)),
                ("money for what was purged goes back", |_, s| went_back(s, RefundReason::Missing)),
            ],
            ..world()
        },
    );
}

/// Tabs that open, recover by name and without, and look, while one day after the other goes by.
#[test]
fn tabs_of_different_days() {
    explore(
        "tabs",
        Shop {
            choices: vec![('a', "basic", false), ('a', "pro", false)],
            checkouts_max: 3,
            payments_max: 1,
            moments: vec![Duration::ZERO, DAY, 2 * DAY],
            may: vec![May::Sweep, May::Recover, May::Validate],
            reaches: vec![("a renewal of a renewal", |_, s| {
                let renewed = |id| s.tables.checkouts().any(|row| row.id == id && row.renewed_from.is_some());
                s.tables.checkouts().any(|row| row.renewed_from.clone().is_some_and(renewed))
            })],
            ..world()
        },
    );
}

/// A checkout that is renewed twice, and late money for any of the three.
#[test]
fn a_renewal_that_comes_back() {
    explore(
        "renewals",
        Shop {
            checkouts_max: 3,
            payments_max: 2,
            moments: vec![Duration::ZERO, DAY, 2 * DAY],
            may: vec![May::Recover, May::Reconcile, May::Mistake],
            reaches: vec![("money for what was renewed twice goes back", |_, s| {
                let renewals = |id: &CheckoutId| {
                    let id = id.clone();
                    s.tables.checkouts().filter(move |row| row.renewed_from.as_ref() == Some(&id))
                };
                let twice = |id: &CheckoutId| renewals(id).any(|row| renewals(&row.id).next().is_some());
                s.tables.payments().any(|payment| {
                    let back = Disposition::Refunded { reason: RefundReason::AlreadyPaid };
                    payment.checkout.as_ref().is_some_and(twice)
                        && matches!(&payment.state, PaymentState::Completed { disposition, .. } if *disposition == back)
                })
            })],
            ..world()
        },
    );
}

/// Two requests for the tier, one of them with a coupon of one use.
#[test]
fn a_tier_bought_twice() {
    explore(
        "the tier",
        Shop {
            choices: vec![],
            coupon: Some(Discount::Percentage(25)),
            payments_max: 2,
            moments: vec![Duration::ZERO, HOUR],
            may: vec![May::BuyTier, May::Sweep, May::Reconcile, May::Mistake, May::Refund],
            reaches: vec![("the second goes back", |_, s| went_back(s, RefundReason::AlreadyEntitled))],
            ..world()
        },
    );
}

/// Two packages and back, in two tabs.
#[test]
fn a_buyer_who_changes_their_mind() {
    explore(
        "changes of mind",
        Shop {
            choices: vec![('a', "basic", true), ('a', "pro", false)],
            coupon: Some(Discount::Percentage(25)),
            checkouts_max: 3,
            payments_max: 2,
            moments: vec![Duration::ZERO, HOUR],
            may: vec![May::Sweep, May::Reconcile, May::Mistake, May::LoseReplies],
            reaches: vec![
                ("superseded money goes back", |_, s| went_back(s, RefundReason::Superseded)),
                ("money is allocated to an equal successor", |_, s| {
                    s.tables.payments().any(|payment| {
                        let PaymentState::Completed { disposition, .. } = &payment.state else {
                            return false;
                        };
                        matches!(disposition, Disposition::Allocated { .. })
                    })
                }),
            ],
            ..world()
        },
    );
}

/// Two buyers and one coupon of one use; an application that declares, a buyer and an operator who stop things.
#[test]
fn a_coupon_that_two_want() {
    explore(
        "one coupon",
        Shop {
            choices: vec![('a', "basic", true), ('b', "basic", true)],
            coupon: Some(Discount::Percentage(25)),
            checkouts_max: 2,
            payments_max: 1,
            moments: vec![Duration::ZERO, DAY],
            may: vec![
                May::Sweep,
                May::Reconcile,
                May::Mistake,
                May::Declare,
                May::CancelPayment,
                May::CancelCheckout,
            ],
            reaches: vec![("a coupon overflows, and is audited", |_, s| {
                s.tables.payments().any(|payment| payment.flags.coupon_overflow)
            })],
            ..world()
        },
    );
}

/// The checker can fail: each rule that is broken on purpose is noticed, by its own name.
#[test]
fn a_broken_rule_is_noticed() {
    let breaks = [
        (Sabotage::TimerEndsProcessing, "4 no timer and no person leaves processing"),
        (Sabotage::LateMoneyRefused, "5 what was prepared and taken is never refused"),
        (Sabotage::CouponForgets, "7 a coupon's counters are its holds, and within its limit"),
        (Sabotage::ChangeWithoutAudit, "13 one audit row per change, and it tells the change"),
    ];
    for (sabotage, rule) in breaks {
        let shop = Shop {
            choices: vec![('a', "basic", true)],
            coupon: Some(Discount::Percentage(25)),
            moments: vec![Duration::ZERO, HOUR],
            may: vec![May::Sweep, May::Reconcile, May::Mistake],
            sabotage: Some(sabotage),
            ..world()
        };
        let checker =
            shop.checker().threads(THREADS).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let path = checker.discovery(rule);
        assert!(path.is_some(), "{sabotage:?} was not noticed");
        println!("{sabotage:?} is noticed after {:?}", path.map(|path| path.into_actions()));
    }
}
