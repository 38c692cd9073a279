//! Headers that every answer carries. Where a page runs a script it is a file of ours; no page runs one that stands in
//! it, so the policy has no hash to keep up to date.

use crate::config::Config;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const NO_FRAMES: &str = "'self'";

/// What our pages may load.
pub(crate) struct Policies {
    plain: HeaderValue,
    scripted: HeaderValue,
    videos: HeaderValue,
    operated: HeaderValue,
}

/// Marks an answer whose page runs our script and plays what the video service made.
#[derive(Clone, Copy)]
struct WithVideos;

/// A page of a paid job, for nobody else to keep.
pub(crate) fn with_videos(page: impl IntoResponse) -> Response {
    let mut response = ([(CACHE_CONTROL, "no-store")], page).into_response();
    response.extensions_mut().insert(WithVideos);
    response
}

/// Marks an answer whose page runs our script and lets it call our own routes.
#[derive(Clone, Copy)]
pub(crate) struct Scripted;

/// A page with the wizard's script, for nobody else to keep.
pub(crate) fn scripted(page: impl IntoResponse) -> Response {
    let mut response = ([(CACHE_CONTROL, "no-store")], page).into_response();
    response.extensions_mut().insert(Scripted);
    response
}

/// Marks an answer that is the operator's: with our script, framed by nobody.
#[derive(Clone, Copy)]
struct Operated;

/// An answer for the operator, for nobody else to keep.
pub(crate) fn operated(answer: impl IntoResponse) -> Response {
    let mut response = ([(CACHE_CONTROL, "no-store")], answer).into_response();
    response.extensions_mut().insert(Operated);
    response
}

/// What our pages may load, and who may frame them: nobody else, unless the cookie is made for cross-site frames;
/// then the allowed origins.
pub(crate) fn policies_for(config: &Config) -> Policies {
    let mut ancestors = NO_FRAMES.to_owned();
    if config.policy.cookie.partitioned.is_set() {
        for origin in &config.allowed_origins {
            ancestors.push(' ');
            ancestors.push_str(origin);
        }
    }
    let policy = |more: &str| {
        let text = format!(
            "default-src 'none'; {more}style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors {ancestors}"
        );
        // Origins were checked to be plain ones.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    };
    // Videos come from wherever the service stores them: its own address, or storage that it rents.
    let service = config.generation.generator_origin().map(|origin| format!("{origin} ")).unwrap_or_default();
    let videos = format!("script-src 'self'; connect-src 'self'; media-src {service}https:; ");
    Policies {
        plain: policy(""),
        scripted: policy("script-src 'self'; connect-src 'self'; "),
        videos: policy(&videos),
        operated: HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    }
}

pub(crate) fn protect(response: &mut Response, policies: &Policies) {
    let extensions = response.extensions();
    let policy = if extensions.get::<Operated>().is_some() {
        &policies.operated
    } else if extensions.get::<WithVideos>().is_some() {
        &policies.videos
    } else if extensions.get::<Scripted>().is_some() {
        &policies.scripted
    } else {
        &policies.plain
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Forms keep their Origin: `no-referrer` would make it `null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
}
