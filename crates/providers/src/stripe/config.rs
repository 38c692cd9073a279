//! How to reach Stripe and prove ourselves to it, checked once at start so that a typing error shows there and not when
//! somebody pays.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::time::Duration;
use url::Url;

use crate::transport::{BadAddress, ClientError, Timeouts, base_url};

/// Stripe's API, where `STRIPE_API_URL` does not say otherwise.
pub const API_URL: &str = "https://api.stripe.com";
/// The version our requests and readings were written for, whatever the account's own is. A newer one of the same name
/// after the dot only adds; another name may change what is here.
pub const API_VERSION: &str = "2026-10-28.endive";
/// Signing secrets that are tried: two while one rotates, and endpoints of several environments.
pub const WEBHOOK_SECRETS_MAX: usize = 10;

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_secs(15) };
/// Characters of a price's id.
const PRICE_CHARS_MAX: usize = 255;

/// Which money a key moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Real money.
    Live,
    /// Test cards only.
    Test,
}

impl Mode {
    /// `live` or `test`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// Prices that are offered without asking Stripe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// `STRIPE_PRICE_SINGLE`.
    pub single: Option<String>,
    /// `STRIPE_PRICE_TRIPLE`.
    pub triple: Option<String>,
    /// Further ones.
    pub more: Vec<String>,
}

impl Prices {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let named = [self.single.as_deref(), self.triple.as_deref()];
        named.into_iter().flatten().chain(self.more.iter().map(String::as_str))
    }

    /// Whether this price is one of them.
    #[must_use]
    pub fn contains(&self, price: &str) -> bool {
        self.iter().any(|one| one == price)
    }
}

/// One Stripe account.
#[derive(Clone)]
pub struct Config {
    /// `STRIPE_SECRET_KEY`.
    pub secret_key: SecretString,
    /// `STRIPE_WEBHOOK_SECRET`: any of them may have signed.
    pub webhook_secrets: Vec<SecretString>,
    /// What is offered.
    pub prices: Prices,
    /// Base of the API; see [`API_URL`].
    pub api_url: String,
    /// Bounds on every attempt: 5 s for a connection, 15 s for a whole request.
    pub timeouts: Timeouts,
}

impl Config {
    /// Stripe itself.
    #[must_use]
    pub fn new(secret_key: SecretString, webhook_secrets: Vec<SecretString>) -> Self {
        Self {
            secret_key,
            webhook_secrets,
            prices: Prices::default(),
            api_url: API_URL.to_owned(),
            timeouts: TIMEOUTS,
        }
    }

