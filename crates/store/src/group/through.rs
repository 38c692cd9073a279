//! A public store is a name around a [`super::Grouped`] engine; every call goes through.

/// Implements `LoginStore` for a tuple struct whose only field is a [`super::Grouped`] engine.
macro_rules! through_group {
    ($store:ty) => {
        const _: () = {
            use sessile_core::login::{
                DeviceHandle, EndReason, ListedLogin, LoginChange, LoginCount, LoginEvent, LoginId,
                LoginStore, Lookup, NewLogin, Revoked, StoreInfo, Stored, Swept, UserId,
            };
            use sessile_core::{StoreError, Timestamp};
            use std::sync::Arc;

            #[async_trait::async_trait]
            impl LoginStore for $store {
                async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
                    self.0.create(login, now).await
                }
                async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
                    self.0.load(id, now).await
                }
                async fn commit(
                    &self,
                    change: LoginChange,
                    now: Timestamp,
                ) -> Result<Arc<Stored>, StoreError> {
                    self.0.commit(change, now).await
                }
                async fn touch(
                    &self,
                    id: &LoginId,
                    expires_at: Timestamp,
                    now: Timestamp,
                ) -> Result<(), StoreError> {
                    self.0.touch(id, expires_at, now).await
                }
                async fn replace(
                    &self,
                    old: &LoginId,
                    retires_at: Timestamp,
                    login: NewLogin,
                    now: Timestamp,
                ) -> Result<Arc<Stored>, StoreError> {
                    self.0.replace(old, retires_at, login, now).await
                }
                async fn destroy(
                    &self,
                    id: &LoginId,
                    reason: EndReason,
                    now: Timestamp,
                ) -> Result<(), StoreError> {
                    self.0.destroy(id, reason, now).await
                }
                async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
                    self.0.list(user, now).await
                }
                async fn revoke(
                    &self,
                    user: &UserId,
                    handle: &DeviceHandle,
                    now: Timestamp,
                ) -> Result<Revoked, StoreError> {
                    self.0.revoke(user, handle, now).await
                }
                async fn revoke_all(
                    &self,
                    user: &UserId,
                    except: Option<&LoginId>,
                    now: Timestamp,
                ) -> Result<u64, StoreError> {
                    self.0.revoke_all(user, except, now).await
                }
                async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
                    self.0.sweep(now, batch).await
                }
                async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
                    self.0.count(now).await
                }
                async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
                    self.0.events(limit).await
                }
                async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
                    self.0.settle(events).await
                }
                async fn ping(&self) -> Result<(), StoreError> {
                    self.0.ping().await
                }
                fn info(&self) -> StoreInfo {
                    self.0.info()
                }
            }
        };
    };
}

pub(crate) use through_group;
