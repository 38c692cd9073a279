//! WhatsApp's own tables: who has our sender keys, which LID is which phone number, device lists, contact tokens.
//! What was sent and what waits to be taken in is in `sent`.

use super::{Result, VaultBackend, layout, put};
use async_trait::async_trait;
use layout::{MAIN, SIDE, Unreadable, parts, sorted, tuple};
use sessile_core::whatsapp::{Changes, KeyKind, View};
use std::collections::HashMap;
use std::sync::Arc;
use whatsapp_rust::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};

/// The second part of a key: the device of a (group, device).
fn second(kind: KeyKind, key: &[u8]) -> Result<&[u8], Unreadable> {
    let part = parts(key).and_then(|parts| parts.get(1).copied());
    part.ok_or_else(|| Unreadable::new(kind, "its key has no second part"))
}

/// What several mappings change, told one after the other: a phone number leads to the LID that named it last, and no
/// longer to one that moved to another number.
fn map_lids(view: &View<'_>, entries: &[LidPnMappingEntry]) -> Result<Changes, Unreadable> {
    let kind = KeyKind::LidMapping;
    let mut numbers: HashMap<&str, String> = HashMap::new();
    let mut leads: HashMap<String, Option<&str>> = HashMap::new();
    for entry in entries {
        let before = match numbers.get(entry.lid.as_str()) {
            Some(number) => Some(number.clone()),
            None => view
                .get(kind, &sorted(MAIN, entry.lid.as_bytes()))
                .map(|value| {
                    layout::unwrap_json::<LidPnMappingEntry>(kind, &value).map(|old| old.phone_number)
                })
                .transpose()?,
        };
        if let Some(number) = before.filter(|number| *number != entry.phone_number) {
            let points_here = match leads.get(&number) {
                Some(lid) => *lid == Some(entry.lid.as_str()),
                None => view.get(kind, &sorted(SIDE, number.as_bytes())).is_some_and(|value| {
                    layout::unwrap(kind, &value).is_ok_and(|lid| lid == entry.lid.as_bytes())
                }),
            };
            if points_here {
                leads.insert(number, None);
            }
        }
        numbers.insert(&entry.lid, entry.phone_number.clone());
        leads.insert(entry.phone_number.clone(), Some(&entry.lid));
    }
    let mut changes = Changes::default();
    let last: HashMap<&str, &LidPnMappingEntry> =
        entries.iter().map(|entry| (entry.lid.as_str(), entry)).collect();
    for (lid, entry) in last {
        changes.puts.push((kind, sorted(MAIN, lid.as_bytes()), layout::wrap_json(kind, entry)?));
    }
    for (number, lid) in leads {
        let key = sorted(SIDE, number.as_bytes());
        match lid {
            Some(lid) => changes.puts.push((kind, key, layout::wrap(&[lid.as_bytes()]))),
            None => changes.deletes.push((kind, key)),
        }
    }
    Ok(changes)
}

/// A contact's token as the vault has it at this moment.
fn token(view: &View<'_>, jid: &str) -> Result<Option<TcTokenEntry>, Unreadable> {
    let value = view.get(KeyKind::TcToken, jid.as_bytes());
    value.map(|value| layout::unwrap_json(KeyKind::TcToken, &value)).transpose()
}

fn put_token(jid: &str, entry: &TcTokenEntry) -> Result<Changes, Unreadable> {
    Ok(put(KeyKind::TcToken, jid.into(), layout::wrap_json(KeyKind::TcToken, entry)?))
}

