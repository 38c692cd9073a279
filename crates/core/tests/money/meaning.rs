//! What the machines mean, as properties over any history of events: a snapshot says what is, these say what is right.

use crate::machines::{
    LATER, checkout_events, checkout_states, payment, payment_events, payment_states, prepare_id,
};
use crate::world::{DAY, MINUTE, START};
use proptest::prelude::*;
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutState, CheckoutStep, Money};
use sessile_core::payment::{
    Attempt, Consequence, Disposition, FailReason, Payment, PaymentEvent, PaymentState, Reply, Step, Verdict,
    Word,
};
use std::time::Duration;

/// The row after a step, with what the completion would write.
fn after(row: &Payment, step: &Step, now: Timestamp) -> Payment {
    if let Consequence::Complete(how) = step.then {
        let attempt = row.state.attempt().copied();
        let state = PaymentState::Completed { attempt, at: now, how, disposition: Disposition::Granted };
        return Payment { ask: None, ..row.moved(state, now) };
    }
    step.next.clone().unwrap_or_else(|| row.clone())
}

fn act(row: &Payment, event: &PaymentEvent, now: Timestamp) -> (Payment, Step) {
    let step = row.on(event, now);
    (after(row, &step, now), step)
}

/// Questions that got no answer are counted, and asked again later; nothing else may differ.
fn without_questions(row: Payment) -> Payment {
    Payment { ask: None, version: 0, ..row }
}

#[test]
fn an_event_twice_is_an_event_once() {
    for (state, row, now) in payment_states() {
        for (name, event) in payment_events() {
            let (once, first) = act(&row, &event, now);
            let (twice, second) = act(&once, &event, now);
            let place = format!("{name} twice in {state}");
            assert_eq!(without_questions(twice.clone()), without_questions(once.clone()), "{place}");
            if !matches!(event, PaymentEvent::Told(Verdict::Open | Verdict::Unknown)) {
                assert_eq!(twice, once, "{place}");
            }
            assert_eq!(second.then, Consequence::None, "{place}");
            match (first.reply, second.reply) {
                // What was taken for the first time was paid before the second time.
                (Reply::Confirmed, again) => assert_eq!(again, Reply::AlreadyPaid, "{place}"),
                (first, again) => assert_eq!(again, first, "{place}"),
            }
        }
    }
    for money in [Money::Still, Money::UnderWay] {
        for now in [START.plus(MINUTE), START.plus(DAY)] {
            for (state, row) in checkout_states() {
                for (name, event) in checkout_events() {
                    let CheckoutStep::To(next) = row.on(&event, money, now) else { continue };
                    let once = row.moved(next, now);
                    assert_eq!(once.on(&event, money, now), CheckoutStep::Stay, "{name} twice in {state}");
                }
            }
        }
    }
}

/// One history: which events, in which order, and how far the clock goes (or goes back) before each.
fn histories() -> impl Strategy<Value = Vec<(usize, i64)>> {
    let events = payment_events().len();
    let pause = prop_oneof![4 => 0_i64..5, 2 => 20_i64..90, 1 => -90_i64..0];
    prop::collection::vec((0..events, pause), 0..14)
}

struct History {
    row: Payment,
    now: Timestamp,
}

impl History {
    fn new() -> Self {
        Self { row: payment(PaymentState::Pending), now: START }
    }

    fn step(&mut self, at: usize, minutes: i64) -> (Payment, &'static str, PaymentEvent, Step) {
        let span = Duration::from_secs(minutes.unsigned_abs() * 60);
        self.now = if minutes < 0 { self.now.minus(span) } else { self.now.plus(span) };
        let (name, event) = payment_events()[at];
        let before = self.row.clone();
        let (row, step) = act(&before, &event, self.now);
        self.row = row;
        (before, name, event, step)
    }
}

