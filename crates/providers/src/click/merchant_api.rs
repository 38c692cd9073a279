//! CLICK's Merchant API: what became of a payment, and giving it back.
//!
//! Reading is repeated when that may help. A reversal is repeated only while no connection stood, because nothing CLICK
//! documents makes a second one safe; when its outcome is unknown, that is what is said.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};
use std::fmt;
use std::time::Duration;
use url::Url;

use super::config::{Config, ConfigError};
use super::day::Day;
use super::error::ClickError;
use super::order::MerchantTransId;
use super::report::{Asked, Body, Found, Reply, Report, Reversal};
use crate::transport::{self, HttpFailure, Reach};

/// The largest answer we read; CLICK's are a few hundred bytes.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// How often one request is sent at most.
const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt; doubled before the third.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The longest `Retry-After` that is waited for here; a longer one is the caller's to plan.
const RETRY_AFTER_WAITED_MAX: Duration = Duration::from_secs(2);
/// What a 429 without a usable `Retry-After` means to the caller, once our own attempts are used up.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(30);

const AUTH: HeaderName = HeaderName::from_static("auth");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client of the Merchant API for one service.
#[derive(Clone)]
pub struct MerchantApi {
    http: reqwest::Client,
    base: Url,
    service_id: u64,
    merchant_user_id: u64,
    secret: SecretString,
}

