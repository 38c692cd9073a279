//! Who is let in: the operator, by a cookie that proves their token was known a short while ago.
//!
//! The cookie holds no secret and nothing is stored about it: two moments, and a MAC under a key made from the token.
//! Another token ends every one of them, on every machine. Whoever has none sees what is seen where nothing is.

use super::pages;
use crate::app::App;
use crate::http::headers::operated;
use crate::http::{Origin, missing};
use axum::Form;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sessile::{Timestamp, cookie_values};
use sessile_core::Secret;
use sessile_core::checkout::{Caller, Owner};
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The operator's cookie.
pub(super) const COOKIE: &str = "sessile_operator";
/// Where it is sent.
pub(super) const HOME: &str = "/admin";
/// After this much rest the token is asked for again.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// After this much work, too.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// A cookie that is younger is not renewed.
const RENEW_AFTER: Duration = Duration::from_secs(5 * 60);
/// A page that asks for news is not somebody at work.
const ASKS_FOR_NEWS: HeaderName = HeaderName::from_static("x-sessile-news");

type Seal = Hmac<Sha256>;

/// What a cookie proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pass {
    /// When the token was given.
    since: Timestamp,
    until: Timestamp,
}

impl Pass {
    fn new(now: Timestamp) -> Self {
        Self { since: now, until: now.plus(IDLE) }
    }

    fn text(self) -> String {
        format!("{}.{}", self.since.unix_ms(), self.until.unix_ms())
    }

    fn sealed(self, token: &Secret) -> Option<String> {
        let tag = seal(token, &self.text())?.finalize().into_bytes();
        Some(format!("{}.{}", self.text(), URL_SAFE_NO_PAD.encode(tag)))
    }

