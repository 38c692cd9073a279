//! Stripe's objects as far as we read them, the same in answers and in events. What is not listed is skipped, and an
//! unknown status is [`Unknown`](PaymentStatus::Unknown): newer API versions add both.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Whether a Checkout Session was paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The money is ours.
    Paid,
    /// It is not: not yet with a delayed method, or never.
    Unpaid,
    /// There was nothing to pay.
    NoPaymentRequired,
    /// A word we do not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Where a Checkout Session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// It can be paid.
    Open,
    /// The buyer is through; [`PaymentStatus`] says whether the money is.
    Complete,
    /// It can no longer be paid.
    Expired,
    /// A word we do not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One visit to Stripe's payment page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckoutSession {
    /// `cs_…`.
    pub id: String,
    /// What we called it.
    #[serde(default)]
    pub client_reference_id: Option<String>,
    /// Whether it was paid.
    #[serde(default)]
    pub payment_status: PaymentStatus,
    /// Where it stands.
    #[serde(default, deserialize_with = "or_default")]
    pub status: SessionStatus,
    /// `pi_…`, from when the buyer has tried to pay.
    #[serde(default, deserialize_with = "expandable")]
    pub payment_intent: Option<String>,
    /// As it was created; empty where Stripe says null.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    /// In the currency's smallest unit.
    #[serde(default)]
    pub amount_total: Option<i64>,
    /// Three lower-case letters.
    #[serde(default)]
    pub currency: Option<String>,
    /// Where to send the buyer; while it is open.
    #[serde(default)]
    pub url: Option<String>,
    /// Unix seconds.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

/// A charge, in `charge.refunded`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Charge {
    /// `ch_…`.
    pub id: String,
    /// `pi_…`.
    #[serde(default, deserialize_with = "expandable")]
    pub payment_intent: Option<String>,
    /// Whether all of it went back; a part is `amount_refunded`.
    #[serde(default)]
    pub refunded: bool,
    /// In the currency's smallest unit.
    #[serde(default)]
    pub amount_refunded: Option<i64>,
}

/// A dispute, in `charge.dispute.…`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dispute {
    /// `du_…`.
    pub id: String,
    /// `pi_…`.
    #[serde(default, deserialize_with = "expandable")]
    pub payment_intent: Option<String>,
    /// Stripe's word for why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Stripe's word for where it stands.
    #[serde(default)]
    pub status: Option<String>,
}

/// A payment, in `payment_intent.…`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PaymentIntent {
    /// `pi_…`.
    pub id: String,
    /// Stripe's word for where it stands.
    #[serde(default)]
    pub status: Option<String>,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// The buyer has to do something.
    RequiresAction,
    /// Done.
    Succeeded,
    /// The bank did not take it; the money is ours again.
    Failed,
    /// Stopped.
    Canceled,
    /// A word we do not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Money on its way back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// `re_…`.
    pub id: String,
    /// Where it stands.
    #[serde(default, deserialize_with = "or_default")]
    pub status: RefundStatus,
    /// `pi_…`.
    #[serde(default, deserialize_with = "expandable")]
    pub payment_intent: Option<String>,
    /// In the currency's smallest unit.
    pub amount: i64,
    /// Three lower-case letters.
    pub currency: String,
}

/// What something costs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Price {
    /// `price_…`.
    pub id: String,
    /// Whether it may be sold.
    pub active: bool,
    /// Three lower-case letters.
    pub currency: String,
    /// In the currency's smallest unit; `None` where the amount is not whole or not fixed.
    #[serde(default)]
    pub unit_amount: Option<i64>,
    /// `prod_…`.
    #[serde(default, deserialize_with = "expandable")]
    pub product: Option<String>,
    /// A recurring price cannot be paid once.
    #[serde(default, deserialize_with = "is_present")]
    pub recurring: bool,
    /// Of real money.
    #[serde(default)]
    pub livemode: bool,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expandable {
    Id(String),
    Object { id: String },
}

/// An id, or the object that it names.
fn expandable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Expandable>::deserialize(deserializer)?.map(|given| match given {
        Expandable::Id(id) | Expandable::Object { id } => id,
    }))
}

/// Null is as good as absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_session_is_read_whole_and_bare() {
        let whole: CheckoutSession = serde_json::from_value(json!({
            "id": "cs_1", "object": "checkout.session", "client_reference_id": "gen_1", "payment_status": "paid",
            "status": "complete", "payment_intent": {"id": "pi_1", "object": "payment_intent"},
            "metadata": {"video_count": "3"}, "amount_total": 900, "currency": "usd", "url": null, "expires_at": 7,
            "something_new": [1, {"a": null}]
        }))
        .unwrap();
        assert_eq!((whole.status, whole.payment_status), (SessionStatus::Complete, PaymentStatus::Paid));
        assert_eq!((whole.payment_intent.as_deref(), whole.amount_total), (Some("pi_1"), Some(900)));
        assert_eq!(whole.metadata["video_count"], "3");

        let bare: CheckoutSession = serde_json::from_value(
            json!({"id": "cs_1", "status": null, "metadata": null, "payment_intent": null}),
        )
        .unwrap();
        assert_eq!((bare.status, bare.payment_status), (SessionStatus::Unknown, PaymentStatus::Unknown));
        assert!(bare.metadata.is_empty() && bare.payment_intent.is_none());
        assert!(serde_json::from_value::<CheckoutSession>(json!({"status": "open"})).is_err());
    }

    #[test]
    fn a_word_of_tomorrow_is_unknown() {
        let session = json!({"id": "cs_1", "status": "parked", "payment_status": "half_paid"});
        let session: CheckoutSession = serde_json::from_value(session).unwrap();
        assert_eq!(
            (session.status, session.payment_status),
            (SessionStatus::Unknown, PaymentStatus::Unknown)
        );
    }

    #[test]
    fn a_price_tells_once_from_again() {
        let price = |recurring: serde_json::Value| {
            let value = json!({"id": "price_1", "active": true, "currency": "usd", "unit_amount": 300,
                "product": "prod_1", "recurring": recurring});
            serde_json::from_value::<Price>(value).unwrap().recurring
        };
        assert!(!price(json!(null)) && price(json!({"interval": "month"})));
    }
}
