//! Messages on their way: what was sent, for a peer that could not read it, and what came in but is not taken yet.

use super::{Result, VaultBackend, layout};
use layout::{MAIN, sorted, tuple};
use sessile_core::whatsapp::{Changes, KeyKind};
use std::collections::HashMap;
use whatsapp_rust::store::traits::{PendingInboundKey, PendingInboundRow};
use whatsapp_rust::wacore::time::now_secs;

fn sent_key(chat: &str, id: &str) -> Vec<u8> {
    sorted(MAIN, &tuple(&[chat.as_bytes(), id.as_bytes()]))
}

fn pending_key(chat: &str, sender: &str, id: &str) -> Vec<u8> {
    tuple(&[chat.as_bytes(), sender.as_bytes(), id.as_bytes()])
}

impl VaultBackend {
    pub(super) async fn keep_sent(&self, chat: &str, id: &str, payload: &[u8]) -> Result<()> {
        self.put(KeyKind::SentMessage, sent_key(chat, id), &[&now_secs().to_be_bytes(), payload]).await
    }

    /// Reads and removes as one: two retry receipts at once get the message once.
    pub(super) async fn take_sent(&self, chat: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let kind = KeyKind::SentMessage;
        let mut taken = None;
        self.update(|view| {
            let key = sent_key(chat, id);
            let Some(value) = view.get(kind, &key) else { return Ok(Changes::default()) };
            let (_, payload) = layout::seconds(kind, layout::unwrap(kind, &value)?)?;
            taken = Some(payload.to_vec());
            Ok(Changes { deletes: vec![(kind, key)], ..Changes::default() })
        })
        .await?;
        Ok(taken)
    }

    pub(super) fn pending(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let kind = KeyKind::PendingInbound;
        let Some(body) = self.get(kind, &pending_key(chat, sender, id))? else { return Ok(None) };
        let (_, message) = layout::seconds(kind, &body)?;
        Ok(Some(message.to_vec()))
    }

    pub(super) async fn keep_pending(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let now = now_secs().to_be_bytes();
        let row = |row: &PendingInboundRow<'_>| {
            (pending_key(row.chat, row.sender, row.id), layout::wrap(&[&now, row.message]))
        };
        let rows: HashMap<_, _> = rows.iter().map(row).collect();
        self.put_all(rows.into_iter().map(|(key, value)| (KeyKind::PendingInbound, key, value)).collect())
            .await
    }

    pub(super) async fn drop_pending(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let row = |each: &PendingInboundKey<'_>| {
            (KeyKind::PendingInbound, pending_key(each.chat, each.sender, each.id))
        };
        self.delete_all(keys.iter().map(row).collect()).await
    }

    /// Deletes rows whose value begins with a time before `cutoff`.
    pub(super) async fn sweep_older(&self, kind: KeyKind, prefix: &[u8], cutoff: i64) -> Result<u32> {
        self.sweep(kind, prefix, |_, body| Ok(layout::seconds(kind, body)?.0 < cutoff)).await
    }
}
