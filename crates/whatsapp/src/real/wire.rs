//! The client's transport behind our gate.

use crate::backend::VaultBackend;
use crate::wire::Gate;
use async_trait::async_trait;
use std::sync::Arc;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::transport::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::{anyhow, async_channel};

/// What every frame of one device passes.
pub(super) struct Door {
    pub(super) gate: Arc<Gate>,
    pub(super) backend: Arc<VaultBackend>,
    pub(super) saver: Arc<PersistenceManager>,
}

impl Door {
    async fn pass(&self) -> anyhow::Result<()> {
        self.gate.pass()?;
        // Until the device is paired, every answer waits for what it rests on: once the phone has our signature the
        // device is linked, and a record that exists in memory alone would be lost with this process.
        if !self.backend.is_paired()? {
            self.saver.flush().await?;
            self.gate.pass()?;
        }
        Ok(())
    }
}

/// Makes transports that send through the door.
pub(super) struct GuardedTransports<T> {
    pub(super) inner: T,
    pub(super) door: Arc<Door>,
}

struct GuardedTransport {
    inner: Arc<dyn Transport>,
    door: Arc<Door>,
}

#[async_trait]
impl<T: TransportFactory> TransportFactory for GuardedTransports<T> {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        self.door.gate.pass()?;
        let (inner, events) = self.inner.create_transport().await?;
        Ok((Arc::new(GuardedTransport { inner, door: Arc::clone(&self.door) }), events))
    }
}

#[async_trait]
impl Transport for GuardedTransport {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        if let Err(refusal) = self.door.pass().await {
            self.inner.disconnect().await;
            return Err(refusal);
        }
        self.inner.send(data).await
    }

    async fn disconnect(&self) {
        self.inner.disconnect().await;
    }
}
