//! What the stand-in is registered with: the one client it knows, its redirects, its lifetimes.

use std::fmt;
use std::time::Duration;

use crate::clock::{Clock, system_clock};

/// Which bodies the token and revocation endpoints take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenBodies {
    /// JSON only, as Whop's endpoints are documented.
    Json,
    /// JSON and forms, as an ordinary OpenID provider (RFC 6749) takes them.
    JsonOrForm,
}

/// The stand-in's settings.
#[derive(Clone)]
pub struct WhopConfig {
    /// The only client it knows.
    pub client_id: String,
    /// What that client must send; `None` is a public client, known by PKCE alone.
    pub client_secret: Option<String>,
    /// Redirects that are registered. A request must name one of them exactly.
    pub redirect_uris: Vec<String>,
    /// Issuer and base of the announced endpoints; unset is `http://<address it listens on>`.
    pub public_url: Option<String>,
    /// Which bodies `/oauth/token` and `/oauth/revoke` take.
    pub token_bodies: TokenBodies,
    /// How long an authorization code can be exchanged.
    pub code_lifetime: Duration,
    /// How long an access token and an ID token are valid.
    pub access_lifetime: Duration,
    /// How long `token_timeout` keeps a caller waiting.
    pub hang: Duration,
    /// Unix milliseconds.
    pub clock: Clock,
}

impl WhopConfig {
    /// A client with these redirects, and everything else as the real provider has it.
    #[must_use]
    pub fn new(client_id: impl Into<String>, redirect_uris: Vec<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            redirect_uris,
            public_url: None,
            token_bodies: TokenBodies::Json,
            code_lifetime: Duration::from_secs(60),
            access_lifetime: Duration::from_secs(3600),
            hang: Duration::from_secs(60),
            clock: system_clock(),
        }
    }
}

impl fmt::Debug for WhopConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhopConfig")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "[secret]"))
            .field("redirect_uris", &self.redirect_uris)
            .field("public_url", &self.public_url)
            .field("token_bodies", &self.token_bodies)
            .finish_non_exhaustive()
    }
}
