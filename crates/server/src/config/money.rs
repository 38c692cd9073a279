//! What is configured for checkouts and payments: CLICK, the catalogue, the trusted backends, and whom we tell.

use super::source::Source;
use secrecy::SecretString;
use sessile_core::Secret;
use sessile_core::checkout::Catalogue;
use sessile_core::money::Currency;
use sessile_core::payment::{Telling, Terms, Users};
use sessile_providers::click;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Duration;
use subtle::ConstantTimeEq;
use url::Url;

/// Bytes of a catalogue that are read.
const CATALOGUE_BYTES_MAX: u64 = 1024 * 1024;
const DAY_SECONDS: u64 = 86_400;

/// Everything about money.
#[derive(Debug)]
pub struct MoneyConfig {
    /// The provider.
    pub click: Click,
    /// What is answered when CLICK cancels a payment that it has confirmed.
    pub late_cancel: LateCancel,
    /// The installation's decisions.
    pub terms: Terms,
    /// Trusted backends.
    pub api_keys: ApiKeys,
    /// Where the application hears of payments.
    pub webhook: Option<Webhook>,
    /// The sign-in service that keeps tiers too.
    pub supabase: Option<Supabase>,
    /// Where `GET /api/click/return` sends the buyer.
    pub return_url: Option<Url>,
}

/// Whether CLICK can be paid with.
#[derive(Debug)]
pub enum Click {
    /// It can.
    Ready(Box<click::Config>),
    /// These variables are missing.
    Missing(Vec<&'static str>),
}

/// What is answered when CLICK cancels a payment that it has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateCancel {
    /// -9, as the official test matrix has it.
    Cancelled,
    /// -4, as older documents had it.
    AlreadyPaid,
}

/// The application's webhook, signed per Standard Webhooks.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where.
    pub url: Url,
    /// `whsec_…`; the first signs, all of them are sent while they rotate.
    pub secrets: Vec<Secret>,
}

/// A Supabase project.
#[derive(Debug, Clone)]
pub struct Supabase {
    /// Its address.
    pub url: Url,
    /// Its service role's key.
    pub key: Secret,
}

/// Trusted backends by name. The keys themselves are not kept, only their hashes.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<(String, [u8; 32])>);

impl ApiKeys {
    /// The backend that has this key. Every key is compared, in constant time.
    #[must_use]
    pub fn name_of(&self, key: &str) -> Option<&str> {
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = None;
        for (name, known) in &self.0 {
            if bool::from(known.ct_eq(&hash)) {
                found = Some(name.as_str());
            }
        }
        found
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

pub(super) fn money(source: &Source) -> MoneyConfig {
    let webhook = webhook(source);
    let supabase = supabase(source);
    let told = |there: bool| if there { Telling::Outbox } else { Telling::Nobody };
    let defaults = Terms::default();
    let terms = Terms {
        currency: currency(source).unwrap_or(defaults.currency),
        tier: source.get("SESSILE_TIER").map_or(defaults.tier, str::to_owned),
        catalogue: catalogue(source),
        lifetime: source
            .number("SESSILE_PAYMENT_SECONDS", 60, DAY_SECONDS)
            .map_or(defaults.lifetime, Duration::from_secs),
        users: match source.yes_or_no("SESSILE_STRICT_USERS") {
            Some(true) => Users::Strict,
            Some(false) | None => Users::Vouched,
        },
        webhook: told(webhook.is_some()),
        tier_sync: told(supabase.is_some()),
    };
    let late = [("-9", LateCancel::Cancelled), ("-4", LateCancel::AlreadyPaid)];
    MoneyConfig {
        click: click(source),
        late_cancel: source.word("SESSILE_CLICK_LATE_CANCEL", &late).unwrap_or(LateCancel::Cancelled),
        terms,
        api_keys: api_keys(source),
        webhook,
        supabase,
        return_url: address(source, "SESSILE_PAYMENT_RETURN_URL"),
    }
}

fn click(source: &Source) -> Click {
    let secrets: Vec<SecretString> = source
        .secret("CLICK_SECRET_KEY")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|secret| !secret.is_empty())
        .map(SecretString::from)
        .collect();
    let number = |name| source.number(name, 1, i64::MAX.unsigned_abs());
    let ids = ["CLICK_SERVICE_ID", "CLICK_MERCHANT_ID", "CLICK_MERCHANT_USER_ID"];
    let mut missing: Vec<&'static str> = ids.into_iter().filter(|name| source.get(name).is_none()).collect();
    if secrets.is_empty() {
        missing.push("CLICK_SECRET_KEY");
    }
    let [service, merchant, user] = ids.map(number);
    let (Some(service), Some(merchant), Some(user), []) = (service, merchant, user, missing.as_slice())
    else {
        return Click::Missing(missing);
    };
    let mut config = click::Config::new(service, merchant, user, secrets);
    if let Some(url) = source.get("CLICK_PAY_URL") {
        config.pay_url = url.to_owned();
    }
    if let Some(url) = source.get("CLICK_API_URL") {
        config.api_url = if url.ends_with('/') { url.to_owned() } else { format!("{url}/") };
    }
    config.return_url = source.get("CLICK_RETURN_URL").map(str::to_owned);
    if let Err(error) = config.check() {
        source.complain(error.to_string());
    }
    Click::Ready(Box::new(config))
}

fn api_keys(source: &Source) -> ApiKeys {
    let Some(keys) = source.secret("SESSILE_API_KEYS") else { return ApiKeys::default() };
    let least = sessile_core::secret::SECRET_CHARS_MIN;
    let mut known: Vec<(String, [u8; 32])> = Vec::new();
    for (at, entry) in keys.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
        match entry.split_once(':') {
            Some((name, key)) if !name.is_empty() && key.chars().count() >= least => {
                if known.iter().any(|(other, _)| other == name) {
                    source.complain(format!("SESSILE_API_KEYS: two keys are called {name}; rename one"));
                }
                known.push((name.to_owned(), Sha256::digest(key.as_bytes()).into()));
            }
            Some((name, _)) if !name.is_empty() => source.complain(format!(
                "SESSILE_API_KEYS: the key of {name} needs at least {least} characters; make one with \
                 `openssl rand -base64 48`"
            )),
            _ => source.complain(format!("SESSILE_API_KEYS: entry {} is not `name:key`", at + 1)),
        }
    }
    ApiKeys(known)
}

