//! App state: the keys, versions and MACs by which devices of one account agree on settings.

use super::{Result, VaultBackend, layout};
use async_trait::async_trait;
use layout::{MAIN, SIDE, sorted, tuple};
use sessile_core::whatsapp::KeyKind;
use std::collections::HashMap;
use whatsapp_rust::store::traits::{AppStateSyncKey, AppSyncStore};
use whatsapp_rust::wacore::appstate::hash::HashState;
use whatsapp_rust::wacore::appstate::processor::AppStateMutationMAC;

fn mac_key(name: &str, index_mac: &[u8]) -> Vec<u8> {
    tuple(&[name.as_bytes(), index_mac])
}

#[async_trait]
impl AppSyncStore for VaultBackend {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_json(KeyKind::SyncKey, &sorted(MAIN, key_id))
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        let kind = KeyKind::SyncKey;
        let row = (kind, sorted(MAIN, key_id), layout::wrap_json(kind, &key)?);
        let latest = (kind, sorted(SIDE, &[]), layout::wrap(&[key_id]));
        self.put_all(vec![row, latest]).await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        Ok(self.get_json(KeyKind::SyncVersion, name.as_bytes())?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        let kind = KeyKind::SyncVersion;
        self.put_all(vec![(kind, name.into(), layout::wrap_json(kind, &state)?)]).await
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let row = |each: &AppStateMutationMAC| {
            (KeyKind::MutationMac, mac_key(name, &each.index_mac), layout::wrap(&[&each.value_mac]))
        };
        self.put_all(mutations.iter().map(row).collect()).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::MutationMac, &mac_key(name, index_mac))
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let found = index_macs.iter().map(|index_mac| {
            let mac = self.get(KeyKind::MutationMac, &mac_key(name, index_mac))?;
            Ok(mac.map(|mac| (*index_mac, mac)))
        });
        found.filter_map(Result::transpose).collect()
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let row = |index_mac: &Vec<u8>| (KeyKind::MutationMac, mac_key(name, index_mac));
        self.delete_all(index_macs.iter().map(row).collect()).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        self.sweep(KeyKind::MutationMac, &tuple(&[name.as_bytes()]), |_, _| Ok(true)).await?;
        Ok(())
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        self.get(KeyKind::SyncKey, &sorted(SIDE, &[]))
    }
}
