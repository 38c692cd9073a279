//! Why Stripe did not do what we asked: one variant per thing the caller can do about it.

use std::time::Duration;

use crate::transport::HttpFailure;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// Stripe is down, slow or out of reach. Nothing was changed there.
    #[error("Stripe is not available; try again later")]
    Unavailable(#[source] HttpFailure),
    /// A change was sent and its outcome is unknown.
    #[error(
        "Stripe may or may not have done it; repeat the same request with the same Idempotency-Key within 24 hours, \
         which does it once at most"
    )]
    OutcomeUnknown(#[source] Box<StripeError>),
    /// Stripe asks us to slow down. Nothing was changed there.
    #[error("Stripe limits our requests; try again in {} s", retry_after.as_secs())]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// 401 or 403.
    #[error(
        "Stripe refused our key ({status}); compare STRIPE_SECRET_KEY with Stripe's dashboard, Developers, API keys, \
         and see that a restricted key may write Checkout Sessions and Refunds and read Prices"
    )]
    Unauthorized {
        /// The HTTP status.
        status: u16,
    },
    /// Stripe understood and will not. Repeating it changes nothing.
    #[error("Stripe refused the request ({}); {}", .0.reason(), .0.remedy())]
    Refused(Box<Refusal>),
    /// Something between us and Stripe answered.
    #[error("{status} came back to our request, and not from Stripe; compare STRIPE_API_URL")]
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// The answer makes no sense.
    #[error(
        "Stripe's answer could not be understood ({0}); look at STRIPE_API_URL, or whether Stripe changed its API"
    )]
    Unreadable(&'static str),
    /// It was not sent, because Stripe could not have taken it.
    #[error("the request was not sent: its {0} is not what Stripe takes")]
    Invalid(&'static str),
}

/// Stripe's own error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `type`: `invalid_request_error`, `idempotency_error`, `card_error`, `api_error`.
    pub kind: String,
    /// `code`: `resource_missing`, `charge_already_refunded` and their like.
    pub code: Option<String>,
    /// Which parameter.
    pub param: Option<String>,
    /// Stripe's words, shortened; for the log.
    pub message: String,
    /// `req_…`: what Stripe's support asks for.
    pub request_id: Option<String>,
}

impl Refusal {
    /// Whether what we named does not exist, at least not in this mode.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.status == 404 || self.code.as_deref() == Some("resource_missing")
    }

    /// Whether the Idempotency-Key was used before for something else.
    #[must_use]
    pub fn is_key_reused(&self) -> bool {
        self.kind == "idempotency_error" && self.status != 409
    }

    fn reason(&self) -> String {
        let code = self.code.as_deref().unwrap_or(&self.kind);
        match &self.param {
            Some(param) => format!("{} {code} at {param}", self.status),
            None => format!("{} {code}", self.status),
        }
    }

    fn remedy(&self) -> &'static str {
        match self.code.as_deref() {
            _ if self.is_key_reused() => {
                "this Idempotency-Key stands for another request: use one key per operation"
            }
            _ if self.is_missing() => {
                "compare the id with Stripe's dashboard, and whether it and STRIPE_SECRET_KEY are both live or both test"
            }
            Some("charge_already_refunded") => "nothing is left to give back",
            Some("idempotency_key_in_use") => "the same request is under way: try again in a moment",
            _ => "look up the request in Stripe's dashboard, Developers, Logs",
        }
    }
}

impl StripeError {
    /// How long to wait before trying again, where Stripe said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::OutcomeUnknown(cause) => cause.retry_after(),
            _ => None,
        }
    }

    /// Whether the same request may fare better later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::RateLimited { .. })
    }

    /// Stripe's own error, where there is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
