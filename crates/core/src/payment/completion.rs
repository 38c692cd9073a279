//! What confirmed money does, in the transaction that confirms it: the checkout completes, a grant is written, the
//! coupon's use is consumed, the world is told. And late money, which is never dropped: it buys what replaced its
//! checkout, or it goes back.

use super::coupon::{CouponHold, HoldState};
use super::grant::{Grant, Refund, RefundState};
use super::id::{PaymentId, RefundId};
use super::machine::{Consequence, PaymentEvent};
use super::state::{Disposition, ExpireReason, How, Payment, PaymentState, RefundReason};
use super::terms::{Telling, Terms};
use crate::checkout::{
    Checkout, CheckoutEvent, CheckoutId, CheckoutState, CheckoutStep, InvalidReason, Money,
};
use crate::ledger::{Draft, Effect, Record, Write};
use crate::login::UserId;
use crate::user::TIER_FREE;

/// What the money buys.
enum Target {
    /// The tier itself.
    Tier,
    /// The checkout it was for, or the one that took its place.
    Checkout(Box<Checkout>),
    /// Nothing.
    Nothing(RefundReason),
}

/// Completes `payment`, which is as the books have it.
pub(super) fn complete(draft: &mut Draft<'_>, terms: &Terms, payment: &Payment, how: How) {
    let now = draft.now;
    let target = target_of(draft, terms, payment);
    let disposition = match &target {
        Target::Tier => Disposition::Granted,
        Target::Checkout(row) if payment.checkout.as_ref() == Some(&row.id) => Disposition::Granted,
        Target::Checkout(row) => Disposition::Allocated { checkout: row.id.clone() },
        Target::Nothing(reason) => Disposition::Refunded { reason: *reason },
    };
    let state = PaymentState::Completed {
        attempt: payment.state.attempt().copied(),
        at: now,
        how,
        disposition: disposition.clone(),
    };
    let mut paid = Payment { ask: None, ..payment.moved(state, now) };
    // The checkout first: its hold on a coupon may be the payment's.
    if let Target::Checkout(row) = &target {
        complete_checkout(draft, terms, row, Some(&paid.id));
    }
    settle_coupon(draft, &mut paid, &target);
    match &target {
        Target::Tier => grant(draft, terms, &paid, None),
        Target::Checkout(row) => grant(draft, terms, &paid, Some(&row.id)),
        Target::Nothing(reason) => request_refund(draft, &paid, *reason),
    }
    draft.put(Record::Payment(paid.clone()));
    tell_payment(draft, terms, "payment.completed", &paid);
}

fn target_of(draft: &Draft<'_>, terms: &Terms, payment: &Payment) -> Target {
    let Some(id) = &payment.checkout else {
        let entitled = draft
            .books
            .grants_of(&payment.user)
            .any(|grant| grant.tier.as_deref() == Some(&terms.tier) && grant.payment != payment.id);
        return if entitled { Target::Nothing(RefundReason::AlreadyEntitled) } else { Target::Tier };
    };
    let Some(row) = draft.checkout(id) else { return Target::Nothing(RefundReason::Missing) };
    match &row.state {
        CheckoutState::Active | CheckoutState::Completed { payment: None, .. } => {
            Target::Checkout(Box::new(row.clone()))
        }
        CheckoutState::Expired { .. } => {
            // What continues it, or what it continued, may have been bought since, however often it was renewed.
            let instead = row.superseded_by.as_ref().and_then(|id| draft.checkout(id));
            let mut linked = draft.books.renewals_around(id).chain(instead);
            if linked.any(|other| matches!(other.state, CheckoutState::Completed { .. })) {
                Target::Nothing(RefundReason::AlreadyPaid)
            } else {
                Target::Checkout(Box::new(row.clone()))
            }
        }
        CheckoutState::Completed { .. }
        | CheckoutState::Invalidated { reason: InvalidReason::PaidByPredecessor, .. } => {
            Target::Nothing(RefundReason::AlreadyPaid)
        }
        CheckoutState::Invalidated { .. } => successor_of(draft, row, payment)
            .map_or(Target::Nothing(RefundReason::Superseded), |row| Target::Checkout(Box::new(row))),
    }
}

