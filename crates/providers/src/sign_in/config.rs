//! How to reach a provider, checked once at start so that a typing error shows there and not at the first sign-in.
//!
//! Plain http is accepted for loopback only: the client secret and the tokens travel on these URLs.

use secrecy::SecretString;
use std::fmt;
use std::time::Duration;
use url::Url;

use super::clock::{Clock, system_clock};
use crate::transport::{ClientError, Timeouts, is_loopback};

/// Whop's OAuth endpoints, where `WHOP_BASE_URL` does not say otherwise.
pub const WHOP_BASE_URL: &str = "https://api.whop.com/oauth/";

/// Scopes that an identity needs.
const SCOPES: [&str; 3] = ["openid", "profile", "email"];
/// A person waits in front of the browser.
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(3), request: Duration::from_secs(10) };

/// Where the provider's endpoints are.
#[derive(Clone, Debug)]
pub enum Endpoints {
    /// Whop: `authorize`, `token`, `userinfo` and `revoke` under one base, with JSON bodies.
    Whop {
        /// Ends in `/oauth/`; see [`WHOP_BASE_URL`].
        base_url: String,
        /// `iss` of its ID tokens; unset is the origin of the base URL, which is where its discovery document lives.
        issuer: Option<String>,
        /// Its published keys; unset is what the discovery document says. Set, nothing is discovered.
        jwks_url: Option<String>,
    },
    /// Any OpenID Connect provider, found by discovery.
    Oidc {
        /// Exactly as the provider writes it, trailing slash or not.
        issuer_url: String,
    },
}

/// One provider's settings.
#[derive(Clone)]
pub struct ProviderConfig {
    /// As registered with the provider.
    pub client_id: String,
    /// `None` for a public client, which PKCE alone protects.
    pub client_secret: Option<SecretString>,
    /// Where the provider sends the browser back to; registered there to the letter.
    pub redirect_url: String,
    /// `openid` is always asked for, listed or not.
    pub scopes: Vec<String>,
    /// Whop or any other.
    pub endpoints: Endpoints,
    /// Bounds on every wait: 3 s for a connection, 10 s for a whole request.
    pub timeouts: Timeouts,
    /// Unix milliseconds.
    pub clock: Clock,
}

impl ProviderConfig {
    /// Whop itself, with the documented scopes.
    #[must_use]
    pub fn whop(client_id: impl Into<String>, redirect_url: impl Into<String>) -> Self {
        let base_url = WHOP_BASE_URL.to_owned();
        Self::new(client_id, redirect_url, Endpoints::Whop { base_url, issuer: None, jwks_url: None })
    }

    /// An OpenID Connect provider by its issuer.
    #[must_use]
    pub fn oidc(
        issuer_url: impl Into<String>,
        client_id: impl Into<String>,
        redirect_url: impl Into<String>,
    ) -> Self {
        Self::new(client_id, redirect_url, Endpoints::Oidc { issuer_url: issuer_url.into() })
    }

    fn new(client_id: impl Into<String>, redirect_url: impl Into<String>, endpoints: Endpoints) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            redirect_url: redirect_url.into(),
            scopes: SCOPES.map(str::to_owned).to_vec(),
            endpoints,
            timeouts: TIMEOUTS,
            clock: system_clock(),
        }
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "[secret]"))
            .field("redirect_url", &self.redirect_url)
            .field("scopes", &self.scopes)
            .field("endpoints", &self.endpoints)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No client id.
    #[error("the sign-in client id is empty; copy it from the provider's developer dashboard")]
    MissingClientId,
    /// Not a URL.
    #[error("the sign-in {setting} `{value}` is not a URL; write it in full, beginning with https://")]
    InvalidUrl {
        /// Which setting.
        setting: &'static str,
        /// What it says.
        value: String,
    },
    /// Secrets would travel in the clear.
    #[error("the sign-in {setting} `{value}` must begin with https://; plain http is for loopback only")]
    Insecure {
        /// Which setting.
        setting: &'static str,
        /// What it says.
        value: String,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client for the sign-in provider could not be set up")]
    Client(#[source] ClientError),
}

/// Parses a URL that secrets may travel to.
pub(crate) fn provider_url(setting: &'static str, value: &str) -> Result<Url, ConfigError> {
    let invalid = || ConfigError::InvalidUrl { setting, value: value.to_owned() };
    let url = Url::parse(value).map_err(|_| invalid())?;
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(ConfigError::Insecure { setting, value: value.to_owned() }),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in
            ["https://api.whop.com/oauth/", "http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost"]
        {
            assert!(provider_url("base URL", good).is_ok(), "{good}");
        }
        for bad in ["http://api.whop.com/", "http://127.0.0.1.evil.example/", "http://10.0.0.1/"] {
            assert!(matches!(provider_url("base URL", bad), Err(ConfigError::Insecure { .. })), "{bad}");
        }
        for bad in ["", "api.whop.com", "file:///etc/passwd", "javascript:1"] {
            assert!(matches!(provider_url("base URL", bad), Err(ConfigError::InvalidUrl { .. })), "{bad}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let mut config = ProviderConfig::whop("app_1", "http://localhost/callback");
        config.client_secret = Some("very-secret".to_owned().into());
        assert!(!format!("{config:?}").contains("very-secret"));
    }
}
