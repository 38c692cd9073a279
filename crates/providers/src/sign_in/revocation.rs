//! The revocation request (RFC 7009).
//!
//! Built here because the crate's own insists on https, also on loopback, where the stand-in and its tests live.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use openidconnect::{AuthType, HttpRequest};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::config::ProviderConfig;
use super::error::{SignInError, Step};
use crate::transport::HttpFailure;

/// A form that ends `token`; the HTTP client makes it JSON where the provider wants that.
pub(crate) fn request(
    config: &ProviderConfig,
    url: &Url,
    auth_type: &AuthType,
    token: &str,
) -> Result<HttpRequest, SignInError> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token);
    let mut request = http::Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    match (auth_type, &config.client_secret) {
        (AuthType::BasicAuth, Some(secret)) => {
            request = request.header(AUTHORIZATION, basic(&config.client_id, secret)?);
        }
        (_, secret) => {
            form.append_pair("client_id", &config.client_id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret.expose_secret());
            }
        }
    }
    request.body(form.finish().into_bytes()).map_err(|_| unbuildable())
}

/// Each half is form-encoded before base64 (RFC 6749, 2.3.1).
fn basic(client_id: &str, secret: &SecretString) -> Result<HeaderValue, SignInError> {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(client_id), encode(secret.expose_secret()));
    let text = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).map_err(|_| unbuildable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn unbuildable() -> SignInError {
    SignInError::http(Step::Revocation, HttpFailure::Request)
}
