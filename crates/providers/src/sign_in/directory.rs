//! What we know of the provider: issuer, endpoints, published keys. Read when first needed, kept for a while.
//!
//! Many sign-ins at once cause one read. A failed refresh falls back to what is known, within bounds; a failed first
//! read makes the next callers fail at once for a moment instead of queueing behind one timeout each.

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode,
    CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, DiscoveryError, IssuerUrl, JsonWebKeySetUrl, ProviderMetadata,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

use super::clock::Clock;
use super::config::{ConfigError, Endpoints, provider_url};
use super::error::{SignInError, Step};
use super::http_client::HttpClient;
use crate::transport::HttpFailure;

/// How long discovery and keys are used before they are read again.
pub const PROVIDER_LIFETIME: Duration = Duration::from_secs(3600);
/// How long they may still be used when reading them again fails.
pub const PROVIDER_STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long nobody asks again after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Revocation {
    revocation_endpoint: Option<String>,
}
impl AdditionalProviderMetadata for Revocation {}

type Metadata = ProviderMetadata<
    Revocation,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Where to send what.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    pub(crate) authorize: Url,
    pub(crate) token: Url,
    pub(crate) userinfo: Option<Url>,
    pub(crate) revoke: Option<Url>,
    pub(crate) auth_type: AuthType,
}

/// One reading of the provider.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) issuer: IssuerUrl,
    pub(crate) keys: CoreJsonWebKeySet,
    pub(crate) routes: Routes,
    read_at_ms: i64,
}

#[derive(Default)]
struct Known {
    provider: Option<Arc<Provider>>,
    failed_at_ms: Option<i64>,
}

/// Where to look, and what was found.
pub(crate) struct Directory {
    issuer: IssuerUrl,
    /// Whop's routes and, where configured, its keys; unset is discovery's word.
    routes: Option<Routes>,
    jwks: Option<JsonWebKeySetUrl>,
    clock: Clock,
    known: Mutex<Known>,
}

impl Directory {
    pub(crate) fn new(endpoints: &Endpoints, clock: Clock) -> Result<Self, ConfigError> {
        let (issuer, routes, jwks) = match endpoints {
            Endpoints::Oidc { issuer_url } => (issuer_url.clone(), None, None),
            Endpoints::Whop { base_url, issuer, jwks_url } => {
                let base = provider_url("base URL", &format!("{}/", base_url.trim_end_matches('/')))?;
                let issuer = issuer.clone().unwrap_or_else(|| base.origin().ascii_serialization());
                (issuer, Some(whop_routes(&base, base_url)?), jwks_url.clone())
            }
        };
        provider_url("issuer", &issuer)?;
        let invalid = |setting, value: &str| ConfigError::InvalidUrl { setting, value: value.to_owned() };
        let jwks = match jwks {
            Some(url) => {
                provider_url("JWKS URL", &url)?;
                Some(JsonWebKeySetUrl::new(url.clone()).map_err(|_| invalid("JWKS URL", &url))?)
            }
            None => None,
        };
        let issuer = IssuerUrl::new(issuer.clone()).map_err(|_| invalid("issuer", &issuer))?;
        Ok(Self { issuer, routes, jwks, clock, known: Mutex::default() })
    }

    pub(crate) fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// Where to send the browser, when that is known without asking anybody.
    pub(crate) fn routes(&self) -> Option<&Routes> {
        self.routes.as_ref()
    }

    /// The provider as known, read first if it never was or not recently.
    pub(crate) async fn current(&self, http: &HttpClient) -> Result<Arc<Provider>, SignInError> {
        let mut known = self.known.lock().await;
        let now_ms = (self.clock)();
        match &known.provider {
            Some(provider) if age(provider, now_ms) < PROVIDER_LIFETIME => return Ok(Arc::clone(provider)),
            _ => {}
        }
        match self.read_unless_pausing(http, &mut known, now_ms).await {
            Ok(provider) => Ok(provider),
            Err(error) => match &known.provider {
                Some(provider) if age(provider, now_ms) < PROVIDER_STALE_MAX => {
                    tracing::warn!(%error, "the sign-in provider could not be read again; using what is known");
                    Ok(Arc::clone(provider))
                }
                _ => Err(error),
            },
        }
    }

