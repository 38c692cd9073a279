//! The client `whatsapp-rust` as our [`DeviceClient`].
//!
//! Its own reconnecting is switched off, so that one policy decides; its history download too, because no chats are
//! kept here. A send is durable before it leaves: the client flushes its Signal state to the backend before the wire
//! whenever a send raises a counter's lease (`persist_signal_state_pre_wire` in its `client/adapters.rs`, called from
//! `send/mod.rs` and `retry.rs`), and our backend answers when the step is durable. A failed flush fails the send.

mod news;
mod wire;

use crate::backend::VaultBackend;
use crate::client::{ClientError, DeviceClient, News, OpenError, PairCode, WhatsApp};
use crate::message::{MessageId, PhoneNumber, Text};
use crate::wire::Gate;
use async_trait::async_trait;
use news::{Ear, Heard};
use sessile_core::whatsapp::Vault;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use whatsapp_rust::http::UreqHttpClient;
use whatsapp_rust::pair_code::{PairCodeError, PairCodeOptions, PairError};
use whatsapp_rust::send::{SendError, SendOptions};
use whatsapp_rust::store::commands::DeviceCommand;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::types::events::Subscription;
use whatsapp_rust::wacore::iq::devices::RemoveCompanionDeviceSpec;
use whatsapp_rust::wacore::proto_helpers::MessageBuilderExt;
use whatsapp_rust::wacore::store::DevicePropsOverride;
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{Client, Jid, TokioRuntime};
use wire::{Door, GuardedTransports};

/// How often the client looks whether its record changed; a change wakes it at once anyway.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a pairing code is good for, as WhatsApp's own client counts.
const PAIR_CODE_VALID_FOR: Duration = Duration::from_secs(180);
/// How long a connection may take to stand before a pairing code can be asked for.
const SOCKET_PATIENCE: Duration = Duration::from_secs(15);
/// How long closing may take; what is not settled by then is settled by the next connection.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// What the phone's list of linked devices calls us.
const DEVICE_NAME: &str = "Sessile";

/// Where WhatsApp is, and which release of its web client we say that we are.
#[derive(Debug, Clone, Default)]
pub struct RealWhatsApp {
    /// Another server than the real one; only in builds with the `stand-in` feature.
    pub server: Option<String>,
    /// The release of WhatsApp's web client; otherwise it is looked up once a day.
    pub version: Option<(u32, u32, u32)>,
}

impl RealWhatsApp {
    fn transports(&self) -> Result<TokioWebSocketTransportFactory, OpenError> {
        let transports = TokioWebSocketTransportFactory::new();
        match &self.server {
            None => Ok(transports),
            Some(url) if cfg!(feature = "stand-in") => Ok(transports.with_url(url.as_str())),
            Some(_) => Err(OpenError::StandIn),
        }
    }
}

#[async_trait]
impl WhatsApp for RealWhatsApp {
    async fn open(
        &self,
        vault: Arc<Vault>,
        gate: Arc<Gate>,
        news: UnboundedSender<News>,
    ) -> Result<Arc<dyn DeviceClient>, OpenError> {
        let inner = self.transports()?;
        let backend = Arc::new(VaultBackend::new(vault));
        let storage = Arc::<VaultBackend>::clone(&backend);
        let saver =
            PersistenceManager::new(storage).await.map_err(|error| OpenError::Keys(Box::new(error)))?;
        let saver = Arc::new(saver);
        let name = DevicePropsOverride::new().with_os(DEVICE_NAME);
        saver.process_command(DeviceCommand::SetDeviceProps(name)).await;
        let door = Arc::new(Door { gate, backend, saver: Arc::clone(&saver) });
        let builder = Client::builder()
            .with_runtime(TokioRuntime)
            .with_persistence_manager(Arc::clone(&saver))
            .with_transport_factory(GuardedTransports { inner, door })
            .with_http_client(UreqHttpClient::new())
            .with_skip_history_sync(true)
            .with_background_saver_interval(SAVE_INTERVAL);
        let builder = match self.version {
            Some(version) => builder.with_version_override(version),
            None => builder,
        };
        let build = builder.build().await.map_err(|error| OpenError::Keys(Box::new(error)))?;
        let client = build.into_client();
        let (heard, queue) = unbounded_channel();
        let ear = Ear::new(heard.clone());
        let listening = client.subscribe_handler(Arc::<Ear>::clone(&ear));
        tokio::spawn(news::tell(queue, news, Arc::clone(&saver)));
        Ok(Arc::new(RealDevice { client, saver, heard, ear, _listening: listening }))
    }
}

