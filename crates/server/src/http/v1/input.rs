//! A JSON body of a known shape, and an idempotency key that has to be there.

use crate::app::App;
use crate::http::idempotency::Key;
use crate::http::input::{BadInput, Input};
use crate::http::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// Characters of a parser's words that are repeated.
const WORDS_CHARS_MAX: usize = 200;

/// A body that is a `T`, to the last field.
pub(crate) struct Shaped<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Shaped<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let Ok(Input(body)) = Input::from_request(request, app).await;
        let fields = body.map_err(|bad| match bad {
            BadInput::TooLarge => Problem::body_too_large(),
            BadInput::NotJson => Problem::unsupported_media_type(),
            _ => Problem::invalid_body(&bad.to_string()),
        })?;
        serde_json::from_value(fields.into_value()).map(Self).map_err(|error| {
            let words: String = error.to_string().chars().take(WORDS_CHARS_MAX).collect();
            Problem::invalid_body(&words)
        })
    }
}

/// `Idempotency-Key` of a request that makes something.
pub(crate) struct Required(pub(crate) Key);

impl FromRequestParts<App> for Required {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        match Key::of(&parts.headers) {
            Ok(Some(key)) => Ok(Self(key)),
            Ok(None) => Err(Problem::idempotency_key_missing()),
            Err(why) => Err(Problem::idempotency_key_invalid(&why.to_string())),
        }
    }
}
