//! Every call of a service fails once at every call of the ledger, before the write and after it, and is repeated:
//! what is stored in the end is what is stored without a fault.

use crate::ledger::Fault;
use crate::world::{
    DAY, HOUR, World, backend, browser, cookie, guest, message, pays_for, pays_for_tier, run, user, wants,
};
use sessile_core::checkout::{Caller, NewCheckout};
use sessile_core::ledger::{PaymentKey, Record};
use sessile_core::login::UserId;
use sessile_core::payment::{
    Discount, NewCoupon, NewPayment, Payment, PrepareId, ProviderStep, RefundEvent, Standing, Verdict, Word,
};

/// A world, and everything a call may need of it.
struct Scene {
    world: World,
    ada: Caller,
    payment: Payment,
    number: Option<PrepareId>,
}

impl Scene {
    /// Ada has a checkout with a coupon of one use, and a link.
    fn link() -> Self {
        let world = World::new();
        world.make_coupon("ONCE", Discount::Percentage(25), Some(1));
        let ada = browser('a');
        let with = NewCheckout { coupon: Some("ONCE".to_owned()), ..wants("basic") };
        let opened = world.open(&ada, with).checkout;
        let payment = world.pay(&ada, pays_for(&opened.id)).payment;
        Self { world, ada, payment, number: None }
    }

    fn prepared() -> Self {
        let scene = Self::link();
        let number = scene.world.prepared(&scene.payment, 1);
        Self { number: Some(number), ..scene }
    }

    fn tier() -> Self {
        let world = World::new();
        let (ada, payment) = (browser('a'), world.pay(&browser('a'), pays_for_tier()).payment);
        world.paid(&payment, 1);
        Self { world, ada, payment, number: None }
    }

    fn says(&self, step: ProviderStep, word: Word) -> bool {
        run(self.world.payments.hear(message(&self.payment.order, 1, step, word))).is_ok()
    }

    fn exact(&self) -> Word {
        Word::Amount(Some(self.payment.price.payable()))
    }

    fn refund() -> Self {
        let scene = Self::tier();
        run(scene.world.payments.refund(&backend(), &scene.payment.id, "r")).unwrap();
        scene
    }
}

/// One call: the scene it is made in, and the call, which says whether the ledger answered.
struct Case {
    name: &'static str,
    scene: fn() -> Scene,
    call: fn(&Scene) -> bool,
}

const fn case(name: &'static str, scene: fn() -> Scene, call: fn(&Scene) -> bool) -> Case {
    Case { name, scene, call }
}

fn answered<T, E: std::error::Error>(answer: Result<T, E>) -> bool {
    match answer {
        Ok(_) => true,
        // A refusal is an answer too; only a ledger that was not heard is none.
        Err(error) => !matches!(
            error.to_string().as_str(),
            "the ledger did not answer" | "session storage did not answer"
        ),
    }
}

fn changes_of_mind() -> Vec<Case> {
    vec![
        case("open", Scene::link, |s| answered(run(s.world.checkouts.open(&browser('b'), wants("basic"))))),
        case("change", Scene::link, |s| answered(run(s.world.checkouts.open(&s.ada, wants("pro"))))),
        case("complete", Scene::link, |s| {
            answered(run(s.world.checkouts.complete(&s.ada, s.payment.checkout.as_ref().unwrap())))
        }),
        case("cancel a checkout", Scene::link, |s| {
            answered(run(s.world.checkouts.cancel(&Caller::Operator, s.payment.checkout.as_ref().unwrap())))
        }),
        case("validate", Scene::link, |s| {
            s.world.clock.set(s.payment.created_at.plus(DAY));
            answered(run(s.world.checkouts.validate(&s.ada, s.payment.checkout.as_ref().unwrap())))
        }),
        case("recover", Scene::link, |s| {
            s.world.clock.set(s.payment.created_at.plus(DAY));
            answered(run(s.world.checkouts.recover(&s.ada, None, None)))
        }),
        case("sweep checkouts", Scene::link, |s| {
            s.world.clock.set(s.payment.created_at.plus(DAY));
            answered(run(s.world.checkouts.sweep(10)))
        }),
        case(
            "purge",
            || {
                let scene = Scene::link();
                scene.world.clock.advance(DAY);
                run(scene.world.checkouts.sweep(10)).unwrap();
                scene
            },
            |s| {
                s.world.clock.set(s.payment.created_at.plus(9 * DAY));
                answered(run(s.world.checkouts.sweep(10)))
            },
        ),
        case(
            "adopt",
            || {
                let scene = Scene::link();
                // Some are left behind, and one is active.
                for package in ["basic", "pro", "basic", "pro"] {
                    scene.world.open(&guest("g"), wants(package));
                }
                scene
            },
            |s| answered(run(s.world.checkouts.adopt(&cookie("g"), &user('a')))),
        ),
    ]
}

