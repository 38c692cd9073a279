//! `/.well-known/openid-configuration` and the JWKS: what a generic OpenID client reads first.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::config::TokenBodies;
use super::error::OAuthError;
use super::misbehaviour::Misbehaviour;
use super::state::App;

pub(crate) async fn configuration(State(app): State<App>) -> Result<Json<Value>, OAuthError> {
    app.count("discovery_read");
    if app.misbehaves(Misbehaviour::Discovery500) {
        return Err(OAuthError::new("server_error", "Switched on: discovery_500"));
    }
    let issuer = &app.issuer;
    let mut methods = match app.config.client_secret {
        Some(_) => vec!["client_secret_post"],
        None => vec!["none"],
    };
    if app.config.client_secret.is_some() && app.config.token_bodies == TokenBodies::JsonOrForm {
        methods.insert(0, "client_secret_basic");
    }
    Ok(Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "userinfo_endpoint": format!("{issuer}/oauth/userinfo"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid", "profile", "email"],
        "token_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "claims_supported":
            ["sub", "name", "preferred_username", "picture", "email", "email_verified", "nonce"],
    })))
}

pub(crate) async fn jwks(State(app): State<App>) -> Result<Json<Value>, OAuthError> {
    app.count("jwks_read");
    if app.misbehaves(Misbehaviour::Jwks500) {
        return Err(OAuthError::new("server_error", "Switched on: jwks_500"));
    }
    Ok(Json(app.keys().jwks()))
}