/// An active checkout of the same choice in the same place that this money covers.
fn successor_of(draft: &Draft<'_>, row: &Checkout, payment: &Payment) -> Option<Checkout> {
    let covered = |successor: &&Checkout| {
        successor.choice == row.choice
            && successor.is_live(draft.now)
            && successor.price.is_none_or(|price| {
                price.currency == payment.price.currency && price.payable() <= payment.price.payable()
            })
    };
    draft.books.active(&row.owner, &row.slot).into_iter().find(covered).cloned()
}

/// The application says that a checkout is complete; no payment of ours did it.
pub(crate) fn complete_checkout_unpaid(draft: &mut Draft<'_>, terms: &Terms, row: &Checkout) {
    complete_checkout(draft, terms, row, None);
}

/// The checkout completes; whatever else waited for its money does not any more.
fn complete_checkout(draft: &mut Draft<'_>, terms: &Terms, row: &Checkout, payment: Option<&PaymentId>) {
    let now = draft.now;
    let step = row.on(&CheckoutEvent::Complete(payment.cloned()), Money::Still, now);
    let CheckoutStep::To(state) = step else { return };
    let mut done = draft.checkout(&row.id).unwrap_or(row).moved(state, now);
    done.coupon = match done.coupon.take() {
        // Nobody has paid: a use that was given back is spent only where there is still one.
        Some(hold) if payment.is_none() && hold.state == HoldState::Released && !has_room(draft, &hold) => {
            Some(hold)
        }
        hold => consume_hold(draft, hold),
    };
    draft.put(Record::Checkout(done.clone()));
    displace_payments(draft, terms, &row.id, ExpireReason::CheckoutEnded, payment);
    // The same choice, renewed: nobody pays for it twice.
    let twins: Vec<Checkout> = draft
        .books
        .active(&row.owner, &row.slot)
        .into_iter()
        .filter(|twin| twin.id != row.id && twin.choice == row.choice)
        .cloned()
        .collect();
    for twin in twins {
        let state = CheckoutState::Invalidated { at: now, reason: InvalidReason::PaidByPredecessor };
        leave_active(draft, terms, &twin, state, Some(row.id.clone()));
    }
    // Those around it that have expired: late money for one has to find that this was bought, also when what links them
    // has been purged.
    let expired = |other: &&Checkout| {
        matches!(other.state, CheckoutState::Expired { .. }) && other.superseded_by.as_ref() != Some(&row.id)
    };
    for other in draft.books.renewals_around(&row.id).filter(expired) {
        let linked = other.moved(other.state.clone(), now);
        draft.put(Record::Checkout(Checkout { superseded_by: Some(row.id.clone()), ..linked }));
    }
    tell_checkout(draft, terms, "checkout.completed", &done);
}

/// A checkout leaves `active` unpaid: its coupon's use goes back, its pending payments expire.
pub(crate) fn leave_active(
    draft: &mut Draft<'_>,
    terms: &Terms,
    row: &Checkout,
    state: CheckoutState,
    superseded_by: Option<CheckoutId>,
) {
    let topic = match &state {
        CheckoutState::Expired { .. } => "checkout.expired",
        _ => "checkout.invalidated",
    };
    let reason = match &state {
        CheckoutState::Invalidated { reason: InvalidReason::Superseded, .. } => ExpireReason::Superseded,
        _ => ExpireReason::CheckoutEnded,
    };
    let mut left = draft.checkout(&row.id).unwrap_or(row).moved(state, draft.now);
    left.coupon = release_hold(draft, left.coupon.take());
    left.superseded_by = superseded_by.or(left.superseded_by);
    draft.put(Record::Checkout(left.clone()));
    displace_payments(draft, terms, &row.id, reason, None);
    tell_checkout(draft, terms, topic, &left);
}

