//! What a device's keys are, in memory: read without waiting, changed only by what is durable.

use super::store::{DEVICE_BYTES_MAX, KeyKind, STEP_ROWS_MAX, Version};
use super::vault_error::VaultError;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use zeroize::Zeroize;

/// Bytes that readers share.
pub(super) type Bytes = Arc<[u8]>;
/// A row as the client knows it: what it is looked up by, and its value.
pub type OpenRow = (Arc<[u8]>, Arc<[u8]>);
/// Rows of one kind, by what they are looked up by.
type Room = BTreeMap<Bytes, Bytes>;

/// Changes to a device that belong together. A key that is both deleted and put is there afterwards.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The client's own record of its identity, when it is new.
    pub credentials: Option<Vec<u8>>,
    /// Rows that are there afterwards: kind, key, value.
    pub puts: Vec<(KeyKind, Vec<u8>, Vec<u8>)>,
    /// Rows that are gone afterwards.
    pub deletes: Vec<(KeyKind, Vec<u8>)>,
}

impl Changes {
    /// Refuses what no step can hold, before anything is sealed.
    pub(super) fn fit_a_step(&self) -> Result<(), VaultError> {
        let rows = self.rows();
        if rows > STEP_ROWS_MAX {
            return Err(VaultError::TooManyRows { rows });
        }
        let put: usize = self.puts.iter().map(|(_, key, value)| key.len() + value.len()).sum();
        let bytes = put.max(self.credentials.as_ref().map_or(0, Vec::len));
        if bytes > DEVICE_BYTES_MAX {
            return Err(VaultError::TooLarge { bytes, limit: DEVICE_BYTES_MAX });
        }
        Ok(())
    }

    /// Rows that they touch at most.
    pub(super) fn rows(&self) -> usize {
        self.puts.len() + self.deletes.len()
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let credentials = self.credentials.as_ref().map_or("no", |_| "new");
        write!(
            f,
            "Changes({credentials} credentials, {} puts, {} deletes)",
            self.puts.len(),
            self.deletes.len()
        )
    }
}

/// What several changes come to, each after the one before: one value for each key.
#[derive(Default)]
pub(super) struct Delta {
    pub(super) credentials: Option<Bytes>,
    pub(super) rows: BTreeMap<(KeyKind, Bytes), Option<Bytes>>,
}

impl Delta {
    pub(super) fn add(&mut self, changes: &Changes) {
        if let Some(credentials) = &changes.credentials {
            self.credentials = Some(credentials.as_slice().into());
        }
        for (kind, key) in &changes.deletes {
            self.rows.insert((*kind, key.as_slice().into()), None);
        }
        for (kind, key, value) in &changes.puts {
            self.rows.insert((*kind, key.as_slice().into()), Some(value.as_slice().into()));
        }
    }

    /// Leaves out what is so already.
    pub(super) fn against(mut self, mirror: &Mirror) -> Self {
        self.credentials = self.credentials.filter(|new| mirror.credentials.as_ref() != Some(new));
        self.rows.retain(|(kind, key), new| mirror.get(*kind, key).as_ref() != new.as_ref());
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.credentials.is_none() && self.rows.is_empty()
    }
}

/// Everything a device holds, as its last durable step left it.
#[derive(Default)]
pub(super) struct Mirror {
    pub(super) version: Version,
    pub(super) credentials: Option<Bytes>,
    rooms: BTreeMap<KeyKind, Room>,
}

impl Mirror {
    pub(super) fn get(&self, kind: KeyKind, key: &[u8]) -> Option<Bytes> {
        self.rooms.get(&kind)?.get(key).cloned()
    }

    pub(super) fn scan(&self, kind: KeyKind, prefix: &[u8]) -> Vec<OpenRow> {
        let Some(room) = self.rooms.get(&kind) else { return Vec::new() };
        room.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    pub(super) fn put(&mut self, kind: KeyKind, key: Bytes, value: Bytes) {
        if let Some(old) = self.rooms.entry(kind).or_default().insert(key, value) {
            wipe(old);
        }
    }

    /// Takes over what a durable step changed.
    pub(super) fn apply(&mut self, delta: Delta, version: Version) {
        self.version = version;
        if let Some(new) = delta.credentials
            && let Some(old) = self.credentials.replace(new)
        {
            wipe(old);
        }
        for ((kind, key), new) in delta.rows {
            match new {
                Some(value) => self.put(kind, key, value),
                None => {
                    let old = self.rooms.get_mut(&kind).and_then(|room| room.remove(&key));
                    old.into_iter().for_each(wipe);
                }
            }
        }
    }

    /// Forgets everything but the version.
    pub(super) fn clear(&mut self) {
        self.credentials.take().into_iter().for_each(wipe);
        let rooms = std::mem::take(&mut self.rooms);
        rooms.into_values().flatten().for_each(|(key, value)| {
            wipe(key);
            wipe(value);
        });
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Overwrites what nobody else reads any more.
fn wipe(mut bytes: Bytes) {
    if let Some(bytes) = Arc::get_mut(&mut bytes) {
        bytes.zeroize();
    }
}

/// How a device stands while a change is decided: nothing else changes it meanwhile.
pub struct View<'a>(pub(super) &'a Mirror);

impl View<'_> {
    /// The client's own record of its identity.
    #[must_use]
    pub fn credentials(&self) -> Option<Arc<[u8]>> {
        self.0.credentials.clone()
    }

    /// One row's value.
    #[must_use]
    pub fn get(&self, kind: KeyKind, key: &[u8]) -> Option<Arc<[u8]>> {
        self.0.get(kind, key)
    }

    /// Rows whose key begins with `prefix`: keys and values, in the order of keys.
    #[must_use]
    pub fn scan(&self, kind: KeyKind, prefix: &[u8]) -> Vec<OpenRow> {
        self.0.scan(kind, prefix)
    }
}
