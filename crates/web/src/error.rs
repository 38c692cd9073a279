//! What can go wrong with a session inside a handler. Each variant is one thing the caller can do something about;
//! as an answer it is a [`Problem`], so handlers may simply use `?`.

use crate::problem::Problem;
use axum_core::response::{IntoResponse, Response};
use sessile_core::StoreError;
use sessile_core::login::{DataError, LoginError};

/// Why a session did not do what it was asked.
///
/// ```
/// use axum::response::IntoResponse;
/// use sessile::{Error, Session};
///
/// // Any of its errors is an answer: 401, 409, 413, 500 or 503 with problem+json.
/// async fn handler(session: Session) -> Result<impl IntoResponse, Error> {
///     session.set("theme", "dark")?;
///     Ok("set")
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The value cannot be put into, or taken out of, the session.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The session could not be kept.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The call needs a signed-in user.
    #[error("nobody is signed in to this session")]
    NotSignedIn,
    /// [`Session::sign_in`](crate::Session::sign_in) was given no user id.
    #[error("a user id is a number or a text of 1 to 255 bytes without NUL")]
    NotAUser,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Login(error.into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(&self).into_response()
    }
}
