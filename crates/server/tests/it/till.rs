//! A shop that takes money: the whole server on a file of its own, a stand-in CLICK, an application that hears of
//! payments, and one clock that only the test moves.

use crate::world::{SECRET, client};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use sessile_core::checkout::{Caller, Checkouts};
use sessile_core::ledger::{EffectRow, EffectState, LedgerStore, PaymentKey};
use sessile_core::payment::{NewPayment, Payment, Payments};
use sessile_core::{Clock, ManualClock, OsEntropy, SystemClock};
use sessile_providers::webhook::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secrets};
use sessile_sandbox::click::{ClickConfig, ClickControl};
use sessile_sandbox::{Sandbox, SandboxConfig};
use sessile_server::config::{Config, Overrides};
use sessile_server::worker::Workers;
use sessile_server::{App, Stores, accept, router, telemetry};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(crate) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What things cost here, in so'm.
pub(crate) const PRICE: i64 = 1000;
/// The same as CLICK writes it.
pub(crate) const AMOUNT: &str = "1000.00";

pub(crate) struct Till {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) payments: Payments,
    pub(crate) checkouts: Checkouts,
    pub(crate) workers: Workers,
    pub(crate) application: Application,
    pub(crate) wire: Wire,
    sandbox: Sandbox,
    settings: BTreeMap<String, String>,
    stores: Stores,
    folder: TempDir,
    users: AtomicU64,
    _stop: oneshot::Sender<()>,
}

