//! Why the stand-in would not do what its handle was asked. What its API answers is [`super::api_error`].

use super::session::SessionStatus;

/// A refusal of the stand-in itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// A webhook outside this machine, or not plain HTTP.
    #[error("{0} is not an http URL on loopback; the stand-in Stripe calls nothing else")]
    NotLoopback(String),
    /// Too many or too few of something.
    #[error("a webhook takes 1 to {urls_max} URLs and 1 to {secrets_max} secrets that are not empty")]
    Webhook {
        /// URLs allowed.
        urls_max: usize,
        /// Secrets allowed.
        secrets_max: usize,
    },
    /// No such session, or it was forgotten.
    #[error("there is no Checkout Session {0:?} here")]
    NoSession(String),
    /// Only an open session can be paid or expired.
    #[error("Checkout Session {id:?} is {status}, not open")]
    NotOpen {
        /// Which.
        id: String,
        /// What it is.
        status: SessionStatus,
    },
    /// Nothing is waiting to be settled.
    #[error("Checkout Session {0:?} has no payment under way")]
    NothingPending(String),
    /// There is no money to give back or to dispute.
    #[error("Checkout Session {0:?} has no money left that was paid")]
    NothingPaid(String),
    /// No such event, or it was forgotten.
    #[error("there is no event {0:?} here")]
    NoEvent(String),
    /// Nobody said where the application is.
    #[error("the stand-in Stripe does not know the application's webhook; call set_webhook first")]
    NoWebhook,
    /// A switch above its limits.
    #[error("{0}")]
    Switch(String),
}
