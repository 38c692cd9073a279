//! Requests to PostgREST, and what its refusals mean.
//!
//! Every function may be repeated, so a request that was refused for a moment (503, 429) is sent again after the time that
//! the answer names. A refusal of the key, a function that is not there and an answer that is not ours are all "the store
//! does not let us see", never "there is nothing".

use super::wire::Answered;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;
use sessile_core::Secret;
use sessile_core::whatsapp::DeviceStoreError;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

const API_KEY: HeaderName = HeaderName::from_static("apikey");
const PROFILE: HeaderName = HeaderName::from_static("content-profile");
const KEY_SETTING: &str = "SUPABASE_SERVICE_ROLE_KEY";
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Above the eight seconds that Supabase gives a statement, so that its own word is heard.
const REQUEST_LIMIT: Duration = Duration::from_secs(12);
/// What a large body gets besides, for each MiB: on a slow line it takes long to be sent.
const LIMIT_PER_MIB: Duration = Duration::from_secs(1);
const MIB: usize = 1024 * 1024;
/// Requests for one call, the first one included.
const ATTEMPTS_MAX: u32 = 4;
/// The longest that is waited between two of them, whatever the answer asks for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3);
/// What is waited when the answer names no time.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_millis(250);
/// A device at its limit in base64, with room for names.
const ANSWER_BYTES_MAX: usize = 160 * 1024 * 1024;
/// Of a refusal.
const WORDS_CHARS_MAX: usize = 300;

/// A key of the project, which may do everything.
#[derive(Debug, Clone)]
pub struct SupabaseKey(Secret);

impl SupabaseKey {
    /// An old `service_role` key or a new `sb_secret_` one.
    #[must_use]
    pub fn new(key: Secret) -> Self {
        Self(key)
    }

    /// The headers that carry it. A new key is no JWT: in `Authorization` it would be refused.
    fn headers(&self) -> Result<HeaderMap, DeviceStoreError> {
        let key = self.0.expose().trim();
        if key.starts_with("sb_publishable_") {
            return Err(unusable("it is the project's publishable key; copy the secret one (sb_secret_…)"));
        }
        let mut headers = HeaderMap::from_iter([(API_KEY, header(key)?)]);
        if !key.starts_with("sb_secret_") {
            headers.insert(AUTHORIZATION, header(&format!("Bearer {key}"))?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(headers)
    }
}

/// Marked, so that no log of headers shows it.
fn header(value: &str) -> Result<HeaderValue, DeviceStoreError> {
    let value =
        HeaderValue::from_str(value).map_err(|_| unusable("it cannot be sent in a header; copy it again"))?;
    Ok({
        let mut value = value;
        value.set_sensitive(true);
        value
    })
}

fn unusable(what: &str) -> DeviceStoreError {
    DeviceStoreError::Denied(format!("{KEY_SETTING}: {what}"))
}

/// A project's REST interface.
pub(super) struct Line {
    http: Client,
    base: Url,
    headers: HeaderMap,
    pub(super) schema: Option<String>,
}

/// What PostgREST says when it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: Option<String>,
    message: Option<String>,
    hint: Option<String>,
}

/// What one request came to.
enum Outcome {
    Answered(Box<Answered>),
    /// Asked to come back later.
    Later(Duration, DeviceStoreError),
    Failed(DeviceStoreError),
}

impl Line {
    pub(super) fn new(url: &Url, key: SupabaseKey) -> Result<Self, DeviceStoreError> {
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if !(url.scheme() == "https" || url.scheme() == "http" && loopback) {
            let what = "SUPABASE_URL has to begin with https://; plain http is for loopback only";
            return Err(DeviceStoreError::Denied(what.to_owned()));
        }
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(DeviceStoreError::unavailable)?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls.with_root_certificates(roots).with_no_client_auth())
            // A redirect would carry the key somewhere it was not meant for.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .user_agent(concat!("sessile/", env!("CARGO_PKG_VERSION")));
        if loopback {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(DeviceStoreError::unavailable)?;
        Ok(Self { http, base: url.clone(), headers: key.headers()?, schema: None })
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        format!("{}{}", self.base.host_str().unwrap_or_default(), self.base.path().trim_end_matches('/'))
    }

    /// Calls a function, and again when it was put off.
    pub(super) async fn call(
        &self,
        function: &str,
        parameters: &Value,
    ) -> Result<Answered, DeviceStoreError> {
        let body = parameters.to_string();
        let mut attempt = 1;
        loop {
            match self.once(function, body.clone()).await {
                Outcome::Answered(answered) => return Ok(*answered),
                Outcome::Later(wait, _) if attempt < ATTEMPTS_MAX => tokio::time::sleep(wait).await,
                Outcome::Later(_, error) | Outcome::Failed(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    async fn once(&self, function: &str, body: String) -> Outcome {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["rest", "v1", "rpc", function]);
        }
        let large = u32::try_from(body.len() / MIB).unwrap_or(u32::MAX);
        let limit = REQUEST_LIMIT.saturating_add(LIMIT_PER_MIB.saturating_mul(large));
        let mut request = self.http.post(url).timeout(limit).headers(self.headers.clone()).body(body);
        if let Some(schema) = &self.schema {
            request = request.header(PROFILE, schema);
        }
        match request.send().await {
            Ok(response) => self.read(response).await.unwrap_or_else(failed),
            Err(error) => failed(error),
        }
    }

    async fn read(&self, mut response: Response) -> Result<Outcome, reqwest::Error> {
        let (status, wait) = (response.status(), retry_after(&response));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let what = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
                return Ok(Outcome::Failed(DeviceStoreError::Damaged(what)));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(match serde_json::from_slice::<Answered>(&body) {
                Ok(answered) if answered.sessile == 1 => Outcome::Answered(Box::new(answered)),
                _ => Outcome::Failed(self.denied("it answered, but not as our functions do")),
            });
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        Ok(self.refused(status, &refusal, wait))
    }

    fn refused(&self, status: StatusCode, refusal: &Refusal, wait: Duration) -> Outcome {
        let words = [refusal.message.as_deref(), refusal.hint.as_deref()];
        let words: Vec<_> = words.into_iter().flatten().collect();
        let words: String =
            words.join("; ").chars().filter(|c| !c.is_control()).take(WORDS_CHARS_MAX).collect();
        let said = if words.is_empty() { status.to_string() } else { format!("{status}: {words}") };
        match (status, refusal.code.as_deref()) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) | (_, Some("42501")) => {
                Outcome::Failed(self.denied(&said))
            }
            // The function or its schema is not there, or not for this key.
            (StatusCode::NOT_FOUND | StatusCode::NOT_ACCEPTABLE, _) => Outcome::Failed(self.denied(&said)),
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _) => {
                Outcome::Later(wait, DeviceStoreError::unavailable(format!("Supabase answered {said}")))
            }
            _ => Outcome::Failed(DeviceStoreError::unavailable(format!("Supabase answered {said}"))),
        }
    }

    fn denied(&self, said: &str) -> DeviceStoreError {
        DeviceStoreError::Denied(format!(
            "{} said {said}. Compare SUPABASE_URL and {KEY_SETTING} with the project's API settings (the service_role or \
             sb_secret_ key), and run the SQL of sessile migrate --print-sql in its editor",
            self.place()
        ))
    }
}

fn failed(error: reqwest::Error) -> Outcome {
    Outcome::Failed(DeviceStoreError::unavailable(error.without_url()))
}

/// `Retry-After` in seconds, within bounds.
fn retry_after(response: &Response) -> Duration {
    let named = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = named.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    seconds.unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_MAX)
}
