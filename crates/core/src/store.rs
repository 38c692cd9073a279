//! What can go wrong between a decision and the storage that keeps it. One variant per thing a caller can do.

use std::error::Error;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `create` met an id that exists. Nothing changed.
    #[error("that id is taken")]
    Taken,
    /// The session was deleted, revoked or has expired. Nothing changed and nothing came back.
    #[error("the session is gone")]
    Gone,
    /// The session changed since it was read. Nothing changed; load it and decide again.
    #[error("the session changed since it was read")]
    Conflict,
    /// The change would make the session larger than it may be. Nothing changed.
    #[error("the session would hold {bytes} bytes; {limit} is the limit")]
    TooLarge {
        /// What it would hold.
        bytes: usize,
        /// What it may hold.
        limit: usize,
    },
    /// A stored value cannot be read. It is kept as it is.
    #[error("the value stored at {place} cannot be read")]
    Undecodable {
        /// Table or key prefix and the session's fingerprint; never the id.
        place: String,
    },
    /// The engine answered that it will not take this value; repeating does not help. Nothing changed.
    #[error("session storage refused the value")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// The engine did not answer: the outcome is *unknown*. Repeating the same change is safe.
    #[error("session storage did not answer")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// An [`StoreError::Unavailable`] that keeps its cause for the log.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }
}
