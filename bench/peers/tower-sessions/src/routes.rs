//! The three routes of the contract, written as this library's own documentation does it.
//!
//! Called by `main`. It must never do more work for a request than the contract asks.

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use time::Duration;
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore};

/// When a request that changes nothing writes the new expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    OnChange,
    Always,
}

pub fn app<S: SessionStore + Clone>(store: S, touch: Touch) -> Router {
    let layer = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::days(7)))
        .with_always_save(touch == Touch::Always);
    Router::new().route("/new", post(create)).route("/load", get(load)).route("/set", post(set)).layer(layer)
}

#[derive(Deserialize)]
struct New {
    n: u64,
}

async fn create(session: Session, Query(new): Query<New>) -> Result<&'static str, StatusCode> {
    let cart = json!([
        { "sku": "A-1001", "qty": 1, "price": 1999 },
        { "sku": "B-2002", "qty": 2, "price": 499 },
        { "sku": "C-3003", "qty": 3, "price": 2500 },
    ]);
    session.insert("userId", new.n.to_string()).await.map_err(failed)?;
    session.insert("n", new.n).await.map_err(failed)?;
    session.insert("cart", cart).await.map_err(failed)?;
    session.insert("views", 0).await.map_err(failed)?;
    session.insert("theme", "dark").await.map_err(failed)?;
    Ok("ok")
}

async fn load(session: Session) -> Result<String, StatusCode> {
    match session.get::<u64>("n").await.map_err(failed)? {
        Some(n) => Ok(n.to_string()),
        None => Err(StatusCode::UNAUTHORIZED),
    }
}

#[derive(Deserialize)]
struct Set {
    v: u64,
}

async fn set(session: Session, Query(set): Query<Set>) -> Result<&'static str, StatusCode> {
    session.insert("views", set.v).await.map_err(failed)?;
    Ok("ok")
}

fn failed(error: tower_sessions::session::Error) -> StatusCode {
    eprintln!("the session could not be used: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
