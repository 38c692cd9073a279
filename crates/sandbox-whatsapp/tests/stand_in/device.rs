//! The real client on its own store in memory, as a test drives it.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::store::traits::Backend;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::types::events::{ChannelEventHandler, Event};
use whatsapp_rust::wacore::store::InMemoryBackend;
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{Client, Jid, TokioRuntime, async_channel};

use sessile_sandbox_whatsapp::FakeWhatsApp;

/// Long enough for a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What survives of a device when its process ends.
#[derive(Clone)]
pub(crate) struct Disk(Arc<dyn Backend>);

impl Disk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(InMemoryBackend::new()))
    }

    pub(crate) fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.0)
    }
}

/// A running client.
pub(crate) struct Device {
    handle: BotHandle,
    events: async_channel::Receiver<Arc<Event>>,
}

impl Device {
    pub(crate) async fn start(whatsapp: &FakeWhatsApp, disk: &Disk) -> Self {
        Self::start_with(whatsapp, disk, None).await
    }

    pub(crate) async fn start_with(
        whatsapp: &FakeWhatsApp,
        disk: &Disk,
        code: Option<PairCodeOptions>,
    ) -> Self {
        let (handler, events) = ChannelEventHandler::new();
        let bot = Bot::builder()
            .with_backend_arc(disk.backend())
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(whatsapp.url()))
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1))
            .with_event_handler(Forward(handler));
        let bot = match code {
            Some(code) => bot.with_pair_code(code),
            None => bot,
        };
        Self { handle: bot.build().await.expect("the client is built").spawn(), events }
    }

    pub(crate) fn client(&self) -> Arc<Client> {
        self.handle.client()
    }

    /// The next event that `pick` picks.
    pub(crate) async fn event<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let next = async {
            loop {
                let event = self.events.recv().await.expect("the client runs");
                if let Some(picked) = pick(&event) {
                    return picked;
                }
            }
        };
        timeout(PATIENCE, next).await.unwrap_or_else(|_| panic!("no event within {PATIENCE:?}: {what}"))
    }

    pub(crate) async fn qr(&self) -> String {
        self.event("a QR code", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn connected(&self) {
        self.event("connected, without a QR code", |event| match event {
            Event::Connected(_) => Some(()),
            Event::PairingQrCode(_) => panic!("a QR code was shown to a device that is linked"),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn send(&self, number: &str, text: &str) -> String {
        let message = Message { conversation: Some(text.to_owned()), ..Message::default() };
        let sent = self.client().send_message(Jid::pn(number), message).await;
        sent.expect("the message is sent").message_id
    }

    /// Ends it as a process ends that is told to.
    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
    }

    /// Ends it as a process ends that is killed.
    pub(crate) fn kill(self) {
        self.handle.abort();
    }
}

struct Forward(Arc<ChannelEventHandler>);

impl whatsapp_rust::types::events::EventHandler for Forward {
    fn handle_event(&self, event: Arc<Event>) {
        self.0.handle_event(event);
    }
}

/// A device that is linked and ready.
pub(crate) async fn linked(whatsapp: &FakeWhatsApp, disk: &Disk) -> Device {
    let device = Device::start(whatsapp, disk).await;
    let qr = device.qr().await;
    whatsapp.phone().scan(&qr).await.expect("the client signs");
    device.connected().await;
    device
}
