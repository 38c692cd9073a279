//! Why the Merchant API gave no answer to use. None of these says anything about a payment: decide nothing from them.

use std::time::Duration;

use crate::transport::HttpFailure;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClickError {
    /// CLICK is down, slow or broken. Nothing was changed there.
    #[error("CLICK's Merchant API is not available; try again later")]
    Unavailable(#[source] HttpFailure),
    /// A reversal was sent and its outcome is unknown.
    #[error(
        "CLICK may or may not have reversed the payment; \
         look at it in the merchant cabinet, or ask for its status, before asking again"
    )]
    OutcomeUnknown(#[source] Box<ClickError>),
    /// CLICK asks us to slow down.
    #[error("CLICK limits our requests; try again in {} s", retry_after.as_secs())]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// 401 or 403.
    #[error(
        "CLICK refused our credentials ({status}); compare CLICK_MERCHANT_USER_ID, CLICK_SERVICE_ID and the first \
         CLICK_SECRET_KEY with the merchant cabinet, and this machine's clock with the true time"
    )]
    Unauthorized {
        /// The HTTP status.
        status: u16,
    },
    /// CLICK, or something between, does not know such a request.
    #[error(
        "CLICK's Merchant API answered {status} to our request; compare CLICK_API_URL and CLICK_SERVICE_ID"
    )]
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// CLICK understood and could not say.
    #[error(
        "CLICK could not answer (error {code}); try again later, and if it stays, compare CLICK_SERVICE_ID and \
         CLICK_MERCHANT_USER_ID with the merchant cabinet or ask CLICK's support"
    )]
    Refused {
        /// `error_code`.
        code: i64,
        /// `error_note`, shortened; for the log.
        note: String,
    },
    /// The answer makes no sense.
    #[error(
        "CLICK's answer could not be understood ({0}); look at CLICK_API_URL, or whether CLICK changed its API"
    )]
    Unreadable(&'static str),
}

impl ClickError {
    /// How long to wait before trying again, where CLICK said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<HttpFailure> for ClickError {
    fn from(failure: HttpFailure) -> Self {
        match failure {
            HttpFailure::RateLimited { retry_after } => Self::RateLimited { retry_after },
            HttpFailure::TooLarge => Self::Unreadable("it is larger than we accept"),
            other => Self::Unavailable(other),
        }
    }
}
