//! Users in memory: tests, and the last resort beside sessions in memory. Forgets everything with the process.

use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::StoreError;
use sessile_core::user::{Arrival, ProviderId, User, UserDirectory, UserUuid};
use std::collections::HashMap;

/// A directory that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryUsers(Mutex<HashMap<UserUuid, User>>);

#[async_trait]
impl UserDirectory for MemoryUsers {
    async fn sign_in(&self, arrival: &Arrival) -> Result<User, StoreError> {
        let mut users = self.0.lock();
        let user =
            users.entry(ProviderId::derived_user(&arrival.who)).or_insert_with(|| arrival.as_new_user());
        if arrival.email.is_some() {
            user.email.clone_from(&arrival.email);
        }
        Ok(user.clone())
    }

    async fn find(&self, id: &UserUuid) -> Result<Option<User>, StoreError> {
        Ok(self.0.lock().get(id).cloned())
    }
}