impl MerchantApi {
    /// From settings that are checked here.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let base = config.api_url()?;
        Ok(Self {
            http: transport::client(config.timeouts, Reach::of(&base)).map_err(ConfigError::Client)?,
            base,
            service_id: config.service_id,
            merchant_user_id: config.merchant_user_id,
            secret: config.secrets.first().cloned().ok_or(ConfigError::MissingSecret)?,
        })
    }

    /// Where a payment stands, by CLICK's number of it (`click_paydoc_id` of the callbacks). `now_s`: unix seconds.
    ///
    /// # Errors
    /// If CLICK gave no clear word; that says nothing about the payment.
    pub async fn payment_status(&self, payment_id: i64, now_s: i64) -> Result<Report, ClickError> {
        let reply = self.read(&format!("payment/status/{}/{payment_id}", self.service_id), now_s).await?;
        match reply.report(Asked::Payment(payment_id))? {
            Found::Report(report) => Ok(report),
            Found::AskAgain(_) => Err(ClickError::Unreadable("no payment_status")),
        }
    }

    /// Where a payment stands, by our name for it. `date` is the day in Tashkent on which it was created at CLICK:
    /// around midnight ask for both. `now_s`: unix seconds.
    ///
    /// # Errors
    /// If CLICK gave no clear word; that says nothing about the payment.
    pub async fn status_by_merchant_trans_id(
        &self,
        id: &MerchantTransId,
        date: Day,
        now_s: i64,
    ) -> Result<Report, ClickError> {
        let path = format!("payment/status_by_mti/{}/{id}/{date}", self.service_id);
        match self.read(&path, now_s).await?.report(Asked::Order(id.as_str()))? {
            Found::Report(report) => Ok(report),
            Found::AskAgain(payment_id) => self.payment_status(payment_id, now_s).await,
        }
    }

    /// Gives the whole payment back. `now_s`: unix seconds.
    ///
    /// # Errors
    /// [`ClickError::OutcomeUnknown`] if it may have been done; any other error means that it was not.
    pub async fn reverse(&self, payment_id: i64, now_s: i64) -> Result<Reversal, ClickError> {
        let path = format!("payment/reversal/{}/{payment_id}", self.service_id);
        let reply =
            self.repeat(&Method::DELETE, &path, now_s, |failure| matches!(failure, HttpFailure::Connect(_)));
        let outcome = match reply.await {
            Ok(reply) => reply.reversal(payment_id),
            Err(error) => Err(error),
        };
        outcome.map_err(|error| match error {
            ClickError::Unavailable(HttpFailure::Connect(_) | HttpFailure::Request)
            | ClickError::RateLimited { .. }
            | ClickError::Unauthorized { .. }
            | ClickError::Rejected { .. } => error,
            uncertain => ClickError::OutcomeUnknown(Box::new(uncertain)),
        })
    }

    async fn read(&self, path: &str, now_s: i64) -> Result<Reply, ClickError> {
        let may_pass = |failure: &HttpFailure| match failure {
            HttpFailure::Connect(_) | HttpFailure::Interrupted(_) | HttpFailure::Server { .. } => true,
            HttpFailure::RateLimited { retry_after } => *retry_after <= RETRY_AFTER_WAITED_MAX,
            _ => false,
        };
        self.repeat(&Method::GET, path, now_s, may_pass).await
    }

    /// Sends until there is an answer, the attempts are used up, or another one is no use.
    async fn repeat(
        &self,
        method: &Method,
        path: &str,
        now_s: i64,
        again: impl Fn(&HttpFailure) -> bool,
    ) -> Result<Reply, ClickError> {
        let mut pause = RETRY_PAUSE;
        let mut attempt = 1;
        loop {
            match self.send(method, path, now_s).await {
                Err(Failed::Http(failure)) if attempt < ATTEMPTS_MAX && again(&failure) => {
                    let asked = match failure {
                        HttpFailure::RateLimited { retry_after } => retry_after,
                        _ => Duration::ZERO,
                    };
                    tokio::time::sleep(pause.max(asked)).await;
                    pause *= 2;
                    attempt += 1;
                }
                Err(Failed::Http(HttpFailure::RateLimited { retry_after })) if retry_after.is_zero() => {
                    return Err(ClickError::RateLimited { retry_after: RETRY_AFTER_DEFAULT });
                }
                Err(Failed::Http(failure)) => return Err(failure.into()),
                Err(Failed::Answered(error)) => return Err(error),
                Ok(reply) => return Ok(reply),
            }
        }
    }

    async fn send(&self, method: &Method, path: &str, now_s: i64) -> Result<Reply, Failed> {
        let url = self.base.join(path).map_err(|_| HttpFailure::Request)?;
        let sent = self.http.request(method.clone(), url).headers(self.headers(now_s)?).send();
        let response = sent.await.map_err(transport::failure)?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            // Zero without a usable header.
            let retry_after = transport::retry_after(response.headers()).unwrap_or_default();
            return Err(HttpFailure::RateLimited { retry_after }.into());
        }
        if status.is_server_error() {
            return Err(HttpFailure::Server { status: status.as_u16() }.into());
        }
        let http_status = status.as_u16();
        if matches!(http_status, 401 | 403) {
            return Err(ClickError::Unauthorized { status: http_status }.into());
        }
        let body = transport::whole_body(response, RESPONSE_BYTES_MAX).await?;
        match serde_json::from_slice::<Body>(&body) {
            Ok(body) => Ok(Reply { http_status, body }),
            Err(_) if status.is_success() => Err(ClickError::Unreadable("not the documented JSON").into()),
            Err(_) => Err(ClickError::Rejected { status: http_status }.into()),
        }
    }

    /// `Auth: merchant_user_id:sha1_hex(timestamp + secret):timestamp`
    fn headers(&self, now_s: i64) -> Result<HeaderMap, HttpFailure> {
        let mut sha1 = Sha1::new();
        sha1.update(now_s.to_string());
        sha1.update(self.secret.expose_secret());
        let digest: String = sha1.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let auth = format!("{}:{digest}:{now_s}", self.merchant_user_id);
        let mut auth = HeaderValue::from_str(&auth).map_err(|_| HttpFailure::Request)?;
        auth.set_sensitive(true);
        Ok(HeaderMap::from_iter([(AUTH, auth), (ACCEPT, JSON), (CONTENT_TYPE, JSON)]))
    }
}

impl fmt::Debug for MerchantApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MerchantApi")
            .field("base", &self.base.as_str())
            .field("service_id", &self.service_id)
            .finish_non_exhaustive()
    }
}

/// Why one attempt gave no [`Reply`].
enum Failed {
    /// Another attempt may fare better.
    Http(HttpFailure),
    /// CLICK answered, and would answer the same again.
    Answered(ClickError),
}

impl From<HttpFailure> for Failed {
    fn from(failure: HttpFailure) -> Self {
        Self::Http(failure)
    }
}

impl From<ClickError> for Failed {
    fn from(error: ClickError) -> Self {
        Self::Answered(error)
    }
}