    fn open(value: &str, token: &Secret, now: Timestamp) -> Option<Self> {
        let (text, tag) = value.rsplit_once('.')?;
        seal(token, text)?.verify_slice(&URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
        let (since, until) = text.split_once('.')?;
        let moment = |text: &str| text.parse().ok().map(Timestamp::from_unix_ms);
        let pass = Self { since: moment(since)?, until: moment(until)? };
        (now < pass.until).then_some(pass)
    }

    /// Whoever is at work stays in, up to a limit.
    fn renewed(self, now: Timestamp) -> Option<Self> {
        let until = now.plus(IDLE).min(self.since.plus(LONGEST));
        (until.since(self.until) >= RENEW_AFTER).then_some(Self { until, ..self })
    }
}

fn seal(token: &Secret, text: &str) -> Option<Seal> {
    let key = Sha256::new()
        .chain_update(b"sessile operator's cookie\0")
        .chain_update(token.expose().as_bytes())
        .finalize();
    Some(Seal::new_from_slice(&key).ok()?.chain_update(text.as_bytes()))
}

fn pass_of(app: &App, headers: &HeaderMap) -> Option<Pass> {
    let token = app.admin_token.as_ref()?;
    let now = app.clock.now();
    cookie_values(headers, COOKIE).find_map(|value| Pass::open(value, token, now))
}

/// Whether the operator asks.
pub(super) fn is_operator(app: &App, headers: &HeaderMap) -> bool {
    pass_of(app, headers).is_some()
}

fn cookie(app: &App, value: &str, age: Duration) -> Option<HeaderValue> {
    let secure = if app.sessions.logins().policy().cookie.secure.is_set() { "; Secure" } else { "" };
    // A part of a second counts as one, or an hour would be a second short.
    let age = age.as_millis().div_ceil(1000);
    let text = format!("{COOKIE}={value}; Path={HOME}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).ok()
}

fn cookie_of(app: &App, pass: Pass) -> Option<HeaderValue> {
    let sealed = pass.sealed(app.admin_token.as_ref()?)?;
    cookie(app, &sealed, pass.until.since(app.clock.now()))
}

/// Lets the operator through, and shows anybody else that nothing is here.
pub(super) async fn operators_only(State(app): State<App>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    if !is_operator(&app, &headers) {
        return missing::route(headers).await;
    }
    kept_in(&app, &headers, next.run(request).await)
}

/// The operator's answer, with a cookie for another while if somebody is at work.
pub(super) fn kept_in(app: &App, headers: &HeaderMap, response: Response) -> Response {
    let mut response = operated(response);
    let pass = pass_of(app, headers).filter(|_| !headers.contains_key(ASKS_FOR_NEWS));
    if let Some(pass) = pass
        && !response.headers().contains_key(SET_COOKIE)
        && let Some(renewed) = pass.renewed(app.clock.now()).and_then(|pass| cookie_of(app, pass))
    {
        response.headers_mut().append(SET_COOKIE, renewed);
    }
    response
}

/// What the sign-in form sends.
#[derive(serde::Deserialize)]
pub(super) struct SignIn {
    token: String,
}

/// `POST /admin`: the token for a cookie.
pub(super) async fn sign_in(
    State(app): State<App>,
    from: Origin,
    Form(SignIn { token }): Form<SignIn>,
) -> Response {
    let Some(known) = &app.admin_token else { return StatusCode::NOT_FOUND.into_response() };
    let now = app.clock.now();
    if let Err(too_many) = app.operator_tries.take(from, &Caller::Browser(Owner::default()), now) {
        tracing::warn!("an operator's sign-in was put off: too many tries");
        let headers = [(RETRY_AFTER, HeaderValue::from(too_many.seconds()))];
        let page = pages::sign_in(Some(&format!(
            "Too many tries from your network. Try again in {} seconds.",
            too_many.seconds()
        )));
        return operated((StatusCode::TOO_MANY_REQUESTS, headers, page));
    }
    // Hashes have one length, so that the comparison does not tell how long the token is.
    let [given, expected] = [token.trim(), known.expose()].map(|text| Sha256::digest(text.as_bytes()));
    if !bool::from(given.ct_eq(&expected)) {
        tracing::warn!("an operator's sign-in was refused: wrong token");
        let page = pages::sign_in(Some("This is not the operator's token."));
        return operated((StatusCode::FORBIDDEN, page));
    }
    tracing::info!("an operator signed in");
    with_cookie(see_other(HOME), cookie_of(&app, Pass::new(now)))
}

/// `POST /admin/sign-out`.
pub(super) async fn sign_out(State(app): State<App>) -> Response {
    tracing::info!("an operator signed out");
    with_cookie(see_other(HOME), cookie(&app, "", Duration::ZERO))
}

fn with_cookie(response: Response, cookie: Option<HeaderValue>) -> Response {
    let mut response = operated(response);
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// After a form: a reload does not send it again.
pub(super) fn see_other(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

    fn token(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn a_pass_opens_with_its_token_until_its_time_is_over() {
        let ours = token("an-operators-token-of-some-length");
        let sealed = Pass::new(NOW).sealed(&ours).unwrap();
        assert_eq!(Pass::open(&sealed, &ours, NOW), Some(Pass::new(NOW)));
        assert_eq!(Pass::open(&sealed, &token("another"), NOW), None);
        assert_eq!(Pass::open(&sealed, &ours, NOW.plus(IDLE)), None);
        for bad in ["", ".", "1.2", "1.2.", &sealed.replacen('1', "2", 1), &format!("{sealed}A")] {
            assert_eq!(Pass::open(bad, &ours, NOW), None, "{bad}");
        }
    }

    #[test]
    fn work_renews_a_pass_and_a_day_ends_it() {
        let pass = Pass::new(NOW);
        assert_eq!(pass.renewed(NOW.plus(Duration::from_secs(60))), None);
        let later = NOW.plus(RENEW_AFTER);
        assert_eq!(pass.renewed(later), Some(Pass { until: later.plus(IDLE), ..pass }));
        let evening = Pass { until: NOW.plus(LONGEST), ..pass };
        assert_eq!(evening.renewed(NOW.plus(LONGEST).minus(Duration::from_secs(1))), None);
    }
}
