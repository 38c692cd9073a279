//! What the stand-in can do wrong on request, so that an application's error handling is tested against a real socket.
//!
//! The kinds and their names; how often one happens, where and how badly is a [`crate::switch::Switch`].

use serde::{Deserialize, Serialize};

use crate::switch::Kind;

/// One way to misbehave. The first ones apply to a call of the API (their label is a route, as `calls()` names it),
/// the others to events (their label is a type of event, a session's id or an event's).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// The call is carried out and the answer is lost on the way.
    LostReply,
    /// Nothing is done; 429 `rate_limit`.
    #[serde(rename = "api_429")]
    Api429,
    /// Nothing is done; 429 `lock_timeout` with `Stripe-Should-Retry: true`.
    LockTimeout,
    /// Nothing is done; 500 with `Stripe-Should-Retry: true`.
    #[serde(rename = "api_500")]
    Api500,
    /// The call is carried out and answered 500, which is what its Idempotency-Key answers from then on.
    #[serde(rename = "api_500_stored")]
    Api500Stored,
    /// Nothing is done and nothing is answered until the configured time is over; then the connection breaks.
    ApiTimeout,
    /// The call takes `delay_ms` longer; its Idempotency-Key is in use meanwhile.
    ApiSlow,
    /// Nothing is done; 409 as if the Idempotency-Key were in use.
    IdempotencyConflict,
    /// A session is paid, and its events are delivered once, before the reply that creates it is sent.
    WebhookBeforeReply,
    /// An event is delivered `copies` times over `connections` at once.
    Duplicate,
    /// Events that belong together are delivered in another order.
    Reorder,
    /// An event is delivered `delay_ms` late.
    Delay,
    /// The application's 2xx is lost on the way, so that the delivery is repeated.
    LostAcknowledgement,
    /// An event is never delivered: only the API knows.
    Withhold,
    /// A card payment completes its session unpaid, as a bank debit does; it waits to be settled.
    UnpaidCompleted,
    /// An event of the same type for a session that never existed is delivered first.
    UnknownSession,
    /// The signature is wrong.
    WrongSignature,
    /// The body is changed after it was signed.
    ChangedBody,
    /// The signature is right and `delay_ms` old, 301 s unless that is more.
    OldTimestamp,
    /// The signature is right and 301 s ahead.
    FutureTimestamp,
    /// Signed with a secret the application has not been told yet, and with no other.
    RotatedSecret,
    /// Signed with a secret the application has not been told yet, and with those it knows.
    RollingSecret,
    /// No signature at all.
    MissingSignature,
}

impl Misbehaviour {
    /// Every kind, in the order the page shows them.
    pub const ALL: [Self; 23] = [
        Self::LostReply,
        Self::Api429,
        Self::LockTimeout,
        Self::Api500,
        Self::Api500Stored,
        Self::ApiTimeout,
        Self::ApiSlow,
        Self::IdempotencyConflict,
        Self::WebhookBeforeReply,
        Self::Duplicate,
        Self::Reorder,
        Self::Delay,
        Self::LostAcknowledgement,
        Self::Withhold,
        Self::UnpaidCompleted,
        Self::UnknownSession,
        Self::WrongSignature,
        Self::ChangedBody,
        Self::OldTimestamp,
        Self::FutureTimestamp,
        Self::RotatedSecret,
        Self::RollingSecret,
        Self::MissingSignature,
    ];
}

impl Kind for Misbehaviour {
    const EVERY: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        match self {
            Self::LostReply => "lost_reply",
            Self::Api429 => "api_429",
            Self::LockTimeout => "lock_timeout",
            Self::Api500 => "api_500",
            Self::Api500Stored => "api_500_stored",
            Self::ApiTimeout => "api_timeout",
            Self::ApiSlow => "api_slow",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::WebhookBeforeReply => "webhook_before_reply",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Delay => "delay",
            Self::LostAcknowledgement => "lost_acknowledgement",
            Self::Withhold => "withhold",
            Self::UnpaidCompleted => "unpaid_completed",
            Self::UnknownSession => "unknown_session",
            Self::WrongSignature => "wrong_signature",
            Self::ChangedBody => "changed_body",
            Self::OldTimestamp => "old_timestamp",
            Self::FutureTimestamp => "future_timestamp",
            Self::RotatedSecret => "rotated_secret",
            Self::RollingSecret => "rolling_secret",
            Self::MissingSignature => "missing_signature",
        }
    }

    fn usual_place(self) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::{Active, COPIES_MAX, DELAY_MS_MAX, SWITCHES_MAX, Switch, TIMES_MAX};

    type S = Switch<Misbehaviour>;

    #[test]
    fn the_name_is_what_serde_reads_and_all_lists_every_kind_once() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in Misbehaviour::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
            assert!(seen.insert(kind), "{kind:?} is listed twice");
        }
    }

    #[test]
    fn a_list_is_names_and_objects() {
        let list: Vec<S> = serde_json::from_str(
            r#"["api_500", {"kind": "duplicate", "copies": 5, "connections": 2, "on": "evt_1", "times": 3},
                {"kind": "delay", "standing": true, "delay_ms": 7}]"#,
        )
        .unwrap();
        let duplicate = Switch::times(Misbehaviour::Duplicate, 3).copies(5, 2).on("evt_1");
        let delay = Switch::standing(Misbehaviour::Delay).delay_ms(7);
        assert_eq!(list, [Switch::once(Misbehaviour::Api500), duplicate, delay]);
        for wrong in [r#"{"kind":"delay","copy":1}"#, r#"{"kind":"duplicate","copies":0}"#, r#""nonsense""#] {
            assert!(serde_json::from_str::<S>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_switch_waits_for_its_label_and_wears_off_unless_it_stands() {
        let mut active = Active::default();
        let once = Switch::once(Misbehaviour::Withhold).on("cs_1");
        active.replace(&[once, Switch::standing(Misbehaviour::Api500)]).unwrap();
        assert!(active.take(Misbehaviour::Withhold, &["cs_2", "evt_1"]).is_none());
        assert!(active.take(Misbehaviour::Withhold, &["cs_1", "evt_1"]).is_some());
        assert!(active.take(Misbehaviour::Withhold, &["cs_1", "evt_1"]).is_none());
        for _ in 0..3 {
            assert!(active.take(Misbehaviour::Api500, &[]).is_some());
        }
    }

    #[test]
    fn limits_are_checked_before_anything_changes() {
        let mut active = Active::default();
        active.add(&Switch::once(Misbehaviour::Delay)).unwrap();
        let wrong = [
            Switch::times(Misbehaviour::Delay, TIMES_MAX + 1),
            Switch::once(Misbehaviour::Duplicate).copies(COPIES_MAX + 1, 1),
            Switch::once(Misbehaviour::Delay).delay_ms(DELAY_MS_MAX + 1),
            Switch::once(Misbehaviour::Delay).on("x".repeat(501)),
        ];
        for switch in wrong {
            assert!(active.replace(&[switch]).is_err());
        }
        assert!(active.replace(&vec![Switch::once(Misbehaviour::Delay); SWITCHES_MAX + 1]).is_err());
        assert_eq!(active.snapshot().len(), 1);
    }
}
