//! Logging out: the session ends, the cookie goes, and a refresh token that is held is revoked at its provider.
//!
//! `POST` is guarded by the same-origin layer. `GET` is for links on our own pages only: any page may make a browser
//! send a GET, so one from elsewhere gets a question, not a logout.

use super::accept::found;
use crate::app::App;
use crate::limits::REVOKE_TIMEOUT;
use crate::pages;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, REFERER};
use http::{HeaderMap, HeaderName, Uri};
use sessile::{Error, Session};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Where a sealed refresh token is kept, and what it is bound to.
pub(crate) const REFRESH_TOKEN_KEY: &str = "whopRefreshToken";
/// Which provider the token is from.
pub(crate) const PROVIDER_KEY: &str = "signedInWith";

pub(crate) async fn post(State(app): State<App>, session: Session) -> Result<Response, Error> {
    revoke_refresh_token(&app, &session);
    tracing::info!(session = session.fingerprint().map(|f| f.to_string()), "signed out");
    session.destroy()?;
    Ok(found("/"))
}

pub(crate) async fn from_a_page(
    State(app): State<App>,
    headers: HeaderMap,
    session: Session,
) -> Result<Response, Error> {
    if is_ours(&headers) {
        post(State(app), session).await
    } else {
        Ok(pages::really_log_out().into_response())
    }
}

/// Whether the browser says one of our pages, or the visitor's own hand, asked. Callers that say nothing are no
/// browsers of this decade.
fn is_ours(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let Some(referer) = headers.get(REFERER) else { return true };
    let host = headers.get(HOST).map(http::HeaderValue::as_bytes);
    let theirs = Uri::try_from(referer.as_bytes()).ok().and_then(|uri| uri.authority().cloned());
    theirs.is_some_and(|theirs| Some(theirs.as_str().as_bytes()) == host)
}

/// Nobody waits for the provider: the session is over whatever it says.
fn revoke_refresh_token(app: &App, session: &Session) {
    let (Some(keys), Ok(Some(sealed))) = (&app.sealing, session.get::<String>(REFRESH_TOKEN_KEY)) else {
        return;
    };
    let provider = session.get::<String>(PROVIDER_KEY).ok().flatten().unwrap_or_default();
    let Some(sign_in) = app.sign_in_of(&provider).cloned() else { return };
    let token = match keys.open(REFRESH_TOKEN_KEY, &sealed) {
        Ok(token) => token,
        Err(error) => {
            tracing::warn!(%error, "the refresh token could not be unsealed, so it is not revoked");
            return;
        }
    };
    tokio::spawn(async move {
        let Ok(token) = std::str::from_utf8(&token) else { return };
        match tokio::time::timeout(REVOKE_TIMEOUT, sign_in.revoke(token)).await {
            Ok(Ok(())) => tracing::info!(provider, "refresh token revoked"),
            Ok(Err(error)) => tracing::warn!(provider, %error, "the refresh token was not revoked"),
            Err(_) => tracing::warn!(provider, "the provider did not revoke the refresh token in time"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> bool {
        is_ours(&headers.iter().map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap())).collect())
    }

    #[test]
    fn a_get_from_elsewhere_is_not_ours() {
        assert!(
            asked(&[]) && asked(&[("sec-fetch-site", "same-origin")]) && asked(&[("sec-fetch-site", "none")])
        );
        assert!(!asked(&[("sec-fetch-site", "cross-site")]) && !asked(&[("sec-fetch-site", "same-site")]));
        assert!(asked(&[("host", "a.example"), ("referer", "https://a.example/dashboard")]));
        assert!(!asked(&[("host", "a.example"), ("referer", "https://evil.example/")]));
    }
}
