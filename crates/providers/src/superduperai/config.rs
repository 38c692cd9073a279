//! How to reach SuperDuperAI and prove ourselves to it, checked once at start.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::time::Duration;
use url::Url;

use crate::transport::{BadAddress, ClientError, Timeouts, base_url};

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(15) };

/// One account.
#[derive(Clone)]
pub struct Config {
    /// `SUPERDUPERAI_TOKEN`.
    pub token: SecretString,
    /// `SUPERDUPERAI_URL`: where `/api/v1/` begins.
    pub url: String,
    /// Bounds on every wait: 5 s for a connection, 15 s for a whole request.
    pub timeouts: Timeouts,
}

impl Config {
    /// With the usual timeouts.
    #[must_use]
    pub fn new(token: SecretString, url: impl Into<String>) -> Self {
        Self { token, url: url.into(), timeouts: TIMEOUTS }
    }

    /// Looks at every setting.
    ///
    /// # Errors
    /// The first one that cannot work, and what to do about it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let token = self.token.expose_secret();
        if token.is_empty() {
            return Err(ConfigError::MissingToken);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::MalformedToken);
        }
        self.base().map(drop)
    }

    /// Ends with a slash.
    pub(super) fn base(&self) -> Result<Url, ConfigError> {
        if self.url.is_empty() {
            return Err(ConfigError::MissingUrl);
        }
        base_url(&self.url).map_err(|bad| match bad {
            BadAddress::Invalid => ConfigError::InvalidUrl,
            BadAddress::Insecure => ConfigError::Insecure,
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("token", &"[secret]")
            .field("url", &self.url)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No token.
    #[error("SUPERDUPERAI_TOKEN is not set; copy it from the SuperDuperAI account")]
    MissingToken,
    /// Not a token.
    #[error(
        "SUPERDUPERAI_TOKEN contains blanks or letters that no token has; copy it again, without `Bearer`"
    )]
    MalformedToken,
    /// No address.
    #[error("SUPERDUPERAI_URL is not set; write where the account's API is, beginning with https://")]
    MissingUrl,
    /// Not a URL that can be used.
    #[error(
        "SUPERDUPERAI_URL is not a URL that can be used; write it in full, beginning with https://, without a \
         password, a query or a fragment"
    )]
    InvalidUrl,
    /// The token would travel in the clear.
    #[error("SUPERDUPERAI_URL must begin with https://; plain http is for loopback only")]
    Insecure,
    /// The HTTP client could not be set up.
    #[error("the HTTP client for SuperDuperAI could not be set up")]
    Client(#[source] ClientError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_and_the_token_is_not_shown() {
        let config = |token: &str, url: &str| Config::new(token.into(), url);
        config("tok-hush", "https://editor.example").check().unwrap();
        assert_eq!(config("t", "http://localhost:1/x").base().unwrap().as_str(), "http://localhost:1/x/");
        assert!(matches!(config("", "https://a.example").check(), Err(ConfigError::MissingToken)));
        assert!(matches!(config("Bearer t", "https://a.example").check(), Err(ConfigError::MalformedToken)));
        assert!(matches!(config("t", "").check(), Err(ConfigError::MissingUrl)));
        assert!(matches!(config("t", "editor").check(), Err(ConfigError::InvalidUrl)));
        assert!(matches!(config("t", "http://a.example").check(), Err(ConfigError::Insecure)));
        assert!(!format!("{:?}", config("tok-hush", "https://a.example")).contains("hush"));
    }
}
