//! Signal's own tables: identities, sessions, pre-keys, sender keys. The records are the client's, kept as they are.

use super::{Result, VaultBackend, layout};
use async_trait::async_trait;
use sessile_core::whatsapp::{Changes, KeyKind};
use std::sync::Arc;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::store::traits::SignalStore;

fn flag(is_set: bool) -> [u8; 1] {
    [u8::from(is_set)]
}

/// The id in a key of a pre-key.
fn id_of(kind: KeyKind, key: &[u8]) -> Result<u32, layout::Unreadable> {
    layout::exact::<4>(kind, key).map(u32::from_be_bytes)
}

/// A pre-key's record; before it stands whether the server has it.
fn record_of(body: &[u8]) -> Result<&[u8], layout::Unreadable> {
    let (_, record) =
        body.split_first().ok_or_else(|| layout::Unreadable::new(KeyKind::PreKey, "too short"))?;
    Ok(record)
}

impl VaultBackend {
    fn get_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        let Some(body) = self.get(KeyKind::PreKey, &id.to_be_bytes())? else { return Ok(None) };
        Ok(Some(Bytes::copy_from_slice(record_of(&body)?)))
    }

    async fn put_records(&self, kind: KeyKind, records: &[(Arc<str>, Bytes)]) -> Result<()> {
        let row = |(address, record): &(Arc<str>, Bytes)| {
            (kind, address.as_bytes().to_vec(), layout::wrap(&[record.as_ref()]))
        };
        self.put_all(records.iter().map(row).collect()).await
    }
}

#[async_trait]
impl SignalStore for VaultBackend {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(KeyKind::Identity, address.into(), &[&key]).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let row = |(address, key): &(Arc<str>, [u8; 32])| {
            (KeyKind::Identity, address.as_bytes().to_vec(), layout::wrap(&[key]))
        };
        self.put_all(identities.iter().map(row).collect()).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let body = self.get(KeyKind::Identity, address.as_bytes())?;
        Ok(body.map(|body| layout::exact(KeyKind::Identity, &body)).transpose()?)
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.delete(KeyKind::Identity, address.into()).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(self.get(KeyKind::Session, address.as_bytes())?.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put(KeyKind::Session, address.into(), &[session]).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_records(KeyKind::Session, sessions).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.delete(KeyKind::Session, address.into()).await
    }

    async fn has_session(&self, address: &str) -> Result<bool> {
        Ok(self.mirror()?.get(KeyKind::Session, address.as_bytes()).is_some())
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        // Addresses are `user@server` for the phone and `user:device@server` for the others.
        let vault = self.mirror()?;
        let known = |kind| {
            let rows = vault.scan(kind, user.as_bytes());
            rows.iter().any(|(address, _)| matches!(address.get(user.len()), Some(b'@' | b':')))
        };
        Ok(known(KeyKind::Session) || known(KeyKind::Identity))
    }

    async fn store_prekey(&self, id: u32, record: &[u8], uploaded: bool) -> Result<()> {
        self.put(KeyKind::PreKey, id.to_be_bytes().to_vec(), &[&flag(uploaded), record]).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], uploaded: bool) -> Result<()> {
        let row = |(id, record): &(u32, Bytes)| {
            (KeyKind::PreKey, id.to_be_bytes().to_vec(), layout::wrap(&[&flag(uploaded), record]))
        };
        self.put_all(keys.iter().map(row).collect()).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        self.get_prekey(id)
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let found = ids.iter().map(|&id| Ok(self.get_prekey(id)?.map(|record| (id, record))));
        found.filter_map(Result::transpose).collect()
    }

    async fn mark_prekeys_uploaded(&self, ids: &[u32]) -> Result<()> {
        // Only rows that are still there: one that was used up meanwhile must not come back.
        for ids in ids.chunks(super::ROWS_AT_ONCE) {
            self.update(|view| {
                let mut puts = Vec::new();
                for id in ids {
                    let key = id.to_be_bytes();
                    let Some(value) = view.get(KeyKind::PreKey, &key) else { continue };
                    let record = record_of(layout::unwrap(KeyKind::PreKey, &value)?)?;
                    puts.push((KeyKind::PreKey, key.to_vec(), layout::wrap(&[&flag(true), record])));
                }
                Ok(Changes { puts, ..Changes::default() })
            })
            .await?;
        }
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.delete(KeyKind::PreKey, id.to_be_bytes().to_vec()).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let rows = self.mirror()?.scan(KeyKind::PreKey, &[]);
        Ok(rows.last().map(|(key, _)| id_of(KeyKind::PreKey, key)).transpose()?.unwrap_or(0))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put(KeyKind::SignedPreKey, id.to_be_bytes().to_vec(), &[record]).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::SignedPreKey, &id.to_be_bytes())
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let kind = KeyKind::SignedPreKey;
        let rows = self.mirror()?.scan(kind, &[]);
        rows.iter()
            .map(|(key, value)| Ok((id_of(kind, key)?, layout::unwrap(kind, value)?.to_vec())))
            .collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.delete(KeyKind::SignedPreKey, id.to_be_bytes().to_vec()).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put(KeyKind::SenderKey, address.into(), &[record]).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.put_records(KeyKind::SenderKey, sender_keys).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::SenderKey, address.as_bytes())
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.delete(KeyKind::SenderKey, address.into()).await
    }
}
