//! Checkouts and payments as the routes and the workers share them: the services on the ledger, and CLICK.

use crate::config::{Click as ClickConfig, Config, LateCancel, MoneyConfig};
use crate::exit::Stop;
use secrecy::SecretString;
use sessile_core::checkout::Checkouts;
use sessile_core::ledger::LedgerStore;
use sessile_core::payment::Payments;
use sessile_core::{Clock, Entropy};
use sessile_providers::click::{MerchantApi, PayLink};
use std::sync::Arc;
use url::Url;

/// What names the variable for a ledger.
const NO_LEDGER: &str = "Checkout and payment sessions are not kept in memory: set DATABASE_URL to \
    sqlite:/path/to/sessile.db or postgresql://user:password@host:port/dbname.";

/// The services of the money kinds.
#[derive(Clone)]
pub struct Money {
    /// Checkouts.
    pub checkouts: Checkouts,
    /// Payments.
    pub payments: Payments,
    /// What they are kept in.
    pub ledger: Arc<dyn LedgerStore>,
}

/// CLICK, where it is configured.
pub struct Click {
    /// Which service we are.
    pub service_id: u64,
    /// What verifies callbacks.
    pub secrets: Vec<SecretString>,
    /// Where buyers are sent.
    pub link: PayLink,
    /// Where CLICK sends them back to, if it is not our own route.
    pub return_url: Option<Url>,
    /// Whom we ask.
    pub api: MerchantApi,
    /// What is answered when CLICK cancels a payment that it has confirmed.
    pub late_cancel: LateCancel,
}

/// Everything about money that requests share.
pub struct MoneyParts {
    /// The services; `Err` says what is missing.
    pub kinds: Result<Money, String>,
    /// The provider; `Err` says what is missing.
    pub click: Result<Click, String>,
    /// Where `GET /api/click/return` sends the buyer; our own page where it is `None`.
    pub after_payment: Option<Url>,
}

impl MoneyParts {
    pub(crate) fn new(
        config: &Config,
        ledger: Option<Arc<dyn LedgerStore>>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, Stop> {
        let MoneyConfig { terms, return_url, .. } = &config.money;
        let terms = Arc::new(terms.clone());
        let kinds = ledger.ok_or_else(|| NO_LEDGER.to_owned()).map(|ledger| Money {
            checkouts: Checkouts::new(ledger.clone(), terms.clone(), clock.clone(), entropy.clone()),
            payments: Payments::new(ledger.clone(), terms, clock.clone(), entropy.clone()),
            ledger,
        });
        Ok(Self { kinds, click: click(&config.money)?, after_payment: return_url.clone() })
    }
}

fn click(config: &MoneyConfig) -> Result<Result<Click, String>, Stop> {
    let settings = match &config.click {
        ClickConfig::Ready(settings) => settings,
        ClickConfig::Missing(names) => {
            return Ok(Err(format!("Paying with CLICK needs {} to be set.", names.join(", "))));
        }
    };
    let unusable = |error: &dyn std::error::Error| Stop::usage(error.to_string());
    Ok(Ok(Click {
        service_id: settings.service_id,
        secrets: settings.secrets.clone(),
        link: PayLink::new(settings).map_err(|error| unusable(&error))?,
        return_url: settings.return_url.as_deref().and_then(|url| Url::parse(url).ok()),
        api: MerchantApi::new(settings).map_err(|error| unusable(&error))?,
        late_cancel: config.late_cancel,
    }))
}
