//! Paid jobs as the routes and the workers share them: the service on its store, Stripe, and the video generator.
//!
//! The adapters beside this file translate between the core's words and the providers'; they decide nothing.

mod advice;
mod generator;
mod listening;
mod news;
mod refunder;
mod streams;
mod view;

pub(crate) use advice::Advice;
pub(crate) use generator::VideoMaker;
pub(crate) use news::{About, read as read_news, subject};
pub(crate) use refunder::MoneyBack;
pub(crate) use streams::Streams;
pub(crate) use view::{owner_view, progress_view, staff_view};

use crate::config::{Config, Configured, GenerationConfig};
use crate::exit::Stop;
use crate::limits::CREATE_CHECKOUTS_MAX;
use secrecy::SecretString;
use sessile_core::generation::{GenerationStore, Generations};
use sessile_core::{Clock, Entropy};
use sessile_providers::{stripe, superduperai};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use url::Url;

/// What names the variable for a store.
const NO_STORE: &str = "Generation sessions are not kept in memory: set REDIS_URL, or DATABASE_URL to \
    sqlite:/path/to/sessile.db or postgresql://user:password@host:port/dbname.";

/// Stripe, where it is configured.
pub(crate) struct Stripe {
    pub(crate) client: stripe::Client,
    pub(crate) secrets: Vec<SecretString>,
    pub(crate) prices: stripe::Prices,
    pub(crate) mode: stripe::Mode,
}

/// What wakes the workers of this process before their pause is over.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    /// A message of Stripe was kept.
    pub(crate) news: Notify,
    /// A job has something to do.
    pub(crate) work: Notify,
}

/// Everything about paid jobs that requests and workers share. An `Err` says what is missing.
pub(crate) struct GenerationParts {
    pub(crate) jobs: Result<Generations, String>,
    pub(crate) stripe: Result<Stripe, String>,
    pub(crate) generator: Result<superduperai::Client, String>,
    /// Where browsers reach us, without a slash at its end.
    pub(crate) home: Result<String, String>,
    /// The variables that are not set.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) return_origins: Vec<String>,
    pub(crate) settled_after: Duration,
    pub(crate) bells: Arc<Bells>,
    /// Room for requests that hold a prompt.
    pub(crate) creating: Semaphore,
    pub(crate) streams: Streams,
}

impl GenerationParts {
    pub(crate) fn new(
        config: &Config,
        store: Option<Arc<dyn GenerationStore>>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, Stop> {
        let settings = &config.generation;
        let stripe = stripe_of(&settings.stripe)?;
        let generator = generator_of(&settings.generator)?;
        let jobs = match store {
            Some(store) => {
                Ok(Generations::new(store, clock.clone(), entropy.clone()).with_lease(settings.lease))
            }
            None if settings.is_wanted() => Err(NO_STORE.to_owned()),
            None => Err(stripe.as_ref().err().cloned().unwrap_or_default()),
        };
        let origin = |home: &Url| home.origin().ascii_serialization();
        Ok(Self {
            jobs,
            stripe,
            generator,
            home: settings.home.as_ref().map(origin).ok_or_else(|| needs("Paying with Stripe", &["APP_URL"])),
            missing: missing_of(settings),
            return_origins: settings.return_origins.clone(),
            settled_after: settings.settled_after,
            bells: Arc::default(),
            creating: Semaphore::new(CREATE_CHECKOUTS_MAX),
            streams: Streams::new(),
        })
    }

    /// Whether a job can be sold: nobody pays for what nobody would make.
    pub(crate) fn sells(&self) -> Result<(), String> {
        let missing = [
            self.jobs.as_ref().err(),
            self.stripe.as_ref().err(),
            self.generator.as_ref().err(),
            self.home.as_ref().err(),
        ];
        let mut sentences: Vec<&str> = missing.into_iter().flatten().map(String::as_str).collect();
        sentences.dedup();
        if sentences.is_empty() { Ok(()) } else { Err(sentences.join(" ")) }
    }
}

fn missing_of(settings: &GenerationConfig) -> Vec<&'static str> {
    let mut names = Vec::new();
    if let Configured::Missing(missing) = &settings.stripe {
        names.extend(missing);
    }
    if let Configured::Missing(missing) = &settings.generator {
        names.extend(missing);
    }
    if settings.home.is_none() {
        names.push("APP_URL");
    }
    if settings.store.is_none() {
        names.push("DATABASE_URL");
    }
    names
}

fn needs(what: &str, names: &[&str]) -> String {
    format!("{what} needs {} to be set.", names.join(", "))
}

fn stripe_of(settings: &Configured<stripe::Config>) -> Result<Result<Stripe, String>, Stop> {
    let config = match settings {
        Configured::Ready(config) => config,
        Configured::Missing(names) => return Ok(Err(needs("Paying with Stripe", names))),
    };
    let unusable = |error: stripe::ConfigError| Stop::usage(error.to_string());
    Ok(Ok(Stripe {
        client: stripe::Client::new(config).map_err(unusable)?,
        secrets: config.webhook_secrets.clone(),
        prices: config.prices.clone(),
        mode: config.mode().map_err(unusable)?,
    }))
}

fn generator_of(
    settings: &Configured<superduperai::Config>,
) -> Result<Result<superduperai::Client, String>, Stop> {
    match settings {
        Configured::Missing(names) => Ok(Err(needs("Making videos with SuperDuperAI", names))),
        Configured::Ready(config) => {
            let client = superduperai::Client::new(config);
            Ok(Ok(client.map_err(|error| Stop::usage(error.to_string()))?))
        }
    }
}