    /// Reads again, because `seen` lacks a key. Whoever comes second gets the first one's reading.
    pub(crate) async fn newer_than(
        &self,
        seen: &Arc<Provider>,
        http: &HttpClient,
    ) -> Result<Arc<Provider>, SignInError> {
        let mut known = self.known.lock().await;
        match &known.provider {
            Some(provider) if !Arc::ptr_eq(provider, seen) => Ok(Arc::clone(provider)),
            _ => self.read_unless_pausing(http, &mut known, (self.clock)()).await,
        }
    }

    async fn read_unless_pausing(
        &self,
        http: &HttpClient,
        known: &mut Known,
        now_ms: i64,
    ) -> Result<Arc<Provider>, SignInError> {
        let pausing = known.failed_at_ms.is_some_and(|failed| span(failed, now_ms) < FAILURE_PAUSE);
        if pausing {
            return Err(SignInError::http(Step::Discovery, HttpFailure::Pausing));
        }
        match self.read(http, now_ms).await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                *known = Known { provider: Some(Arc::clone(&provider)), failed_at_ms: None };
                Ok(provider)
            }
            Err(error) => {
                known.failed_at_ms = Some((self.clock)());
                Err(error)
            }
        }
    }

    async fn read(&self, http: &HttpClient, now_ms: i64) -> Result<Provider, SignInError> {
        let (issuer, read_at_ms) = (self.issuer.clone(), now_ms);
        if let (Some(routes), Some(jwks)) = (&self.routes, &self.jwks) {
            let keys = CoreJsonWebKeySet::fetch_async(jwks, http).await.map_err(discovery_failed)?;
            return Ok(Provider { issuer, keys, routes: routes.clone(), read_at_ms });
        }
        let metadata = Metadata::discover_async(issuer.clone(), http).await.map_err(discovery_failed)?;
        let routes = match &self.routes {
            Some(routes) => routes.clone(),
            None => announced_routes(&metadata)
                .map_err(|error| SignInError::unreadable(Step::Discovery, error))?,
        };
        Ok(Provider { issuer, keys: metadata.jwks().clone(), routes, read_at_ms })
    }
}

fn whop_routes(base: &Url, base_url: &str) -> Result<Routes, ConfigError> {
    let invalid = |_| ConfigError::InvalidUrl { setting: "base URL", value: base_url.to_owned() };
    let under = |name| base.join(name).map_err(invalid);
    Ok(Routes {
        authorize: under("authorize")?,
        token: under("token")?,
        userinfo: Some(under("userinfo")?),
        revoke: Some(under("revoke")?),
        auth_type: AuthType::RequestBody,
    })
}

fn announced_routes(metadata: &Metadata) -> Result<Routes, ConfigError> {
    let missing = || ConfigError::InvalidUrl { setting: "announced token endpoint", value: String::new() };
    let optional = |setting, url: Option<&str>| url.map(|url| provider_url(setting, url)).transpose();
    let basic = metadata
        .token_endpoint_auth_methods_supported()
        // RFC 8414: a provider that does not say takes Basic.
        .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
    let token = metadata.token_endpoint().ok_or_else(missing)?;
    Ok(Routes {
        authorize: provider_url(
            "announced authorization endpoint",
            metadata.authorization_endpoint().as_str(),
        )?,
        token: provider_url("announced token endpoint", token.as_str())?,
        userinfo: optional(
            "announced userinfo endpoint",
            metadata.userinfo_endpoint().map(|url| url.as_str()),
        )?,
        revoke: optional(
            "announced revocation endpoint",
            metadata.additional_metadata().revocation_endpoint.as_deref(),
        )?,
        auth_type: if basic { AuthType::BasicAuth } else { AuthType::RequestBody },
    })
}

fn discovery_failed(error: DiscoveryError<HttpFailure>) -> SignInError {
    match error {
        DiscoveryError::Request(failure) => SignInError::http(Step::Discovery, failure),
        // Its `Display` has no body in it, and `Parse` says where in the document.
        DiscoveryError::Parse(error) => SignInError::unreadable(Step::Discovery, error),
        other => SignInError::unreadable(Step::Discovery, other),
    }
}

fn age(provider: &Provider, now_ms: i64) -> Duration {
    span(provider.read_at_ms, now_ms)
}

/// Time from one moment to another; a clock that jumped back counts as no time.
fn span(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0))
}
