//! A studio that sells videos: the whole server on a file of its own, a stand-in Stripe and a stand-in SuperDuperAI, and
//! workers that a test starts when it wants them.

use crate::shop::Said;
use crate::world::{ADMIN_TOKEN, API_KEY, API_KEYS, SECRET, client};
use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sessile_core::generation::{
    Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, Mark, StripeSessionId, Tally,
    Tidied,
};
use sessile_core::{OsEntropy, StoreError, SystemClock, Timestamp};
use sessile_sandbox::stripe::{Price, StripeConfig, StripeControl};
use sessile_sandbox::superduperai::{SuperDuperAiConfig, SuperDuperAiControl};
use sessile_sandbox::{Sandbox, SandboxConfig};
use sessile_server::config::{Config, Overrides};
use sessile_server::worker::{GenerationWorkers, Running};
use sessile_server::{App, Stores, accept, router, telemetry};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const WEBHOOK_SECRET: &str = "whsec_studio";
pub(crate) const SINGLE: &str = "price_sandbox_single";
/// Sold by the account and named in no setting.
pub(crate) const EXTRA: &str = "price_extra";
/// Not sold any more.
pub(crate) const RETIRED: &str = "price_retired";

/// Which call of the store does not answer, and whether it was carried out all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// From that call on the store is away for good, as for a process that dies there.
    Before(usize),
    /// The same, and that call was carried out.
    After(usize),
    /// That call only.
    BeforeOnce(usize),
    /// That call only, and it was carried out.
    AfterOnce(usize),
    /// These calls only, the first and the last of them too.
    Between(usize, usize),
}

pub(crate) struct Studio {
    pub(crate) home: String,
    pub(crate) store: Arc<dyn GenerationStore>,
    pub(crate) folder: TempDir,
    pub(crate) settings: BTreeMap<String, String>,
    client: Client,
    sandbox: Sandbox,
    app: App,
    calls: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

impl Studio {
    /// Nobody works yet.
    pub(crate) async fn closed() -> Self {
        Self::begin(&[], None).await
    }

    /// Open for business.
    pub(crate) async fn open() -> (Self, Running) {
        let studio = Self::closed().await;
        let workers = studio.workers();
        (studio, workers)
    }

