//! `GET /api/me`: who is signed in.

use super::accept::{found, wants_page};
use super::problem::Problem;
use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use sessile::{Error, Session, UserId};
use sessile_core::user::{User, UserUuid};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    id: String,
    whop_user_id: Option<String>,
    email: Option<String>,
    created_at: Option<String>,
}

pub(crate) async fn me(
    State(app): State<App>,
    headers: HeaderMap,
    session: Session,
) -> Result<Response, Error> {
    let Some(id) = session.user() else {
        if wants_page(&headers) {
            return Ok(found(app.sign_in_path()));
        }
        return Err(Error::NotSignedIn);
    };
    let user = match find(&app, &id).await {
        Ok(user) => user,
        Err(problem) => return Ok(problem.into_response()),
    };
    let me = Me {
        id: id.as_str().to_owned(),
        whop_user_id: session.get("whopUserId")?,
        created_at: user.as_ref().map(|user| user.created_at.to_iso8601()),
        email: user.and_then(|user| user.email),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(me)).into_response())
}

/// `None` for a user whom an application beside us signed in: such an id need not be in our directory.
pub(crate) async fn find(app: &App, id: &UserId) -> Result<Option<User>, Problem> {
    let Some(id) = UserUuid::of_user(id) else { return Ok(None) };
    app.users.find(&id).await.map_err(|error| {
        tracing::error!(error = crate::stores::reason_of(&error), "the users' database did not answer");
        Problem::users_unavailable()
    })
}
