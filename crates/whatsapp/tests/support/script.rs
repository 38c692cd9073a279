//! A WhatsApp that does what a test says: it connects nowhere, and keeps what it was asked.

use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::whatsapp::{Changes, Vault};
use sessile_whatsapp::{
    ClientError, DeviceClient, Gate, MessageId, News, OpenError, PairCode, PhoneNumber, Text, WhatsApp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// What a connection of the script does as soon as it is made.
pub(crate) type OnConnect = dyn Fn(usize, &Vault) -> Vec<News> + Send + Sync;

/// Makes scripted clients.
pub(crate) struct Script {
    on_connect: Box<OnConnect>,
    pub(crate) connects: AtomicUsize,
    /// What left, by any client.
    pub(crate) sent: Mutex<Vec<(String, String)>>,
    /// Of the client made last.
    pub(crate) news: Mutex<Option<UnboundedSender<News>>>,
    pub(crate) gate: Mutex<Option<Arc<Gate>>>,
    /// Whether sends are answered with "unknown".
    pub(crate) is_unsure: AtomicBool,
    pub(crate) has_stopped_saving: AtomicBool,
    pub(crate) unlinked: AtomicUsize,
    pub(crate) closed: AtomicUsize,
}

impl Script {
    pub(crate) fn new(on_connect: impl Fn(usize, &Vault) -> Vec<News> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            on_connect: Box::new(on_connect),
            connects: AtomicUsize::default(),
            sent: Mutex::default(),
            news: Mutex::default(),
            gate: Mutex::default(),
            is_unsure: AtomicBool::default(),
            has_stopped_saving: AtomicBool::default(),
            unlinked: AtomicUsize::default(),
            closed: AtomicUsize::default(),
        })
    }

    /// One that is ready whenever it connects, and says that it is paired first.
    pub(crate) fn ready() -> Arc<Self> {
        Self::new(|_, _| vec![News::Ready])
    }

    /// Says something in the name of the client made last.
    pub(crate) fn say(&self, news: News) {
        let _ = self.news.lock().as_ref().expect("a client was made").send(news);
    }

    pub(crate) fn connects(&self) -> usize {
        self.connects.load(Ordering::SeqCst)
    }
}

/// Makes scripted clients for a process; a newtype, because the trait and the script are of different crates.
pub(crate) struct Scripted(pub(crate) Arc<Script>);

#[async_trait]
impl WhatsApp for Scripted {
    async fn open(
        &self,
        vault: Arc<Vault>,
        gate: Arc<Gate>,
        news: UnboundedSender<News>,
    ) -> Result<Arc<dyn DeviceClient>, OpenError> {
        *self.0.news.lock() = Some(news.clone());
        *self.0.gate.lock() = Some(Arc::clone(&gate));
        Ok(Arc::new(ScriptedClient { script: Arc::clone(&self.0), vault, gate, news }))
    }
}

struct ScriptedClient {
    script: Arc<Script>,
    vault: Arc<Vault>,
    gate: Arc<Gate>,
    news: UnboundedSender<News>,
}

#[async_trait]
impl DeviceClient for ScriptedClient {
    fn connect(&self) {
        let nth = self.script.connects.fetch_add(1, Ordering::SeqCst) + 1;
        for news in (self.script.on_connect)(nth, &self.vault) {
            let _ = self.news.send(news);
        }
    }

    async fn pair_code(&self, _: &PhoneNumber) -> Result<PairCode, ClientError> {
        Ok(PairCode { code: "ABCD1234".to_owned(), valid_for: Duration::from_secs(180) })
    }

    async fn send_text(&self, to: &PhoneNumber, _: &Text, id: &MessageId) -> Result<(), ClientError> {
        self.gate.pass().map_err(|_| ClientError::NotConnected)?;
        self.script.sent.lock().push((to.as_str().to_owned(), id.to_string()));
        if self.script.is_unsure.load(Ordering::SeqCst) {
            return Err(ClientError::Unknown("the test says so".to_owned()));
        }
        Ok(())
    }

    async fn unlink(&self) -> Result<(), ClientError> {
        self.script.unlinked.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn close(&self) {
        self.script.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn has_stopped_saving(&self) -> bool {
        self.script.has_stopped_saving.swap(false, Ordering::SeqCst)
    }
}

/// Stores something that counts as credentials.
pub(crate) async fn pair(vault: &Vault) {
    let changes = Changes { credentials: Some(b"paired".to_vec()), ..Changes::default() };
    vault.commit(changes).await.expect("the store takes credentials");
}