    /// Looks at every setting.
    ///
    /// # Errors
    /// The first one that cannot work, and what to do about it.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.mode()?;
        self.check_webhook_secrets()?;
        for price in self.prices.iter() {
            if price.starts_with("prod_") {
                return Err(ConfigError::ProductForPrice { value: price.to_owned() });
            }
            let plain = price.bytes().all(|byte| byte.is_ascii_graphic());
            if !plain || !(1..=PRICE_CHARS_MAX).contains(&price.len()) {
                return Err(ConfigError::MalformedPrice { value: crate::transport::shortened(price) });
            }
        }
        self.api_url().map(drop)
    }

    /// Which money moves, as the key says.
    ///
    /// # Errors
    /// If it is not a secret key.
    pub fn mode(&self) -> Result<Mode, ConfigError> {
        let key = self.secret_key.expose_secret();
        if key.is_empty() {
            return Err(ConfigError::MissingKey);
        }
        let mode = match key.splitn(3, '_').collect::<Vec<_>>()[..] {
            ["pk", ..] => return Err(ConfigError::PublishableKey),
            ["sk" | "rk", "live", rest] if !rest.is_empty() => Mode::Live,
            ["sk" | "rk", "test", rest] if !rest.is_empty() => Mode::Test,
            _ => return Err(ConfigError::MalformedKey),
        };
        if key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(mode)
        } else {
            Err(ConfigError::MalformedKey)
        }
    }

    fn check_webhook_secrets(&self) -> Result<(), ConfigError> {
        if self.webhook_secrets.is_empty() {
            return Err(ConfigError::MissingWebhookSecret);
        }
        if self.webhook_secrets.len() > WEBHOOK_SECRETS_MAX {
            return Err(ConfigError::TooManyWebhookSecrets);
        }
        for (at, secret) in self.webhook_secrets.iter().enumerate() {
            let rest = secret.expose_secret().strip_prefix("whsec_").unwrap_or_default();
            if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(ConfigError::MalformedWebhookSecret { position: at + 1 });
            }
        }
        Ok(())
    }

    /// Ends with a slash.
    pub(super) fn api_url(&self) -> Result<Url, ConfigError> {
        base_url(&self.api_url).map_err(|bad| match bad {
            BadAddress::Invalid => ConfigError::InvalidUrl,
            BadAddress::Insecure => ConfigError::Insecure,
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("secret_key", &"[secret]")
            .field("webhook_secrets", &format_args!("[{} secrets]", self.webhook_secrets.len()))
            .field("prices", &self.prices)
            .field("api_url", &self.api_url)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No key.
    #[error("STRIPE_SECRET_KEY is not set; copy it from Stripe's dashboard, Developers, API keys")]
    MissingKey,
    /// The browser's key.
    #[error(
        "STRIPE_SECRET_KEY is a publishable key (pk_…); copy the secret key, which begins with sk_ or rk_"
    )]
    PublishableKey,
    /// Something else.
    #[error(
        "STRIPE_SECRET_KEY must begin with sk_live_, sk_test_, rk_live_ or rk_test_; copy it again, whole"
    )]
    MalformedKey,
    /// No signing secret.
    #[error(
        "STRIPE_WEBHOOK_SECRET is not set; copy the signing secret of the webhook endpoint from Stripe's dashboard, \
         Developers, Webhooks"
    )]
    MissingWebhookSecret,
    /// A signing secret that cannot be one.
    #[error(
        "secret number {position} of STRIPE_WEBHOOK_SECRET must begin with whsec_ and have no blanks; copy it again"
    )]
    MalformedWebhookSecret {
        /// Position in the list, from 1.
        position: usize,
    },
    /// More than are tried.
    #[error(
        "STRIPE_WEBHOOK_SECRET lists more than {WEBHOOK_SECRETS_MAX} secrets; remove those that were replaced"
    )]
    TooManyWebhookSecrets,
    /// A product has several prices.
    #[error("`{value}` is a product; copy the id of one of its prices, which begins with price_")]
    ProductForPrice {
        /// What it says.
        value: String,
    },
    /// Not an id.
    #[error(
        "the Stripe price `{value}` cannot be an id; copy it from the product's page in Stripe's dashboard"
    )]
    MalformedPrice {
        /// What it says, shortened.
        value: String,
    },
    /// Not a URL that can be used.
    #[error(
        "STRIPE_API_URL is not a URL that can be used; write it in full, beginning with https://, without a password, \
         a query or a fragment, or leave it unset"
    )]
    InvalidUrl,
    /// The key would travel in the clear.
    #[error("STRIPE_API_URL must begin with https://; plain http is for loopback only")]
    Insecure,
    /// The HTTP client could not be set up.
    #[error("the HTTP client for Stripe could not be set up")]
    Client(#[source] ClientError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(key: &str) -> Config {
        Config::new(key.into(), vec!["whsec_a".into(), "whsec_b".into()])
    }

    #[test]
    fn the_key_says_which_money_moves() {
        for (key, mode) in [
            ("sk_live_1", Mode::Live),
            ("rk_live_1_2", Mode::Live),
            ("sk_test_1", Mode::Test),
            ("rk_test_1", Mode::Test),
        ] {
            assert_eq!(config(key).mode().unwrap(), mode, "{key}");
            config(key).check().unwrap();
        }
        assert!(matches!(config("").check(), Err(ConfigError::MissingKey)));
        assert!(matches!(config("pk_live_1").check(), Err(ConfigError::PublishableKey)));
        for bad in ["sk_live_", "sk_1", "hello", "sk_prod_1", "sk_live_a b", "sk_live_1\n", "whsec_1"] {
            assert!(matches!(config(bad).check(), Err(ConfigError::MalformedKey)), "{bad:?}");
        }
    }

    #[test]
    fn signing_secrets_are_whole() {
        let with = |list: &[&str]| {
            let webhook_secrets = list.iter().map(|secret| SecretString::from(*secret)).collect();
            Config { webhook_secrets, ..config("sk_test_1") }.check()
        };
        assert!(matches!(with(&[]), Err(ConfigError::MissingWebhookSecret)));
        assert!(matches!(with(&["whsec_1"; 11]), Err(ConfigError::TooManyWebhookSecrets)));
        for bad in ["", "whsec_", "sk_test_1", "whsec_1 ", "whsec_\n"] {
            let answer = with(&["whsec_1", bad]);
            assert!(matches!(answer, Err(ConfigError::MalformedWebhookSecret { position: 2 })), "{bad:?}");
        }
    }

    #[test]
    fn prices_are_prices() {
        let prices = Prices {
            single: Some("price_1".into()),
            triple: Some("price_3".into()),
            more: vec!["gold".into()],
        };
        assert!(["price_1", "price_3", "gold"].iter().all(|price| prices.contains(price)));
        assert!(!prices.contains("price_2"));
        Config { prices, ..config("sk_test_1") }.check().unwrap();
        let with = |price: &str| {
            let prices = Prices { single: Some(price.to_owned()), ..Prices::default() };
            Config { prices, ..config("sk_test_1") }.check()
        };
        assert!(matches!(with("prod_1"), Err(ConfigError::ProductForPrice { .. })));
        for bad in ["", "price 1", "price_1\n"] {
            assert!(matches!(with(bad), Err(ConfigError::MalformedPrice { .. })), "{bad:?}");
        }
    }

    #[test]
    fn the_key_travels_in_the_clear_on_this_machine_only() {
        let with = |url: &str| Config { api_url: url.into(), ..config("sk_test_1") }.check();
        with("http://127.0.0.1:4000").unwrap();
        assert!(matches!(with("http://api.stripe.com"), Err(ConfigError::Insecure)));
        assert!(matches!(with("api.stripe.com"), Err(ConfigError::InvalidUrl)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = Config::new("sk_live_hush".into(), vec!["whsec_quiet".into()]);
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("quiet") && shown.contains("[1 secrets]"),
            "{shown}"
        );
    }
}
