//! Headers that every answer carries. Pages run no script at all, so the policy has no hash to keep up to date.

use crate::config::Config;
use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const NO_FRAMES: &str = "'self'";

/// What our pages may load, and who may frame them: nobody else, unless the cookie is made for cross-site frames;
/// then the allowed origins.
pub(crate) fn policy_for(config: &Config) -> HeaderValue {
    let mut ancestors = NO_FRAMES.to_owned();
    if config.policy.cookie.partitioned.is_set() {
        for origin in &config.allowed_origins {
            ancestors.push(' ');
            ancestors.push_str(origin);
        }
    }
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors {ancestors}"
    );
    // Origins were checked to be plain ones.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

pub(crate) fn protect(response: &mut Response, policy: &HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Forms keep their Origin: `no-referrer` would make it `null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static("camera=(), geolocation=(), microphone=()"));
}
