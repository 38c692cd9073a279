//! What we ask of the generator. A video is asked for once; readings are repeated by whoever polls.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use reqwest::{RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;
use url::Url;
use url::form_urlencoded::Serializer;

use super::config::{Config, ConfigError};
use super::error::{GenerateError, ReadError, Uncertain};
use super::events::{Events, STREAM_DURATION_MAX};
use super::file::File;
use super::request::GenerateVideo;
use crate::transport::{self, ClientError, HttpFailure, Reach, is_plain_id, shortened};

/// The most files that [`Client::find`] looks through, the newest first.
pub const FILES_SEARCHED_MAX: usize = FILES_PER_PAGE * SEARCH_PAGES_MAX;
/// How long after a request of unknown outcome its absence from the list means that it was not taken: until then it may
/// still be under way.
pub const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Few, because each may hold a prompt of a MiB.
const FILES_PER_PAGE: usize = 20;
const SEARCH_PAGES_MAX: usize = 250;
/// The largest file object we read: a prompt of a MiB, escaped, and the rest.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest page of files we read.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most of a refusal that we read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// What a 429 without a usable `Retry-After` means.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(30);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// A client of one account.
#[derive(Clone)]
pub struct Client {
    reads: reqwest::Client,
    /// Keeps no connection: one that was kept may die under the request, and then nobody knows whether it arrived.
    asks: reqwest::Client,
    base: Url,
    token: SecretString,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Detail {
    detail: serde_json::Value,
}

impl Client {
    /// From settings that are checked here.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let base = config.base()?;
        let reach = Reach::of(&base);
        let builder = transport::builder(config.timeouts, reach).map_err(ConfigError::Client)?;
        let asks = builder.pool_max_idle_per_host(0).build();
        Ok(Self {
            reads: transport::client(config.timeouts, reach).map_err(ConfigError::Client)?,
            asks: asks.map_err(|error| ConfigError::Client(ClientError::Http(error)))?,
            base,
            token: config.token.clone(),
            timeout: config.timeouts.request,
        })
    }