/// Pending payments of a checkout expire; one that is processing is left to the provider's word.
pub(super) fn displace_payments(
    draft: &mut Draft<'_>,
    terms: &Terms,
    checkout: &CheckoutId,
    reason: ExpireReason,
    except: Option<&PaymentId>,
) {
    let others: Vec<PaymentId> = draft
        .books
        .payments_of(checkout)
        .filter(|payment| payment.state == PaymentState::Pending && Some(&payment.id) != except)
        .map(|payment| payment.id.clone())
        .collect();
    for id in others {
        apply(draft, terms, &id, &PaymentEvent::Displace(reason));
    }
}

/// Carries out an event on a payment, with everything that follows from it. The answer is for whoever caused it.
pub(super) fn apply(
    draft: &mut Draft<'_>,
    terms: &Terms,
    id: &PaymentId,
    event: &PaymentEvent,
) -> Option<super::machine::Reply> {
    let payment = draft.payment(id)?.clone();
    let step = payment.on(event, draft.now);
    match step.then {
        Consequence::Complete(how) => complete(draft, terms, &payment, how),
        Consequence::None => {
            if let Some(next) = step.next {
                draft.put(Record::Payment(next));
            }
        }
        Consequence::Release => {
            if let Some(mut next) = step.next {
                next.coupon = release_hold(draft, next.coupon.take());
                let topic = match next.state {
                    PaymentState::Expired { .. } => "payment.expired",
                    _ => "payment.failed",
                };
                draft.put(Record::Payment(next.clone()));
                tell_payment(draft, terms, topic, &next);
            }
        }
    }
    Some(step.reply)
}

/// The payment's own hold on a coupon, once its money is confirmed.
fn settle_coupon(draft: &mut Draft<'_>, paid: &mut Payment, target: &Target) {
    let Some(hold) = paid.coupon.take() else { return };
    if matches!(target, Target::Nothing(_)) {
        paid.coupon = release_hold(draft, Some(hold));
        return;
    }
    let used = match (hold.state, target) {
        // The checkout's own hold was consumed with the checkout, which may be another one by now.
        (HoldState::OfCheckout, Target::Checkout(row)) => {
            paid.coupon = Some(hold);
            row.coupon.as_ref().map(|hold| hold.coupon.clone())
        }
        _ => {
            paid.coupon = consume_hold(draft, Some(hold));
            paid.coupon.as_ref().map(|hold| hold.coupon.clone())
        }
    };
    let Some(coupon) = used else { return };
    paid.flags.coupon_overflow |= draft.coupon(&coupon).is_some_and(super::Coupon::overflows);
    draft.write(Write::Use { coupon, payment: paid.id.clone(), user: paid.user.clone() });
}

/// A use is spent, whether or not it was still reserved.
fn consume_hold(draft: &mut Draft<'_>, hold: Option<CouponHold>) -> Option<CouponHold> {
    let hold = hold?;
    if !matches!(hold.state, HoldState::Reserved | HoldState::Released) {
        return Some(hold);
    }
    if let Some(coupon) = draft.coupon(&hold.coupon) {
        let spent = coupon.consume(hold.state);
        draft.put(Record::Coupon(spent));
    }
    Some(CouponHold { state: HoldState::Consumed, ..hold })
}

fn has_room(draft: &Draft<'_>, hold: &CouponHold) -> bool {
    draft.coupon(&hold.coupon).is_some_and(super::Coupon::has_room)
}

/// A reserved use goes back.
fn release_hold(draft: &mut Draft<'_>, hold: Option<CouponHold>) -> Option<CouponHold> {
    let hold = hold?;
    if hold.state != HoldState::Reserved {
        return Some(hold);
    }
    if let Some(coupon) = draft.coupon(&hold.coupon) {
        let back = coupon.release();
        draft.put(Record::Coupon(back));
    }
    Some(CouponHold { state: HoldState::Released, ..hold })
}

