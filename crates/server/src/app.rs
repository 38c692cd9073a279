//! What every request shares. Built once from configuration and stores; holds no state that another process needs.

use crate::admin::{Counts, MeasuredGenerations, MeasuredLedger, MeasuredLogins, Watch};
use crate::config::{ApiKeys, Config, Mode, Providers, SecretSource, Whop, keep};
use crate::exit::Stop;
use crate::generation::GenerationParts;
use crate::http::{COUPON_TRIES, OPERATOR_TRIES, Throttle, Waiting};
use crate::limits::REQUESTS_MAX;
use crate::money::MoneyParts;
use crate::stores::{Place, Stores};
use crate::tour::Tour;
use crate::whatsapp::WhatsAppParts;
use sessile::{CookieSigner, LoginStore, Logins, SameOriginLayer, SessionLayer, TrustProxy};
use sessile_core::generation::GenerationStore;
use sessile_core::ledger::LedgerStore;
use sessile_core::user::UserDirectory;
use sessile_core::{Clock, Entropy, SealingKeys, Secret, SecretList};
use sessile_providers::SignIn;
use sessile_store::fallback::Fallback;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use url::Url;

/// The shared state; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What is in it.
pub struct Parts {
    pub(crate) mode: Mode,
    pub(crate) sessions: SessionLayer,
    pub(crate) same_origin: SameOriginLayer,
    pub(crate) fallback: Option<Arc<Fallback>>,
    pub(crate) users: Arc<dyn UserDirectory>,
    pub(crate) whop: Option<SignIn>,
    pub(crate) whop_missing: Vec<&'static str>,
    /// Host and port that the provider sends browsers back to.
    pub(crate) whop_home: Option<Url>,
    pub(crate) oidc: Option<(String, SignIn)>,
    pub(crate) mock_login: bool,
    pub(crate) sealing: Option<SealingKeys>,
    pub(crate) money: MoneyParts,
    pub(crate) generation: GenerationParts,
    pub(crate) whatsapp: WhatsAppParts,
    pub(crate) api_keys: ApiKeys,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) app_url: Option<Url>,
    pub(crate) trust_proxy: TrustProxy,
    pub(crate) throttle: Throttle,
    pub(crate) operator_tries: Throttle,
    pub(crate) waiting: Waiting,
    pub(crate) stand_ins: Vec<(String, String)>,
    pub(crate) tour: Option<Arc<Tour>>,
    /// What this process saw happen, and the last counts: for the dashboard.
    pub(crate) watch: Arc<Watch>,
    pub(crate) counts: Counts,
    /// Which stores are in use, as configured: what it holds, engine, place.
    pub(crate) places: Vec<Place>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) requests: Semaphore,
    pub(crate) content_security_policies: crate::http::headers::Policies,
    request_prefix: u64,
    request_count: AtomicU64,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`Stop`] says what to do.
    pub fn new(
        config: &Config,
        stores: &Stores,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Stop> {
        let secrets = signing_secrets(&config.session_secret, &*entropy)?;
        let signer = CookieSigner::new(&secrets);
        let policy = config.policy.clone();
        let watch = Arc::new(Watch::new(clock.clone()));
        let stored: Arc<dyn LoginStore> = Arc::new(MeasuredLogins::new(stores.logins.clone(), watch.clone()));
        let ledger = stores
            .ledger
            .clone()
            .map(|inner| -> Arc<dyn LedgerStore> { Arc::new(MeasuredLedger::new(inner, watch.clone())) });
        let jobs = stores.generations.clone().map(|inner| -> Arc<dyn GenerationStore> {
            Arc::new(MeasuredGenerations::new(inner, watch.clone()))
        });
        let logins = Logins::new(stored, policy, signer, clock.clone(), entropy.clone());
        let sessions = SessionLayer::from_logins(logins, config.trust_proxy)
            .map_err(|rule| Stop::usage(format!("the session cookie: {rule}")))?;
        let Providers { whop, oidc, mock_login } = &config.providers;
        let unusable = |error: sessile_providers::sign_in::ConfigError| Stop::usage(error.to_string());
        let (whop, whop_missing, whop_home) = match whop {
            Whop::Ready(config) => {
                let home = Url::parse(&config.redirect_url).ok();
                (Some(SignIn::new((**config).clone()).map_err(unusable)?), Vec::new(), home)
            }
            Whop::Missing(names) => (None, names.clone(), None),
        };
        let oidc = match oidc {
            Some(config) => Some((issuer_of(config), SignIn::new(config.clone()).map_err(unusable)?)),
            None => None,
        };
        let mut prefix = [0_u8; 8];
        entropy.fill(&mut prefix).map_err(|error| Stop::failed(error.to_string()))?;
        Ok(Self(Arc::new(Parts {
            mode: config.mode,
            same_origin: same_origin(config, &sessions)?,
            content_security_policies: crate::http::headers::policies_for(config),
            sessions,
            fallback: stores.fallback.clone(),
            users: stores.users.clone(),
            whop,
            whop_missing,
            whop_home,
            oidc,
            mock_login: *mock_login,
            sealing: config.sealing.clone(),
            money: MoneyParts::new(config, ledger, &clock, &entropy)?,
            generation: GenerationParts::new(config, jobs, &clock, &entropy)?,
            whatsapp: WhatsAppParts::new(config, stores.devices.as_ref(), &clock, &entropy, &watch)?,
            api_keys: config.money.api_keys.clone(),
            admin_token: admin_token(config, &*entropy),
            app_url: config.app_url.clone(),
            trust_proxy: config.trust_proxy,
            throttle: Throttle::new(COUPON_TRIES),
            operator_tries: Throttle::new(OPERATOR_TRIES),
            waiting: Waiting::new(),
            stand_ins: config.stand_ins.clone(),
            tour: config.tour.clone(),
            watch,
            counts: Counts::default(),
            places: Place::all_of(config),
            clock,
            entropy,
            requests: Semaphore::new(REQUESTS_MAX),
            request_prefix: u64::from_be_bytes(prefix),
            request_count: AtomicU64::new(0),
        })))
    }

    /// The server stops: requests that only wait are answered now.
    pub fn stop_waiting(&self) {
        self.waiting.stop();
        self.generation.streams.stop();
        self.whatsapp.streams.stop();
    }

    /// A name for one request: unique, and cheap, because it guards nothing.
    pub(crate) fn next_request_id(&self) -> String {
        let count = self.request_count.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{count:x}", self.request_prefix)
    }

    pub(crate) fn is_development(&self) -> bool {
        self.mode == Mode::Development
    }

    /// Where somebody who is not signed in is sent.
    pub(crate) fn sign_in_path(&self) -> &'static str {
        if self.whop.is_none() && !self.mock_login && self.oidc.is_some() {
            "/auth/oidc"
        } else {
            "/auth/whop"
        }
    }

    /// A provider with a client of its own to revoke tokens at.
    pub(crate) fn sign_in_of(&self, provider: &str) -> Option<&SignIn> {
        match provider {
            "whop" => self.whop.as_ref(),
            "oidc" => self.oidc.as_ref().map(|(_, sign_in)| sign_in),
            _ => None,
        }
    }
}