    /// Asks for a video, once: nothing is repeated here.
    ///
    /// # Errors
    /// [`GenerateError`] tells whether it may have been asked for.
    pub async fn generate_video(&self, video: &GenerateVideo) -> Result<File, GenerateError> {
        let unbuilt = || GenerateError::NotSent(HttpFailure::Request);
        let url = self.base.join("api/v1/file/generate-video").map_err(|_| unbuilt())?;
        let body = video.body().ok_or_else(unbuilt)?;
        let request = self.asks.post(url).header(CONTENT_TYPE, JSON).header(ACCEPT, JSON).body(body);
        let request = self.signed(request).ok_or_else(unbuilt)?;
        let response = request.send().await.map_err(|error| match transport::failure(error) {
            failure @ (HttpFailure::Connect(_) | HttpFailure::Request) => GenerateError::NotSent(failure),
            failure => unknown(Uncertain::Http(failure)),
        })?;
        match response.status() {
            status if status.is_success() => {
                let body = transport::whole_body(response, FILE_BYTES_MAX).await;
                let body = body.map_err(|failure| unknown(Uncertain::Http(failure)))?;
                File::parse(&body).ok_or_else(|| unknown(Uncertain::Unreadable))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(GenerateError::Throttled { retry_after: wait(&response) }),
            // The generator, or a gateway, gave up on hearing or finishing the request.
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(unknown(Uncertain::Status(status.as_u16())))
            }
            status => {
                let status = status.as_u16();
                let body = transport::whole_body(response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
                Err(GenerateError::Refused { status, detail: self.words(&body) })
            }
        }
    }

    /// A file as it is now.
    ///
    /// # Errors
    /// If the generator gave no clear word; that says nothing about the video, except [`ReadError::Status`] 404.
    pub async fn file(&self, id: &str) -> Result<File, ReadError> {
        let body = self.read(&format!("api/v1/file/{}", plain(id)?), None, FILE_BYTES_MAX).await?;
        File::parse(&body).filter(|file| file.id == id).ok_or(ReadError::Unreadable)
    }

    /// Looks for the video that was asked for with this seed, among the newest [`FILES_SEARCHED_MAX`]. `None` means that
    /// the generator does not have it; believe that no sooner than [`SETTLED_AFTER`] the request.
    ///
    /// The API has no search, so the list is read and compared.
    ///
    /// # Errors
    /// If the generator gave no clear word, or [`ReadError::Inconclusive`]: ask for nothing then.
    pub async fn find(&self, seed: u32) -> Result<Option<File>, ReadError> {
        let mut searched = 0;
        for _ in 0..SEARCH_PAGES_MAX {
            let query = Serializer::new(String::new())
                .append_pair("types", "video")
                .append_pair("order_by", "created_at")
                .append_pair("order", "descendent")
                .append_pair("limit", &FILES_PER_PAGE.to_string())
                .append_pair("offset", &searched.to_string())
                .finish();
            let body = self.read("api/v1/file", Some(&query), PAGE_BYTES_MAX).await?;
            let page: Page<'_> = serde_json::from_slice(&body).map_err(|_| ReadError::Unreadable)?;
            for item in &page.items {
                // One that cannot be read might be the one looked for.
                let file = File::read(item).ok_or(ReadError::Unreadable)?;
                if file.has_seed(seed) {
                    return Ok(Some(file));
                }
            }
            searched += page.items.len();
            let all = page.total.is_some_and(|total| searched as u64 >= total);
            if all || page.items.is_empty() || (page.total.is_none() && page.items.len() < FILES_PER_PAGE) {
                return Ok(None);
            }
        }
        Err(ReadError::Inconclusive { searched })
    }

    /// Listens to what happens to a file.
    ///
    /// # Errors
    /// If the stream did not open.
    pub async fn events(&self, id: &str) -> Result<Events, ReadError> {
        let request = self.get(&format!("api/v1/events/file.{}", plain(id)?), None)?;
        let request = request.header(ACCEPT, EVENT_STREAM).timeout(STREAM_DURATION_MAX);
        let answer = tokio::time::timeout(self.timeout, request.send()).await;
        let response = answer.map_err(|_| HttpFailure::Timeout)?.map_err(transport::failure)?;
        Ok(Events::new(successful(response)?))
    }

    async fn read(&self, path: &str, query: Option<&str>, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        let request = self.get(path, query)?.header(ACCEPT, JSON);
        let response = request.send().await.map_err(transport::failure)?;
        Ok(transport::whole_body(successful(response)?, bytes_max).await?)
    }

    fn get(&self, path: &str, query: Option<&str>) -> Result<RequestBuilder, ReadError> {
        let mut url = self.base.join(path).map_err(|_| HttpFailure::Request)?;
        url.set_query(query);
        self.signed(self.reads.get(url)).ok_or(ReadError::Unavailable(HttpFailure::Request))
    }

    fn signed(&self, request: RequestBuilder) -> Option<RequestBuilder> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret())).ok()?;
        bearer.set_sensitive(true);
        Some(request.header(AUTHORIZATION, bearer))
    }

    /// The service answers `{"detail": …}`: a sentence, or a list of what is wrong with which field.
    fn words(&self, body: &[u8]) -> String {
        let text = match serde_json::from_slice::<Detail>(body) {
            Ok(Detail { detail: serde_json::Value::String(text) }) => text,
            Ok(Detail { detail }) => detail.to_string(),
            Err(_) => String::new(),
        };
        if text.contains(self.token.expose_secret()) { "[withheld]".to_owned() } else { shortened(&text) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

fn unknown(uncertain: Uncertain) -> GenerateError {
    GenerateError::OutcomeUnknown(uncertain)
}

fn plain(id: &str) -> Result<&str, ReadError> {
    if is_plain_id(id) { Ok(id) } else { Err(ReadError::InvalidId) }
}

fn wait(response: &Response) -> Duration {
    transport::retry_after(response.headers()).unwrap_or(RETRY_AFTER_DEFAULT)
}

fn successful(response: Response) -> Result<Response, ReadError> {
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::TOO_MANY_REQUESTS => Err(ReadError::Throttled { retry_after: wait(&response) }),
        status if status.is_server_error() => {
            Err(ReadError::Unavailable(HttpFailure::Server { status: status.as_u16() }))
        }
        status => Err(ReadError::Status { status: status.as_u16() }),
    }
}
