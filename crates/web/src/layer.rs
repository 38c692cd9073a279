//! The tower layer and how it is set up. A cookie that browsers would silently drop is refused here, at the start,
//! and not debugged in production.

use crate::proxy::TrustProxy;
use crate::same_origin::SameOriginLayer;
use crate::service::SessionService;
use crate::shared::Shared;
use sessile_core::login::{
    CookiePolicy, CookieRule, CookieSigner, LoginPolicy, LoginStore, Logins, SameSite, Switch,
};
use sessile_core::{Clock, Entropy, OsEntropy, SecretList, SystemClock};
use std::sync::Arc;
use std::time::Duration;
use tower_layer::Layer;

/// Puts a [`Session`](crate::Session) into every request, and commits it before the answer leaves.
///
/// ```
/// use axum::{Router, routing::get};
/// use sessile::{SecretList, Session, SessionLayer};
/// use sessile_store::{LoginOptions, memory::MemoryLogins};
/// use std::sync::Arc;
///
/// let store = Arc::new(MemoryLogins::new(LoginOptions::default()));
/// let secrets = SecretList::parse("a secret of thirty-two characters or more")?;
/// let sessions = SessionLayer::builder(store, secrets).with_secure(false).build()?;
/// let app: Router = Router::new()
///     .route("/", get(|session: Session| async move { format!("{:?}", session.keys()) }))
///     .layer(sessions);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SessionLayer(Arc<Shared>);

impl SessionLayer {
    /// Begins a layer over `store`. The first of the secrets signs the cookie, all of them verify it.
    ///
    /// Unless changed, the cookie is `sid`, `HttpOnly`, `Secure`, `SameSite=Lax`, `Path=/` and this host only; it
    /// lives 7 days from each answer on, and the stored expiry is pushed forward once a minute.
    pub fn builder(store: Arc<dyn LoginStore>, secrets: SecretList) -> SessionLayerBuilder {
        let cookie = CookiePolicy { secure: Switch::On, ..CookiePolicy::plain_http() };
        SessionLayerBuilder {
            store,
            secrets,
            policy: LoginPolicy::new(cookie),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            trust: TrustProxy::default(),
        }
    }

    /// A layer around a login service that exists already.
    ///
    /// # Errors
    /// [`CookieRule`] when its cookie is one that browsers drop.
    pub fn from_logins(logins: Logins, trust: TrustProxy) -> Result<Self, CookieRule> {
        Ok(Self(Arc::new(Shared::new(logins, trust)?)))
    }

    /// The login service behind the layer, for sweeping, device lists of other users, and revocation.
    #[must_use]
    pub fn logins(&self) -> &Logins {
        &self.0.logins
    }

    /// A layer that refuses cross-site requests that carry this layer's cookie.
    #[must_use]
    pub fn same_origin(&self) -> SameOriginLayer {
        SameOriginLayer::new(self.0.logins.policy().cookie.name.as_str())
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.0.clone())
    }
}

/// When a session ends that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// When the browser closes; the store keeps it for [`LoginPolicy::ttl`] after its last use.
    OnSessionEnd,
    /// This long after its last use.
    OnInactivity(Duration),
}

/// Sets a [`SessionLayer`] up.
///
/// ```
/// # use sessile::{SecretList, SessionLayer};
/// # use sessile_store::{LoginOptions, memory::MemoryLogins};
/// # use std::{sync::Arc, time::Duration};
/// use sessile::{CookieRule, Expiry, SameSite};
///
/// # let store = Arc::new(MemoryLogins::new(LoginOptions::default()));
/// # let secrets = SecretList::parse("a secret of thirty-two characters or more").unwrap();
/// let layer = SessionLayer::builder(store.clone(), secrets.clone())
///     .with_name("__Host-id")
///     .with_same_site(SameSite::Strict)
///     .with_expiry(Expiry::OnInactivity(Duration::from_secs(3600)))
///     .with_absolute_timeout(Duration::from_secs(12 * 3600))
///     .build();
/// assert!(layer.is_ok());
///
/// // What a browser would drop without a word is an error here.
/// let dropped = SessionLayer::builder(store, secrets).with_name("__Host-id").with_path("/app").build();
/// assert_eq!(dropped.err(), Some(CookieRule::HostPrefix));
/// ```
#[must_use = "finish with `build`"]
pub struct SessionLayerBuilder {
    store: Arc<dyn LoginStore>,
    secrets: SecretList,
    policy: LoginPolicy,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    trust: TrustProxy,
}

impl SessionLayerBuilder {
    /// Checks the cookie and puts the layer together.
    ///
    /// # Errors
    /// [`CookieRule`] names the rule by which browsers would drop the cookie.
    pub fn build(self) -> Result<SessionLayer, CookieRule> {
        let signer = CookieSigner::new(&self.secrets);
        let logins = Logins::new(self.store, self.policy, signer, self.clock, self.entropy);
        SessionLayer::from_logins(logins, self.trust)
    }

    /// Replaces all rules at once. The setters after it change single ones.
    pub fn with_policy(mut self, policy: LoginPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The cookie's name (`sid`).
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.policy.cookie.name = name.into();
        self
    }

    /// https only (on). Off is for development on plain http.
    pub fn with_secure(mut self, secure: impl Into<Switch>) -> Self {
        self.policy.cookie.secure = secure.into();
        self
    }

    /// On which cross-site requests the cookie is sent (`Lax`).
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.policy.cookie.same_site = same_site;
        self
    }

    /// Hidden from scripts (on).
    pub fn with_http_only(mut self, http_only: impl Into<Switch>) -> Self {
        self.policy.cookie.http_only = http_only.into();
        self
    }

    /// To which paths the cookie is sent (`/`).
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.policy.cookie.path = path.into();
        self
    }

    /// Sends the cookie to this domain and all its subdomains (this host only).
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.policy.cookie.domain = Some(domain.into());
        self
    }

    /// CHIPS, for an application inside other sites' frames (off).
    pub fn with_partitioned(mut self, partitioned: impl Into<Switch>) -> Self {
        self.policy.cookie.partitioned = partitioned.into();
        self
    }

    /// Idle timeout and the cookie's lifetime (7 days); the same as [`Expiry::OnInactivity`].
    pub fn with_max_age(self, max_age: Duration) -> Self {
        self.with_expiry(Expiry::OnInactivity(max_age))
    }

    /// When an unused session ends.
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.policy.max_age = match expiry {
            Expiry::OnSessionEnd => None,
            Expiry::OnInactivity(span) => Some(span),
        };
        self
    }

    /// Ends every session this long after its sign-in, however busy it is (never).
    pub fn with_absolute_timeout(mut self, timeout: Duration) -> Self {
        self.policy.absolute = Some(timeout);
        self
    }

    /// How often a busy session's stored expiry is pushed forward (60 s); zero: with every request.
    pub fn with_touch_interval(mut self, interval: Duration) -> Self {
        self.policy.touch_interval = interval;
        self
    }

    /// The key that names the user (`userId`). Give the store's options the same one.
    pub fn with_user_key(mut self, key: impl Into<String>) -> Self {
        self.policy.user_key = key.into();
        self
    }

    /// Where "now" comes from, for tests.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where ids come from, for tests.
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// What is known of the way between the browser and us ([`TrustProxy::AssumeHttps`]).
    pub fn with_trust_proxy(mut self, trust: TrustProxy) -> Self {
        self.trust = trust;
        self
    }
}

impl std::fmt::Debug for SessionLayerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("store", &self.store.info())
            .field("policy", &self.policy)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}
