//! Where a buyer is sent to pay: CLICK's own page, told which payment and how much. It carries no secret and no user data.

use url::Url;

use super::config::{Config, ConfigError};
use super::order::MerchantTransId;

/// An amount that nobody can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} tiyin cannot be paid through CLICK; ask for at least 1, and complete a free order without a provider"
)]
pub struct InvalidAmount(pub i64);

/// Makes links to CLICK's payment page.
#[derive(Clone, Debug)]
pub struct PayLink {
    base: Url,
    service_id: u64,
    merchant_id: u64,
    return_url: Option<Url>,
}

impl PayLink {
    /// From settings that are checked here.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            base: config.pay_url()?,
            service_id: config.service_id,
            merchant_id: config.merchant_id,
            return_url: config.return_url()?,
        })
    }

    /// The same links, with the buyer coming back to another place.
    #[must_use]
    pub fn returning_to(&self, return_url: Url) -> Self {
        Self { return_url: Some(return_url), ..self.clone() }
    }

    /// The link for one payment.
    ///
    /// # Errors
    /// If the amount is not positive.
    pub fn url(&self, order: &MerchantTransId, amount_tiyin: i64) -> Result<Url, InvalidAmount> {
        if amount_tiyin <= 0 {
            return Err(InvalidAmount(amount_tiyin));
        }
        let mut url = self.base.clone();
        url.query_pairs_mut()
            .append_pair("service_id", &self.service_id.to_string())
            .append_pair("merchant_id", &self.merchant_id.to_string())
            .append_pair("amount", &format!("{}.{:02}", amount_tiyin / 100, amount_tiyin % 100))
            .append_pair("transaction_param", order.as_str());
        if let Some(back) = &self.return_url {
            url.query_pairs_mut().append_pair("return_url", back.as_str());
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(return_url: Option<&str>) -> PayLink {
        let mut config = Config::new(12345, 678, 9, vec!["hush".into()]);
        config.return_url = return_url.map(str::to_owned);
        PayLink::new(&config).unwrap()
    }

    fn order() -> MerchantTransId {
        MerchantTransId::parse("ckabcdefghijklmnopqrstuv").unwrap()
    }

    #[test]
    fn a_link_says_who_what_and_how_much() {
        let back = "https://shop.example/back?a=1&b=ж";
        assert_eq!(
            link(Some(back)).url(&order(), 100_050).unwrap().as_str(),
            "https://my.click.uz/services/pay?service_id=12345&merchant_id=678&amount=1000.50\
             &transaction_param=ckabcdefghijklmnopqrstuv\
             &return_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D%25D0%25B6"
        );
        let elsewhere = link(Some(back)).returning_to(Url::parse("https://other.example/").unwrap());
        assert!(
            elsewhere
                .url(&order(), 1)
                .unwrap()
                .as_str()
                .ends_with("return_url=https%3A%2F%2Fother.example%2F")
        );
    }

    #[test]
    fn amounts_have_two_decimals() {
        let amount = |tiyin| {
            let url = link(None).url(&order(), tiyin).unwrap();
            let (_, amount) = url.query_pairs().find(|(name, _)| name == "amount").unwrap();
            assert!(!url.as_str().contains("return_url"));
            amount.into_owned()
        };
        assert_eq!((amount(1), amount(100), amount(109)), ("0.01".into(), "1.00".into(), "1.09".into()));
        assert_eq!(amount(i64::MAX), "92233720368547758.07");
        for nothing in [0, -1, i64::MIN] {
            assert_eq!(link(None).url(&order(), nothing), Err(InvalidAmount(nothing)));
        }
    }
}