fn issuer_of(config: &sessile_providers::ProviderConfig) -> String {
    match &config.endpoints {
        sessile_providers::sign_in::Endpoints::Oidc { issuer_url } => issuer_url.clone(),
        sessile_providers::sign_in::Endpoints::Whop { base_url, .. } => base_url.clone(),
    }
}

fn signing_secrets(source: &SecretSource, entropy: &dyn Entropy) -> Result<SecretList, Stop> {
    match source {
        SecretSource::Given(list) => Ok(list.clone()),
        SecretSource::Kept(path) => Ok(SecretList::single(keep(path, entropy)?.0)),
    }
}

/// The configured one, or the one that was made at the first start; without either there is no operator.
fn admin_token(config: &Config, entropy: &dyn Entropy) -> Option<Secret> {
    let kept = || keep(&config.in_data("admin-token"), entropy).ok().map(|(token, _)| token);
    config.admin_token.clone().or_else(kept)
}

fn same_origin(config: &Config, sessions: &SessionLayer) -> Result<SameOriginLayer, Stop> {
    let own = config.app_url.iter().map(|url| url.origin().ascii_serialization());
    own.chain(config.allowed_origins.iter().cloned())
        .try_fold(sessions.same_origin(), |layer, origin| layer.allow_origin(&origin))
        .map_err(|not_one| Stop::usage(format!("APP_URL or SESSILE_ALLOWED_ORIGINS: {not_one}")))
}