/// A device on the real client.
struct RealDevice {
    client: Arc<Client>,
    saver: Arc<PersistenceManager>,
    heard: UnboundedSender<Heard>,
    ear: Arc<Ear>,
    _listening: Subscription,
}

#[async_trait]
impl DeviceClient for RealDevice {
    fn connect(&self) {
        let (client, heard) = (Arc::clone(&self.client), self.heard.clone());
        tokio::spawn(async move {
            client.enable_auto_reconnect.store(false, Ordering::Relaxed);
            client.run().await;
            let _ = heard.send(Heard::ConnectionOver);
        });
    }

    async fn pair_code(&self, number: &PhoneNumber) -> Result<PairCode, ClientError> {
        let socket = self.client.wait_for_socket(SOCKET_PATIENCE).await;
        socket.map_err(|_| ClientError::NotConnected)?;
        // Somebody who asks again has lost the code before, or mistyped the number.
        self.client.cancel_pair_code().await;
        let options =
            PairCodeOptions { phone_number: number.as_str().to_owned(), ..PairCodeOptions::default() };
        let code = self.client.pair_with_code(options).await.map_err(|error| pairing_failed(&error))?;
        Ok(PairCode { code, valid_for: PAIR_CODE_VALID_FOR })
    }

    async fn send_text(&self, to: &PhoneNumber, text: &Text, id: &MessageId) -> Result<(), ClientError> {
        let options = SendOptions::default().with_message_id(id.as_str());
        let sent = self.client.send_message_with_options(
            Jid::pn(to.as_str()),
            Message::text(text.as_str()),
            options,
        );
        sent.await.map(drop).map_err(|error| match error {
            SendError::NotLoggedIn => ClientError::NotConnected,
            SendError::InvalidRequest(why) => ClientError::Refused(why),
            other => ClientError::Unknown(other.to_string()),
        })
    }

    async fn unlink(&self) -> Result<(), ClientError> {
        let jid = self.client.pn().filter(|_| self.client.is_connected()).ok_or(ClientError::NotConnected)?;
        let unlinked = self.client.execute(RemoveCompanionDeviceSpec::new(&jid)).await;
        match unlinked {
            Ok(()) => Ok(()),
            // The goodbye that follows the answer can overtake it.
            Err(_) if self.ear.was_removed() => Ok(()),
            Err(error) => Err(ClientError::Unknown(error.to_string())),
        }
    }

    async fn close(&self) {
        if tokio::time::timeout(CLOSE_PATIENCE, self.client.disconnect()).await.is_err() {
            tracing::warn!("a WhatsApp connection took too long to close and was dropped");
            self.client.signal_shutdown_sync();
        }
    }

    fn has_stopped_saving(&self) -> bool {
        self.saver.is_saver_halted()
    }
}

impl Drop for RealDevice {
    fn drop(&mut self) {
        self.client.signal_shutdown_sync();
    }
}

fn pairing_failed(error: &PairError) -> ClientError {
    if error.rejection().is_some_and(|rejection| rejection.is_throttled()) {
        return ClientError::Throttled { wait: error.backoff() };
    }
    match error {
        PairError::PairCode(PairCodeError::Cancelled) => ClientError::Unknown(error.to_string()),
        PairError::PairCode(_) => ClientError::Refused(error.to_string()),
        other if other.rejection().is_some() => ClientError::Refused(error.to_string()),
        _ => ClientError::Unknown(error.to_string()),
    }
}