    pub(crate) async fn begin(changes: &[(&str, Option<&str>)], fault: Option<Fault>) -> Self {
        telemetry::start();
        let mut shop = StripeConfig::demo();
        shop.prices.push(Price::new(EXTRA, "Another video", 500, "usd"));
        shop.prices.push(Price::new(RETIRED, "An old video", 100, "usd").inactive());
        let maker = SuperDuperAiConfig {
            render_time: Duration::from_millis(400),
            steps: 4,
            ..SuperDuperAiConfig::new("studio-token")
        };
        let stand_ins = SandboxConfig::new().with_stripe(shop.clone()).with_superduperai(maker.clone());
        let sandbox = Sandbox::start(stand_ins).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = format!("http://{}", listener.local_addr().unwrap());
        sandbox.stripe().set_webhook(format!("{home}/api/webhooks/stripe"), [WEBHOOK_SECRET]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut settings: BTreeMap<String, String> = [
            ("SESSION_SECRET", SECRET.to_owned()),
            ("SESSILE_COOKIE_SECURE", "false".to_owned()),
            ("APP_URL", home.clone()),
            ("SESSILE_DATA_DIR", folder.path().display().to_string()),
            ("SESSILE_API_KEYS", API_KEYS.to_owned()),
            ("SESSILE_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
            ("STRIPE_SECRET_KEY", shop.secret_key),
            ("STRIPE_WEBHOOK_SECRET", format!("whsec_rotated, {WEBHOOK_SECRET}")),
            ("STRIPE_PRICE_SINGLE", SINGLE.to_owned()),
            ("STRIPE_API_URL", sandbox.stripe_api_url()),
            ("SUPERDUPERAI_TOKEN", maker.token),
            ("SUPERDUPERAI_URL", sandbox.superduperai_url()),
            ("SESSILE_GENERATION_SETTLED_SECONDS", "0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, value) in changes {
            match value {
                Some(value) => settings.insert((*name).to_owned(), (*value).to_owned()),
                None => settings.remove(*name),
            };
        }
        let config = Config::load(&settings, &Overrides::default()).unwrap();
        let mut stores = Stores::open(&config, Arc::new(SystemClock)).await.unwrap();
        let store = stores
            .generations
            .clone()
            .unwrap_or_else(|| Arc::new(sessile_store::generation::MemoryGenerations::default()));
        let calls = Arc::new(AtomicUsize::new(0));
        if let (Some(fault), Some(store)) = (fault, stores.generations.clone()) {
            stores.generations = Some(Arc::new(Faulty { store, fault, calls: calls.clone() }));
        }
        let app = App::new(&config, &stores, Arc::new(SystemClock), Arc::new(OsEntropy)).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopping = app.clone();
        tokio::spawn(accept(listener, router(app.clone()), async move {
            let _ = stopped.await;
            stopping.stop_waiting();
        }));
        Self { home, store, folder, settings, client: client(), sandbox, app, calls, _stop: stop }
    }

    /// Calls that a store which may be lost has had.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Counts as the worker does.
    pub(crate) async fn count(&self) -> Tally {
        GenerationWorkers::new(&self.app).unwrap().count().await.unwrap()
    }

    /// Workers as one process has them; they stop when they are dropped.
    pub(crate) fn workers(&self) -> Running {
        GenerationWorkers::new(&self.app).unwrap().start()
    }

    pub(crate) fn stripe(&self) -> &StripeControl {
        self.sandbox.stripe()
    }

    pub(crate) fn maker(&self) -> &SuperDuperAiControl {
        self.sandbox.superduperai()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.home))
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        Said::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Said {
        Said::of(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn staff(&self, method: Method, path: &str, body: Option<&Value>) -> Said {
        let request = self.request(method, path).bearer_auth(API_KEY);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        Said::of(request.send().await.unwrap()).await
    }

    /// A payment page for so many videos of this prompt: Stripe's name of it.
    pub(crate) async fn order(&self, prompt: &str, quantity: u32) -> String {
        let body = json!({ "priceId": SINGLE, "quantity": quantity, "prompt": prompt });
        let said = self.post("/api/create-checkout", &body).await;
        assert_eq!(said.status, 200, "{said:?}");
        let body = said.json();
        assert!(body["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{body}");
        body["sessionId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn status(&self, id: &str) -> Value {
        let said = self.get(&format!("/api/webhook-status/{id}")).await;
        assert_eq!(said.status, 200, "{said:?}");
        said.json()
    }

    /// The session's status once it is this one.
    pub(crate) async fn becomes(&self, id: &str, status: &str) -> Value {
        let began = Instant::now();
        loop {
            let now = self.status(id).await;
            if now["status"] == status {
                return now;
            }
            assert!(began.elapsed() < PATIENCE, "{id} did not become {status}: {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The session as it is stored.
    pub(crate) async fn job(&self, id: &str) -> Generation {
        let key = GenerationKey::parse(id).unwrap();
        self.store.load(&key, sessile_core::Clock::now(&SystemClock)).await.unwrap().unwrap()
    }

    /// Waits until nothing of Stripe's waits any more.
    pub(crate) async fn all_applied(&self) {
        assert!(self.stripe().delivered(PATIENCE).await);
        until("every message is applied", async || self.store.waiting(100).await.unwrap().is_empty()).await;
    }
}

pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < PATIENCE, "{what}: it did not happen");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// A store that does not answer one call.
struct Faulty {
    store: Arc<dyn GenerationStore>,
    fault: Fault,
    calls: Arc<AtomicUsize>,
}

impl Faulty {
    async fn run<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let lost = || Err(StoreError::unavailable("fault"));
        match self.fault {
            Fault::Before(at) if number >= at => lost(),
            Fault::After(at) if number > at => lost(),
            Fault::BeforeOnce(at) if number == at => lost(),
            Fault::Between(from, to) if (from..=to).contains(&number) => lost(),
            Fault::After(at) | Fault::AfterOnce(at) if number == at => {
                call.await?;
                lost()
            }
            _ => call.await,
        }
    }
}

#[async_trait]
impl GenerationStore for Faulty {
    async fn create(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        self.run(self.store.create(job, now)).await
    }

    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        self.run(self.store.load(key, now)).await
    }

    async fn commit(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        self.run(self.store.commit(job, now)).await
    }

    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        self.run(self.store.bind(own, stripe, now)).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        self.run(self.store.claim(now, until, limit)).await
    }

    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        self.run(self.store.keep(event)).await
    }

    async fn kept(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        self.run(self.store.kept(now, until, limit)).await
    }

    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.run(self.store.applied(id, now)).await
    }

    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        self.run(self.store.postponed(id, next_at)).await
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        self.run(self.store.waiting(limit)).await
    }

    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError> {
        self.run(self.store.recent(status, limit)).await
    }

    async fn marked(&self, mark: &Mark, now: Timestamp, limit: usize) -> Result<Vec<Generation>, StoreError> {
        self.run(self.store.marked(mark, now, limit)).await
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        self.run(self.store.tally(now)).await
    }

    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError> {
        self.run(self.store.tidy(now, batch)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run(self.store.ping()).await
    }
}