fn payments() -> Vec<Case> {
    vec![
        case("create", Scene::link, |s| {
            answered(run(s.world.payments.create(&browser('b'), pays_for_tier())))
        }),
        case("create with a key", Scene::link, |s| {
            let new = NewPayment { key: Some("k".to_owned()), ..pays_for_tier() };
            answered(run(s.world.payments.create(&browser('b'), new)))
        }),
        case("create for a new user", Scene::link, |s| {
            let new = NewPayment { user: Some(user('c').to_string()), ..pays_for_tier() };
            answered(run(s.world.payments.create(&backend(), new)))
        }),
        case(
            "create for free",
            || {
                let scene = Scene::link();
                scene.world.make_coupon("ALL", Discount::Percentage(100), Some(1));
                scene
            },
            |s| {
                let new = NewPayment { coupon: Some("ALL".to_owned()), ..pays_for_tier() };
                answered(run(s.world.payments.create(&browser('b'), new)))
            },
        ),
        case("create again after time", Scene::link, |s| {
            s.world.clock.set(s.payment.created_at.plus(HOUR));
            answered(run(s.world.payments.create(&s.ada, pays_for(s.payment.checkout.as_ref().unwrap()))))
        }),
        case("cancel a payment", Scene::link, |s| {
            answered(run(s.world.payments.cancel(&s.ada, &s.payment.id)))
        }),
        case("show", Scene::link, |s| {
            s.world.clock.set(s.payment.created_at.plus(HOUR));
            answered(run(s.world.payments.show(&s.ada, PaymentKey::Id(s.payment.id.clone()))))
        }),
        case("sweep payments", Scene::link, |s| {
            s.world.clock.set(s.payment.created_at.plus(HOUR));
            answered(run(s.world.payments.sweep(10)))
        }),
    ]
}

fn provider() -> Vec<Case> {
    vec![
        case("Prepare", Scene::link, |s| s.says(ProviderStep::Prepare, s.exact())),
        case("Prepare that failed", Scene::link, |s| s.says(ProviderStep::Prepare, Word::Failed)),
        case("Complete", Scene::prepared, |s| s.says(ProviderStep::Complete(s.number), s.exact())),
        case("Complete that failed", Scene::prepared, |s| {
            s.says(ProviderStep::Complete(s.number), Word::Failed)
        }),
        case("told paid", Scene::prepared, |s| {
            answered(run(s.world.payments.told(&s.payment.id, Verdict::Paid)))
        }),
        case("told unpaid", Scene::prepared, |s| {
            answered(run(s.world.payments.told(&s.payment.id, Verdict::NotPaid)))
        }),
        case(
            "late money",
            || {
                let scene = Scene::prepared();
                run(scene.world.payments.told(&scene.payment.id, Verdict::NotPaid)).unwrap();
                scene.world.open(&scene.ada, wants("pro"));
                scene
            },
            |s| s.says(ProviderStep::Complete(s.number), s.exact()),
        ),
    ]
}

