//! Those who see everybody's money: the operator and trusted backends.

use crate::app::App;
use crate::http::caller::Asker;
use crate::http::problem::Problem;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use sessile_core::checkout::Caller;

/// An operator or a trusted backend; anybody else is asked for a token.
pub(crate) struct Staff(pub(crate) Caller);

impl FromRequestParts<App> for Staff {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match Asker::from_request_parts(parts, app).await?.0 {
            Caller::Browser(_) => Err(Problem::token_required().into_response()),
            caller @ (Caller::Backend(_) | Caller::Operator) => Ok(Self(caller)),
        }
    }
}
