//! The real client, the stand-in, and somebody who presses its buttons.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use secrecy::SecretString;
use sessile_providers::sign_in::{Clock, Endpoints, Timeouts};
use sessile_providers::{Identity, PendingSignIn, ProviderConfig, SignIn, SignInError, tls};
use sessile_sandbox::Sandbox;
use sessile_sandbox::whop::{Misbehaviour, Switch, TokenBodies, WhopConfig};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use url::Url;

pub(crate) const CALLBACK: &str = "http://localhost:3000/auth/whop/callback";
pub(crate) const CLIENT: &str = "app_test";
pub(crate) const SECRET: &str = "a secret & more";

/// Which kind of provider the client believes it talks to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Whop,
    /// Whop, registered without a client secret.
    PublicWhop,
    Oidc,
}

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) sign_in: SignIn,
    browser: Client,
    now_ms: Arc<AtomicI64>,
}

impl World {
    pub(crate) async fn start(kind: Kind) -> Self {
        Self::start_with(kind, |_| {}).await
    }

    pub(crate) async fn start_with(kind: Kind, change: impl FnOnce(&mut ProviderConfig)) -> Self {
        let now_ms = Arc::new(AtomicI64::new(1_750_000_000_000));
        let mut config = WhopConfig::new(CLIENT, vec![CALLBACK.into()]);
        config.client_secret = (kind != Kind::PublicWhop).then(|| SECRET.into());
        config.clock = clock(&now_ms);
        if kind == Kind::Oidc {
            config.token_bodies = TokenBodies::JsonOrForm;
        }
        let sandbox = Sandbox::start(config).await.unwrap();
        let mut config = match kind {
            Kind::Whop | Kind::PublicWhop => ProviderConfig::whop(CLIENT, CALLBACK),
            Kind::Oidc => ProviderConfig::oidc(sandbox.base_url(), CLIENT, CALLBACK),
        };
        if let Endpoints::Whop { base_url, .. } = &mut config.endpoints {
            *base_url = sandbox.whop_base_url();
        }
        config.client_secret = (kind != Kind::PublicWhop).then(|| SecretString::from(SECRET));
        config.timeouts = Timeouts { connect: Duration::from_secs(2), request: Duration::from_millis(1500) };
        config.clock = clock(&now_ms);
        change(&mut config);
        let sign_in = SignIn::new(config).unwrap();
        let browser = Client::builder()
            .tls_backend_preconfigured(tls::client_config().unwrap())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { sandbox, sign_in, browser, now_ms }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.now_ms.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn misbehave(&self, kinds: &[Misbehaviour]) {
        let switches: Vec<Switch> = kinds.iter().map(|kind| Switch::Once(*kind)).collect();
        self.sandbox.whop().misbehave(&switches).unwrap();
    }

    pub(crate) fn misbehave_for(&self, kind: Misbehaviour, times: u32) {
        self.sandbox.whop().misbehave(&[Switch::Times { kind, times }]).unwrap();
    }

    pub(crate) fn count(&self, what: &str) -> u64 {
        self.sandbox.whop().count(what)
    }

    /// Opens the authorization URL, presses a button, and gives the callback's query.
    pub(crate) async fn decide(&self, authorize: &Url, decision: &str) -> HashMap<String, String> {
        let page = self.browser.get(authorize.clone()).send().await.unwrap();
        assert_eq!(page.status(), 200, "{}", page.text().await.unwrap());
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(authorize.query_pairs()).append_pair("decision", decision);
        let mut target = authorize.clone();
        target.set_query(None);
        let sent = self.browser.post(target).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = sent.body(form.finish()).send().await.unwrap();
        let target = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
        assert!(target.as_str().starts_with(CALLBACK));
        target.query_pairs().into_owned().collect()
    }

    /// A sign-in up to the callback: its code, and what the session kept.
    pub(crate) async fn callback(&self) -> (String, PendingSignIn) {
        let (url, pending) = self.sign_in.begin().await.unwrap();
        let answer = self.decide(&url, "ada").await;
        assert!(pending.state_matches(&answer["state"]));
        // The session keeps it as JSON.
        let kept = serde_json::to_string(&pending).unwrap();
        (answer["code"].clone(), serde_json::from_str(&kept).unwrap())
    }

    /// A whole sign-in.
    pub(crate) async fn sign_in(&self) -> Result<Identity, SignInError> {
        let (code, pending) = self.callback().await;
        self.sign_in.finish(&code, &pending).await
    }
}

fn clock(now_ms: &Arc<AtomicI64>) -> Clock {
    let now_ms = Arc::clone(now_ms);
    Arc::new(move || now_ms.load(Ordering::Relaxed))
}