fn people() -> Vec<Case> {
    vec![
        case("refund", Scene::tier, |s| {
            answered(run(s.world.payments.refund(&backend(), &s.payment.id, "r")))
        }),
        case("submit", Scene::refund, |s| {
            let id = s.world.refunds()[0].id.clone();
            answered(run(s.world.payments.refunded(&id, RefundEvent::Submit, "worker")))
        }),
        case("refunded", Scene::refund, |s| {
            let id = s.world.refunds()[0].id.clone();
            answered(run(s.world.payments.refunded(&id, RefundEvent::Done, "worker")))
        }),
        case("make a coupon", Scene::tier, |s| {
            let new = NewCoupon {
                code: "NEW".to_owned(),
                description: None,
                discount: Discount::Percentage(5),
                original_price: None,
                max_uses: None,
                valid_from: None,
                valid_until: None,
            };
            answered(run(s.world.payments.create_coupon(&Caller::Operator, new, "k")))
        }),
        case("switch a coupon", Scene::link, |s| {
            let id = s.world.ledger.tables().coupons().next().unwrap().id.clone();
            answered(run(s.world.payments.switch_coupon(&Caller::Operator, &id, Standing::Inactive)))
        }),
    ]
}

/// What is stored, without the names that chance gives: a repeated request draws new ones, and may use them.
#[derive(Debug, PartialEq, Eq)]
struct EndState {
    rows: Vec<String>,
    users: Vec<(UserId, String)>,
    /// Names purged, uses of coupons, attempts, messages.
    kept: [usize; 4],
    told: Vec<String>,
    audited: Vec<String>,
}

fn end_state(world: &World) -> EndState {
    let tables = world.ledger.tables();
    let mut rows: Vec<String> = tables.records.values().map(described).collect();
    rows.sort();
    let kept = [tables.purged.len(), tables.uses.len(), tables.attempts.len(), tables.inbox.len()];
    let audited = world.ledger.audited().0.into_iter().map(|row| row.event).collect();
    EndState { rows, users: tables.users.into_iter().collect(), kept, told: world.topics(), audited }
}

fn described(record: &Record) -> String {
    match record {
        Record::Checkout(row) => {
            let linked = (row.renewed_from.is_some(), row.superseded_by.is_some());
            let hold = row.coupon.as_ref().map(|hold| hold.state);
            format!(
                "checkout {} {:?} {hold:?} {linked:?} {} {:?}",
                row.state.name(),
                row.price,
                row.version,
                row.owner
            )
        }
        Record::Payment(row) => {
            let hold = row.coupon.as_ref().map(|hold| hold.state);
            format!("payment {} {:?} {hold:?} {} {:?}", row.state.name(), row.price, row.version, row.flags)
        }
        Record::Coupon(row) => format!("{row:?}"),
        Record::Grant(row) => {
            format!("grant {:?} {:?} {:?} {}", row.user, row.tier, row.revoked_at, row.version)
        }
        Record::Refund(row) => {
            format!("refund {:?} {:?} {:?} {}", row.amount, row.state, row.reason, row.version)
        }
    }
}

#[test]
fn a_fault_at_any_call_and_a_repetition_equal_no_fault() {
    let cases = [changes_of_mind(), payments(), provider(), people()].into_iter().flatten();
    let mut faults = 0;
    for Case { name, scene, call } in cases {
        let without = scene();
        assert!(call(&without), "{name}");
        without.world.check();
        let expected = end_state(&without.world);
        assert_ne!(expected, end_state(&scene().world), "{name} does something");
        for fault in [Fault::BeforeTheWrite, Fault::AfterTheWrite] {
            for n in 1.. {
                assert!(n < 20, "{name} calls the ledger for ever");
                let faulty = scene();
                faulty.world.fail(n, fault);
                let first = call(&faulty);
                if !faulty.world.ledger.has_failed() {
                    break;
                }
                assert!(!first, "{name}: call {n} failed and nobody was told");
                assert!(call(&faulty), "{name}: repeated");
                assert_eq!(end_state(&faulty.world), expected, "{name}: call {n} failed {fault:?}");
                faulty.world.check();
                faults += 1;
            }
        }
    }
    assert!(faults >= 60, "{faults} faults");
}