#[async_trait]
impl ProtocolStore for VaultBackend {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let kind = KeyKind::SenderKeyDevice;
        let rows = self.mirror()?.scan(kind, &tuple(&[group_jid.as_bytes()]));
        let device = |(key, value): &(Arc<[u8]>, Arc<[u8]>)| {
            let [has_key] = layout::exact::<1>(kind, layout::unwrap(kind, value)?)?;
            Ok((layout::text(kind, second(kind, key)?)?, has_key == 1))
        };
        rows.iter().map(device).collect()
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let row = |(device, has_key): &(&str, bool)| {
            let key = tuple(&[group_jid.as_bytes(), device.as_bytes()]);
            (key, layout::wrap(&[&[u8::from(*has_key)]]))
        };
        // The last word about a device counts, and a step names each row once.
        let rows: HashMap<_, _> = entries.iter().map(row).collect();
        self.put_all(rows.into_iter().map(|(key, value)| (KeyKind::SenderKeyDevice, key, value)).collect())
            .await
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        self.sweep(KeyKind::SenderKeyDevice, &tuple(&[group_jid.as_bytes()]), |_, _| Ok(true)).await?;
        Ok(())
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        let kind = KeyKind::SenderKeyDevice;
        let named = |key: &[u8], _: &[u8]| {
            let device = second(kind, key)?;
            Ok(device_jids.iter().any(|jid| jid.as_bytes() == device))
        };
        self.sweep(kind, &[], named).await?;
        Ok(())
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        self.sweep(KeyKind::SenderKeyDevice, &[], |_, _| Ok(true)).await?;
        Ok(())
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(KeyKind::LidMapping, &sorted(MAIN, lid.as_bytes()))
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let lid = self.get(KeyKind::LidMapping, &sorted(SIDE, phone.as_bytes()))?;
        let Some(lid) = lid else { return Ok(None) };
        self.get_json(KeyKind::LidMapping, &sorted(MAIN, &lid))
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        for entries in entries.chunks(super::ROWS_AT_ONCE / 3) {
            self.update(|view| map_lids(view, entries)).await?;
        }
        Ok(())
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let rows = self.mirror()?.scan(KeyKind::LidMapping, &[MAIN]);
        rows.iter().map(|(_, value)| Ok(layout::unwrap_json(KeyKind::LidMapping, value)?)).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        self.put(KeyKind::BaseKey, tuple(&[address.as_bytes(), message_id.as_bytes()]), &[base_key]).await
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message_id: &str,
        current_base_key: &[u8],
    ) -> Result<bool> {
        let saved = self.get(KeyKind::BaseKey, &tuple(&[address.as_bytes(), message_id.as_bytes()]))?;
        Ok(saved.is_some_and(|saved| saved == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.delete(KeyKind::BaseKey, tuple(&[address.as_bytes(), message_id.as_bytes()])).await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.update_device_lists(vec![record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let kind = KeyKind::DeviceList;
        let mut rows = HashMap::new();
        for record in records {
            rows.insert(record.user.clone(), layout::wrap_json(kind, &record)?);
        }
        self.put_all(rows.into_iter().map(|(user, value)| (kind, user.into_bytes(), value)).collect()).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        self.get_json(KeyKind::DeviceList, user.as_bytes())
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.delete(KeyKind::DeviceList, user.into()).await
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::GroupMetadata, group_jid.as_bytes())
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.put(KeyKind::GroupMetadata, group_jid.into(), &[blob]).await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.delete(KeyKind::GroupMetadata, group_jid.into()).await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        self.get_json(KeyKind::TcToken, jid.as_bytes())
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        self.update(|_| put_token(jid, entry)).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.delete(KeyKind::TcToken, jid.into()).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let rows = self.mirror()?.scan(KeyKind::TcToken, &[]);
        rows.iter().map(|(key, _)| Ok(layout::text(KeyKind::TcToken, key)?)).collect()
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let spent = |_: &[u8], body: &[u8]| {
            let entry: TcTokenEntry = layout::json(KeyKind::TcToken, body)?;
            let token_lives = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
            Ok(!token_lives && entry.sender_timestamp.is_none_or(|at| at < sender_cutoff))
        };
        self.sweep(KeyKind::TcToken, &[], spent).await
    }

    async fn touch_tc_token_sender_timestamp(&self, jid: &str, sender_timestamp: i64) -> Result<()> {
        self.update(|view| {
            let entry = token(view, jid)?.unwrap_or_else(|| TcTokenEntry {
                token: Vec::new(),
                token_timestamp: sender_timestamp,
                sender_timestamp: None,
            });
            let latest = entry.sender_timestamp.map_or(sender_timestamp, |at| at.max(sender_timestamp));
            put_token(jid, &TcTokenEntry { sender_timestamp: Some(latest), ..entry })
        })
        .await
    }

    async fn store_received_tc_token(&self, jid: &str, received: &[u8], token_timestamp: i64) -> Result<()> {
        self.update(|view| {
            let known = token(view, jid)?;
            let is_stale =
                |known: &TcTokenEntry| !known.token.is_empty() && token_timestamp < known.token_timestamp;
            if known.as_ref().is_some_and(is_stale) {
                return Ok(Changes::default());
            }
            let sender_timestamp = known.and_then(|known| known.sender_timestamp);
            put_token(jid, &TcTokenEntry { token: received.to_vec(), token_timestamp, sender_timestamp })
        })
        .await
    }

    async fn store_sent_message(&self, chat_jid: &str, message_id: &str, payload: &[u8]) -> Result<()> {
        self.keep_sent(chat_jid, message_id, payload).await
    }

    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        self.take_sent(chat_jid, message_id).await
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.sweep_older(KeyKind::SentMessage, &[MAIN], cutoff_timestamp).await
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> Result<()> {
        self.store_pending_inbound_batch(&[PendingInboundRow { chat, sender, id, message }]).await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        self.pending(chat, sender, id)
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.delete_pending_inbound_batch(&[PendingInboundKey { chat, sender, id }]).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.sweep_older(KeyKind::PendingInbound, &[], cutoff_timestamp).await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        self.keep_pending(rows).await
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        self.drop_pending(keys).await
    }
}
