//! One request's change to a login session, and how it is laid over what others have written meanwhile.

use super::cookie::CookieFields;
use super::data::{Device, Edit, LoginData};
use super::id::LoginId;
use super::store::Stored;
use crate::store::StoreError;
use crate::time::Timestamp;
use std::sync::Arc;

/// What happens when the session changed since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Disjoint keys merge; of the same key the last commit counts.
    ByKey,
    /// Any change to any key is a conflict.
    Strict,
}

/// A change to commit.
#[derive(Debug, Clone)]
pub struct LoginChange {
    /// Which session.
    pub id: LoginId,
    /// What it was decided on.
    pub base: Arc<Stored>,
    /// The keys that change.
    pub edits: Vec<Edit>,
    /// The cookie's attributes to store.
    pub cookie: CookieFields,
    /// The device, where the session has none yet.
    pub device: Option<Device>,
    /// The new expiry.
    pub expires_at: Timestamp,
    /// What to do about others' changes.
    pub merge: Merge,
    /// What the session may hold, in bytes of JSON.
    pub bytes_max: usize,
}

impl LoginChange {
    /// Lays the change over `current`. Pure; engines call it with what is stored at that moment.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] in strict mode when a key changed since the base was read;
    /// [`StoreError::TooLarge`] when the result would not fit.
    pub fn apply(&self, current: &LoginData) -> Result<(LoginData, String), StoreError> {
        if self.merge == Merge::Strict && !current.same_entries(&self.base.data) {
            return Err(StoreError::Conflict);
        }
        let mut merged = current.clone();
        merged.apply(&self.edits);
        merged.set_cookie(self.cookie.clone());
        if let (None, Some(device)) = (merged.device(), &self.device) {
            merged.set_device(device.clone());
        }
        let json = merged.to_json();
        if json.len() > self.bytes_max {
            return Err(StoreError::TooLarge { bytes: json.len(), limit: self.bytes_max });
        }
        Ok((merged, json))
    }
}
