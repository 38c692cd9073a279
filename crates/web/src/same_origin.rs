//! Refuses what another site's page sends in a visitor's name.
//!
//! With `SameSite=None` a browser attaches the cookie to every request, whoever's page asked for it. This layer
//! lets a state-changing request through only when the browser says it came from our own pages, or from an origin
//! on the allow-list. Callers that are no browsers, without cookie and without `Origin`, are not held up.

use crate::cookie_header::cookie_values;
use crate::problem::Problem;
use futures_util::future::Either;
use http::header::{HOST, ORIGIN, REFERER, UPGRADE};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Requires that requests which change something come from the application's own pages.
///
/// `GET`, `HEAD` and `OPTIONS` pass, unless they open a WebSocket. Anything else needs `Sec-Fetch-Site:
/// same-origin` (or `none`: typed by the visitor); from browsers that do not send it, an `Origin` or `Referer`
/// that equals the request's own host. Otherwise the answer is 403 `cross_site_request`.
///
/// ```
/// # use sessile::{SecretList, SessionLayer};
/// # use sessile_store::{LoginOptions, memory::MemoryLogins};
/// # let store = std::sync::Arc::new(MemoryLogins::new(LoginOptions::default()));
/// # let secrets = SecretList::parse("a secret of thirty-two characters or more")?;
/// # let sessions = SessionLayer::builder(store, secrets).build()?;
/// let same_origin = sessions
///     .same_origin()
///     .allow_origin("https://partner.example")?
///     .exempt("/click/prepare") // a payment provider's callback, known by its signature
///     .exempt("/webhooks/"); // and everything below
/// let app: axum::Router = axum::Router::new().layer(sessions).layer(same_origin);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SameOriginLayer(Arc<Rules>);

#[derive(Debug, Clone)]
struct Rules {
    cookie_name: String,
    allowed: Vec<HeaderValue>,
    exempt: Vec<String>,
}

/// What was given is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is `https://host` or `https://host:port`: lower case, without path and without default port"
)]
pub struct NotAnOrigin;

impl SameOriginLayer {
    /// A layer that looks after the cookie of this name.
    #[must_use]
    pub fn new(cookie_name: impl Into<String>) -> Self {
        Self(Arc::new(Rules { cookie_name: cookie_name.into(), allowed: Vec::new(), exempt: Vec::new() }))
    }

    /// Lets pages of this exact origin in as well. Behind a proxy that changes `Host`, put the application's own
    /// public origin here.
    ///
    /// # Errors
    /// [`NotAnOrigin`] for anything a browser would never send as `Origin`.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self, NotAnOrigin> {
        let uri: Uri = origin.parse().map_err(|_| NotAnOrigin)?;
        let authority = uri.authority().ok_or(NotAnOrigin)?;
        let scheme = uri.scheme_str().ok_or(NotAnOrigin)?;
        let default_port =
            matches!((scheme, authority.port_u16()), ("http", Some(80)) | ("https", Some(443)));
        let web = scheme == "http" || scheme == "https";
        let exact =
            format!("{scheme}://{authority}") == origin && !origin.bytes().any(|b| b.is_ascii_uppercase());
        if !web || !exact || default_port || authority.as_str().contains('@') {
            return Err(NotAnOrigin);
        }
        let value = HeaderValue::from_str(origin).map_err(|_| NotAnOrigin)?;
        Arc::make_mut(&mut self.0).allowed.push(value);
        Ok(self)
    }

    /// Does not look at requests to this path; when it ends with `/`, also not at those below it.
    #[must_use]
    pub fn exempt(mut self, path: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).exempt.push(path.into());
        self
    }
}

impl Rules {
    fn permit(&self, request: &Parts) -> bool {
        if !changes_state(request) || self.is_exempt(request.uri.path()) {
            return true;
        }
        let origin = request.headers.get(ORIGIN);
        if origin.is_some_and(|origin| self.allowed.contains(origin)) {
            return true;
        }
        if let Some(site) = request.headers.get(SEC_FETCH_SITE) {
            return site == "same-origin" || site == "none";
        }
        if let Some(origin) = origin {
            return is_own(origin, request);
        }
        if let Some(referer) = request.headers.get(REFERER) {
            return self.is_allowed_page(referer) || is_own(referer, request);
        }
        // No browser, or none that can be told: without a cookie there is nothing to misuse.
        cookie_values(&request.headers, &self.cookie_name).next().is_none()
    }

    fn is_exempt(&self, path: &str) -> bool {
        self.exempt.iter().any(|exempt| path == exempt || (exempt.ends_with('/') && path.starts_with(exempt)))
    }

    fn is_allowed_page(&self, referer: &HeaderValue) -> bool {
        let Some(uri) = page(referer) else { return false };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return false;
        };
        let origin = format!("{scheme}://{authority}");
        self.allowed.iter().any(|allowed| *allowed == origin)
    }
}

fn changes_state(request: &Parts) -> bool {
    let reads = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    // Browsers let any page open a WebSocket anywhere, cookies included.
    let websocket =
        || request.headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    !reads || websocket()
}

/// Whether an `Origin` or `Referer` names the host that was asked. The scheme is not compared: behind a proxy that
/// ends TLS it is not known.
fn is_own(page_or_origin: &HeaderValue, request: &Parts) -> bool {
    let Some(theirs) = page(page_or_origin) else {
        return false;
    };
    let scheme = theirs.scheme_str();
    if scheme != Some("http") && scheme != Some("https") {
        return false;
    }
    let header = || request.headers.get(HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let Some(ours) = request.uri.authority().cloned().or_else(header) else {
        return false;
    };
    let Some(theirs) = theirs.authority() else {
        return false;
    };
    let default = if scheme == Some("https") { 443 } else { 80 };
    ours.host().eq_ignore_ascii_case(theirs.host())
        && ours.port_u16().unwrap_or(default) == theirs.port_u16().unwrap_or(default)
}

fn page(value: &HeaderValue) -> Option<Uri> {
    Uri::try_from(value.as_bytes()).ok()
}

impl<S> Layer<S> for SameOriginLayer {
    type Service = SameOriginService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SameOriginService { inner, rules: self.0.clone() }
    }
}

/// What [`SameOriginLayer`] puts around a service.
#[derive(Debug, Clone)]
pub struct SameOriginService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SameOriginService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Vec<u8>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        if self.rules.permit(&parts) {
            return Either::Left(self.inner.call(Request::from_parts(parts, body)));
        }
        tracing::info!(method = %parts.method, path = parts.uri.path(), "cross_site_request");
        Either::Right(ready(Ok(Problem::cross_site().into_http())))
    }
}
