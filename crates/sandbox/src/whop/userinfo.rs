//! `GET /oauth/userinfo`: who the bearer is, as far as the granted scopes go.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};

use super::error::OAuthError;
use super::grants::Consent;
use super::misbehaviour::Misbehaviour;
use super::people::PEOPLE;
use super::state::App;

/// Size of the padding that `userinfo_huge` adds.
const HUGE_BYTES: usize = 4 * 1024 * 1024;

pub(crate) async fn userinfo(State(app): State<App>, headers: HeaderMap) -> Result<Json<Value>, OAuthError> {
    if app.misbehaves(Misbehaviour::Userinfo500) {
        return Err(OAuthError::new("server_error", "Switched on: userinfo_500"));
    }
    if app.misbehaves(Misbehaviour::Userinfo429) {
        return Err(OAuthError::new("rate_limited", "Switched on: userinfo_429"));
    }
    let now_ms = app.now_ms();
    let consent = bearer(&headers)
        .and_then(|token| app.grants.lock().bearer(token, now_ms, app.config.access_lifetime).cloned());
    let Some(consent) = consent else {
        app.count("userinfo_refused");
        return Err(OAuthError::new("invalid_token", "The access token is missing, expired or revoked"));
    };
    app.count("userinfo_answered");
    let mut claims = claims(&app, &consent);
    if app.misbehaves(Misbehaviour::MissingEmail) {
        claims.remove("email");
        claims.remove("email_verified");
    }
    if app.misbehaves(Misbehaviour::UserinfoOtherSub) {
        let other = PEOPLE.iter().find(|person| **person != *consent.person);
        claims.insert("sub".into(), json!(other.map(|person| person.subject)));
    }
    if app.misbehaves(Misbehaviour::UserinfoHuge) {
        claims.insert("padding".into(), json!("x".repeat(HUGE_BYTES)));
    }
    Ok(Json(Value::Object(claims)))
}

fn claims(app: &App, consent: &Consent) -> Map<String, Value> {
    let person = consent.person;
    let granted = |wanted: &str| consent.scope.split_ascii_whitespace().any(|scope| scope == wanted);
    let mut claims = Map::new();
    claims.insert("sub".into(), json!(person.subject));
    if granted("profile") {
        claims.insert("name".into(), json!(person.name));
        claims.insert("preferred_username".into(), json!(person.username));
        let picture = format!("{}/sandbox/whop/people/{}.svg", app.issuer, person.key);
        claims.insert("picture".into(), json!(picture));
    }
    if granted("email") {
        claims.insert("email".into(), json!(person.email));
        claims.insert("email_verified".into(), json!(person.email_verified));
    }
    claims
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
