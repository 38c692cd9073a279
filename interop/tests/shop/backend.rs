//! The shop's backend: it makes a payment for a buyer, and sends the same request until it is answered.

use super::Till;
use crate::load::Outcome;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use url::Url;

/// Between two tries of one request.
const PAUSE: Duration = Duration::from_millis(25);
/// How long one request is tried, whatever is killed meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a backend asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Who pays.
    pub(crate) user: String,
    /// Whole so'm.
    pub(crate) amount: i64,
    pub(crate) coupon: Option<&'static str>,
    /// Its `Idempotency-Key`.
    pub(crate) key: String,
}

/// What it got.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) order: String,
    /// As the pay link has it.
    pub(crate) amount: String,
    pub(crate) link: Url,
    /// The answer, byte for byte.
    pub(crate) bytes: String,
}

impl Made {
    fn read(bytes: String) -> Outcome<Self> {
        let body: Value = serde_json::from_str(&bytes)?;
        let text = |name: &str| body[name].as_str().map(str::to_owned).ok_or(format!("no {name}: {bytes}"));
        let link = Url::parse(&text("paymentUrl")?)?;
        let amount = link.query_pairs().find(|(name, _)| name == "amount");
        let amount = amount.ok_or("a pay link without an amount")?.1.into_owned();
        Ok(Self { order: text("orderId")?, amount, link, bytes })
    }
}

impl Till {
    /// Makes a payment; an unanswered request counts in `unanswered` and is sent again.
    pub(crate) async fn create(&self, wanted: &Wanted, unanswered: &AtomicU64) -> Outcome<Made> {
        let url = format!("{}/api/click/create-transaction", self.home);
        let Wanted { user, amount, coupon, key } = wanted;
        let email = format!("{key}@shop.example");
        let body = json!({ "amount": amount, "userId": user, "userEmail": email, "couponCode": coupon });
        let began = Instant::now();
        loop {
            let request = self.http.post(&url).bearer_auth(&self.api_key).header("idempotency-key", key);
            let said = async {
                let answer = request.json(&body).send().await?;
                Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
            };
            match said.await {
                Ok((StatusCode::OK, bytes)) => return Made::read(bytes),
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) | Err(_) if began.elapsed() < PATIENCE => {}
                Ok((status, bytes)) => {
                    return Err(format!("a payment was refused with {status}: {bytes}").into());
                }
                Err(error) => return Err(error.into()),
            }
            unanswered.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What the backend is told of a payment.
    pub(crate) async fn status(&self, order: &str) -> Outcome<String> {
        let url = format!("{}/api/click/status/{order}", self.home);
        let answer = self.http.get(url).bearer_auth(&self.api_key).send().await?;
        let body: Value = answer.error_for_status()?.json().await?;
        Ok(body["status"].as_str().unwrap_or_default().to_owned())
    }
}
