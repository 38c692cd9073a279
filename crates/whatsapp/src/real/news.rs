//! The client's events as our news.
//!
//! Its event bus calls us on its own tasks, so the events go through a queue; whatever takes time, such as making the
//! credentials durable, is done where the queue is drained, and the order stays.

use crate::client::{Ended, News, QrCode};
use crate::message::{MessageId, Reached};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::types::events::{
    ConnectFailureReason, Event, EventHandler, EventInterest, EventKind, LoggedOut,
};
use whatsapp_rust::types::presence::ReceiptType;

/// How long making the credentials durable is tried before a pairing counts as failed.
const FLUSH_PATIENCE: Duration = Duration::from_secs(20);
const FLUSH_PAUSE: Duration = Duration::from_millis(200);

/// What we listen to. Everything else is never materialised.
const KINDS: [EventKind; 15] = [
    EventKind::Connected,
    EventKind::Disconnected,
    EventKind::PairSuccess,
    EventKind::PairError,
    EventKind::PairingQrCode,
    EventKind::PairingQrCodesExhausted,
    EventKind::QrScannedWithoutMultidevice,
    EventKind::PairPasskeyRequest,
    EventKind::LoggedOut,
    EventKind::StreamReplaced,
    EventKind::TemporaryBan,
    EventKind::ClientOutdated,
    EventKind::ConnectFailure,
    EventKind::Receipt,
    EventKind::ServerAck,
];

/// What waits to be told.
pub(super) enum Heard {
    Event(Arc<Event>),
    ConnectionOver,
}

/// Listens to one client.
pub(super) struct Ear {
    heard: UnboundedSender<Heard>,
    was_removed: AtomicBool,
}

impl Ear {
    pub(super) fn new(heard: UnboundedSender<Heard>) -> Arc<Self> {
        Arc::new(Self { heard, was_removed: AtomicBool::new(false) })
    }

    /// Whether WhatsApp has said that this device is no longer linked.
    pub(super) fn was_removed(&self) -> bool {
        self.was_removed.load(Ordering::SeqCst)
    }
}

impl EventHandler for Ear {
    fn handle_event(&self, event: Arc<Event>) {
        if let Event::LoggedOut(logged_out) = &*event
            && logged_out_as(logged_out) == Ended::Unauthorized
        {
            self.was_removed.store(true, Ordering::SeqCst);
        }
        // Nobody listens any more when the device was closed.
        let _ = self.heard.send(Heard::Event(event));
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&KINDS)
    }
}

/// Tells `news` what was heard, until the client is dropped.
pub(super) async fn tell(
    mut heard: UnboundedReceiver<Heard>,
    news: UnboundedSender<News>,
    saver: Arc<PersistenceManager>,
) {
    let ending = Mutex::new(None);
    while let Some(heard) = heard.recv().await {
        let told = match heard {
            Heard::ConnectionOver => {
                let why = ending.lock().take();
                vec![News::Ended(
                    why.unwrap_or_else(|| Ended::Dropped("WhatsApp could not be reached".to_owned())),
                )]
            }
            Heard::Event(event) => match &*event {
                Event::PairSuccess(_) => vec![settled(&saver, &ending).await],
                event => {
                    if let Some(why) = ending_of(event) {
                        ending.lock().get_or_insert(why);
                    }
                    news_of(event)
                }
            },
        };
        for each in told {
            if news.send(each).is_err() {
                return;
            }
        }
    }
}

/// Paired means that the credentials are durable.
async fn settled(saver: &PersistenceManager, ending: &Mutex<Option<Ended>>) -> News {
    let until = tokio::time::Instant::now() + FLUSH_PATIENCE;
    loop {
        match saver.flush().await {
            Ok(()) => {
                ending.lock().get_or_insert(Ended::Restart);
                return News::Paired;
            }
            Err(error) if tokio::time::Instant::now() >= until => {
                return News::PairingFailed(format!("the credentials could not be stored: {error}"));
            }
            Err(_) => tokio::time::sleep(FLUSH_PAUSE).await,
        }
    }
}

fn news_of(event: &Event) -> Vec<News> {
    match event {
        Event::PairingQrCode(qr) => {
            vec![News::Qr { code: QrCode::new(qr.code.clone()), valid_for: qr.timeout }]
        }
        Event::PairingQrCodesExhausted(_) => vec![News::QrUsedUp],
        Event::PairPasskeyRequest(_) => vec![News::PasskeyDemanded],
        Event::PairError(failure) => vec![News::PairingFailed(failure.error.clone())],
        Event::QrScannedWithoutMultidevice(_) => {
            vec![News::PairingFailed("the phone's WhatsApp is too old to link devices".to_owned())]
        }
        Event::Connected(_) => vec![News::Ready],
        Event::Receipt(receipt) => {
            let Some(reached) = reached_of(&receipt.r#type) else { return Vec::new() };
            let news = |id: &String| News::Receipt { message: MessageId::of(id), reached };
            receipt.message_ids.iter().map(news).collect()
        }
        Event::ServerAck(ack) if ack.class.as_deref() == Some("message") && ack.error.is_none() => {
            vec![News::Receipt { message: MessageId::of(&ack.id), reached: Reached::Server }]
        }
        _ => Vec::new(),
    }
}

fn reached_of(kind: &ReceiptType) -> Option<Reached> {
    match kind {
        ReceiptType::Delivered | ReceiptType::Inactive => Some(Reached::Delivered),
        ReceiptType::Read => Some(Reached::Read),
        ReceiptType::Played => Some(Reached::Played),
        _ => None,
    }
}

/// What an event says of the end of its connection; the first word counts.
fn ending_of(event: &Event) -> Option<Ended> {
    match event {
        Event::LoggedOut(logged_out) => Some(logged_out_as(logged_out)),
        Event::StreamReplaced(_) => Some(Ended::Replaced),
        Event::TemporaryBan(ban) => Some(Ended::Refused(format!(
            "this account is banned for {} seconds: {}",
            ban.expire.num_seconds(),
            ban.code
        ))),
        Event::ClientOutdated(_) => {
            Some(Ended::Refused("WhatsApp refuses this release's client: update Sessile".to_owned()))
        }
        Event::ConnectFailure(failure) => Some(match &failure.reason {
            reason if reason.should_reconnect() => {
                Ended::Dropped(format!("WhatsApp is unavailable ({reason:?})"))
            }
            reason => Ended::Refused(format!("WhatsApp refused the login ({reason:?})")),
        }),
        Event::PairingQrCodesExhausted(used_up) if used_up.disconnected => Some(Ended::QrUsedUp),
        Event::Disconnected(disconnected) => Some(Ended::Dropped(disconnected.reason.to_string())),
        _ => None,
    }
}

/// A 401 and a removed device are the same news: whether it is true is confirmed by one more login. A locked account is
/// another matter, and no reason to destroy anything.
fn logged_out_as(logged_out: &LoggedOut) -> Ended {
    match logged_out.reason {
        ConnectFailureReason::LoggedOut => Ended::Unauthorized,
        ref other => Ended::Refused(format!("WhatsApp has locked this account or device ({other:?})")),
    }
}
