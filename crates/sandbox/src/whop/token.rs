//! `POST /oauth/token` and `POST /oauth/revoke`: authenticate the client, then exchange, rotate or revoke.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use subtle::ConstantTimeEq;

use super::config::TokenBodies;
use super::error::OAuthError;
use super::grants::{FreshTokens, Issued};
use super::keys::{SigningKeys, access_token_hash, random_token};
use super::misbehaviour::Misbehaviour as M;
use super::state::App;

/// A PKCE verifier has 43 to 128 characters (RFC 7636, 4.1).
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// The body's parameters, whichever way they were encoded.
type Params = HashMap<String, String>;

pub(crate) async fn token(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if app.misbehaves(M::Token429) {
        return OAuthError::new("rate_limited", "Switched on: token_429").into_response();
    }
    if app.misbehaves(M::Token500) {
        return OAuthError::new("server_error", "Switched on: token_500").into_response();
    }
    if app.misbehaves(M::TokenTimeout) {
        tokio::time::sleep(app.config.hang).await;
        return OAuthError::new("temporarily_unavailable", "Switched on: token_timeout").into_response();
    }
    match grant(&app, &headers, &body) {
        Ok(answer) if app.misbehaves(M::DropTokenReply) => lost(&answer),
        Ok(_) if app.misbehaves(M::TokenGarbage) => "<html>not what you asked for</html>".into_response(),
        Ok(answer) => ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(error) => {
            app.count("token_refused");
            error.into_response()
        }
    }
}

pub(crate) async fn revoke(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, OAuthError> {
    let params = params(&app, &headers, &body)?;
    // A client id alone is enough here, as Whop documents it; a secret that is sent must be right.
    if params.contains_key("client_secret") || headers.contains_key(AUTHORIZATION) {
        authenticate(&app, &headers, &params)?;
    } else if required(&params, "client_id")? != app.config.client_id {
        return Err(OAuthError::new("invalid_client", "client_id is not registered"));
    }
    if app.grants.lock().revoke(required(&params, "token")?) {
        app.count("revoked");
    }
    Ok(Json(json!({})))
}

fn grant(app: &App, headers: &HeaderMap, body: &Bytes) -> Result<Value, OAuthError> {
    let params = params(app, headers, body)?;
    authenticate(app, headers, &params)?;
    let no_randomness = |_| OAuthError::new("server_error", "No randomness for tokens");
    let fresh = FreshTokens {
        access: random_token("access_").map_err(no_randomness)?,
        refresh: random_token("refresh_").map_err(no_randomness)?,
    };
    let now_ms = app.now_ms();
    match required(&params, "grant_type")? {
        "authorization_code" => {
            let verifier = required(&params, "code_verifier")?;
            if !VERIFIER_CHARS.contains(&verifier.len()) {
                return Err(OAuthError::invalid_request("code_verifier must have 43 to 128 characters"));
            }
            let (code, redirect_uri) = (required(&params, "code")?, required(&params, "redirect_uri")?);
            let when = (now_ms, app.config.code_lifetime);
            let issued = app.grants.lock().exchange(code, redirect_uri, verifier, fresh, when)?;
            app.count("code_exchanged");
            let id_token = (!app.misbehaves(M::MissingIdToken)).then(|| id_token(app, &issued, now_ms));
            Ok(answer(app, &issued, id_token.transpose()?))
        }
        "refresh_token" => {
            let issued = app.grants.lock().rotate(required(&params, "refresh_token")?, fresh, now_ms)?;
            app.count("refreshed");
            Ok(answer(app, &issued, None))
        }
        _ => Err(OAuthError::new(
            "unsupported_grant_type",
            "grant_type must be `authorization_code` or `refresh_token`",
        )),
    }
}

fn params(app: &App, headers: &HeaderMap, body: &Bytes) -> Result<Params, OAuthError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return serde_json::from_slice(body)
            .map_err(|_| OAuthError::invalid_request("The body must be a JSON object of strings"));
    }
    let form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if form && app.config.token_bodies == TokenBodies::JsonOrForm {
        return Ok(url::form_urlencoded::parse(body).into_owned().collect());
    }
    Err(OAuthError::invalid_request("The body must be JSON: send Content-Type: application/json"))
}

fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, OAuthError> {
    match params.get(name) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(OAuthError::invalid_request(format!("{name} is required"))),
    }
}

fn authenticate(app: &App, headers: &HeaderMap, params: &Params) -> Result<(), OAuthError> {
    let invalid = |why| Err(OAuthError::new("invalid_client", why));
    let (id, secret) = match basic(headers) {
        Some((id, secret)) => (id, Some(secret)),
        None => (required(params, "client_id")?.to_owned(), params.get("client_secret").cloned()),
    };
    if id != app.config.client_id {
        return invalid("client_id is not registered");
    }
    match (&app.config.client_secret, secret) {
        (None, _) => Ok(()),
        (Some(_), None) => invalid("client_secret is required"),
        (Some(known), Some(sent)) if bool::from(known.as_bytes().ct_eq(sent.as_bytes())) => Ok(()),
        (Some(_), Some(_)) => invalid("client_secret is wrong"),
    }
}

/// Client id and secret from `Authorization: Basic`, each form-encoded before base64 (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, value) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |text: &str| {
        let form = format!("v={text}");
        url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

fn id_token(app: &App, issued: &Issued, now_ms: i64) -> Result<String, OAuthError> {
    let (consent, now) = (&issued.consent, now_ms.div_euclid(1000));
    let lifetime = i64::try_from(app.config.access_lifetime.as_secs()).unwrap_or(i64::MAX);
    let mut claims = json!({
        "iss": app.issuer,
        "sub": consent.person.subject,
        "aud": app.config.client_id,
        "iat": now,
        "exp": now.saturating_add(lifetime),
        "nonce": consent.nonce,
        "at_hash": access_token_hash(&issued.access),
    });
    if app.misbehaves(M::WrongNonce) {
        claims["nonce"] = json!("another-nonce");
    }
    if app.misbehaves(M::WrongAudience) {
        claims["aud"] = json!("another-client");
    }
    if app.misbehaves(M::WrongIssuer) {
        claims["iss"] = json!("https://another-issuer.example");
    }
    if app.misbehaves(M::WrongAccessTokenHash) {
        claims["at_hash"] = json!(access_token_hash("another access token"));
    }
    if app.misbehaves(M::ExpiredIdToken) {
        claims["iat"] = json!(now - 7200);
        claims["exp"] = json!(now - 3600);
    }
    let keys = app.keys();
    if app.misbehaves(M::UnknownKey) {
        return Ok(keys.sign("a-key-nobody-published", &claims));
    }
    if app.misbehaves(M::BadSignature) {
        let forger = SigningKeys::generate()
            .map_err(|_| OAuthError::new("server_error", "No randomness for a forged key"))?;
        return Ok(forger.sign(keys.key_id(), &claims));
    }
    Ok(keys.sign(keys.key_id(), &claims))
}

fn answer(app: &App, issued: &Issued, id_token: Option<String>) -> Value {
    let mut answer = json!({
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": app.config.access_lifetime.as_secs(),
        "refresh_token": issued.refresh,
        "scope": issued.consent.scope,
    });
    if let Some(id_token) = id_token {
        answer["id_token"] = json!(id_token);
    }
    answer
}

/// Announces an answer, sends half of it and breaks the connection.
fn lost(answer: &Value) -> Response {
    let text = answer.to_string();
    let half = Bytes::from(text[..text.len() / 2].to_owned());
    let parts = [Ok(half), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    let mut response = Response::new(Body::from_stream(futures_util::stream::iter(parts)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
