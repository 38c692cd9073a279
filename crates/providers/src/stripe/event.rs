//! A webhook's body as an event: the envelope, the object as it came, and typed views of the objects we use.
//!
//! Call [`verify`](super::verify) first. An unknown type is an event like any other: it is recorded, and means nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::object::{Charge, CheckoutSession, Dispute, PaymentIntent};

/// The largest body that is read. Stripe's events about what we use are under 16 KiB.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Characters of an id.
const ID_CHARS_MAX: usize = 255;
/// Characters of a type.
const TYPE_CHARS_MAX: usize = 255;

/// The types that mean something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `checkout.session.completed`: the buyer is through. Paid, or (with a delayed method) not yet.
    CheckoutCompleted,
    /// `checkout.session.async_payment_succeeded`: a delayed method has paid.
    CheckoutPaidLater,
    /// `checkout.session.async_payment_failed`: a delayed method has not.
    CheckoutNeverPaid,
    /// `checkout.session.expired`.
    CheckoutExpired,
    /// `payment_intent.succeeded`: says the same as a completed checkout, so it starts nothing.
    PaymentSucceeded,
    /// `payment_intent.payment_failed`: one attempt; the buyer may try again.
    PaymentFailed,
    /// `charge.refunded`.
    ChargeRefunded,
    /// `charge.dispute.…`.
    Dispute,
    /// Anything else.
    Other,
}

impl EventType {
    fn named(name: &str) -> Self {
        match name {
            "checkout.session.completed" => Self::CheckoutCompleted,
            "checkout.session.async_payment_succeeded" => Self::CheckoutPaidLater,
            "checkout.session.async_payment_failed" => Self::CheckoutNeverPaid,
            "checkout.session.expired" => Self::CheckoutExpired,
            "payment_intent.succeeded" => Self::PaymentSucceeded,
            "payment_intent.payment_failed" => Self::PaymentFailed,
            "charge.refunded" => Self::ChargeRefunded,
            dispute if dispute.starts_with("charge.dispute.") => Self::Dispute,
            _ => Self::Other,
        }
    }
}

/// One thing that happened. Delivered more than once, out of order, for up to three days: `id` tells them apart.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// `evt_…`.
    pub id: String,
    /// What happened.
    pub event_type: EventType,
    /// The same in Stripe's words.
    pub type_name: String,
    /// When, in unix seconds. Not an order: events of one second have none.
    pub created_s: Option<i64>,
    /// Whether real money moved.
    pub livemode: Option<bool>,
    object: Box<RawValue>,
}

/// Why a body is not an event we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Nothing in it.
    #[error("the body is empty")]
    Empty,
    /// Above [`EVENT_BYTES_MAX`].
    #[error("the body is larger than {EVENT_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON of the documented shape.
    #[error("the body is not an event; set the webhook endpoint in Stripe's dashboard to snapshot payloads")]
    NotAnEvent,
    /// The object is of another kind or lacks something.
    #[error("the event's object is not a readable {0}")]
    Unreadable(&'static str),
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    object: String,
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    created: Option<i64>,
    #[serde(default)]
    livemode: Option<bool>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Box<RawValue>,
}

#[derive(Deserialize)]
struct Kind {
    object: String,
}

