//! A whole server on a free port with its stand-in provider, and a browser that keeps its cookies by hand.

use jar::Cookies;
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response};
use sessile_core::ledger::LedgerStore;
use sessile_core::{Clock, OsEntropy, SystemClock};
use sessile_providers::tls;
use sessile_sandbox::click::ClickConfig;
use sessile_sandbox::whop::WhopConfig;
use sessile_sandbox::{Sandbox, SandboxConfig};
use sessile_server::config::{Config, Overrides};
use sessile_server::{App, Stores, accept, router, telemetry};
use sessile_store::contract::Fault;
use sessile_store::contract::ledger::FaultyLedger;
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;

pub(crate) const SECRET: &str = "a-signing-secret-for-tests-of-forty-four-bytes";
pub(crate) const SEALING: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A backend that is trusted, and its key.
pub(crate) const API_KEYS: &str = "shop:an-api-key-for-tests-of-thirty-six-bytes";
pub(crate) const API_KEY: &str = "an-api-key-for-tests-of-thirty-six-bytes";
/// The operator's token.
pub(crate) const ADMIN_TOKEN: &str = "an-operators-token-for-tests-of-44-bytes-xxx";

/// A cookie jar, shared by clones.
mod jar {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    pub(crate) struct Cookies(Arc<Mutex<BTreeMap<String, String>>>);

    impl Cookies {
        /// One cookie as `name=value`.
        pub(crate) fn get(&self, name: &str) -> Option<String> {
            self.0.lock().unwrap().get(name).map(|value| format!("{name}={value}"))
        }

        /// All of them, as a browser sends them.
        pub(crate) fn line(&self) -> Option<String> {
            let pairs = self.0.lock().unwrap();
            let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (!pairs.is_empty()).then(|| pairs.join("; "))
        }

        /// Keeps `name=value`; an empty value is a cookie that was cleared.
        pub(crate) fn keep(&self, pair: &str) {
            let (name, value) = pair.split_once('=').unwrap();
            let mut pairs = self.0.lock().unwrap();
            if value.is_empty() {
                pairs.remove(name);
            } else {
                pairs.insert(name.to_owned(), value.to_owned());
            }
        }

        pub(crate) fn forget(&self, name: &str) {
            self.0.lock().unwrap().remove(name);
        }
    }
}

pub(crate) struct World {
    pub(crate) home: String,
    pub(crate) sandbox: Sandbox,
    /// What checkouts and payments are kept in, to look at it from outside.
    pub(crate) ledger: Option<Arc<dyn LedgerStore>>,
    /// What stands before it, where a test lets it fail.
    pub(crate) faulty: Option<Arc<FaultyLedger>>,
    pub(crate) app: App,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl World {
    pub(crate) async fn development() -> Self {
        Self::start(&[("SESSILE_ENV", "development")]).await
    }

    /// Everything as in production but the sandbox, which is plain http on loopback, and so is the cookie.
    pub(crate) async fn production() -> Self {
        Self::start(&[("SESSILE_COOKIE_SECURE", "false")]).await
    }

    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, Arc::new(SystemClock), None).await
    }

    /// Sells through the stand-in CLICK, to backends and operators too; `clock` is the server's.
    pub(crate) async fn shop(settings: &[(&str, &str)], clock: Arc<dyn Clock>) -> Self {
        Self::open_shop(settings, clock, None).await
    }

    /// A shop whose pages another origin may use.
    pub(crate) async fn start_allowing(origin: &str) -> Self {
        Self::shop(&[("SESSILE_ALLOWED_ORIGINS", origin)], Arc::new(SystemClock)).await
    }

    /// The same, on a ledger that does not answer one call.
    pub(crate) async fn faulty_shop(fault: Fault) -> Self {
        Self::open_shop(&[], Arc::new(SystemClock), Some(fault)).await
    }

    async fn open_shop(settings: &[(&str, &str)], clock: Arc<dyn Clock>, fault: Option<Fault>) -> Self {
        let click = ClickConfig::demo();
        let mut all = vec![
            ("SESSILE_COOKIE_SECURE", "false"),
            ("CLICK_SERVICE_ID", click.service_id.as_str()),
            ("CLICK_MERCHANT_ID", click.merchant_id.as_str()),
            ("CLICK_MERCHANT_USER_ID", click.merchant_user_id.as_str()),
            ("CLICK_SECRET_KEY", click.secret_key.as_str()),
            ("SESSILE_API_KEYS", API_KEYS),
            ("SESSILE_ADMIN_TOKEN", ADMIN_TOKEN),
        ];
        all.extend_from_slice(settings);
        Self::begin(&all, clock, fault).await
    }

    async fn begin(settings: &[(&str, &str)], clock: Arc<dyn Clock>, fault: Option<Fault>) -> Self {
        telemetry::start();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = format!("http://{}", listener.local_addr().unwrap());
        let callback = format!("{home}/auth/whop/callback");
        let oidc = format!("{home}/auth/oidc/callback");
        let stand_ins = SandboxConfig::new()
            .with_whop(WhopConfig::new("app_test", vec![callback, oidc]))
            .with_click(ClickConfig::demo());
        let sandbox = Sandbox::start(stand_ins).await.unwrap();
        let callbacks = ["prepare", "complete"].map(|step| format!("{home}/api/click/{step}"));
        let [prepare, complete] = callbacks;
        sandbox.click().set_callbacks(prepare, complete).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut env: BTreeMap<String, String> = [
            ("SESSION_SECRET", SECRET.to_owned()),
            ("APP_URL", home.clone()),
            ("SESSILE_DATA_DIR", folder.path().display().to_string()),
            ("WHOP_CLIENT_ID", "app_test".to_owned()),
            ("WHOP_BASE_URL", sandbox.whop_base_url()),
            ("CLICK_PAY_URL", sandbox.click_pay_url()),
            ("CLICK_API_URL", sandbox.click_api_url()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, value) in settings {
            env.insert((*name).to_owned(), (*value).to_owned());
        }
        let config = Config::load(&env, &Overrides::default()).unwrap();
        let mut stores = Stores::open(&config, clock.clone()).await.unwrap();
        // Only for whoever tests devices: in development there would always be some.
        if settings.iter().any(|(name, _)| *name == "CLIENT_ID") {
            stores.open_devices(&config, clock.clone()).await.unwrap();
        }
        let ledger = stores.ledger.clone();
        let faulty = match (fault, ledger.clone()) {
            (Some(fault), Some(ledger)) => Some(Arc::new(FaultyLedger::new(ledger, fault))),
            _ => None,
        };
        if let Some(faulty) = faulty.clone() {
            stores.ledger = Some(faulty);
        }
        let app = App::new(&config, &stores, clock, Arc::new(OsEntropy)).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(accept(listener, router(app.clone()), async move {
            let _ = stopped.await;
        }));
        Self { home, sandbox, ledger, faulty, app, _folder: folder, _stop: stop }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser { home: self.home.clone(), client: client(), cookies: Cookies::default() }
    }
}

