//! Names of paid jobs.

use crate::id::{random_id, text_id};

text_id! {
    /// Our own name of a job, made before anything else: it goes to Stripe as `client_reference_id` and as the
    /// idempotency key.
    GenerationId
}
random_id!(GenerationId, "gen_");

text_id! {
    /// Stripe's name of a Checkout Session (`cs_live_…`, `cs_test_…`), by which pages know a job.
    StripeSessionId
}

impl GenerationId {
    /// Stands where nothing better is known.
    pub(super) fn unnamed() -> Self {
        Self("unnamed".into())
    }
}

impl StripeSessionId {
    /// Reads Stripe's name; `None` unless it begins with `cs_` and holds only letters, digits and `_`.
    #[must_use]
    pub fn of_stripe(text: &str) -> Option<Self> {
        let shaped = text.starts_with("cs_") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        Self::parse(text).filter(|_| shaped)
    }
}

/// How a job is named: by us before it is bound to Stripe's session, by Stripe afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GenerationKey {
    /// Ours.
    Own(GenerationId),
    /// Stripe's.
    Stripe(StripeSessionId),
}

impl GenerationKey {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(id) => id.as_str(),
            Self::Stripe(id) => id.as_str(),
        }
    }

    /// Reads either.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match StripeSessionId::of_stripe(text) {
            Some(id) => Some(Self::Stripe(id)),
            None => GenerationId::parse(text).map(Self::Own),
        }
    }

    /// What a log may say.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        crate::id::fingerprint_of(self.as_str())
    }
}
