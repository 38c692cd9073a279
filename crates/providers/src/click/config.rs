//! How to reach CLICK and prove ourselves to it, checked once at start so that a typing error shows there and not when
//! somebody pays.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::time::Duration;
use url::Url;

use crate::transport::{ClientError, Timeouts, is_loopback};

/// CLICK's payment page, where `CLICK_PAY_URL` does not say otherwise.
pub const PAY_URL: &str = "https://my.click.uz/services/pay";
/// CLICK's Merchant API, where `CLICK_API_URL` does not say otherwise.
pub const API_URL: &str = "https://api.click.uz/v2/merchant/";

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(10) };

/// One service at CLICK.
#[derive(Clone)]
pub struct Config {
    /// `CLICK_SERVICE_ID`.
    pub service_id: u64,
    /// `CLICK_MERCHANT_ID`.
    pub merchant_id: u64,
    /// `CLICK_MERCHANT_USER_ID`: who asks the Merchant API.
    pub merchant_user_id: u64,
    /// `CLICK_SECRET_KEY`: the first one signs our requests, all of them verify callbacks.
    pub secrets: Vec<SecretString>,
    /// Where buyers are sent; see [`PAY_URL`].
    pub pay_url: String,
    /// Base of the Merchant API; see [`API_URL`].
    pub api_url: String,
    /// Where CLICK sends the buyer back to.
    pub return_url: Option<String>,
    /// Bounds on every wait for the Merchant API: 5 s for a connection, 10 s for a whole request.
    pub timeouts: Timeouts,
}

impl Config {
    /// CLICK itself.
    #[must_use]
    pub fn new(service_id: u64, merchant_id: u64, merchant_user_id: u64, secrets: Vec<SecretString>) -> Self {
        Self {
            service_id,
            merchant_id,
            merchant_user_id,
            secrets,
            pay_url: PAY_URL.to_owned(),
            api_url: API_URL.to_owned(),
            return_url: None,
            timeouts: TIMEOUTS,
        }
    }

