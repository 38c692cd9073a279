//! Why the stand-in would not do what it was asked.

/// A refusal of the stand-in itself, before anything was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClickError {
    /// Nobody said where the merchant is.
    #[error("the stand-in Click does not know the merchant's callbacks; call set_callbacks first")]
    NoCallbacks,
    /// A callback outside this machine, or not plain HTTP.
    #[error("{0} is not an http URL on loopback; the stand-in Click calls nothing else")]
    NotLoopback(String),
    /// The amount is not `N` or `N.NN` above zero.
    #[error("{0:?} is not an amount; write so'm as N or N.NN, above zero")]
    Amount(String),
    /// `transaction_param` is missing or too long.
    #[error("the order is empty or longer than {max} characters", max = super::ledger::ORDER_CHARS_MAX)]
    Order,
    /// Nothing is waiting to be finished or cancelled.
    #[error("order {0:?} has no prepared attempt")]
    NothingPrepared(String),
    /// A switch above its limits.
    #[error("{0}")]
    Switch(String),
}
