//! What is configured for generation sessions: Stripe, the video generator, where jobs are kept, and which pages buyers
//! may be sent to.

use super::source::Source;
use super::{DEFAULT_PORT, Mode, StoreChoice};
use secrecy::SecretString;
use sessile_core::Secret;
use sessile_core::generation::WORK_LEASE;
use sessile_providers::{stripe, superduperai};
use sessile_store::StoreUrl;
use std::time::Duration;
use url::Url;

/// Seconds that the generator may be given to show a request of unknown outcome.
const SETTLED_SECONDS_MAX: u64 = 3600;
/// Seconds that a worker may hold a job: time for a call and its record, and no longer than anybody would wait.
const LEASE_SECONDS_MIN: u64 = 4;
const LEASE_SECONDS_MAX: u64 = 600;

/// Everything about paid jobs.
#[derive(Debug)]
pub struct GenerationConfig {
    /// Who takes the money.
    pub stripe: Configured<stripe::Config>,
    /// Who makes the videos.
    pub generator: Configured<superduperai::Config>,
    /// Where jobs are kept; `None` where nothing lasting is configured.
    pub store: Option<Secret>,
    /// Where browsers reach us.
    pub home: Option<Url>,
    /// Origins that buyers may be sent to.
    pub return_origins: Vec<String>,
    /// How long after a call of unknown outcome its absence at the generator means that it was not taken.
    pub settled_after: Duration,
    /// How long a worker holds a job without a word.
    pub lease: Duration,
}

/// A provider's settings, or the variables that are missing.
#[derive(Debug)]
pub enum Configured<T> {
    /// It can be used.
    Ready(Box<T>),
    /// These variables are missing.
    Missing(Vec<&'static str>),
}

impl<T> Configured<T> {
    /// Whether it can be used.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

impl GenerationConfig {
    /// Whether anything of it is configured at all; without that no store is opened for it.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.stripe.is_ready() || self.generator.is_ready()
    }

    /// Where the generator is, for the pages that play what it made.
    #[must_use]
    pub fn generator_origin(&self) -> Option<String> {
        let Configured::Ready(config) = &self.generator else { return None };
        Some(Url::parse(&config.url).ok()?.origin().ascii_serialization())
    }
}

pub(super) fn generation(
    source: &Source,
    mode: Mode,
    store: &StoreChoice,
    app_url: Option<&Url>,
    port: Option<u16>,
) -> GenerationConfig {
    let home = match (app_url, mode) {
        (Some(url), _) => Some(url.clone()),
        (None, Mode::Development) => {
            Url::parse(&format!("http://127.0.0.1:{}", port.unwrap_or(DEFAULT_PORT))).ok()
        }
        (None, Mode::Production) => None,
    };
    let own = home.as_ref().map(|home| home.origin().ascii_serialization());
    let others = source.list("SESSILE_ALLOWED_ORIGINS");
    let others = others.iter().filter_map(|text| Some(Url::parse(text).ok()?.origin().ascii_serialization()));
    GenerationConfig {
        stripe: stripe(source),
        generator: generator(source),
        store: kept_at(source, store),
        return_origins: own.into_iter().chain(others).collect(),
        home,
        settled_after: source
            .number("SESSILE_GENERATION_SETTLED_SECONDS", 0, SETTLED_SECONDS_MAX)
            .map_or(superduperai::SETTLED_AFTER, Duration::from_secs),
        lease: source
            .number("SESSILE_GENERATION_LEASE_SECONDS", LEASE_SECONDS_MIN, LEASE_SECONDS_MAX)
            .map_or(WORK_LEASE, Duration::from_secs),
    }
}

/// Redis where it is configured; else beside the users. Nothing that was paid for is kept in memory.
fn kept_at(source: &Source, store: &StoreChoice) -> Option<Secret> {
    if let Some(redis) = source.secret("REDIS_URL") {
        if !matches!(StoreUrl::parse(&redis), Ok(StoreUrl::Redis(_))) {
            source.complain("REDIS_URL has to begin with redis://, rediss:// or redis+cluster://");
        }
        return Some(Secret::new(redis));
    }
    match &store.users {
        StoreUrl::Postgres(url) => Some(Secret::new(url.clone())),
        StoreUrl::Sqlite(path) => Some(Secret::new(format!("sqlite:{}", path.display()))),
        StoreUrl::Memory | StoreUrl::Redis(_) => None,
    }
}

fn stripe(source: &Source) -> Configured<stripe::Config> {
    let key = source.secret("STRIPE_SECRET_KEY");
    let secrets: Vec<SecretString> = source
        .secret("STRIPE_WEBHOOK_SECRET")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|secret| !secret.is_empty())
        .map(SecretString::from)
        .collect();
    let (Some(key), false) = (&key, secrets.is_empty()) else {
        let given = [("STRIPE_SECRET_KEY", key.is_some()), ("STRIPE_WEBHOOK_SECRET", !secrets.is_empty())];
        return Configured::Missing(missing(given));
    };
    let mut config = stripe::Config::new(SecretString::from(key.as_str()), secrets);
    config.prices = stripe::Prices {
        single: source.get("STRIPE_PRICE_SINGLE").map(str::to_owned),
        triple: source.get("STRIPE_PRICE_TRIPLE").map(str::to_owned),
        more: source.list("SESSILE_STRIPE_PRICES"),
    };
    if let Some(url) = source.get("STRIPE_API_URL") {
        config.api_url = url.to_owned();
    }
    if let Err(error) = config.check() {
        source.complain(error.to_string());
    }
    Configured::Ready(Box::new(config))
}

fn generator(source: &Source) -> Configured<superduperai::Config> {
    let (token, url) = (source.secret("SUPERDUPERAI_TOKEN"), source.get("SUPERDUPERAI_URL"));
    let (Some(token), Some(url)) = (&token, url) else {
        let given = [("SUPERDUPERAI_TOKEN", token.is_some()), ("SUPERDUPERAI_URL", url.is_some())];
        return Configured::Missing(missing(given));
    };
    let config = superduperai::Config::new(SecretString::from(token.as_str()), url);
    if let Err(error) = config.check() {
        source.complain(error.to_string());
    }
    Configured::Ready(Box::new(config))
}

fn missing<const N: usize>(given: [(&'static str, bool); N]) -> Vec<&'static str> {
    given.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
}
