//! Why there is no video, and why there is no answer. The first knows four cases, because a video costs money: surely
//! not asked for, refused, asked for too often, and unknown.

use std::time::Duration;

use crate::transport::HttpFailure;

/// Why asking for a video did not give one.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The request never left. Asking again is safe.
    #[error("SuperDuperAI could not be reached and nothing was asked for; try again later")]
    NotSent(#[source] HttpFailure),
    /// The generator will not. Asking again changes nothing until somebody mends the reason.
    #[error("SuperDuperAI refused the request ({status}); {}", remedy(*status))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The generator's words, shortened; for the log.
        detail: String,
    },
    /// 429: nothing was asked for. Asking again is safe after the wait.
    #[error("SuperDuperAI limits our requests; try again in {} s", retry_after.as_secs())]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The request left, and what became of it was not heard. [`find`](super::Client::find) it before asking again.
    #[error("SuperDuperAI may or may not have taken the request; look for its seed before asking again")]
    OutcomeUnknown(#[source] Uncertain),
}

/// What was heard instead of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Uncertain {
    /// Nothing, or less than an answer.
    #[error(transparent)]
    Http(HttpFailure),
    /// A status that says nothing about the request.
    #[error("SuperDuperAI, or something before it, answered {0}")]
    Status(u16),
    /// A success without a file in it.
    #[error("SuperDuperAI's answer is not the documented file")]
    Unreadable,
}

/// Why something could not be read. It says nothing about a video.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The generator is down, slow or out of reach.
    #[error("SuperDuperAI is not available; try again later")]
    Unavailable(#[source] HttpFailure),
    /// 429.
    #[error("SuperDuperAI limits our requests; try again in {} s", retry_after.as_secs())]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Any other answer that is no success; 404 is an unknown file.
    #[error("SuperDuperAI answered {status}; {}", remedy(*status))]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The answer makes no sense.
    #[error(
        "SuperDuperAI's answer could not be understood; look at SUPERDUPERAI_URL, or whether its API changed"
    )]
    Unreadable,
    /// There are more files than are looked through, and the one looked for is not among the newest.
    #[error(
        "the request is not among the newest {searched} files, and there are more; look for its seed in the \
         SuperDuperAI account before asking again"
    )]
    Inconclusive {
        /// How many were looked at.
        searched: usize,
    },
    /// Not an id of a file.
    #[error("that is not the id of a file")]
    InvalidId,
}

impl ReadError {
    /// The generator's HTTP status, where there was one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Unavailable(HttpFailure::Server { status }) | Self::Status { status } => Some(*status),
            Self::Throttled { .. } => Some(429),
            _ => None,
        }
    }

    /// How long to wait before trying again, where the generator said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<HttpFailure> for ReadError {
    fn from(failure: HttpFailure) -> Self {
        match failure {
            HttpFailure::RateLimited { retry_after } => Self::Throttled { retry_after },
            HttpFailure::TooLarge => Self::Unreadable,
            other => Self::Unavailable(other),
        }
    }
}

fn remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "compare SUPERDUPERAI_TOKEN with the account, and whether the account may use this model"
        }
        402 => "the account has no balance left: top it up",
        404 => "it knows no such file or path: compare SUPERDUPERAI_URL",
        413 => "the prompt is longer than it takes",
        400 | 422 => "it does not take such a prompt or such settings: the log has its words",
        300..=399 => "redirects are not followed: compare SUPERDUPERAI_URL",
        _ => "look at its status page, or ask its support",
    }
}