impl Till {
    pub(crate) async fn open() -> Self {
        telemetry::start();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let reading = clock.clone();
        let click = ClickConfig { clock: Arc::new(move || reading.now().unix_ms()), ..ClickConfig::demo() };
        let sandbox = Sandbox::start(SandboxConfig::new().with_click(click)).await.unwrap();
        let application = Application::open().await;
        let wire = Wire::to(&sandbox.click_api_url()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = format!("http://{}", listener.local_addr().unwrap());
        let callback = |step| format!("{home}/api/click/{step}");
        sandbox.click().set_callbacks(callback("prepare"), callback("complete")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings: BTreeMap<String, String> = [
            ("SESSION_SECRET", SECRET.to_owned()),
            ("APP_URL", home),
            ("SESSILE_DATA_DIR", folder.path().display().to_string()),
            ("CLICK_SERVICE_ID", "12345".to_owned()),
            ("CLICK_MERCHANT_ID", "54321".to_owned()),
            ("CLICK_MERCHANT_USER_ID", "10101".to_owned()),
            ("CLICK_SECRET_KEY", "test_secret_key".to_owned()),
            ("CLICK_PAY_URL", sandbox.click_pay_url()),
            ("CLICK_API_URL", wire.url.clone()),
            ("SESSILE_WEBHOOK_URL", format!("{}/hooks", application.url)),
            ("SESSILE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
            ("SUPABASE_URL", application.url.clone()),
            ("SUPABASE_SERVICE_ROLE_KEY", "service-role-key".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let config = Config::load(&settings, &Overrides::default()).unwrap();
        let stores = Stores::open(&config, clock.clone()).await.unwrap();
        let app = App::new(&config, &stores, clock.clone(), Arc::new(OsEntropy)).unwrap();
        let workers = Workers::new(&config, &app).unwrap().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(accept(listener, router(app), async move {
            let _ = stopped.await;
        }));
        let ledger = stores.ledger.clone().unwrap();
        let (terms, entropy) = (Arc::new(config.money.terms.clone()), Arc::new(OsEntropy));
        Self {
            payments: Payments::new(ledger.clone(), terms.clone(), clock.clone(), entropy.clone()),
            checkouts: Checkouts::new(ledger.clone(), terms, clock.clone(), entropy),
            clock,
            ledger,
            workers,
            application,
            wire,
            sandbox,
            settings,
            stores,
            folder,
            users: AtomicU64::new(0),
            _stop: stop,
        }
    }

    pub(crate) fn click(&self) -> &ClickControl {
        self.sandbox.click()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Workers as another process has them.
    pub(crate) fn more_workers(&self, changes: &[(&str, Option<&str>)]) -> Workers {
        let mut settings = self.settings.clone();
        for (name, value) in changes {
            match value {
                Some(value) => settings.insert((*name).to_owned(), (*value).to_owned()),
                None => settings.remove(*name),
            };
        }
        let config = Config::load(&settings, &Overrides::default()).unwrap();
        let app = App::new(&config, &self.stores, self.clock.clone(), Arc::new(OsEntropy)).unwrap();
        Workers::new(&config, &app).unwrap().unwrap()
    }

    pub(crate) fn new_user(&self) -> String {
        let number = self.users.fetch_add(1, Ordering::Relaxed);
        format!("00000000-0000-4000-8000-{number:012x}")
    }

    /// A new buyer wants the tier.
    pub(crate) async fn order(&self) -> Payment {
        let user = self.new_user();
        let new = NewPayment {
            amount: Some(PRICE),
            email: format!("{user}@shop.example"),
            coupon: None,
            checkout: None,
            key: Some(user.clone()),
            user: Some(user),
        };
        self.payments.create(&Caller::Backend("shop".to_owned()), new).await.unwrap().payment
    }

    /// A new buyer has paid, and CLICK has said so.
    pub(crate) async fn sale(&self) -> Payment {
        let payment = self.order().await;
        self.click().pay(payment.order.as_str(), AMOUNT).await.unwrap();
        let paid = self.now(&payment).await;
        assert_eq!(paid.state.name(), "completed");
        paid
    }

    /// The payment as it is now.
    pub(crate) async fn now(&self, payment: &Payment) -> Payment {
        self.payments.find(&PaymentKey::Id(payment.id.clone())).await.unwrap().unwrap()
    }

    pub(crate) async fn pending(&self) -> Vec<EffectRow> {
        self.ledger.effects(EffectState::Pending, 100).await.unwrap()
    }

    pub(crate) async fn dead(&self) -> Vec<EffectRow> {
        self.ledger.effects(EffectState::Dead, 100).await.unwrap()
    }

    /// Round after round at one moment, until nothing is due.
    pub(crate) async fn deliver_all(&self) {
        while self.workers.deliver_due().await.unwrap() > 0 {}
    }

    pub(crate) fn later(&self, span: Duration) {
        self.clock.advance(span);
    }
}

/// The application: its webhook, and the sign-in service that it uses.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) url: String,
    shared: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    status: BTreeMap<&'static str, u16>,
    slow: Duration,
    got: Vec<Got>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether it was signed by whoever has the secret, at this time.
    pub(crate) fn is_ours_at(&self, now_s: i64) -> bool {
        let secrets = Secrets::parse([WEBHOOK_SECRET]).unwrap();
        let [id, timestamp, signature] =
            [HEADER_ID, HEADER_TIMESTAMP, HEADER_SIGNATURE].map(|name| self.header(name));
        secrets.verify(id, timestamp, signature, &self.body, now_s).is_ok()
    }
}

impl Application {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Desk::default()));
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// From now on `hooks` or `auth` answers this.
    pub(crate) fn says(&self, to: &'static str, status: u16) {
        self.shared.lock().unwrap().status.insert(to, status);
    }

    /// From now on it takes its time.
    pub(crate) fn is_slow(&self, slow: Duration) {
        self.shared.lock().unwrap().slow = slow;
    }

    fn all(&self) -> Vec<Got> {
        self.shared.lock().unwrap().got.clone()
    }

    pub(crate) fn hooks(&self) -> Vec<Got> {
        self.all().into_iter().filter(|got| got.path == "/hooks").collect()
    }

    /// Tiers that were written, in order, and whose.
    pub(crate) fn tiers(&self) -> Vec<(String, String)> {
        let tier = |got: &Got| {
            let user = got.path.strip_prefix("/auth/v1/admin/users/")?.to_owned();
            Some((user, got.json()["app_metadata"]["tier"].as_str().unwrap().to_owned()))
        };
        self.all().iter().filter_map(tier).collect()
    }
}

async fn answer(State(shared): State<Arc<Mutex<Desk>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let (status, slow) = {
        let mut desk = shared.lock().unwrap();
        let name = path.split('/').nth(1).unwrap_or_default();
        let status = desk.status.get(name).copied().unwrap_or(200);
        desk.got.push(Got { path: path.clone(), headers: parts.headers, body });
        (status, desk.slow)
    };
    tokio::time::sleep(slow).await;
    Response::builder().status(status).body(Body::empty()).unwrap()
}

/// The way to CLICK's Merchant API, which can lose things.
pub(crate) struct Wire {
    pub(crate) url: String,
    loses: Arc<Mutex<Option<Loses>>>,
}

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loses {
    /// A reversal never arrives.
    Orders,
    /// A reversal arrives and its answer does not.
    Answers,
    /// CLICK claims to know of nothing.
    Memory,
}

#[derive(Clone)]
struct Line {
    target: String,
    loses: Arc<Mutex<Option<Loses>>>,
    http: reqwest::Client,
}

impl Wire {
    async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let loses = Arc::new(Mutex::new(None));
        let line = Line { target: target.to_owned(), loses: loses.clone(), http: client() };
        let router = Router::new().fallback(pass).with_state(line);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, loses }
    }

    pub(crate) fn loses(&self, what: impl Into<Option<Loses>>) {
        *self.loses.lock().unwrap() = what.into();
    }
}

async fn pass(State(line): State<Line>, request: Request) -> Response {
    let loses = *line.loses.lock().unwrap();
    let with = |status: u16| Response::builder().status(StatusCode::from_u16(status).unwrap());
    let is_order = request.method() == Method::DELETE;
    match loses {
        Some(Loses::Orders) if is_order => return with(502).body(Body::empty()).unwrap(),
        Some(Loses::Memory) => {
            return with(200).body(r#"{"error_code":-16,"error_note":"Payment not found"}"#.into()).unwrap();
        }
        _ => {}
    }
    let url = format!("{}{}", line.target.trim_end_matches('/'), request.uri().path());
    let mut passed = line.http.request(request.method().clone(), url);
    for name in ["auth", "accept", "content-type"] {
        passed = passed.header(name, &request.headers()[name]);
    }
    let answer = passed.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    match loses {
        Some(Loses::Answers) if is_order => with(502).body(Body::empty()).unwrap(),
        _ => with(status).body(body.into()).unwrap(),
    }
}
