//! What we ask Stripe to make.

use std::collections::BTreeMap;

use super::error::StripeError;
use super::form::Form;

/// Pairs of metadata that Stripe keeps.
pub const METADATA_PAIRS_MAX: usize = 50;
/// Characters of a metadata value; longer things have no place there.
pub const METADATA_VALUE_CHARS_MAX: usize = 500;
/// Characters of a metadata key.
const METADATA_KEY_CHARS_MAX: usize = 40;
/// Characters of our own reference.
const REFERENCE_CHARS_MAX: usize = 200;

/// A Checkout Session to be: one price, paid once, on Stripe's own page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// `price_…`.
    pub price: String,
    /// How many.
    pub quantity: u32,
    /// Where the buyer comes back to; Stripe replaces `{CHECKOUT_SESSION_ID}` in it.
    pub success_url: String,
    /// Where the buyer comes back to without having paid.
    pub cancel_url: String,
    /// Our own id of it, which every event about it carries.
    pub client_reference_id: String,
    /// Small facts; never the buyer's words.
    pub metadata: BTreeMap<String, String>,
    /// Unix seconds, 30 minutes to 24 hours ahead; `None` is 24 hours.
    pub expires_at_s: Option<i64>,
}

impl NewSession {
    pub(super) fn form(&self) -> Result<String, StripeError> {
        check(&self.metadata)?;
        if self.client_reference_id.chars().count() > REFERENCE_CHARS_MAX {
            return Err(StripeError::Invalid("client_reference_id"));
        }
        Ok(Form::new()
            .field("mode", "payment")
            .item("line_items", 0, "price", &self.price)
            .item("line_items", 0, "quantity", self.quantity)
            .field("success_url", &self.success_url)
            .field("cancel_url", &self.cancel_url)
            .field("client_reference_id", &self.client_reference_id)
            .map("metadata", &self.metadata)
            .optional("expires_at", self.expires_at_s)
            .finish())
    }
}

/// A refund to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRefund {
    /// `pi_…`.
    pub payment_intent: String,
    /// In the currency's smallest unit; `None` is all that is left.
    pub amount: Option<i64>,
    /// Small facts.
    pub metadata: BTreeMap<String, String>,
}

impl NewRefund {
    /// Everything that is left of a payment.
    #[must_use]
    pub fn whole(payment_intent: impl Into<String>) -> Self {
        Self { payment_intent: payment_intent.into(), amount: None, metadata: BTreeMap::new() }
    }

    pub(super) fn form(&self) -> Result<String, StripeError> {
        check(&self.metadata)?;
        Ok(Form::new()
            .field("payment_intent", &self.payment_intent)
            .optional("amount", self.amount)
            .map("metadata", &self.metadata)
            .finish())
    }
}

/// Stripe would refuse it too, after a round trip.
fn check(metadata: &BTreeMap<String, String>) -> Result<(), StripeError> {
    let fits = |text: &str, chars_max: usize| text.chars().count() <= chars_max;
    let small = metadata.iter().all(|(key, value)| {
        let named = !key.is_empty() && !key.contains(['[', ']']) && fits(key, METADATA_KEY_CHARS_MAX);
        named && fits(value, METADATA_VALUE_CHARS_MAX)
    });
    if small && metadata.len() <= METADATA_PAIRS_MAX { Ok(()) } else { Err(StripeError::Invalid("metadata")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(metadata: &[(&str, &str)]) -> NewSession {
        NewSession {
            price: "price_1".into(),
            quantity: 3,
            success_url: "https://app.example/en/payment-success/{CHECKOUT_SESSION_ID}".into(),
            cancel_url: "https://app.example/en/tool".into(),
            client_reference_id: "gen_1".into(),
            metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            expires_at_s: None,
        }
    }

    #[test]
    fn a_session_is_asked_for_as_documented() {
        let form = session(&[("video_count", "3"), ("tool", "veo3-generator")]).form().unwrap();
        let read: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            read,
            [
                ("mode", "payment"),
                ("line_items[0][price]", "price_1"),
                ("line_items[0][quantity]", "3"),
                ("success_url", "https://app.example/en/payment-success/{CHECKOUT_SESSION_ID}"),
                ("cancel_url", "https://app.example/en/tool"),
                ("client_reference_id", "gen_1"),
                ("metadata[tool]", "veo3-generator"),
                ("metadata[video_count]", "3"),
            ]
        );
    }

    #[test]
    fn a_refund_names_the_payment() {
        assert_eq!(NewRefund::whole("pi_1").form().unwrap(), "payment_intent=pi_1");
        let part = NewRefund { amount: Some(300), ..NewRefund::whole("pi_1") };
        assert_eq!(part.form().unwrap(), "payment_intent=pi_1&amount=300");
    }

    #[test]
    fn metadata_is_small() {
        let (long, key) = ("é".repeat(METADATA_VALUE_CHARS_MAX), "k".repeat(METADATA_KEY_CHARS_MAX));
        assert!(session(&[(&key, &long)]).form().is_ok());
        for (key, value) in
            [("k", format!("{long}x").as_str()), (&format!("{key}k"), ""), ("", "v"), ("a[b]", "v")]
        {
            assert!(
                matches!(session(&[(key, value)]).form(), Err(StripeError::Invalid("metadata"))),
                "{key}"
            );
        }
        let reference = NewSession { client_reference_id: "x".repeat(201), ..session(&[]) };
        assert!(matches!(reference.form(), Err(StripeError::Invalid("client_reference_id"))));
    }
}
