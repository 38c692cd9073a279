//! What a message of Stripe says, and about which job. Pure.
//!
//! One family starts a job: `checkout.session.completed` that is paid, and `async_payment_succeeded`. A
//! `payment_intent.succeeded` says the same thing again and starts nothing.

use sessile_core::generation::{GenerationId, GenerationKey, News, StripeNews, StripeSessionId};
use sessile_providers::stripe::{CheckoutSession, Event, EventError, EventType, PaymentStatus};

/// Which job a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// A Checkout Session, by Stripe's name and by ours.
    Session {
        /// Stripe's.
        stripe: Option<StripeSessionId>,
        /// Ours, from `client_reference_id`.
        own: Option<GenerationId>,
    },
    /// A payment; which session it paid has to be found out.
    Payment(String),
    /// Nothing that changes a job.
    Nothing,
}

impl About {
    /// What it is kept under.
    pub(crate) fn key(&self) -> Option<GenerationKey> {
        let Self::Session { stripe, own } = self else { return None };
        stripe.clone().map(GenerationKey::Stripe).or_else(|| own.clone().map(GenerationKey::Own))
    }
}

/// Which job, where that can be told without understanding the rest.
pub(crate) fn subject(event: &Event) -> About {
    read(event).map_or(About::Nothing, |(about, _)| about)
}

/// Which job, and what happened to it.
///
/// # Errors
/// [`EventError`] when the object is not the one that its type promises.
pub(crate) fn read(event: &Event) -> Result<(About, StripeNews), EventError> {
    use EventType as T;
    let news = |news: News, payment_intent: Option<String>| StripeNews {
        event: event.id.clone(),
        kind: event.type_name.clone(),
        news,
        payment_intent,
    };
    let payment = |intent: Option<String>| intent.map_or(About::Nothing, About::Payment);
    Ok(match event.event_type {
        T::CheckoutCompleted | T::CheckoutPaidLater | T::CheckoutNeverPaid | T::CheckoutExpired => {
            let session = event.checkout_session()?;
            let what = checkout(event.event_type, &session);
            (about(&session), news(what, session.payment_intent))
        }
        T::PaymentFailed => {
            let intent = event.payment_intent()?.id;
            (payment(Some(intent.clone())), news(News::Declined, Some(intent)))
        }
        T::ChargeRefunded => {
            let intent = event.charge()?.payment_intent;
            (payment(intent.clone()), news(News::Refunded, intent))
        }
        T::Dispute => {
            let intent = event.dispute()?.payment_intent;
            (payment(intent.clone()), news(News::Disputed, intent))
        }
        T::PaymentSucceeded | T::Other => (About::Nothing, news(News::Other, None)),
    })
}

fn checkout(kind: EventType, session: &CheckoutSession) -> News {
    match (kind, session.payment_status) {
        (EventType::CheckoutPaidLater, _)
        | (EventType::CheckoutCompleted, PaymentStatus::Paid | PaymentStatus::NoPaymentRequired) => {
            News::Paid
        }
        (EventType::CheckoutCompleted, PaymentStatus::Unpaid | PaymentStatus::Unknown) => News::Delayed,
        (EventType::CheckoutNeverPaid, _) => News::DelayedFailed,
        (EventType::CheckoutExpired, _) => News::Expired,
        _ => News::Other,
    }
}

fn about(session: &CheckoutSession) -> About {
    About::Session {
        stripe: StripeSessionId::of_stripe(&session.id),
        own: session.client_reference_id.as_deref().and_then(GenerationId::parse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(kind: &str, object: Value) -> Event {
        let body = json!({"id": "evt_1", "object": "event", "type": kind, "data": {"object": object}});
        Event::parse(body.to_string().as_bytes()).unwrap()
    }

    fn session(status: &str) -> Value {
        json!({"id": "cs_test_1", "object": "checkout.session", "payment_status": status,
            "client_reference_id": "gen_1", "payment_intent": "pi_1"})
    }

    #[test]
    fn one_family_starts_a_job() {
        for (kind, status, means) in [
            ("checkout.session.completed", "paid", News::Paid),
            ("checkout.session.completed", "no_payment_required", News::Paid),
            ("checkout.session.completed", "unpaid", News::Delayed),
            ("checkout.session.completed", "half_paid", News::Delayed),
            ("checkout.session.async_payment_succeeded", "paid", News::Paid),
            ("checkout.session.async_payment_failed", "unpaid", News::DelayedFailed),
            ("checkout.session.expired", "unpaid", News::Expired),
            ("checkout.session.shipped", "paid", News::Other),
        ] {
            let (about, news) = read(&event(kind, session(status))).unwrap();
            assert_eq!(news.news, means, "{kind} {status}");
            if means != News::Other {
                assert_eq!(about.key().unwrap().as_str(), "cs_test_1");
                assert_eq!(news.payment_intent.as_deref(), Some("pi_1"));
            }
        }
        let beside = event("payment_intent.succeeded", json!({"id": "pi_1", "object": "payment_intent"}));
        let (about, news) = read(&beside).unwrap();
        assert_eq!((about, news.news), (About::Nothing, News::Other));
    }

    #[test]
    fn what_is_about_a_payment_names_it() {
        let of = |kind: &str, object: Value| read(&event(kind, object)).unwrap();
        let (about, news) =
            of("charge.refunded", json!({"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}));
        assert_eq!((about, news.news), (About::Payment("pi_1".into()), News::Refunded));
        let dispute = json!({"id": "du_1", "object": "dispute", "payment_intent": "pi_1"});
        assert_eq!(of("charge.dispute.created", dispute).1.news, News::Disputed);
        let failed = json!({"id": "pi_1", "object": "payment_intent"});
        assert_eq!(of("payment_intent.payment_failed", failed).1.news, News::Declined);
        assert_eq!(of("charge.refunded", json!({"id": "ch_1", "object": "charge"})).0, About::Nothing);
        assert!(read(&event("checkout.session.completed", json!({"id": "x", "object": "charge"}))).is_err());
    }
}
