//! The whole program with everything configured: `sessile serve` in production on a Postgres of its own, and a stand-in
//! for every provider but WhatsApp, which nobody reaches here.

use crate::load::{Outcome, note_secret, secret};
use crate::server::Server;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sessile_interop::servers::free_port;
use sessile_sandbox::click::ClickConfig;
use sessile_sandbox::stripe::{StripeConfig, Webhook};
use sessile_sandbox::superduperai::SuperDuperAiConfig;
use sessile_sandbox::whop::{TokenBodies, WhopConfig};
use sessile_sandbox::{Sandbox, SandboxConfig};
use std::time::Duration;
use tokio_postgres::NoTls;
use url::Url;

/// Longer than any timeout of the program.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// Who signs in.
const CLIENT_ID: &str = "app_whole";
/// What is sold.
const CATALOGUE: &str =
    r#"{"currency":"UZS","packages":{"basic":{"price":5000000},"plus":{"price":9000000}}}"#;
/// Nobody listens there.
const NO_WHATSAPP: &str = "ws://127.0.0.1:9/ws/chat";
/// What one payment of a backend costs, in so'm.
const PRICE: i64 = 50_000;

/// The program, and what its callers hold.
pub(crate) struct Whole {
    pub(crate) sandbox: Sandbox,
    pub(crate) server: Server,
    /// The program's base URL, without a slash at the end.
    pub(crate) home: String,
    pub(crate) http: Client,
    pub(crate) api_key: String,
    pub(crate) admin_token: String,
    /// CLICK's side of the contract.
    pub(crate) click: ClickConfig,
}

impl Whole {
    pub(crate) async fn open(name: &str) -> Outcome<Self> {
        let port = free_port()?;
        let home = format!("http://127.0.0.1:{port}");
        let (api_key, admin_token) = (secret()?, secret()?);
        let click = ClickConfig::new("12345", "54321", "10101", secret()?);
        let shop = StripeConfig::demo();
        let webhook_secret = format!("whsec_{}", secret()?);
        let maker = SuperDuperAiConfig::new(secret()?);
        let back = ["whop", "oidc"].map(|provider| format!("{home}/auth/{provider}/callback"));
        let mut whop = WhopConfig::new(CLIENT_ID, back.to_vec());
        // It is the OpenID Connect provider too.
        whop.token_bodies = TokenBodies::JsonOrForm;
        let [prepare, complete] = ["prepare", "complete"].map(|step| format!("{home}/api/click/{step}"));
        let webhook = Webhook::new(format!("{home}/api/webhooks/stripe"), [webhook_secret.as_str()]);
        let stand_ins = SandboxConfig::new()
            .with_whop(whop)
            .with_click(click.clone().with_callbacks(prepare, complete))
            .with_stripe(shop.clone().with_webhook(webhook))
            .with_superduperai(maker.clone());
        let sandbox = Sandbox::start(stand_ins).await?;
        let sealing: String = std::iter::repeat_with(|| fastrand::digit(16)).take(64).collect();
        note_secret(&sealing)?;
        let prices = ["STRIPE_PRICE_SINGLE", "STRIPE_PRICE_TRIPLE"].into_iter().zip(&shop.prices);
        let mut env: Vec<(&'static str, String)> = vec![
            ("SESSILE_ENV", "production".to_owned()),
            ("SESSILE_COOKIE_SECURE", "false".to_owned()),
            ("HOST", "127.0.0.1".to_owned()),
            ("PORT", port.to_string()),
            ("APP_URL", home.clone()),
            ("DATABASE_URL", own_database().await?),
            ("SESSION_SECRET", secret()?),
            ("SESSILE_SEALING_KEY", sealing),
            ("SESSILE_API_KEYS", format!("shop:{api_key}")),
            ("SESSILE_ADMIN_TOKEN", admin_token.clone()),
            ("SESSILE_CATALOGUE", CATALOGUE.to_owned()),
            ("WHOP_CLIENT_ID", CLIENT_ID.to_owned()),
            ("WHOP_BASE_URL", sandbox.whop_base_url()),
            ("SESSILE_OIDC_CLIENT_ID", CLIENT_ID.to_owned()),
            ("SESSILE_OIDC_ISSUER", sandbox.base_url()),
            ("CLICK_SERVICE_ID", click.service_id.clone()),
            ("CLICK_MERCHANT_ID", click.merchant_id.clone()),
            ("CLICK_MERCHANT_USER_ID", click.merchant_user_id.clone()),
            ("CLICK_SECRET_KEY", click.secret_key.clone()),
            ("CLICK_PAY_URL", sandbox.click_pay_url()),
            ("CLICK_API_URL", sandbox.click_api_url()),
            ("STRIPE_SECRET_KEY", shop.secret_key.clone()),
            ("STRIPE_WEBHOOK_SECRET", webhook_secret),
            ("STRIPE_API_URL", sandbox.stripe_api_url()),
            ("SUPERDUPERAI_TOKEN", maker.token),
            ("SUPERDUPERAI_URL", sandbox.superduperai_url()),
            ("CLIENT_ID", "shop".to_owned()),
            ("SESSILE_WHATSAPP_SERVER", NO_WHATSAPP.to_owned()),
        ];
        env.extend(prices.map(|(name, price)| (name, price.id.clone())));
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redirect = reqwest::redirect::Policy::none();
        let http = Client::builder().timeout(ANSWER_LIMIT).redirect(redirect).no_proxy().build()?;
        let mut server = Server::new(name, port, env, http.clone())?;
        server.start().await?;
        Ok(Self { sandbox, server, home, http, api_key, admin_token, click })
    }

