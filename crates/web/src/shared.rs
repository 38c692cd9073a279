//! What all requests through one layer share: the login service, the prepared cookie, and what is believed of the
//! way to the browser. Also the two steps of a request that need all of it, opening and sealing.

use crate::cookie_header::cookie_values;
use crate::held::{Held, chain};
use crate::problem::Problem;
use crate::proxy::{KeptBack, TrustProxy};
use crate::session::Session;
use crate::set_cookie::SetCookie;
use crate::visitor::Visitor;
use http::header::SET_COOKIE;
use http::{Extensions, HeaderMap, Response, Uri};
use sessile_core::login::{Absence, CookieOut, CookieRule, LoginError, LoginSession, Logins, Lost, Opened};
use std::sync::Arc;

/// Everything a request needs of its layer.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) logins: Logins,
    pub(crate) trust: TrustProxy,
    cookie: SetCookie,
    kept_back: KeptBack,
}

/// Whether a cookie may go out with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieWay {
    Open,
    /// It is Secure, and the request came over plain http.
    Closed,
}

impl Shared {
    pub(crate) fn new(logins: Logins, trust: TrustProxy) -> Result<Self, CookieRule> {
        logins.policy().cookie.check()?;
        let cookie = SetCookie::new(&logins.policy().cookie);
        Ok(Self { logins, trust, cookie, kept_back: KeptBack::new() })
    }

    /// Finds the request's session. The store is asked only when a cookie of ours has a good signature.
    pub(crate) async fn open(
        self: &Arc<Self>,
        headers: &HeaderMap,
        uri: &Uri,
        extensions: &Extensions,
    ) -> Session {
        let visitor = Visitor::of(headers, extensions, self.trust);
        let values = cookie_values(headers, &self.logins.policy().cookie.name);
        let Opened { session, fault } = self.logins.open(values).await;
        if let Some(fault) = fault {
            tracing::error!(
                step = "load",
                path = uri.path(),
                error = chain(&fault),
                "session_store_unavailable"
            );
        }
        if let Some(why) = session.why_lost() {
            tell_lost(why, &session, uri);
        }
        Session::new(self.clone(), Held::new(session, visitor))
    }

    /// Whether the answer to this request may carry the cookie.
    pub(crate) fn cookie_way(&self, headers: &HeaderMap, uri: &Uri) -> CookieWay {
        if !self.logins.policy().cookie.secure.is_set() || self.trust.is_https(headers, uri) {
            CookieWay::Open
        } else {
            CookieWay::Closed
        }
    }

    /// Commits the session, then lets the answer go; or puts ours in its place.
    pub(crate) async fn seal<B: From<Vec<u8>>>(
        &self,
        session: &Session,
        way: CookieWay,
        mut response: Response<B>,
    ) -> Response<B> {
        let cookie = match session.commit().await {
            Ok(CookieOut::Leave) => return response,
            Ok(cookie) => cookie,
            Err(error) => {
                tell_not_kept(&error, session);
                return Problem::from(&error).into_http();
            }
        };
        if way == CookieWay::Closed {
            self.kept_back.warn(self.trust, self.logins.now());
            return response;
        }
        let header = match cookie {
            CookieOut::Set { value, expires } => self.cookie.value(&value, expires),
            CookieOut::Clear | CookieOut::Leave => self.cookie.cleared(),
        };
        match header {
            // Append: the application's own cookies stay.
            Ok(header) => drop(response.headers_mut().append(SET_COOKIE, header)),
            Err(error) => {
                tracing::error!(%error, "session_cookie_refused: check the cookie's name, path and domain")
            }
        }
        response
    }
}

fn tell_lost(why: &Lost, session: &LoginSession, uri: &Uri) {
    let path = uri.path();
    let fingerprint = || session.fingerprint().map(tracing::field::display);
    match why {
        Lost::NoCookie => tracing::debug!(why = why.name(), path, "session_lost"),
        Lost::Absent(Absence::Undecodable(place)) => {
            tracing::warn!(why = why.name(), path, fingerprint = fingerprint(), place, "session_lost");
        }
        Lost::BadCookie(_) | Lost::Absent(_) | Lost::StoreDown => {
            tracing::info!(why = why.name(), path, fingerprint = fingerprint(), "session_lost");
        }
    }
}

fn tell_not_kept(error: &LoginError, session: &Session) {
    let fingerprint = session.fingerprint().map(tracing::field::display);
    match error {
        LoginError::Unavailable(cause) => {
            tracing::error!(step = "commit", fingerprint, error = chain(cause), "session_store_unavailable")
        }
        LoginError::NoEntropy(cause) => tracing::error!(fingerprint, error = %cause, "session_not_kept"),
        LoginError::Ended | LoginError::Conflict | LoginError::TooLarge { .. } => {
            tracing::info!(fingerprint, error = %error, "session_not_kept");
        }
    }
}