fn is_cancelled_by_provider(state: &PaymentState) -> bool {
    matches!(state, PaymentState::Failed { reason: FailReason::ProviderCancelled, .. })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn completed_and_cancelled_absorb(history in histories()) {
        let mut world = History::new();
        for (at, minutes) in history {
            let (before, name, ..) = world.step(at, minutes);
            if before.state.is_completed() || is_cancelled_by_provider(&before.state) {
                prop_assert_eq!(&world.row.state, &before.state, "{} moved it", name);
            }
            if before.flags.cancel_after_success {
                prop_assert!(world.row.flags.cancel_after_success, "{} took the flag away", name);
            }
        }
    }

    #[test]
    fn only_the_provider_ends_processing(history in histories()) {
        use PaymentEvent as E;
        let mut world = History::new();
        for (at, minutes) in history {
            let (before, name, event, _) = world.step(at, minutes);
            if before.state.is_processing() && !world.row.state.is_processing() {
                let word = match event {
                    E::Complete { .. } | E::Told(Verdict::Paid | Verdict::NotPaid) => true,
                    E::Prepare { word, .. } => word == Word::Failed,
                    E::Told(_) | E::Expire | E::Displace(_) | E::Cancel => false,
                };
                prop_assert!(word, "{} ended it", name);
            }
            if before.state.is_processing() {
                prop_assert!(world.row.ask.is_some() || !world.row.state.is_processing(), "nobody asks any more");
            }
        }
    }

    /// Once Prepare was answered with success, money that was taken is never refused.
    #[test]
    fn what_was_prepared_can_be_paid(history in histories()) {
        let mut world = History::new();
        let (mut prepared, mut cancelled) = (None, false);
        for (at, minutes) in history {
            let (before, _, event, step) = world.step(at, minutes);
            if let (PaymentEvent::Prepare { trans, paydoc, .. }, Reply::Prepared(number)) = (event, step.reply) {
                prop_assert!(prepared.is_none_or(|known| known == (trans, paydoc, number)), "two attempts");
                prepared = Some((trans, paydoc, number));
            }
            cancelled |= !before.state.is_completed() && is_cancelled_by_provider(&world.row.state);
            let Some((trans, paydoc, number)) = prepared else { continue };
            let word = Word::Amount(Some(world.row.price.payable()));
            let complete = PaymentEvent::Complete { trans, paydoc, prepare: Some(number), word };
            let (row, step) = act(&world.row, &complete, world.now);
            match step.reply {
                Reply::Confirmed | Reply::AlreadyPaid => prop_assert!(row.state.is_completed()),
                Reply::Cancelled => prop_assert!(cancelled, "refused, and the provider had not cancelled"),
                other => prop_assert!(false, "the provider's money was answered with {:?}", other),
            }
        }
    }

    /// Money moves only for the attempt that was prepared, with its own numbers and the exact amount.
    #[test]
    fn only_the_bound_attempt_pays(history in histories()) {
        let mut world = History::new();
        for (at, minutes) in history {
            let (before, name, event, step) = world.step(at, minutes);
            if step.reply == Reply::Confirmed {
                let PaymentEvent::Complete { trans, paydoc, prepare, word } = event else {
                    return Err(TestCaseError::fail(format!("{name} was confirmed")));
                };
                prop_assert_eq!(before.state.attempt(), Some(&Attempt { trans, paydoc, prepare }));
                prop_assert!(prepare.is_some());
                prop_assert_eq!(word, Word::Amount(Some(before.price.payable())));
            }
            if let PaymentEvent::Prepare { prepare, .. } = event && step.next.is_some() {
                prop_assert_eq!(prepare, prepare_id(1_000_000_001));
            }
            prop_assert!(world.row.version >= before.version && world.row.updated_at >= before.updated_at);
            if let (Some(old), Some(new)) = (before.state.attempt(), world.row.state.attempt()) {
                prop_assert_eq!(old, new, "the attempt changed");
            }
        }
    }

    /// Any order of what a provider says about one attempt, with duplicates, ends the same once it was said again
    /// until it was heard.
    #[test]
    fn the_order_of_messages_does_not_matter(
        order in prop::collection::vec(0_usize..4, 0..12),
        paid in any::<bool>(),
    ) {
        let events: Vec<PaymentEvent> = payment_events().into_iter().map(|(_, event)| event).collect();
        // Prepare, Prepare of another attempt, Complete as it is, what the provider says when it is asked.
        let told = if paid { Verdict::Paid } else { Verdict::NotPaid };
        let word = if paid { 7 } else { 13 };
        let deck = [events[0], events[1], events[word], PaymentEvent::Told(told)];
        let mut row = act(&payment(PaymentState::Pending), &deck[0], START).0;
        for at in order {
            row = act(&row, &deck[at], LATER).0;
        }
        let (row, step) = act(&row, &events[word], LATER);
        if paid {
            prop_assert!(row.state.is_completed() && !row.flags.cancel_after_success);
        } else {
            prop_assert!(is_cancelled_by_provider(&row.state));
            prop_assert_eq!(step.reply, Reply::Cancelled);
        }
    }

    #[test]
    fn a_clock_never_un_expires(minutes in prop::collection::vec(-3000_i64..3000, 1..12), under_way in any::<bool>()) {
        let money = if under_way { Money::UnderWay } else { Money::Still };
        let mut row: Checkout = crate::machines::checkout(CheckoutState::Active);
        let mut now = START;
        for step in minutes {
            let span = Duration::from_secs(step.unsigned_abs() * 60);
            now = if step < 0 { now.minus(span) } else { now.plus(span) };
            for (name, event) in checkout_events() {
                let before = row.clone();
                if let CheckoutStep::To(state) = row.on(&event, money, now) {
                    row = row.moved(state, now);
                }
                if before.state != CheckoutState::Active {
                    prop_assert!(row.state != CheckoutState::Active, "{} brought it back", name);
                    prop_assert!(!row.is_live(now));
                }
                if matches!(before.state, CheckoutState::Completed { .. }) {
                    prop_assert_eq!(row.state.name(), "completed");
                }
            }
        }
    }
}