    /// Signs somebody in with the stand-in Whop; the answer is the cookie.
    pub(crate) async fn sign_in(&self) -> Outcome<String> {
        let begun = self.http.get(format!("{}/auth/whop", self.home)).send().await?;
        let pending = cookie(&begun)?;
        let mut authorize = Url::parse(&location(&begun)?)?;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(authorize.query_pairs()).append_pair("decision", "ada");
        authorize.set_query(None);
        let consent = self.http.post(authorize).header("content-type", "application/x-www-form-urlencoded");
        let consented = consent.body(form.finish()).send().await?;
        let back = self.http.get(location(&consented)?).header("cookie", pending).send().await?;
        cookie(&back)
    }

    /// An order that can be paid, made by the backend.
    pub(crate) async fn order(&self, number: usize) -> Outcome<String> {
        let user = format!("00000000-0000-4000-8000-{number:012}");
        let request = self.http.post(format!("{}/api/click/create-transaction", self.home));
        let answer = request.bearer_auth(&self.api_key).json(&json!({ "amount": PRICE, "userId": user }));
        let body: Value = answer.send().await?.json().await?;
        Ok(body["orderId"].as_str().ok_or_else(|| format!("no order: {body}"))?.to_owned())
    }

    /// What its price is, as CLICK writes it.
    pub(crate) fn amount() -> String {
        format!("{PRICE}.00")
    }
}

fn cookie(answer: &Response) -> Outcome<String> {
    let set = answer.headers().get("set-cookie").ok_or("no cookie")?.to_str()?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}

fn location(answer: &Response) -> Outcome<String> {
    let to = answer.headers().get("location").ok_or_else(|| format!("no redirect: {}", answer.status()))?;
    Ok(to.to_str()?.to_owned())
}

/// A database of its own on the Postgres of this test run.
async fn own_database() -> Outcome<String> {
    let name = "SESSILE_TEST_POSTGRES_URL";
    let server =
        std::env::var(name).map_err(|_| format!("{name} is not set: run this under `servers exec`"))?;
    let database: String = std::iter::repeat_with(fastrand::lowercase).take(12).collect();
    let (client, connection) = tokio_postgres::connect(&server, NoTls).await?;
    let driving = tokio::spawn(connection);
    client.batch_execute(&format!("create database whole_{database}")).await?;
    drop(client);
    driving.await??;
    let mut url = Url::parse(&server)?;
    url.set_path(&format!("whole_{database}"));
    Ok(url.into())
}
