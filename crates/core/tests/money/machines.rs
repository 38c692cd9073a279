//! The two machines on a page: every state and every event, as snapshots. A cell shows the answer, and where the
//! row goes if it goes anywhere.

use crate::world::{DAY, MINUTE, START, minor, user};
use sessile_core::Timestamp;
use sessile_core::checkout::{
    CHECKOUT_LIFETIME, Checkout, CheckoutEvent, CheckoutId, CheckoutState, CheckoutStep, InvalidReason,
    Money, Owner,
};
use sessile_core::money::{Currency, Price};
use sessile_core::payment::{
    Attempt, Consequence, Disposition, ExpireReason, FailReason, Flags, How, Method, OrderId,
    PAYMENT_LIFETIME, PaydocId, Payment, PaymentEvent, PaymentId, PaymentState, PrepareId, Reply, Step,
    TransId, Verdict, Word,
};
use std::fmt::Write as _;

pub(crate) const AMOUNT: i64 = 1_000_000;
/// After a payment's time is over.
pub(crate) const LATER: Timestamp = Timestamp::from_unix_ms(START.unix_ms() + 3 * 60 * 60 * 1000);

pub(crate) fn prepare_id(number: i64) -> PrepareId {
    PrepareId::new(number).expect("ten digits")
}

pub(crate) fn attempt(number: i64) -> Attempt {
    Attempt {
        trans: TransId(number),
        paydoc: PaydocId(number + 1000),
        prepare: Some(prepare_id(1_000_000_000 + number)),
    }
}

pub(crate) fn payment(state: PaymentState) -> Payment {
    Payment {
        id: PaymentId::parse("pay_1").expect("an id"),
        order: OrderId::parse("ckabcdefghijklmnopqrstuv").expect("an id"),
        user: user('a'),
        email: String::new(),
        price: Price::full(minor(AMOUNT), Currency::UZS),
        coupon: None,
        checkout: None,
        method: Method::Click,
        idempotency_key: "key:1".to_owned(),
        request: "request".to_owned(),
        state,
        ask: None,
        flags: Flags::default(),
        created_at: START,
        updated_at: START,
        expires_at: START.plus(PAYMENT_LIFETIME),
        version: 1,
    }
}

fn completed(attempt: Option<Attempt>, how: How) -> PaymentState {
    PaymentState::Completed { attempt, at: START, how, disposition: Disposition::Granted }
}

fn failed(attempt: Option<Attempt>, reason: FailReason) -> PaymentState {
    PaymentState::Failed { attempt, at: START, reason }
}

/// Every state a payment can be in, with the moment it is looked at.
pub(crate) fn payment_states() -> Vec<(&'static str, Payment, Timestamp)> {
    use {FailReason as F, PaymentState as S};
    let one = Some(attempt(1));
    let unprepared = Some(Attempt { prepare: None, ..attempt(1) });
    let expired = |attempt| S::Expired { attempt, at: START, reason: ExpireReason::Timer };
    let mut flagged = payment(completed(one, How::Confirmed));
    flagged.flags.cancel_after_success = true;
    let soon = START.plus(MINUTE);
    vec![
        ("pending", payment(S::Pending), soon),
        ("overdue", payment(S::Pending), LATER),
        ("processing", payment(S::Processing { attempt: attempt(1), at: START }), LATER),
        ("completed", payment(completed(one, How::Confirmed)), LATER),
        ("comp.flagged", flagged, LATER),
        ("comp.free", payment(completed(None, How::Free)), LATER),
        ("f.provider", payment(failed(one, F::ProviderCancelled)), LATER),
        ("f.at prepare", payment(failed(unprepared, F::ProviderCancelled)), LATER),
        ("f.reconciled", payment(failed(one, F::Reconciled)), LATER),
        ("f.cancelled", payment(failed(None, F::Cancelled)), LATER),
        ("e.timer", payment(expired(None)), LATER),
        ("e.prepared", payment(expired(one)), LATER),
    ]
}