    /// Looks at every setting.
    ///
    /// # Errors
    /// The first one that cannot work, and what to do about it.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (setting, id) in [
            ("CLICK_SERVICE_ID", self.service_id),
            ("CLICK_MERCHANT_ID", self.merchant_id),
            ("CLICK_MERCHANT_USER_ID", self.merchant_user_id),
        ] {
            if id == 0 {
                return Err(ConfigError::MissingId { setting });
            }
        }
        self.check_secrets()?;
        self.pay_url()?;
        self.api_url()?;
        self.return_url().map(drop)
    }

    fn check_secrets(&self) -> Result<(), ConfigError> {
        if self.secrets.is_empty() {
            return Err(ConfigError::MissingSecret);
        }
        for (at, secret) in self.secrets.iter().enumerate() {
            let secret = secret.expose_secret();
            if secret.is_empty() || secret.chars().any(|char| char.is_whitespace() || char.is_control()) {
                return Err(ConfigError::MalformedSecret { position: at + 1 });
            }
            // CLICK signs ids, secret and order with nothing between: of `7abc` and `abc` either could have made a text.
            let others = self.secrets.iter().take(at).map(ExposeSecret::expose_secret);
            if others.into_iter().any(|other| other.ends_with(secret) || secret.ends_with(other)) {
                return Err(ConfigError::OverlappingSecrets { position: at + 1 });
            }
        }
        Ok(())
    }

    pub(super) fn pay_url(&self) -> Result<Url, ConfigError> {
        endpoint("CLICK_PAY_URL", &self.pay_url)
    }

    /// Ends with a slash.
    pub(super) fn api_url(&self) -> Result<Url, ConfigError> {
        let mut url = endpoint("CLICK_API_URL", &self.api_url)?;
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(url)
    }

    /// Only the buyer's browser goes there, so it may be plain http.
    pub(super) fn return_url(&self) -> Result<Option<Url>, ConfigError> {
        let setting = "CLICK_RETURN_URL";
        let Some(value) = self.return_url.as_deref() else { return Ok(None) };
        match Url::parse(value) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
            _ => Err(ConfigError::InvalidUrl { setting }),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("service_id", &self.service_id)
            .field("merchant_id", &self.merchant_id)
            .field("merchant_user_id", &self.merchant_user_id)
            .field("secrets", &format_args!("[{} secrets]", self.secrets.len()))
            .field("pay_url", &self.pay_url)
            .field("api_url", &self.api_url)
            .field("return_url", &self.return_url)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An id is zero.
    #[error("{setting} is not set; copy it from the CLICK merchant cabinet")]
    MissingId {
        /// Which setting.
        setting: &'static str,
    },
    /// No secret.
    #[error("CLICK_SECRET_KEY is not set; copy it from the CLICK merchant cabinet")]
    MissingSecret,
    /// A secret that cannot be one.
    #[error("secret number {position} of CLICK_SECRET_KEY is empty or contains blanks; copy it again")]
    MalformedSecret {
        /// Position in the list, from 1.
        position: usize,
    },
    /// Two secrets under which one signed text could have two meanings.
    #[error(
        "secret number {position} of CLICK_SECRET_KEY ends like another one of the list; \
         remove one of the two, or have CLICK issue a new secret"
    )]
    OverlappingSecrets {
        /// Position in the list, from 1.
        position: usize,
    },
    /// Not a URL that can be used.
    #[error(
        "{setting} is not a URL that can be used; \
         write it in full, beginning with https://, without a password, a query or a fragment"
    )]
    InvalidUrl {
        /// Which setting.
        setting: &'static str,
    },
    /// Money and credentials would travel in the clear.
    #[error("{setting} must begin with https://; plain http is for loopback only")]
    Insecure {
        /// Which setting.
        setting: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client for CLICK could not be set up")]
    Client(#[source] ClientError),
}

fn endpoint(setting: &'static str, value: &str) -> Result<Url, ConfigError> {
    let invalid = ConfigError::InvalidUrl { setting };
    let Ok(url) = Url::parse(value) else { return Err(invalid) };
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(ConfigError::Insecure { setting }),
        _ => Err(invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(secrets: &[&str]) -> Config {
        Config::new(1, 2, 3, secrets.iter().map(|secret| SecretString::from(*secret)).collect())
    }

    #[test]
    fn good_settings_are_good() {
        let mut good = config(&["new-secret", "old-secret2"]);
        good.check().unwrap();
        good.pay_url = "http://127.0.0.1:4000/pay".into();
        good.api_url = "http://localhost:4000/v2/merchant".into();
        good.return_url = Some("http://shop.example/back?from=click".into());
        good.check().unwrap();
        assert_eq!(good.api_url().unwrap().path(), "/v2/merchant/");
    }

    #[test]
    fn ids_and_secrets_are_needed() {
        let mut bad = config(&["s"]);
        bad.merchant_user_id = 0;
        assert!(bad.check().unwrap_err().to_string().starts_with("CLICK_MERCHANT_USER_ID is not set"));
        assert!(matches!(config(&[]).check(), Err(ConfigError::MissingSecret)));
        for blank in ["", " s", "s\n", "a b"] {
            let error = config(&["good", blank]).check().unwrap_err();
            assert!(matches!(error, ConfigError::MalformedSecret { position: 2 }), "{blank:?}");
        }
    }

    #[test]
    fn one_text_cannot_be_signed_by_two_secrets() {
        for pair in [["7abc", "abc"], ["abc", "7abc"], ["abc", "abc"]] {
            let error = config(&pair).check().unwrap_err();
            assert!(matches!(error, ConfigError::OverlappingSecrets { position: 2 }), "{pair:?}");
            assert!(!error.to_string().contains("abc"));
        }
    }

    #[test]
    fn urls_are_https_or_loopback() {
        for (url, insecure) in [
            ("http://api.click.uz/v2/merchant/", true),
            ("http://127.0.0.1.evil.example/", true),
            ("api.click.uz", false),
            ("file:///etc/passwd", false),
            ("https://user:pass@api.click.uz/", false),
            ("https://api.click.uz/?key=1", false),
        ] {
            let error = Config { api_url: url.into(), ..config(&["s"]) }.check().unwrap_err();
            assert_eq!(matches!(error, ConfigError::Insecure { .. }), insecure, "{url}");
            assert!(error.to_string().starts_with("CLICK_API_URL"), "{error}");
            assert!(Config { pay_url: url.into(), ..config(&["s"]) }.check().is_err(), "{url}");
        }
        let javascript = Config { return_url: Some("javascript:1".into()), ..config(&["s"]) };
        assert!(matches!(javascript.check(), Err(ConfigError::InvalidUrl { setting: "CLICK_RETURN_URL" })));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", config(&["hush-hush", "quiet"]));
        assert!(
            shown.contains("[2 secrets]") && !shown.contains("hush") && !shown.contains("quiet"),
            "{shown}"
        );
    }
}
