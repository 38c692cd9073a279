//! Beginning a sign-in: with Whop, with any OpenID Connect provider, or in development with nobody.
//!
//! What has to survive until the browser returns (state, nonce, PKCE verifier) is kept in the login session.

use super::accept::{found, wants_page};
use super::callback::{Arrived, Failure, admit};
use super::problem::Problem;
use super::return_to::{Wanted, sign_in_for};
use crate::app::App;
use crate::pages;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HOST};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use sessile::{Error, SessionKey, SignInSession};
use sessile_providers::{PendingSignIn, SignIn};
use url::Url;

/// A sign-in under way, in the session.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) provider: String,
    pub(crate) sign_in: PendingSignIn,
    /// Where it leads, when not to the dashboard.
    #[serde(default)]
    pub(crate) return_to: Option<String>,
}

impl SessionKey for Pending {
    const KEY: &'static str = "signIn";
}

/// `GET /auth/whop?returnTo=`.
pub(crate) async fn whop(
    State(app): State<App>,
    headers: HeaderMap,
    session: SignInSession,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let return_to = wanted.page();
    if app.mock_login {
        return Ok(found(&with_return("/auth/dev", return_to.as_deref())));
    }
    let Some(sign_in) = &app.whop else {
        return Ok(not_configured(&headers, "Signing in with Whop", &app.whop_missing, app.is_development()));
    };
    if let Some(home) = elsewhere(&app, &headers) {
        return Ok(found(&with_return(&home, return_to.as_deref())));
    }
    begin(sign_in, "whop", "/auth/whop", &headers, &session, return_to).await
}

fn with_return(sign_in: &str, return_to: Option<&str>) -> String {
    return_to.map_or_else(|| sign_in.to_owned(), |path| sign_in_for(sign_in, path))
}

/// `GET /auth/oidc?returnTo=`.
pub(crate) async fn oidc(
    State(app): State<App>,
    headers: HeaderMap,
    session: SignInSession,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let Some((_, sign_in)) = &app.oidc else {
        let names = ["SESSILE_OIDC_ISSUER", "SESSILE_OIDC_CLIENT_ID", "SESSILE_OIDC_CLIENT_SECRET"];
        return Ok(not_configured(&headers, "Signing in with OpenID Connect", &names, app.is_development()));
    };
    begin(sign_in, "oidc", "/auth/oidc", &headers, &session, wanted.page()).await
}

async fn begin(
    sign_in: &SignIn,
    provider: &str,
    path: &str,
    headers: &HeaderMap,
    session: &SignInSession,
    return_to: Option<String>,
) -> Result<Response, Error> {
    match sign_in.begin().await {
        Ok((url, pending)) => {
            session.put(&Pending { provider: provider.to_owned(), sign_in: pending, return_to })?;
            let mut response = found(url.as_str());
            response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Err(error) => Ok(Failure::from(&error).answer(headers, path)),
    }
}

/// In development `localhost` and `127.0.0.1` are one machine and two cookies: the sign-in begins where it will
/// end, or the callback would find no session.
fn elsewhere(app: &App, headers: &HeaderMap) -> Option<String> {
    let home = app.whop_home.as_ref().filter(|_| app.is_development())?;
    let asked = headers.get(HOST)?.to_str().ok()?;
    let authority = &home[url::Position::BeforeHost..url::Position::AfterPort];
    (asked != authority && is_this_machine(asked))
        .then(|| format!("{}://{authority}/auth/whop", home.scheme()))
}

fn is_this_machine(authority: &str) -> bool {
    Url::parse(&format!("http://{authority}/")).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

fn not_configured(headers: &HeaderMap, what: &str, names: &[&str], development: bool) -> Response {
    if wants_page(headers) {
        return (StatusCode::NOT_IMPLEMENTED, pages::not_configured(what, names, development))
            .into_response();
    }
    Problem::not_configured(&format!("{what} needs {}.", names.join(", "))).into_response()
}

/// Whom `/auth/dev` signs in.
#[derive(Deserialize)]
pub(crate) struct Invented {
    email: Option<String>,
    whop: Option<String>,
}

/// `GET /auth/dev?email=&whop=&returnTo=`, in development only: signs in without a provider.
pub(crate) async fn development(
    State(app): State<App>,
    session: SignInSession,
    Query(invented): Query<Invented>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let email = given(invented.email).unwrap_or_else(|| "developer@localhost".to_owned());
    let subject = given(invented.whop).unwrap_or_else(|| format!("dev_{email}"));
    let arrived = Arrived {
        provider: "whop",
        directory: "whop".to_owned(),
        subject,
        email: Some(email),
        refresh_token: None,
        return_to: wanted.page(),
    };
    admit(&app, &session, arrived).await
}