fn webhook(source: &Source) -> Option<Webhook> {
    let url = address(source, "SESSILE_WEBHOOK_URL")?;
    let secrets: Vec<Secret> = source
        .secret("SESSILE_WEBHOOK_SECRET")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|secret| !secret.is_empty())
        .map(Secret::new)
        .collect();
    if secrets.is_empty() {
        source.complain(
            "SESSILE_WEBHOOK_URL needs SESSILE_WEBHOOK_SECRET: make one with \
             `echo whsec_$(openssl rand -base64 32)` and give it to the application too",
        );
    }
    Some(Webhook { url, secrets })
}

fn supabase(source: &Source) -> Option<Supabase> {
    let (url, key) = (address(source, "SUPABASE_URL")?, source.secret("SUPABASE_SERVICE_ROLE_KEY")?);
    Some(Supabase { url, key: Secret::new(key) })
}

fn address(source: &Source, name: &str) -> Option<Url> {
    let url = Url::parse(source.get(name)?);
    let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        source.complain(format!("{name} has to be an address such as https://app.example.com/path"));
    }
    url
}

fn currency(source: &Source) -> Option<Currency> {
    let text = source.get("SESSILE_CURRENCY")?;
    let currency = Currency::parse(text);
    if currency.is_none() {
        source.complain("SESSILE_CURRENCY has to be three capital letters, such as UZS");
    }
    currency
}

/// A file, or the JSON itself.
fn catalogue(source: &Source) -> Option<Catalogue> {
    let given = source.get("SESSILE_CATALOGUE")?;
    let text = if given.starts_with('{') {
        given.to_owned()
    } else {
        let small = std::fs::metadata(Path::new(given)).is_ok_and(|meta| meta.len() <= CATALOGUE_BYTES_MAX);
        match std::fs::read_to_string(given) {
            Ok(text) if small => text,
            _ => {
                source.complain(format!(
                    "SESSILE_CATALOGUE names {given}, which cannot be read or is longer than {CATALOGUE_BYTES_MAX} bytes"
                ));
                return None;
            }
        }
    };
    match serde_json::from_str::<Catalogue>(&text) {
        Ok(catalogue) if !catalogue.packages.is_empty() => Some(catalogue),
        Ok(_) => {
            source.complain("SESSILE_CATALOGUE has no packages; add one, or unset it");
            None
        }
        Err(error) => {
            source.complain(format!(
                "SESSILE_CATALOGUE is not understood ({error}); it looks like \
                 {{\"currency\": \"UZS\", \"packages\": {{\"basic\": {{\"price\": 1000000}}}}}} with prices in minor units"
            ));
            None
        }
    }
}