fn grant(draft: &mut Draft<'_>, terms: &Terms, paid: &Payment, checkout: Option<&CheckoutId>) {
    let tier = checkout.is_none().then(|| terms.tier.clone());
    let grant = Grant {
        payment: paid.id.clone(),
        user: paid.user.clone(),
        tier: tier.clone(),
        checkout: checkout.cloned(),
        granted_at: draft.now,
        revoked_at: None,
        version: 1,
    };
    draft.put(Record::Grant(grant));
    if let Some(tier) = tier {
        set_tier(draft, terms, &paid.user, tier, &paid.id);
    }
}

/// The tier that a user's standing grants give, without `lost`.
pub(super) fn tier_without(draft: &Draft<'_>, user: &UserId, lost: &PaymentId) -> String {
    draft
        .books
        .grants_of(user)
        .filter(|grant| grant.payment != *lost)
        .find_map(|grant| grant.tier.clone())
        .unwrap_or_else(|| TIER_FREE.to_owned())
}

pub(super) fn set_tier(draft: &mut Draft<'_>, terms: &Terms, user: &UserId, tier: String, cause: &PaymentId) {
    if draft.books.tier(user) == Some(&tier) {
        return;
    }
    draft.write(Write::Tier { user: user.clone(), tier: tier.clone() });
    if terms.tier_sync == Telling::Outbox {
        let subject = format!("{}:{tier}", cause.as_str());
        draft.tell(Effect::Tier { user: user.clone(), tier }, &subject, 1);
    }
}

fn request_refund(draft: &mut Draft<'_>, paid: &Payment, reason: RefundReason) {
    let id = RefundId::of_key("automatic", paid.id.as_str());
    put_refund(draft, paid, id, reason);
}

/// A refund of the whole payment, and the order to carry it out.
pub(super) fn put_refund(
    draft: &mut Draft<'_>,
    paid: &Payment,
    id: RefundId,
    reason: RefundReason,
) -> Refund {
    let refund = Refund {
        id: id.clone(),
        payment: paid.id.clone(),
        amount: paid.price.payable(),
        reason,
        state: RefundState::Requested,
        note: None,
        created_at: draft.now,
        updated_at: draft.now,
        version: 1,
    };
    draft.put(Record::Refund(refund.clone()));
    let order = Effect::Refund { refund: id.clone(), payment: paid.id.clone() };
    draft.tell(order, id.as_str(), 1);
    refund
}

pub(super) fn tell_payment(draft: &mut Draft<'_>, terms: &Terms, topic: &str, payment: &Payment) {
    if terms.webhook == Telling::Nobody {
        return;
    }
    let (disposition, allocated) = match &payment.state {
        PaymentState::Completed { disposition: Disposition::Granted, .. } => (Some("granted"), None),
        PaymentState::Completed { disposition: Disposition::Allocated { checkout }, .. } => {
            (Some("allocated"), Some(checkout.as_str()))
        }
        PaymentState::Completed { .. } => (Some("refund_requested"), None),
        _ => (None, None),
    };
    let data = serde_json::json!({
        "transactionId": payment.id,
        "orderId": payment.order,
        "userId": payment.user,
        "status": payment.state.name(),
        "amountMinor": payment.price.payable(),
        "currency": payment.price.currency,
        "checkoutSessionId": allocated.or(payment.checkout.as_ref().map(CheckoutId::as_str)),
        "disposition": disposition,
    });
    let effect = Effect::Webhook { topic: topic.to_owned(), data };
    draft.tell(effect, payment.id.as_str(), payment.version);
}

fn tell_checkout(draft: &mut Draft<'_>, terms: &Terms, topic: &str, row: &Checkout) {
    if terms.webhook == Telling::Nobody {
        return;
    }
    let data = serde_json::json!({
        "sessionId": row.id,
        "userId": row.owner.user,
        "status": row.state.name(),
        "supersededBy": row.superseded_by,
    });
    draft.tell(Effect::Webhook { topic: topic.to_owned(), data }, row.id.as_str(), row.version);
}
