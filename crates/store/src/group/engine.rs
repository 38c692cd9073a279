//! What an engine behind a network does for group commit: whole batches, one round trip each.
//!
//! [`super::Grouped`] turns this into a [`sessile_core::login::LoginStore`]: it gathers, merges concurrent changes
//! and retries stale ones, so that an engine only has to read rows and to swap them under a condition.

use async_trait::async_trait;
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginCount, LoginEvent, LoginId, NewLogin, Revoked, StoreInfo,
    Swept, UserId, Version,
};
use sessile_core::{StoreError, Timestamp};

/// A stored row as it is, undecoded.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) json: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) version: Version,
    pub(crate) retires_at: Option<Timestamp>,
}

/// What is under an id.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Row(Row),
    /// Ended by logout or revocation, and remembered as such.
    Ended,
    Nothing,
}

/// Replace the row, if it is still the one that was read and has not ended by `now`.
#[derive(Debug)]
pub(crate) struct Swap<'a> {
    pub(crate) id: &'a LoginId,
    pub(crate) expected: Version,
    pub(crate) json: &'a str,
    pub(crate) user: Option<UserId>,
    pub(crate) expires_at: Timestamp,
}

/// What became of one swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swapped {
    /// Stored, under this version.
    Done(Version),
    /// The row has another version, or is no longer there: read again.
    Stale,
}

/// A row to create.
#[derive(Debug)]
pub(crate) struct Insert<'a> {
    pub(crate) login: &'a NewLogin,
    pub(crate) json: &'a str,
    pub(crate) user: Option<UserId>,
}

/// What became of one insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    Done(Version),
    Taken,
}

/// What became of one touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extended {
    Done,
    Gone,
}

/// Batches in, answers out, in the same order. `Err` means that the outcome of the whole batch is unknown.
/// The ids of one batch of `swap`, `extend` and `insert` are distinct.
#[async_trait]
pub(crate) trait LoginEngine: Send + Sync + 'static {
    async fn read(&self, ids: &[LoginId]) -> Result<Vec<Found>, StoreError>;
    async fn swap(&self, swaps: &[Swap<'_>], now: Timestamp) -> Result<Vec<Swapped>, StoreError>;
    /// Never moves an expiry back and never prolongs a retired id.
    async fn extend(
        &self,
        touches: &[(LoginId, Timestamp)],
        now: Timestamp,
    ) -> Result<Vec<Extended>, StoreError>;
    async fn insert(&self, inserts: &[Insert<'_>], now: Timestamp) -> Result<Vec<Inserted>, StoreError>;
    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        insert: &Insert<'_>,
        now: Timestamp,
    ) -> Result<Inserted, StoreError>;
    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError>;
    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError>;
    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError>;
    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError>;
    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError>;
    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError>;
    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError>;
    async fn ping(&self) -> Result<(), StoreError>;
    /// The top-level key that names the user.
    fn user_key(&self) -> &str;
    /// Where an undecodable value is found, without its id.
    fn place_of(&self, id: &LoginId) -> String;
    fn info(&self) -> StoreInfo;
}
