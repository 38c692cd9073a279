//! The client's storage, implemented once over a [`Vault`]: whatever engine is behind it, the client sees this.
//!
//! Reads come from the vault's mirror in memory; a write answers when its step is durable. Absence is said only where
//! it is proven: opening the vault read the whole device, and a fenced vault answers an error, because the client
//! answers "there is nothing" by making a new identity. Rules that read before they write go through
//! [`Vault::update`], so that two of the client's tasks cannot lose each other's half.

mod app_state;
mod credentials;
pub(crate) mod layout;
mod protocol;
mod secrets;
mod sent;
mod signal;

use layout::Unreadable;
use parking_lot::Mutex;
use sessile_core::whatsapp::{Changes, KeyKind, Vault, VaultError, View};
use std::sync::Arc;
use whatsapp_rust::store::error::StoreError;
use whatsapp_rust::wacore::store::Device;

/// Rows that one commit of ours puts or deletes; a step has to hold several commits.
const ROWS_AT_ONCE: usize = 1024;

type Result<T, E = StoreError> = std::result::Result<T, E>;
type Row = (KeyKind, Vec<u8>, Vec<u8>);

/// One device's storage, as the client wants it.
pub struct VaultBackend {
    vault: Arc<Vault>,
    /// The record of a device that is not paired yet: worth nothing to anybody, so it is not stored.
    draft: Mutex<Option<Device>>,
}

impl VaultBackend {
    /// Storage in `vault`.
    #[must_use]
    pub fn new(vault: Arc<Vault>) -> Self {
        Self { vault, draft: Mutex::new(None) }
    }

    /// The mirror, unless somebody else owns the device by now: then nothing here is known to be true.
    fn mirror(&self) -> Result<&Vault> {
        if self.vault.is_fenced() {
            return Err(StoreError::Connection("another process owns this device".into()));
        }
        Ok(&self.vault)
    }

    fn get(&self, kind: KeyKind, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.mirror()?.get(kind, key);
        Ok(value.map(|value| layout::unwrap(kind, &value).map(<[u8]>::to_vec)).transpose()?)
    }

    fn get_json<T: serde::de::DeserializeOwned>(&self, kind: KeyKind, key: &[u8]) -> Result<Option<T>> {
        let value = self.mirror()?.get(kind, key);
        Ok(value.map(|value| layout::unwrap_json(kind, &value)).transpose()?)
    }

    async fn put(&self, kind: KeyKind, key: Vec<u8>, body: &[&[u8]]) -> Result<()> {
        self.put_all(vec![(kind, key, layout::wrap(body))]).await
    }

    async fn put_all(&self, rows: Vec<Row>) -> Result<()> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let puts = rows.by_ref().take(ROWS_AT_ONCE).collect();
            self.vault.commit(Changes { puts, ..Changes::default() }).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn delete(&self, kind: KeyKind, key: Vec<u8>) -> Result<()> {
        self.delete_all(vec![(kind, key)]).await
    }

    async fn delete_all(&self, rows: Vec<(KeyKind, Vec<u8>)>) -> Result<()> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let deletes = rows.by_ref().take(ROWS_AT_ONCE).collect();
            self.vault.commit(Changes { deletes, ..Changes::default() }).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Reads, decides and writes as one.
    async fn update(
        &self,
        decide: impl FnOnce(&View<'_>) -> std::result::Result<Changes, Unreadable> + Send,
    ) -> Result<()> {
        let mut unreadable = None;
        let outcome = self.vault.update(|view| match decide(view) {
            Ok(changes) => changes,
            Err(error) => {
                unreadable = Some(error);
                Changes::default()
            }
        });
        outcome.await.map_err(failed)?;
        unreadable.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Deletes the rows under `prefix` that `spent` says so of; answers how many. Decided row by row under the vault's
    /// lock, so that a row renewed meanwhile stays.
    async fn sweep(
        &self,
        kind: KeyKind,
        prefix: &[u8],
        spent: impl Fn(&[u8], &[u8]) -> std::result::Result<bool, Unreadable> + Send + Sync,
    ) -> Result<u32> {
        let mut gone = 0;
        loop {
            let mut deletes = Vec::new();
            self.update(|view| {
                for (key, value) in view.scan(kind, prefix) {
                    if deletes.len() < ROWS_AT_ONCE && spent(&key, layout::unwrap(kind, &value)?)? {
                        deletes.push((kind, key.to_vec()));
                    }
                }
                Ok(Changes { deletes: deletes.clone(), ..Changes::default() })
            })
            .await?;
            gone += u32::try_from(deletes.len()).unwrap_or(u32::MAX);
            if deletes.len() < ROWS_AT_ONCE {
                return Ok(gone);
            }
        }
    }
}

/// A put, as a change by itself.
fn put(kind: KeyKind, key: Vec<u8>, value: Vec<u8>) -> Changes {
    Changes { puts: vec![(kind, key, value)], ..Changes::default() }
}

/// What the client is told of a vault that did not do its work.
fn failed(error: VaultError) -> StoreError {
    StoreError::Database(Box::new(error))
}

impl From<Unreadable> for StoreError {
    fn from(error: Unreadable) -> Self {
        Self::Serialization(Box::new(error))
    }
}
