//! The client's record of its own identity: noise key, identity key, registration, account.
//!
//! It is stored from the moment that the device is paired. Before that it is a draft in memory: a QR code that nobody
//! scanned dies with its connection, and a device with stored credentials is one that can log in.

use super::{Result, VaultBackend, failed, layout};
use async_trait::async_trait;
use sessile_core::whatsapp::{Changes, KeyKind};
use whatsapp_rust::serde_json;
use whatsapp_rust::store::error::StoreError;
use whatsapp_rust::store::traits::DeviceStore;
use whatsapp_rust::wacore::store::Device;

/// The client numbers the devices of a shared store; a vault holds one.
const ONLY_DEVICE: i32 = 1;

/// Whether a record is of a paired device. The client fills these in one by one; the account comes from the phone.
pub(crate) fn is_paired(device: &Device) -> bool {
    device.pn.is_some() && device.account.is_some()
}

impl VaultBackend {
    /// Whether the stored record is of a paired device.
    ///
    /// # Errors
    /// When somebody else owns the device.
    pub fn is_paired(&self) -> Result<bool> {
        Ok(self.mirror()?.credentials().is_some())
    }

    fn stored(&self) -> Result<Option<Device>> {
        let Some(credentials) = self.mirror()?.credentials() else { return Ok(None) };
        // The kind only names the row in the error; credentials are a row of their own.
        Ok(Some(layout::unwrap_json(KeyKind::Identity, &credentials)?))
    }
}

#[async_trait]
impl DeviceStore for VaultBackend {
    async fn save(&self, device: &Device) -> Result<()> {
        if !is_paired(device) {
            self.mirror()?;
            *self.draft.lock() = Some(device.clone());
            return Ok(());
        }
        let json = serde_json::to_vec(device).map_err(|error| StoreError::Serialization(Box::new(error)))?;
        let changes = Changes { credentials: Some(layout::wrap(&[&json])), ..Changes::default() };
        self.vault.commit(changes).await.map_err(failed)?;
        *self.draft.lock() = None;
        Ok(())
    }

    async fn load(&self) -> Result<Option<Device>> {
        let stored = self.stored()?;
        Ok(stored.or_else(|| self.draft.lock().clone()))
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.is_paired()? || self.draft.lock().is_some())
    }

    async fn create(&self) -> Result<i32> {
        if self.is_paired()? {
            return Err(StoreError::Validation("this device is paired: it gets no new identity".to_owned()));
        }
        self.draft.lock().get_or_insert_with(Device::new);
        Ok(ONLY_DEVICE)
    }
}