impl Event {
    /// Reads the bytes that [`verify`](super::verify) has proven.
    ///
    /// # Errors
    /// [`EventError`]; a type we do not know is none.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        match body.len() {
            0 => return Err(EventError::Empty),
            1..=EVENT_BYTES_MAX => {}
            _ => return Err(EventError::TooLarge),
        }
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| EventError::NotAnEvent)?;
        let short = |text: &str, chars_max| {
            (1..=chars_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if envelope.object != "event"
            || !short(&envelope.id, ID_CHARS_MAX)
            || !short(&envelope.type_name, TYPE_CHARS_MAX)
        {
            return Err(EventError::NotAnEvent);
        }
        Ok(Self {
            id: envelope.id,
            event_type: EventType::named(&envelope.type_name),
            type_name: envelope.type_name,
            created_s: envelope.created,
            livemode: envelope.livemode,
            object: envelope.data.object,
        })
    }

    /// `data.object`, as it came.
    #[must_use]
    pub fn object(&self) -> &RawValue {
        &self.object
    }

    /// The object of `checkout.session.…`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn checkout_session(&self) -> Result<CheckoutSession, EventError> {
        self.view("checkout.session")
    }

    /// The object of `charge.refunded`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn charge(&self) -> Result<Charge, EventError> {
        self.view("charge")
    }

    /// The object of `charge.dispute.…`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn dispute(&self) -> Result<Dispute, EventError> {
        self.view("dispute")
    }

    /// The object of `payment_intent.…`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn payment_intent(&self) -> Result<PaymentIntent, EventError> {
        self.view("payment_intent")
    }

    /// A dispute read as a charge would have an id of the wrong kind: the object's own word decides.
    fn view<T: DeserializeOwned>(&self, kind: &'static str) -> Result<T, EventError> {
        let unreadable = |_| EventError::Unreadable(kind);
        let found: Kind = serde_json::from_str(self.object.get()).map_err(unreadable)?;
        if found.object != kind {
            return Err(EventError::Unreadable(kind));
        }
        serde_json::from_str(self.object.get()).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::{PaymentStatus, SessionStatus};
    use super::*;
    use serde_json::json;

    fn event(type_name: &str, object: serde_json::Value) -> Event {
        let body = json!({"id": "evt_1", "object": "event", "type": type_name, "created": 1_700_000_000,
            "livemode": false, "api_version": "2026-10-28.endive", "data": {"object": object}});
        Event::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_envelope_and_the_session_are_read() {
        let body = br#"{"id":"evt_test_1","object":"event","type":"checkout.session.completed","data":{"object":{"id":"cs_test_1","object":"checkout.session","status":"complete","payment_status":"paid"}}}"#;
        let event = Event::parse(body).unwrap();
        assert_eq!((event.id.as_str(), event.event_type), ("evt_test_1", EventType::CheckoutCompleted));
        assert_eq!((event.created_s, event.livemode), (None, None));
        let session = event.checkout_session().unwrap();
        assert_eq!((session.status, session.payment_status), (SessionStatus::Complete, PaymentStatus::Paid));
        assert!(event.object().get().starts_with(r#"{"id":"cs_test_1","#));
    }

    #[test]
    fn every_type_we_use_has_a_name() {
        for (name, event_type) in [
            ("checkout.session.completed", EventType::CheckoutCompleted),
            ("checkout.session.async_payment_succeeded", EventType::CheckoutPaidLater),
            ("checkout.session.async_payment_failed", EventType::CheckoutNeverPaid),
            ("checkout.session.expired", EventType::CheckoutExpired),
            ("payment_intent.succeeded", EventType::PaymentSucceeded),
            ("payment_intent.payment_failed", EventType::PaymentFailed),
            ("charge.refunded", EventType::ChargeRefunded),
            ("charge.dispute.created", EventType::Dispute),
            ("charge.dispute.funds_withdrawn", EventType::Dispute),
            ("invoice.paid", EventType::Other),
        ] {
            let event = event(name, json!({}));
            assert_eq!((event.event_type, event.type_name.as_str()), (event_type, name));
        }
    }

    #[test]
    fn an_object_is_read_as_what_it_says_it_is() {
        let charge = event(
            "charge.refunded",
            json!({"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "refunded": true, "amount_refunded": 9}),
        );
        assert_eq!(charge.charge().unwrap().payment_intent.as_deref(), Some("pi_1"));
        assert_eq!(charge.dispute(), Err(EventError::Unreadable("dispute")));
        let dispute = event(
            "charge.dispute.created",
            json!({"id": "du_1", "object": "dispute", "payment_intent": "pi_2", "reason": "fraudulent"}),
        );
        assert_eq!(dispute.dispute().unwrap().payment_intent.as_deref(), Some("pi_2"));
        let failed =
            event("payment_intent.payment_failed", json!({"id": "pi_3", "object": "payment_intent"}));
        assert_eq!(failed.payment_intent().unwrap().id, "pi_3");
        for other in [json!(null), json!([]), json!({"object": "charge"})] {
            assert!(event("charge.refunded", other).charge().is_err());
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        assert_eq!(Event::parse(b"").err(), Some(EventError::Empty));
        assert_eq!(Event::parse(&vec![b' '; EVENT_BYTES_MAX + 1]).err(), Some(EventError::TooLarge));
        for body in [
            "null",
            "[]",
            "{",
            "{}",
            r#"{"id":"evt_1","object":"v2.core.event","type":"a","data":{"object":{}}}"#,
            r#"{"id":"","object":"event","type":"a","data":{"object":{}}}"#,
            r#"{"id":"evt_1","object":"event","type":"a\n","data":{"object":{}}}"#,
            r#"{"id":"evt_1","id":"evt_2","object":"event","type":"a","data":{"object":{}}}"#,
            r#"{"id":"evt_1","object":"event","type":"a","data":{}}"#,
            r#"{"id":"evt_1","object":"event","type":"a"}"#,
        ] {
            assert_eq!(Event::parse(body.as_bytes()).err(), Some(EventError::NotAnEvent), "{body}");
        }
        let deep = format!(
            r#"{{"id":"evt_1","object":"event","type":"a","data":{{"object":{}{}}}}}"#,
            "[".repeat(50_000),
            "]".repeat(50_000)
        );
        assert!(Event::parse(deep.as_bytes()).is_ok_and(|event| event.checkout_session().is_err()));
    }
}
