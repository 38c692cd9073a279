//! The stand-in itself: settings, key, grants, switches and counts, and the table of its routes.
//!
//! Everything is in memory behind short locks; no lock is held across an await.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::config::WhopConfig;
use super::grants::Grants;
use super::keys::SigningKeys;
use super::misbehaviour::{Active, Misbehaviour, Switch};
use super::{authorize, control, discovery, token, userinfo};
use crate::SandboxError;

/// The largest body any of its endpoints takes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The stand-in Whop, before it is served.
pub struct Whop(App);

pub(crate) type App = Arc<State>;

pub(crate) struct State {
    pub(crate) config: WhopConfig,
    pub(crate) issuer: String,
    keys: RwLock<Arc<SigningKeys>>,
    pub(crate) grants: Mutex<Grants>,
    active: Mutex<Active>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Whop {
    /// Makes the signing key and an empty table of grants. `address` is where it will be served.
    ///
    /// # Errors
    /// [`SandboxError::Randomness`] when no key can be made.
    pub fn new(config: WhopConfig, address: SocketAddr) -> Result<Self, SandboxError> {
        let issuer = match &config.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{address}"),
        };
        Ok(Self(Arc::new(State {
            config,
            issuer,
            keys: RwLock::new(Arc::new(SigningKeys::generate()?)),
            grants: Mutex::default(),
            active: Mutex::default(),
            counts: Mutex::default(),
        })))
    }

    /// Its routes, to serve alone or to merge into a larger stand-in.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/oauth/authorize", get(authorize::show).post(authorize::decide))
            .route("/oauth/token", post(token::token))
            .route("/oauth/userinfo", get(userinfo::userinfo))
            .route("/oauth/revoke", post(token::revoke))
            .route("/oauth/jwks", get(discovery::jwks))
            .route("/.well-known/jwks.json", get(discovery::jwks))
            .route("/.well-known/openid-configuration", get(discovery::configuration))
            .route("/sandbox/whop", get(control::status))
            .route("/sandbox/whop/misbehave", post(control::misbehave))
            .route("/sandbox/whop/rotate-key", post(control::rotate_key))
            .route("/sandbox/whop/people/{file}", get(control::avatar))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::clone(&self.0))
    }

    /// A handle for tests that run in the same process.
    #[must_use]
    pub fn control(&self) -> WhopControl {
        WhopControl(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Whop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whop").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn now_ms(&self) -> i64 {
        (self.config.clock)()
    }

    pub(crate) fn keys(&self) -> Arc<SigningKeys> {
        Arc::clone(&self.keys.read())
    }

    pub(crate) fn rotate_key(&self) -> Result<(), SandboxError> {
        let fresh = Arc::new(SigningKeys::generate()?);
        *self.keys.write() = fresh;
        self.count("key_rotated");
        Ok(())
    }

    /// Whether this request must misbehave so; counts it when it must.
    pub(crate) fn misbehaves(&self, kind: Misbehaviour) -> bool {
        let taken = self.active.lock().take(kind);
        if taken {
            self.count("misbehaved");
        }
        taken
    }

    pub(crate) fn switch(&self, switches: &[Switch]) -> Result<(), String> {
        self.active.lock().replace(switches)
    }

    pub(crate) fn active(&self) -> BTreeMap<Misbehaviour, u32> {
        self.active.lock().snapshot()
    }

    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.lock().entry(what).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().clone()
    }
}

/// Switches and counts of a running stand-in, for tests in the same process.
#[derive(Clone)]
pub struct WhopControl(App);

impl WhopControl {
    /// Replaces what is active.
    ///
    /// # Errors
    /// A sentence, when the list or a count is above its limit.
    pub fn misbehave(&self, switches: &[Switch]) -> Result<(), String> {
        self.0.switch(switches)
    }

    /// Replaces the signing key at once; the old one is no longer published.
    ///
    /// # Errors
    /// [`SandboxError::Randomness`].
    pub fn rotate_key(&self) -> Result<(), SandboxError> {
        self.0.rotate_key()
    }

    /// How often something happened, by the name `GET /sandbox/whop` shows.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.0.counts().get(what).copied().unwrap_or(0)
    }

    /// What is still switched on, and for how many requests.
    #[must_use]
    pub fn active(&self) -> BTreeMap<Misbehaviour, u32> {
        self.0.active()
    }
}

impl fmt::Debug for WhopControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhopControl").field("active", &self.active()).finish_non_exhaustive()
    }
}
