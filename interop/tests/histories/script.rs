//! Histories as proptest draws them. Rows are named by index among those that are there when the step comes, so that a
//! script can lose any step and still mean something.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use sessile_store::contract::{Fault, Moment};

/// Steps of one history.
const STEPS: std::ops::Range<usize> = 24..72;
/// Calls of the ledger within one call of a service.
const CALLS: std::ops::RangeInclusive<u64> = 1..=4;

/// One history.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// What chance draws in it.
    pub(crate) seed: u64,
    /// What the coupon takes off, and how often it can be used.
    pub(crate) coupon: (u8, i64),
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) what: What,
    /// Another tab does this at the same moment.
    pub(crate) beside: Option<What>,
    /// The ledger fails, and the same call is made again.
    pub(crate) fault: Option<Fault>,
    /// How often the same call is made once more, though it was heard.
    pub(crate) again: u8,
}

/// What happens in it. Numbers are indices, taken modulo what there is.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A buyer chooses a package, with the coupon or without.
    Open(u8, bool, bool),
    /// A buyer continues: the latest, or the one that is named.
    Recover(u8, Option<u8>),
    /// The guest signs in.
    Adopt(u8),
    Validate(u8),
    Declare(u8),
    CancelCheckout(u8),
    Pay(u8),
    /// A buyer wants the tier, by one of two requests, the second with the coupon.
    BuyTier(u8, bool),
    CancelPayment(u8),
    SweepCheckouts,
    SweepPayments,
    Wait(Pause),
    /// The clock goes back.
    ClockBack,
    /// CLICK asks about one of two attempts at a payment; our answer may be lost.
    Prepare(u8, bool, bool),
    /// CLICK takes the money of an attempt, or calls it off.
    Take(u8),
    CallOff(u8),
    /// CLICK says what it did; once it has taken the money, perhaps another sum.
    Complete(u8, bool),
    /// CLICK cancels what it had confirmed.
    CancelPaid(u8),
    /// We ask CLICK, which may be wrong about what it has not done yet.
    Ask(u8, bool),
    AskRefund(u8),
    Refund(u8, RefundStep),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Pause {
    Minutes,
    PastALink,
    PastADay,
    PastAWeek,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum RefundStep {
    Submit,
    Done,
    Refused,
    Settle,
}

impl History {
    /// The same, with a ledger that never fails and nobody who repeats himself.
    pub(crate) fn without_trouble(&self) -> Self {
        let calm = |step: &Step| Step { fault: None, again: 0, ..step.clone() };
        Self { steps: self.steps.iter().map(calm).collect(), ..self.clone() }
    }
}

/// One thing after the other.
pub(crate) fn sequential() -> impl Strategy<Value = History> {
    history(Just(None).boxed())
}

/// Now and then two things at once.
pub(crate) fn side_by_side() -> impl Strategy<Value = History> {
    history(weighted(0.2, what()).boxed())
}

fn history(beside: BoxedStrategy<Option<What>>) -> impl Strategy<Value = History> {
    let coupon = (prop_oneof![4 => Just(25_u8), 1 => Just(100)], 1..=2_i64);
    let moment = prop_oneof![Just(Moment::BeforeTheWrite), Just(Moment::AfterTheWrite)];
    let fault = (CALLS, moment).prop_map(|(call, moment)| Fault { call, moment });
    let step =
        (what(), beside, weighted(0.3, fault), prop_oneof![2 => Just(0_u8), 1 => Just(1), 1 => Just(2)]);
    let step = step.prop_map(|(what, beside, fault, again)| Step { what, beside, fault, again });
    (any::<u64>(), coupon, vec(step, STEPS)).prop_map(|(seed, coupon, steps)| History { seed, coupon, steps })
}

fn what() -> impl Strategy<Value = What> {
    let row = || any::<u8>();
    let yes = || any::<bool>();
    let pause = prop_oneof![
        6 => Just(Pause::Minutes),
        3 => Just(Pause::PastALink),
        3 => Just(Pause::PastADay),
        1 => Just(Pause::PastAWeek),
    ];
    let refund = prop_oneof![
        Just(RefundStep::Submit),
        Just(RefundStep::Done),
        Just(RefundStep::Refused),
        Just(RefundStep::Settle),
    ];
    let buyers = prop_oneof![
        5 => (row(), yes(), yes()).prop_map(|(who, pro, coupon)| What::Open(who, pro, coupon)),
        2 => (row(), proptest::option::of(row())).prop_map(|(who, named)| What::Recover(who, named)),
        1 => row().prop_map(What::Adopt),
        1 => row().prop_map(What::Validate),
        1 => row().prop_map(What::Declare),
        7 => row().prop_map(What::Pay),
        3 => (row(), yes()).prop_map(|(who, second)| What::BuyTier(who, second)),
    ];
    let people = prop_oneof![
        1 => row().prop_map(What::CancelCheckout),
        1 => row().prop_map(What::CancelPayment),
        2 => row().prop_map(What::AskRefund),
        3 => (row(), refund).prop_map(|(row, step)| What::Refund(row, step)),
    ];
    let timers = prop_oneof![
        2 => Just(What::SweepCheckouts),
        2 => Just(What::SweepPayments),
        4 => pause.prop_map(What::Wait),
        1 => Just(What::ClockBack),
    ];
    let click = prop_oneof![
        9 => (row(), proptest::bool::weighted(0.1), proptest::bool::weighted(0.15))
            .prop_map(|(payment, second, lost)| What::Prepare(payment, second, lost)),
        9 => row().prop_map(What::Take),
        1 => row().prop_map(What::CallOff),
        8 => (row(), proptest::bool::weighted(0.1)).prop_map(|(row, other)| What::Complete(row, other)),
        1 => row().prop_map(What::CancelPaid),
        3 => (row(), proptest::bool::weighted(0.2)).prop_map(|(row, wrong)| What::Ask(row, wrong)),
    ];
    prop_oneof![6 => buyers, 2 => people, 3 => timers, 12 => click]
}
