//! Why a sign-in failed: one variant per thing the caller can do about it, and none of the provider's text in `Display`.

use std::fmt;
use std::time::Duration;

use crate::transport::{HttpFailure, shortened};

/// Which conversation with the provider it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading its discovery document and published keys.
    Discovery,
    /// Exchanging the code.
    Token,
    /// Reading userinfo.
    UserInfo,
    /// Revoking a token.
    Revocation,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery",
            Self::Token => "the token exchange",
            Self::UserInfo => "userinfo",
            Self::Revocation => "revocation",
        })
    }
}

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdTokenFault {
    /// The token answer had none.
    Missing,
    /// Not signed by the provider, or by an algorithm we refuse.
    Signature,
    /// Signed with a key the provider does not publish, also after reading its keys again.
    UnknownKey,
    /// From another issuer.
    Issuer,
    /// For another client.
    Audience,
    /// For another sign-in: replayed, or injected.
    Nonce,
    /// Expired, or from the future; compare the clocks.
    Expired,
    /// It belongs to another access token.
    AccessTokenHash,
    /// Malformed or unsupported.
    Malformed,
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The person took too long.
    #[error("this sign-in was started too long ago; start again")]
    Expired,
    /// The provider refused the code or the client.
    #[error("the provider refused the code exchange ({error})")]
    TokenExchange {
        /// OAuth's code: `invalid_grant` means start again, `invalid_client` means check the credentials.
        error: String,
        /// The provider's own words, shortened; for the log, not for the browser.
        description: Option<String>,
    },
    /// The ID token is not to be trusted.
    #[error("the provider's ID token was refused: {fault:?}")]
    InvalidIdToken {
        /// What is wrong with it.
        fault: IdTokenFault,
        /// The verifier's own words; for the log.
        detail: String,
    },
    /// Userinfo is about somebody else.
    #[error("the provider's userinfo does not belong to the person who signed in")]
    InvalidUserData,
    /// The provider answered something we cannot read.
    #[error("the provider's answer at {step} could not be understood")]
    Unreadable {
        /// Where.
        step: Step,
        /// Shortened; for the log.
        detail: String,
    },
    /// The provider is down, slow or broken.
    #[error("the provider is not available at {step}; try again")]
    Unavailable {
        /// Where.
        step: Step,
        /// What happened.
        source: HttpFailure,
    },
    /// The provider asks us to slow down.
    #[error("the provider limits our requests at {step}; try again in {} s", retry_after.as_secs())]
    RateLimited {
        /// Where.
        step: Step,
        /// How long to wait.
        retry_after: Duration,
    },
}

impl SignInError {
    /// The callback's `error`: `invalid_state`, `token_exchange_failed`, `invalid_user_data` or `oauth_failed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired => "invalid_state",
            Self::TokenExchange { .. } => "token_exchange_failed",
            Self::InvalidUserData => "invalid_user_data",
            Self::InvalidIdToken { .. } => "oauth_failed",
            Self::Unreadable { step, .. } => match step {
                Step::Token => "token_exchange_failed",
                Step::UserInfo => "invalid_user_data",
                Step::Discovery | Step::Revocation => "oauth_failed",
            },
            Self::Unavailable { step, .. } | Self::RateLimited { step, .. } => match step {
                Step::Token => "token_exchange_failed",
                Step::Discovery | Step::UserInfo | Step::Revocation => "oauth_failed",
            },
        }
    }

    /// How long to wait before trying again, where the provider said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    pub(crate) fn http(step: Step, failure: HttpFailure) -> Self {
        match failure {
            HttpFailure::RateLimited { retry_after } => Self::RateLimited { step, retry_after },
            HttpFailure::TooLarge => Self::Unreadable { step, detail: failure.to_string() },
            source => Self::Unavailable { step, source },
        }
    }

    pub(crate) fn unreadable(step: Step, detail: impl fmt::Display) -> Self {
        Self::Unreadable { step, detail: shortened(&detail.to_string()) }
    }
}