/// Every event of a payment. Attempt 1 is the one that is bound.
pub(crate) fn payment_events() -> Vec<(&'static str, PaymentEvent)> {
    use PaymentEvent as E;
    let prepare = |Attempt { trans, paydoc, .. }: Attempt, word| {
        let prepare = prepare_id(1_000_000_001);
        E::Prepare { trans, paydoc, word, prepare }
    };
    let complete =
        |Attempt { trans, paydoc, prepare }: Attempt, word| E::Complete { trans, paydoc, prepare, word };
    let (exact, less) = (Word::Amount(Some(minor(AMOUNT))), Word::Amount(Some(minor(30_000))));
    let other_doc = Attempt { paydoc: PaydocId(7), ..attempt(1) };
    let wrong_number = Attempt { prepare: Some(prepare_id(1_999_999_999)), ..attempt(1) };
    let no_number = Attempt { prepare: None, ..attempt(1) };
    vec![
        ("Prepare", prepare(attempt(1), exact)),
        ("Prepare, other attempt", prepare(attempt(2), exact)),
        ("Prepare, other paydoc", prepare(other_doc, exact)),
        ("Prepare, other amount", prepare(attempt(1), less)),
        ("Prepare, unreadable amount", prepare(attempt(1), Word::Amount(None))),
        ("Prepare, provider failed", prepare(attempt(1), Word::Failed)),
        ("Prepare, other failed", prepare(attempt(2), Word::Failed)),
        ("Complete", complete(attempt(1), exact)),
        ("Complete, other attempt", complete(attempt(2), exact)),
        ("Complete, other paydoc", complete(other_doc, exact)),
        ("Complete, wrong number", complete(wrong_number, exact)),
        ("Complete, no number", complete(no_number, exact)),
        ("Complete, other amount", complete(attempt(1), less)),
        ("Complete, provider failed", complete(attempt(1), Word::Failed)),
        ("Complete, other failed", complete(attempt(2), Word::Failed)),
        ("Told: paid", E::Told(Verdict::Paid)),
        ("Told: not paid", E::Told(Verdict::NotPaid)),
        ("Told: open", E::Told(Verdict::Open)),
        ("Told: unknown", E::Told(Verdict::Unknown)),
        ("Expire", E::Expire),
        ("Displace", E::Displace(ExpireReason::Superseded)),
        ("Cancel", E::Cancel),
    ]
}

/// As Click's table of answers has it.
fn code(reply: Reply) -> &'static str {
    match reply {
        Reply::Prepared(_) | Reply::Confirmed => "0",
        Reply::AlreadyPaid => "-4",
        Reply::Cancelled => "-9",
        Reply::CancelTooLate => "-9late",
        Reply::NoSuchAttempt => "-6",
        Reply::WrongAmount => "-2",
        Reply::Silent => "",
        Reply::TooLate => "refused",
    }
}

fn payment_cell(before: &Payment, step: &Step) -> String {
    let mut cell = code(step.reply).to_owned();
    match step.then {
        Consequence::Complete(How::Confirmed) => cell.push_str(" >paid"),
        Consequence::Complete(How::Late) => cell.push_str(" >late"),
        Consequence::Complete(How::Reconciled) => cell.push_str(" >found"),
        Consequence::Complete(How::Free) => cell.push_str(" >free"),
        Consequence::None | Consequence::Release => {}
    }
    if let Some(next) = &step.next {
        if next.state != before.state {
            let to = match &next.state {
                PaymentState::Processing { .. } => ">proc",
                PaymentState::Failed { reason, .. } => match reason {
                    FailReason::ProviderCancelled => ">f.prov",
                    FailReason::Reconciled => ">f.rec",
                    FailReason::Cancelled => ">f.can",
                    FailReason::Unknown => ">f.?",
                },
                other => other.name(),
            };
            let _ = write!(cell, " {}", to.replace("expired", ">exp"));
        }
        if next.flags.cancel_after_success && !before.flags.cancel_after_success {
            cell.push_str(" +flag");
        }
        if next.flags.amount_differs {
            cell.push_str(" +alert");
        }
        if next.ask != before.ask {
            cell.push_str(if next.ask.is_some() { " ask" } else { " unask" });
        }
        if step.then == Consequence::Release {
            cell.push('*');
        }
    }
    if cell.is_empty() { ".".to_owned() } else { cell.trim().to_owned() }
}

