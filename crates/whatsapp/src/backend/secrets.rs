//! The secrets of messages, by which later edits, reactions and votes of the same message are read.

use super::{Result, VaultBackend, layout};
use async_trait::async_trait;
use layout::{Unreadable, tuple};
use sessile_core::whatsapp::{Changes, KeyKind};
use std::collections::HashMap;
use whatsapp_rust::store::traits::{
    MessageSecret, MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

const KIND: KeyKind = KeyKind::MessageSecret;

/// What is kept of a message.
#[derive(Clone, Copy)]
struct Kept {
    secret: MessageSecret,
    expires_at: i64,
    message_ts: i64,
}

impl Kept {
    fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let (secret, rest) = body.split_first_chunk().ok_or_else(|| Unreadable::new(KIND, "too short"))?;
        let (expires_at, rest) = layout::seconds(KIND, rest)?;
        let (message_ts, _) = layout::seconds(KIND, rest)?;
        Ok(Self { secret: *secret, expires_at, message_ts })
    }

    fn write(&self) -> Vec<u8> {
        layout::wrap(&[&self.secret, &self.expires_at.to_be_bytes(), &self.message_ts.to_be_bytes()])
    }

    /// The client's own rule: a window never shrinks, and an unknown time never hides a known one.
    fn merged(self, entry: &MsgSecretEntry) -> Self {
        Self {
            secret: entry.secret,
            expires_at: merge_msg_secret_expiry(self.expires_at, entry.expires_at),
            message_ts: merge_msg_secret_message_ts(self.message_ts, entry.message_ts),
        }
    }
}

fn key(chat: &str, sender: &str, id: &str) -> Vec<u8> {
    tuple(&[chat.as_bytes(), sender.as_bytes(), id.as_bytes()])
}

impl VaultBackend {
    fn kept(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Kept>> {
        Ok(self.get(KIND, &key(chat, sender, id))?.map(|body| Kept::read(&body)).transpose()?)
    }
}

#[async_trait]
impl MsgSecretStore for VaultBackend {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        for entries in entries.chunks(super::ROWS_AT_ONCE) {
            self.update(|view| {
                let mut rows: HashMap<Vec<u8>, Kept> = HashMap::new();
                for entry in entries {
                    let key = key(&entry.chat, &entry.sender, &entry.msg_id);
                    let before = match rows.get(&key) {
                        Some(kept) => Some(*kept),
                        None => view
                            .get(KIND, &key)
                            .map(|value| Kept::read(layout::unwrap(KIND, &value)?))
                            .transpose()?,
                    };
                    let (secret, expires_at, message_ts) = (entry.secret, entry.expires_at, entry.message_ts);
                    let kept =
                        before.map_or(Kept { secret, expires_at, message_ts }, |before| before.merged(entry));
                    rows.insert(key, kept);
                }
                let puts = rows.into_iter().map(|(key, kept)| (KIND, key, kept.write())).collect();
                Ok(Changes { puts, ..Changes::default() })
            })
            .await?;
        }
        Ok(entries.len())
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.kept(chat, sender, msg_id)?.map(|kept| kept.secret.to_vec()))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        Ok(self.kept(chat, sender, msg_id)?.map(|kept| (kept.secret.to_vec(), kept.message_ts)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        let spent = |_: &[u8], body: &[u8]| {
            let expires_at = Kept::read(body)?.expires_at;
            Ok(expires_at != 0 && expires_at <= cutoff_timestamp)
        };
        self.sweep(KIND, &[], spent).await
    }
}
