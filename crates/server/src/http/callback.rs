//! The browser comes back from the provider: check, exchange, verify, regenerate, store, and only then redirect.
//!
//! Failures are JSON `{error}` with the codes that applications know, and for somebody at a browser a page with a way
//! on. A provider's own words go to the log alone.

use super::accept::{found, wants_page};
use super::logout::{PROVIDER_KEY, REFRESH_TOKEN_KEY};
use super::return_to::DASHBOARD;
use super::sign_in::Pending;
use crate::app::App;
use crate::pages;
use crate::telemetry;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sessile::{Session, SignInSession};
use sessile_core::user::{Arrival, ProviderId};
use sessile_providers::{SignIn, SignInError};
use std::time::Duration;

/// Why nobody was signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    status: StatusCode,
    error: &'static str,
    retry_after: Option<Duration>,
}

impl Failure {
    const fn new(status: StatusCode, error: &'static str) -> Self {
        Self { status, error, retry_after: None }
    }

    const MISSING_CODE: Self = Self::new(StatusCode::BAD_REQUEST, "missing_code");
    const INVALID_STATE: Self = Self::new(StatusCode::BAD_REQUEST, "invalid_state");
    const NOT_CONFIGURED: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "OAuth not configured");
    const INVALID_USER_DATA: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "invalid_user_data");
    const SAVE_FAILED: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "session_save_failed");
}

impl From<&SignInError> for Failure {
    fn from(error: &SignInError) -> Self {
        let code = error.code();
        let status = match code {
            "invalid_state" => StatusCode::BAD_REQUEST,
            "token_exchange_failed" => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        tracing::warn!(code, error = chain(error), "sign-in failed");
        Self { retry_after: error.retry_after(), ..Self::new(status, code) }
    }
}

impl Failure {
    /// For whoever asks: a page leads on to `sign_in`.
    pub(crate) fn answer(self, headers: &HeaderMap, sign_in: &str) -> Response {
        if wants_page(headers) {
            self.with_headers(pages::not_signed_in(self.error, sign_in).into_response())
        } else {
            self.into_response()
        }
    }

    fn with_headers(self, mut response: Response) -> Response {
        *response.status_mut() = self.status;
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.with_headers(Json(json!({ "error": self.error })).into_response())
    }
}

/// Somebody whom a provider vouches for.
pub(crate) struct Arrived {
    /// `whop` or `oidc`.
    pub(crate) provider: &'static str,
    /// The same, told apart by issuer.
    pub(crate) directory: String,
    pub(crate) subject: String,
    pub(crate) email: Option<String>,
    pub(crate) refresh_token: Option<SecretString>,
    /// Where they are sent, when not to the dashboard; checked when the sign-in began.
    pub(crate) return_to: Option<String>,
}

/// What a provider said, and where the sign-in leads.
type Answer = Result<(sessile_providers::Identity, Option<String>), Failure>;

type Parameters = Query<Vec<(String, String)>>;

/// `GET /auth/whop/callback`, `GET /api/whop/callback`.
pub(crate) async fn whop(
    State(app): State<App>,
    headers: HeaderMap,
    session: SignInSession,
    Query(parameters): Parameters,
) -> Response {
    let answer = arrive(app.whop.as_ref(), "whop", &session, &parameters).await;
    let finished = finish(&app, &session, "whop", "whop".to_owned(), answer).await;
    finished.unwrap_or_else(|failure| failure.answer(&headers, "/auth/whop"))
}

/// `GET /auth/oidc/callback`.
pub(crate) async fn oidc(
    State(app): State<App>,
    headers: HeaderMap,
    session: SignInSession,
    Query(parameters): Parameters,
) -> Response {
    let answer = arrive(app.oidc.as_ref().map(|(_, sign_in)| sign_in), "oidc", &session, &parameters).await;
    let issuer = app.oidc.as_ref().map_or_else(String::new, |(issuer, _)| issuer.clone());
    let finished = finish(&app, &session, "oidc", format!("oidc {issuer}"), answer).await;
    finished.unwrap_or_else(|failure| failure.answer(&headers, "/auth/oidc"))
}

async fn arrive(
    sign_in: Option<&SignIn>,
    provider: &str,
    session: &Session,
    parameters: &[(String, String)],
) -> Answer {
    let parameter = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    };
    let Some(code) = parameter("code") else {
        // The provider's own word, such as access_denied, cut to what a log line may hold.
        let said: String = parameter("error").unwrap_or_default().chars().take(64).collect();
        tracing::info!(provider, said, "callback without a code");
        return Err(Failure::MISSING_CODE);
    };
    let sign_in = sign_in.ok_or(Failure::NOT_CONFIGURED)?;
    let pending = session.value::<Pending>().ok().flatten().filter(|pending| pending.provider == provider);
    let (Some(pending), Some(state)) = (pending, parameter("state")) else {
        tracing::info!(
            provider,
            had_state = parameter("state").is_some(),
            session = session.fingerprint().map(|f| f.to_string()),
            why_not = session.why_lost().as_ref().map(sessile::Lost::name),
            "callback without a sign-in under way"
        );
        return Err(Failure::INVALID_STATE);
    };
    if !pending.sign_in.state_matches(state) {
        tracing::warn!(
            provider,
            session = session.fingerprint().map(|f| f.to_string()),
            "callback with another state"
        );
        return Err(Failure::INVALID_STATE);
    }
    // Good for one callback, whatever comes of it.
    session.remove(<Pending as sessile::SessionKey>::KEY).map_err(|_| Failure::SAVE_FAILED)?;
    let identity = sign_in.finish(code, &pending.sign_in).await.map_err(|error| Failure::from(&error))?;
    Ok((identity, pending.return_to))
}

