//! `GET` and `POST /oauth/authorize`: check the request, show the consent page, redirect with a code.
//!
//! The page carries the request in hidden fields and the answer is checked again from the start, so that there is no
//! state between the two. An unknown client or redirect gets a page and never a redirect: anything else would make an
//! open redirector.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use url::Url;

use super::error::OAuthError;
use super::grants::Consent;
use super::keys::random_token;
use super::state::App;
use super::{config::WhopConfig, pages, people};

/// Characters of an S256 challenge: 32 bytes in base64url.
const CHALLENGE_CHARS: usize = 43;

/// The authorization request as it came.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AuthorizeParams {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
    state: String,
    nonce: String,
    code_challenge: String,
    code_challenge_method: String,
}

impl AuthorizeParams {
    /// Name and value of every parameter, for the page's hidden fields.
    pub(crate) fn fields(&self) -> [(&'static str, &str); 8] {
        [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scope),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ]
    }

    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }
}

/// The consent form: the request again, and what was pressed.
#[derive(Debug, Deserialize)]
pub(crate) struct Decision {
    #[serde(flatten)]
    params: AuthorizeParams,
    /// A person's key, or `deny`.
    decision: String,
}

/// What is wrong with a request, and whether its redirect can be trusted with the news.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Page(OAuthError),
    Redirect(OAuthError),
}

pub(crate) async fn show(State(app): State<App>, Query(params): Query<AuthorizeParams>) -> Response {
    match check(&app.config, &params) {
        Ok(()) => {
            app.count("consent_shown");
            ([(CACHE_CONTROL, "no-store")], pages::consent(&params)).into_response()
        }
        Err(wrong) => refuse(&app, &params, wrong),
    }
}

pub(crate) async fn decide(State(app): State<App>, Form(decision): Form<Decision>) -> Response {
    let Decision { params, decision } = decision;
    if let Err(wrong) = check(&app.config, &params) {
        return refuse(&app, &params, wrong);
    }
    if decision == "deny" {
        app.count("denied");
        let denied = OAuthError::new("access_denied", "The person refused");
        return redirect(&params, &[("error", denied.code), ("error_description", &denied.description)]);
    }
    let Some(person) = people::find(&decision) else {
        let unknown = OAuthError::invalid_request("`decision` is neither a demo person nor `deny`");
        return refuse(&app, &params, Wrong::Page(unknown));
    };
    let Ok(code) = random_token("code_") else {
        return OAuthError::new("server_error", "No randomness for a code").into_response();
    };
    let consent = Consent {
        person,
        redirect_uri: params.redirect_uri.clone(),
        scope: params.scope.clone(),
        nonce: params.nonce.clone(),
        code_challenge: params.code_challenge.clone(),
    };
    app.grants.lock().agree(code.clone(), consent, app.now_ms());
    app.count("code_issued");
    redirect(&params, &[("code", &code)])
}

fn check(config: &WhopConfig, params: &AuthorizeParams) -> Result<(), Wrong> {
    if params.client_id != config.client_id {
        return Err(Wrong::Page(OAuthError::new("invalid_client", "client_id is not registered")));
    }
    // Exact: no prefix, no trailing slash, no other port (RFC 9700, 4.1.3).
    if !config.redirect_uris.contains(&params.redirect_uri) {
        return Err(Wrong::Page(OAuthError::invalid_request(
            "redirect_uri is not one of the registered ones; it must be equal to the letter",
        )));
    }
    let wrong = |code, description: &str| Err(Wrong::Redirect(OAuthError::new(code, description)));
    if params.response_type != "code" {
        return wrong("unsupported_response_type", "response_type must be `code`");
    }
    if !params.scope.split_ascii_whitespace().any(|scope| scope == "openid") {
        return wrong("invalid_scope", "scope must contain `openid`");
    }
    if params.state.is_empty() {
        return wrong("invalid_request", "state is required");
    }
    if params.nonce.is_empty() {
        return wrong("invalid_request", "nonce is required with the `openid` scope");
    }
    if params.code_challenge_method != "S256" {
        return wrong("invalid_request", "code_challenge_method must be `S256`");
    }
    let url_safe = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    if params.code_challenge.len() != CHALLENGE_CHARS || !params.code_challenge.chars().all(url_safe) {
        return wrong("invalid_request", "code_challenge must be the base64url SHA-256 of the verifier");
    }
    Ok(())
}

fn refuse(app: &App, params: &AuthorizeParams, wrong: Wrong) -> Response {
    app.count("authorize_refused");
    match wrong {
        Wrong::Page(error) => (StatusCode::BAD_REQUEST, pages::refused(&error)).into_response(),
        Wrong::Redirect(error) => {
            redirect(params, &[("error", error.code), ("error_description", &error.description)])
        }
    }
}

fn redirect(params: &AuthorizeParams, answer: &[(&str, &str)]) -> Response {
    let Ok(mut target) = Url::parse(&params.redirect_uri) else {
        let error = OAuthError::invalid_request("the registered redirect_uri is not a URL");
        return (StatusCode::BAD_REQUEST, pages::refused(&error)).into_response();
    };
    target.query_pairs_mut().extend_pairs(answer);
    if !params.state.is_empty() {
        target.query_pairs_mut().append_pair("state", &params.state);
    }
    ([(CACHE_CONTROL, "no-store")], Redirect::to(target.as_str())).into_response()
}