pub(crate) fn client() -> Client {
    Client::builder()
        .tls_backend_preconfigured(tls::client_config().unwrap())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

/// One visitor.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) home: String,
    client: Client,
    cookies: Cookies,
}

impl Browser {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.home));
        match self.cookies.line() {
            Some(pairs) => request.header(COOKIE, pairs),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Response {
        let response = request.send().await.unwrap();
        for set in response.headers().get_all(SET_COOKIE) {
            self.cookies.keep(set.to_str().unwrap().split(';').next().unwrap());
        }
        response
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path)).await
    }

    /// As a person's browser asks for a page.
    pub(crate) async fn page(&self, path: &str) -> Response {
        self.send(self.request(Method::GET, path).header(ACCEPT, "text/html,*/*")).await
    }

    /// A form on our own page.
    pub(crate) async fn submit(&self, path: &str) -> Response {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin");
        self.send(request.header(ACCEPT, "text/html")).await
    }

    /// The login cookie.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.cookies.get("sid")
    }

    /// What makes an anonymous browser the owner of its checkouts.
    pub(crate) fn guest_cookie(&self) -> Option<String> {
        self.cookies.get("sessile_guest")
    }

    pub(crate) fn take_cookie(&self, pair: Option<String>) {
        match pair {
            Some(pair) => self.cookies.keep(&pair),
            None => self.cookies.forget("sid"),
        }
    }

    /// From `/auth/whop` through the consent page; the callback's path and query, not yet asked for.
    pub(crate) async fn consent(&self, begin: &str, decision: &str) -> String {
        let authorize = Url::parse(&location(&self.get(begin).await)).unwrap();
        assert_eq!(self.client.get(authorize.clone()).send().await.unwrap().status(), 200);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(authorize.query_pairs()).append_pair("decision", decision);
        let mut target = authorize;
        target.set_query(None);
        let answer = self
            .client
            .post(target)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish())
            .send()
            .await
            .unwrap();
        let callback = location(&answer);
        callback.strip_prefix(&self.home).expect("the provider sends the browser back to us").to_owned()
    }

    pub(crate) async fn sign_in(&self) {
        let callback = self.consent("/auth/whop", "ada").await;
        let answer = self.get(&callback).await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (302, "/dashboard"));
    }

    pub(crate) async fn me(&self) -> serde_json::Value {
        let answer = self.get("/api/me").await;
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}

pub(crate) fn location(response: &Response) -> String {
    response.headers().get(LOCATION).expect("a redirect").to_str().unwrap().to_owned()
}