/// Lines of `cells` under `head`, aligned.
fn page(head: &[&str], lines: &[(&str, Vec<String>)]) -> String {
    let first = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let width =
        |at: usize| lines.iter().map(|(_, cells)| cells[at].len()).max().unwrap_or(0).max(head[at].len());
    let mut page = format!("{:first$}", "");
    for (at, name) in head.iter().enumerate() {
        let _ = write!(page, " | {name:width$}", width = width(at));
    }
    for (name, cells) in lines {
        let _ = write!(page, "\n{name:first$}");
        for (at, cell) in cells.iter().enumerate() {
            let _ = write!(page, " | {cell:width$}", width = width(at));
        }
    }
    page.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn payments_on_a_page() {
    let states = payment_states();
    let head: Vec<&str> = states.iter().map(|(name, ..)| *name).collect();
    let lines: Vec<(&str, Vec<String>)> = payment_events()
        .into_iter()
        .map(|(name, event)| {
            let cells = states.iter().map(|(_, row, now)| payment_cell(row, &row.on(&event, *now)));
            (name, cells.collect())
        })
        .collect();
    insta::assert_snapshot!(page(&head, &lines));
}

pub(crate) fn checkout(state: CheckoutState) -> Checkout {
    Checkout {
        id: CheckoutId::parse("cs_1").expect("an id"),
        owner: Owner::user(user('a')),
        slot: "default".to_owned(),
        data: "{}".to_owned(),
        choice: "choice".to_owned(),
        price: None,
        coupon: None,
        state,
        renewed_from: None,
        superseded_by: None,
        created_at: START,
        updated_at: START,
        expires_at: START.plus(CHECKOUT_LIFETIME),
        version: 1,
    }
}

pub(crate) fn checkout_states() -> Vec<(&'static str, Checkout)> {
    use CheckoutState as S;
    let pay = PaymentId::parse("pay_1").expect("an id");
    let (at, by) = (START, |reason| checkout(S::Invalidated { at: START, reason }));
    vec![
        ("active", checkout(S::Active)),
        ("completed", checkout(S::Completed { at, payment: Some(pay) })),
        ("declared", checkout(S::Completed { at, payment: None })),
        ("expired", checkout(S::Expired { at })),
        ("superseded", by(InvalidReason::Superseded)),
        ("by predecessor", by(InvalidReason::PaidByPredecessor)),
        ("cancelled", by(InvalidReason::Cancelled)),
    ]
}

pub(crate) fn checkout_events() -> Vec<(&'static str, CheckoutEvent)> {
    use CheckoutEvent as E;
    let pay = |name| PaymentId::parse(name);
    vec![
        ("Invalidate: superseded", E::Invalidate(InvalidReason::Superseded)),
        ("Invalidate: cancelled", E::Invalidate(InvalidReason::Cancelled)),
        ("Expire", E::Expire),
        ("Complete by payment 1", E::Complete(pay("pay_1"))),
        ("Complete by payment 2", E::Complete(pay("pay_2"))),
        ("Complete, declared", E::Complete(None)),
    ]
}

fn checkout_cell(step: &CheckoutStep) -> String {
    match step {
        CheckoutStep::To(CheckoutState::Completed { payment: Some(by), .. }) => {
            format!(">completed {}", by.as_str())
        }
        CheckoutStep::To(CheckoutState::Invalidated { reason, .. }) => format!(">{}", reason.name()),
        CheckoutStep::To(state) => format!(">{}", state.name()),
        CheckoutStep::Stay => ".".to_owned(),
        CheckoutStep::Held => "held".to_owned(),
        CheckoutStep::Refused => "refused".to_owned(),
    }
}

#[test]
fn checkouts_on_a_page() {
    let states = checkout_states();
    let head: Vec<&str> = states.iter().map(|(name, _)| *name).collect();
    let mut pages = Vec::new();
    for (when, now) in [("before expiry", START.plus(MINUTE)), ("after expiry", START.plus(DAY))] {
        for (what, money) in [("money still", Money::Still), ("money under way", Money::UnderWay)] {
            let lines: Vec<(&str, Vec<String>)> = checkout_events()
                .into_iter()
                .map(|(name, event)| {
                    let cells = states.iter().map(|(_, row)| checkout_cell(&row.on(&event, money, now)));
                    (name, cells.collect())
                })
                .collect();
            pages.push(format!("{when}, {what}\n{}", page(&head, &lines)));
        }
    }
    insta::assert_snapshot!(pages.join("\n\n"));
}
