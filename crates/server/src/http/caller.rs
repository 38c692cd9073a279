//! Who asks: an operator or a trusted backend by bearer token, else a browser by its cookies.
//!
//! A guest owns what it makes by an anonymous cookie: random, stored hashed, and given out only when there is
//! something to own.

use super::problem::Problem;
use crate::app::App;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use sessile::{Session, UserId, cookie_values};
use sessile_core::checkout::{Caller, GuestHash, GuestToken, Owner};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The guest's cookie.
pub(crate) const GUEST_COOKIE: &str = "sessile_guest";
/// How long a guest's browser keeps it: as long as a checkout can be recovered.
const GUEST_SECONDS: u32 = 8 * 24 * 60 * 60;

/// Who asks, for a handler.
pub(crate) struct Asker(pub(crate) Caller);

/// A browser that is about to own something; a guest without a cookie gets one.
pub(crate) struct Buyer {
    pub(crate) caller: Caller,
    cookie: Option<HeaderValue>,
}

impl Buyer {
    /// The answer, with the guest's new cookie if it got one.
    pub(crate) fn answer(self, response: impl IntoResponse) -> Response {
        let mut response = response.into_response();
        if let Some(cookie) = self.cookie {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }
}

impl FromRequestParts<App> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        if let Some(caller) = by_token(&parts.headers, app).map_err(IntoResponse::into_response)? {
            return Ok(Self(caller));
        }
        // While the session store is away nobody who is signed in is taken for a guest.
        let session = <Option<Session> as FromRequestParts<App>>::from_request_parts(parts, app).await;
        let user = session.map_err(IntoResponse::into_response)?.and_then(|session| session.user());
        Ok(Self(Caller::Browser(Owner { user, guest: guest_of(&parts.headers) })))
    }
}

impl FromRequestParts<App> for Buyer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Asker(caller) = Asker::from_request_parts(parts, app).await?;
        if caller != Caller::Browser(Owner::default()) {
            return Ok(Self { caller, cookie: None });
        }
        let token = GuestToken::generate(&*app.entropy).map_err(|_| Problem::overloaded().into_response())?;
        let cookie = guest_cookie(app, token.expose(), GUEST_SECONDS);
        Ok(Self { caller: Caller::Browser(Owner::guest(token.hash())), cookie })
    }
}

/// The same attributes as the login cookie's: where that one is sent, this one is.
fn guest_cookie(app: &App, value: &str, seconds: u32) -> Option<HeaderValue> {
    let policy = &app.sessions.logins().policy().cookie;
    let domain = policy.domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    let secure = if policy.secure.is_set() { "; Secure" } else { "" };
    let partitioned = if policy.partitioned.is_set() { "; Partitioned" } else { "" };
    let same_site = policy.same_site.as_str();
    HeaderValue::try_from(format!(
        "{GUEST_COOKIE}={value}{domain}; Path=/; Max-Age={seconds}; HttpOnly{secure}{partitioned}; SameSite={same_site}"
    ))
    .ok()
}

/// What makes a browser forget that it was a guest.
pub(crate) fn guest_without_cookie(app: &App) -> Option<HeaderValue> {
    guest_cookie(app, "", 0)
}

/// Somebody else's name in a browser's request: nothing is there for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stranger;

/// For whom a request with this `userId` is. A browser's counts only when it is the signed-in user's own; a trusted
/// backend speaks for whomever it names.
pub(crate) fn named_user(caller: &Caller, user: &serde_json::Value) -> Result<Option<UserId>, Stranger> {
    let named = match user {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) if text.is_empty() => None,
        serde_json::Value::String(text) => {
            // Users of ours have one spelling.
            let ours = sessile_core::user::UserUuid::parse(text).map(|id| id.as_str().to_owned());
            Some(UserId::parse(ours.unwrap_or_else(|| text.clone())).ok_or(Stranger)?)
        }
        _ => return Err(Stranger),
    };
    match caller {
        Caller::Browser(owner) if named.is_some() && owner.user != named => Err(Stranger),
        Caller::Browser(owner) => Ok(owner.user.clone()),
        Caller::Backend(_) | Caller::Operator => Ok(named),
    }
}

/// Only the operator: `/v1/admin/*`.
pub(crate) async fn operator_only(State(app): State<App>, request: Request, next: Next) -> Response {
    match by_token(request.headers(), &app) {
        Ok(Some(Caller::Operator)) => next.run(request).await,
        _ => Problem::not_the_operator().into_response(),
    }
}

/// A bearer token is the operator's or a backend's; one that is neither is refused, never taken for a guest.
pub(crate) fn by_token(headers: &HeaderMap, app: &App) -> Result<Option<Caller>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::unknown_token())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Problem::unknown_token)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::unknown_token());
    }
    let token = token.trim();
    if let Some(operator) = &app.admin_token {
        // Hashes have one length, so that the comparison does not tell how long the token is.
        let [given, known] = [token, operator.expose()].map(|text| Sha256::digest(text.as_bytes()));
        if bool::from(given.ct_eq(&known)) {
            return Ok(Some(Caller::Operator));
        }
    }
    match app.api_keys.name_of(token) {
        Some(name) => Ok(Some(Caller::Backend(name.to_owned()))),
        None => Err(Problem::unknown_token()),
    }
}

/// The guest that a browser's cookie names.
pub(crate) fn guest_of(headers: &HeaderMap) -> Option<GuestHash> {
    cookie_values(headers, GUEST_COOKIE).find_map(GuestToken::parse).map(|token| token.hash())
}
