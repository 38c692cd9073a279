//! The axum extractors. Made on axum-core alone, so that they follow axum's own versions rarely.

use crate::problem::Problem;
use crate::session::Session;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use std::ops::Deref;

/// Refuses with 500 where no layer stands, and with 503 when the store did not answer.
impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        known(laid(parts)?)
    }
}

/// `None` where no layer stands; refuses with 503 when the store did not answer.
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        parts.extensions.get::<Self>().cloned().map(known).transpose()
    }
}

/// The session, also when the store did not answer: then it is a fresh one. For the routes that sign people in, so
/// that signing in goes on while a fallback stands in for the primary store.
///
/// ```
/// # use sessile::{Error, SignInSession};
/// async fn sign_in(SignInSession(session): SignInSession) -> Result<&'static str, Error> {
///     session.sign_in(&7)?;
///     Ok("welcome")
/// }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
/// # fn main() { run(axum::routing::get(sign_in)) }
/// ```
#[derive(Debug, Clone)]
pub struct SignInSession(pub Session);

impl<S: Sync> FromRequestParts<S> for SignInSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        laid(parts).map(Self)
    }
}

impl Deref for SignInSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

fn laid(parts: &Parts) -> Result<Session, Problem> {
    parts.extensions.get::<Session>().cloned().ok_or_else(Problem::layer_missing)
}

fn known(session: Session) -> Result<Session, Problem> {
    if session.is_store_down() { Err(Problem::unavailable()) } else { Ok(session) }
}