async fn finish(
    app: &App,
    session: &Session,
    provider: &'static str,
    directory: String,
    answer: Answer,
) -> Result<Response, Failure> {
    let admitted = match answer {
        Ok((identity, return_to)) => {
            let arrived = Arrived {
                provider,
                directory,
                subject: identity.subject,
                email: identity.email,
                refresh_token: identity.refresh_token,
                return_to,
            };
            admit(app, session, arrived).await
        }
        Err(failure) => Err(failure),
    };
    let outcome = admitted.as_ref().map_or_else(|failure| failure.error, |_| "signed_in");
    metrics::counter!(telemetry::SIGN_INS, "provider" => provider, "outcome" => outcome).increment(1);
    admitted
}

/// Records who came, gives the session a new id, stores it, and sends the browser on.
pub(crate) async fn admit(app: &App, session: &Session, arrived: Arrived) -> Result<Response, Failure> {
    let who = ProviderId::new(&arrived.directory, &arrived.subject).ok_or(Failure::INVALID_USER_DATA)?;
    let user = app.users.sign_in(&Arrival::new(who, arrived.email.clone(), app.clock.now())).await.map_err(
        |error| {
            tracing::error!(
                error = crate::stores::reason_of(&error),
                "the users' database did not take the sign-in"
            );
            Failure::SAVE_FAILED
        },
    )?;
    fill(app, session, user.id.as_str(), &arrived).map_err(|error| {
        tracing::error!(%error, "the session could not be filled");
        Failure::SAVE_FAILED
    })?;
    let before = session.fingerprint().map(|f| f.to_string());
    tracing::info!(
        user_id = user.id.as_str(),
        session = before,
        provider = arrived.provider,
        "saving session before redirect"
    );
    session.save().await.map_err(|error| {
        tracing::error!(error = chain(&error), "the session could not be saved");
        Failure::SAVE_FAILED
    })?;
    let after = session.fingerprint().map(|f| f.to_string());
    tracing::info!(user_id = user.id.as_str(), session = after, "session saved, redirecting");
    let mut response = found(arrived.return_to.as_deref().unwrap_or(DASHBOARD));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn fill(app: &App, session: &Session, user: &str, arrived: &Arrived) -> Result<(), sessile::Error> {
    if session.user().is_some_and(|before| before.as_str() != user) {
        // Somebody else was signed in here: what was theirs stays theirs.
        session.clear()?;
    }
    session.sign_in(user)?;
    session.remove(<Pending as sessile::SessionKey>::KEY)?;
    session.set(PROVIDER_KEY, arrived.provider)?;
    if arrived.provider == "whop" {
        session.set("whopUserId", &arrived.subject)?;
    } else {
        session.remove("whopUserId")?;
    }
    session.remove(REFRESH_TOKEN_KEY)?;
    // Kept sealed, or not at all.
    if let (Some(keys), Some(token)) = (&app.sealing, &arrived.refresh_token) {
        match keys.seal(REFRESH_TOKEN_KEY, token.expose_secret().as_bytes(), &*app.entropy) {
            Ok(sealed) => session.set(REFRESH_TOKEN_KEY, &sealed)?,
            Err(error) => tracing::warn!(%error, "the refresh token is not kept"),
        }
    }
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
