//! `sessile dev`: the server in development, with stand-ins for Whop, CLICK, Stripe and SuperDuperAI on this machine,
//! something to sell, and a data folder, so that everything can be clicked through within a minute of cloning; and with a
//! tour of it at `/`, which breaks things on request.
//!
//! What is configured for real is left alone: a provider whose settings are there gets no stand-in.

use crate::config::{Click, Config, DEFAULT_PORT, GenerationConfig, Overrides, Whop};
use crate::exit::Stop;
use crate::tour::{Providers, Tour};
use crate::{logging, serve};
use sessile_sandbox::click::ClickConfig;
use sessile_sandbox::stripe::{StripeConfig, Webhook};
use sessile_sandbox::superduperai::SuperDuperAiConfig;
use sessile_sandbox::whop::WhopConfig;
use sessile_sandbox::{Sandbox, SandboxConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Ports that are tried when none is configured.
const PORTS_TRIED: u16 = 20;
/// What the stand-in knows us as.
const CLIENT_ID: &str = "app_sessile_dev";
/// What the stand-in Stripe signs its messages with.
const STRIPE_WEBHOOK_SECRET: &str = "whsec_sessile_dev";
/// The stand-in generator shows a request at once.
const SETTLED_SECONDS: &str = "3";
/// A worker that was killed is missed soon.
const LEASE_SECONDS: &str = "10";
/// CLICK repeats an unanswered message for longer than the tour cuts the database.
const CLICK_TRIES: u32 = 30;
/// What is sold when nothing else is.
const CATALOGUE: &str = include_str!("dev_catalogue.json");

/// Runs until it is stopped.
///
/// # Errors
/// [`Stop`] says what to do.
pub(crate) async fn run(mut env: BTreeMap<String, String>, overrides: Overrides) -> Result<(), Stop> {
    let overrides = Overrides { development: true, ..overrides };
    let first = Config::load(&env, &overrides)?;
    logging::start(&first.log);
    let listener = listener(&first).await?;
    let port = listener.local_addr().map_or(DEFAULT_PORT, |address| address.port());
    let home = format!("http://127.0.0.1:{port}");
    env.insert("PORT".to_owned(), port.to_string());
    env.entry("APP_URL".to_owned()).or_insert_with(|| home.clone());
    if first.money.terms.catalogue.is_none() {
        env.insert("SESSILE_CATALOGUE".to_owned(), CATALOGUE.to_owned());
    }
    env.entry("SESSILE_GENERATION_LEASE_SECONDS".to_owned()).or_insert_with(|| LEASE_SECONDS.to_owned());
    let stand_ins = StandIns::start(&first, &mut env, &home).await?;
    let mut config = Config::load(&env, &overrides)?;
    config.stand_ins = stand_ins.addresses();
    let token_at = config.in_data("admin-token").display().to_string();
    let token_at = config.admin_token.is_none().then_some(token_at);
    config.tour = Some(Arc::new(Tour::new(stand_ins.providers(), token_at)));
    banner(&config);
    let done = serve::serve(&config, listener, serve::asked_to_stop()).await;
    if let Some(sandbox) = stand_ins.sandbox {
        sandbox.stop().await;
    }
    done
}

/// The configured port, or the first free one.
async fn listener(config: &Config) -> Result<TcpListener, Stop> {
    if let Some(port) = config.port {
        return serve::listen(&config.host, port).await;
    }
    for port in DEFAULT_PORT..DEFAULT_PORT + PORTS_TRIED {
        if let Ok(listener) = serve::listen(&config.host, port).await {
            return Ok(listener);
        }
    }
    let last = DEFAULT_PORT + PORTS_TRIED - 1;
    Err(Stop::usage(format!("ports {DEFAULT_PORT} to {last} are all in use; set PORT to a free one")))
}

/// The providers that are not configured, on this machine.
struct StandIns {
    sandbox: Option<Sandbox>,
    whop: bool,
    click: bool,
    stripe: bool,
    superduperai: bool,
}

impl StandIns {
    /// Starts what is needed, and sets what the server has to know of it.
    async fn start(config: &Config, env: &mut BTreeMap<String, String>, home: &str) -> Result<Self, Stop> {
        let whop = !matches!(config.providers.whop, Whop::Ready(_));
        let click = !matches!(config.money.click, Click::Ready(_));
        let GenerationConfig { stripe, generator, .. } = &config.generation;
        let (stripe, superduperai) = (!stripe.is_ready(), !generator.is_ready());
        let redirect = format!("{home}/auth/whop/callback");
        let mut merchant = ClickConfig::demo();
        merchant.retry.tries_max = CLICK_TRIES;
        let mut settings = SandboxConfig::new();
        if whop {
            settings = settings.with_whop(WhopConfig::new(CLIENT_ID, vec![redirect.clone()]));
        }
        if click {
            let [prepare, complete] = ["prepare", "complete"].map(|step| format!("{home}/api/click/{step}"));
            settings = settings.with_click(merchant.clone().with_callbacks(prepare, complete));
        }
        let (shop, maker) = (StripeConfig::demo(), SuperDuperAiConfig::demo());
        if stripe {
            let webhook = Webhook::new(format!("{home}/api/webhooks/stripe"), [STRIPE_WEBHOOK_SECRET]);
            settings = settings.with_stripe(shop.clone().with_webhook(webhook));
        }
        if superduperai {
            settings = settings.with_superduperai(maker.clone());
        }
        if !(whop || click || stripe || superduperai) {
            return Ok(Self { sandbox: None, whop, click, stripe, superduperai });
        }
        let sandbox = Sandbox::start(settings).await.map_err(|error| Stop::failed(error.to_string()))?;
        let mut set = |name: &str, value: String| {
            env.insert(name.to_owned(), value);
        };
        if whop {
            set("WHOP_CLIENT_ID", CLIENT_ID.to_owned());
            set("WHOP_REDIRECT_URI", redirect);
            set("WHOP_BASE_URL", sandbox.whop_base_url());
        }
        if click {
            set("CLICK_SERVICE_ID", merchant.service_id);
            set("CLICK_MERCHANT_ID", merchant.merchant_id);
            set("CLICK_MERCHANT_USER_ID", merchant.merchant_user_id);
            set("CLICK_SECRET_KEY", merchant.secret_key);
            set("CLICK_PAY_URL", sandbox.click_pay_url());
            set("CLICK_API_URL", sandbox.click_api_url());
        }
        if stripe {
            let prices = ["STRIPE_PRICE_SINGLE", "STRIPE_PRICE_TRIPLE"].into_iter().zip(shop.prices);
            prices.for_each(|(name, price)| set(name, price.id));
            set("STRIPE_SECRET_KEY", shop.secret_key);
            set("STRIPE_WEBHOOK_SECRET", STRIPE_WEBHOOK_SECRET.to_owned());
            set("STRIPE_API_URL", sandbox.stripe_api_url());
        }
        if superduperai {
            set("SUPERDUPERAI_TOKEN", maker.token);
            set("SUPERDUPERAI_URL", sandbox.superduperai_url());
            set("SESSILE_GENERATION_SETTLED_SECONDS", SETTLED_SECONDS.to_owned());
        }
        Ok(Self { sandbox: Some(sandbox), whop, click, stripe, superduperai })
    }

    /// Those that the tour makes misbehave.
    fn providers(&self) -> Providers {
        let of = |runs: bool| self.sandbox.as_ref().filter(|_| runs);
        Providers {
            click: of(self.click).map(|sandbox| sandbox.click().clone()),
            stripe: of(self.stripe).map(|sandbox| sandbox.stripe().clone()),
        }
    }

    /// Their names and their own pages, which show what they did and make them misbehave.
    fn addresses(&self) -> Vec<(String, String)> {
        let Some(sandbox) = &self.sandbox else { return Vec::new() };
        [
            ("Whop", "whop", self.whop),
            ("CLICK", "click", self.click),
            ("Stripe", "stripe", self.stripe),
            ("SuperDuperAI", "superduperai", self.superduperai),
        ]
        .into_iter()
        .filter(|(.., runs)| *runs)
        .map(|(name, path, _)| (name.to_owned(), format!("{}/sandbox/{path}", sandbox.base_url())))
        .collect()
    }
}

fn banner(config: &Config) {
    let home =
        config.app_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned()).unwrap_or_default();
    println!("\n  Sessile is running.\n");
    println!("    open    {home}");
    println!("    order   {home}/add");
    println!("    video   {home}{}", crate::http::PROMPT_PATH);
    println!("    operate {home}/admin (token: {})", config.in_data("admin-token").display());
    println!("    device  {home}{}", crate::http::whatsapp::PAGE_PATH);
    println!("    data    {}", config.data_dir.display());
    for (name, address) in &config.stand_ins {
        println!("    {name:<7} a stand-in on this machine, {address}");
    }
    println!("    stop    Ctrl-C\n");
}
