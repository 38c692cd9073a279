//! A whole server on a free port with its stand-in provider, and a browser that keeps its cookies by hand.

use jar::Cookies;
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response};
use sessile_core::{OsEntropy, SystemClock};
use sessile_providers::tls;
use sessile_sandbox::Sandbox;
use sessile_sandbox::whop::WhopConfig;
use sessile_server::config::{Config, Overrides};
use sessile_server::{App, Stores, accept, router, telemetry};
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;

pub(crate) const SECRET: &str = "a-signing-secret-for-tests-of-forty-four-bytes";
pub(crate) const SEALING: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A cookie jar of one cookie, shared by clones.
mod jar {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    pub(crate) struct Cookies(Arc<Mutex<Option<String>>>);

    impl Cookies {
        pub(crate) fn get(&self) -> Option<String> {
            self.0.lock().unwrap().clone()
        }

        pub(crate) fn set(&self, pair: Option<String>) {
            *self.0.lock().unwrap() = pair;
        }
    }
}

pub(crate) struct World {
    pub(crate) home: String,
    pub(crate) sandbox: Sandbox,
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
        telemetry::start();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = format!("http://{}", listener.local_addr().unwrap());
        let callback = format!("{home}/auth/whop/callback");
        let oidc = format!("{home}/auth/oidc/callback");
        let sandbox = Sandbox::start(WhopConfig::new("app_test", vec![callback, oidc])).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut env: BTreeMap<String, String> = [
            ("SESSION_SECRET", SECRET.to_owned()),
            ("APP_URL", home.clone()),
            ("SESSILE_DATA_DIR", folder.path().display().to_string()),
            ("WHOP_CLIENT_ID", "app_test".to_owned()),
            ("WHOP_BASE_URL", sandbox.whop_base_url()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, value) in settings {
            env.insert((*name).to_owned(), (*value).to_owned());
        }
        let config = Config::load(&env, &Overrides::default()).unwrap();
        let stores = Stores::open(&config, Arc::new(SystemClock)).await.unwrap();
        let app = App::new(&config, &stores, Arc::new(SystemClock), Arc::new(OsEntropy)).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(accept(listener, router(app), async move {
            let _ = stopped.await;
        }));
        Self { home, sandbox, _folder: folder, _stop: stop }
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
        match self.cookies.get() {
            Some(pair) => request.header(COOKIE, pair),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Response {
        let response = request.send().await.unwrap();
        if let Some(set) = response.headers().get(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            self.cookies.set((!pair.ends_with('=')).then(|| pair.to_owned()));
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

    pub(crate) fn cookie(&self) -> Option<String> {
        self.cookies.get()
    }

    pub(crate) fn take_cookie(&self, pair: Option<String>) {
        self.cookies.set(pair);
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
