//! The benchmark's application on Sessile, written as its documentation says.
//!
//! Started by the runner; the contract (environment, routes) is in `bench/README.md`.

use anyhow::{Result, bail};
use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::{get, post};
use bench_serve::variable;
use serde::Deserialize;
use serde_json::json;
use sessile::{Session, SessionLayer};
use sessile_core::SecretList;
use sessile_core::login::{CookiePolicy, LoginPolicy};
use sessile_store::{LoginOptions, open_logins};
use std::time::Duration;

fn main() -> Result<()> {
    bench_serve::run("shared", app)
}

async fn app() -> Result<Router> {
    let url = match variable("STORE")?.as_str() {
        "postgres" => variable("DATABASE_URL")?,
        "sqlite" => format!("sqlite:{}", variable("SQLITE_PATH")?),
        "redis" => variable("REDIS_URL")?,
        other => bail!("STORE is `{other}`: set it to postgres, sqlite or redis"),
    };
    let defaults = LoginPolicy::new(CookiePolicy::plain_http());
    let touch_interval = match variable("TOUCH")?.as_str() {
        "always" => Duration::ZERO,
        "interval" => defaults.touch_interval,
        "never" => Duration::from_secs(7 * 86_400),
        other => bail!("TOUCH is `{other}`: set it to interval, always or never"),
    };
    let store = open_logins(&url, &LoginOptions::default()).await?;
    let sessions = SessionLayer::builder(store, SecretList::parse(&variable("SESSION_SECRET")?)?)
        .with_policy(LoginPolicy { touch_interval, ..defaults })
        .build()?;
    Ok(Router::new()
        .route("/new", post(new))
        .route("/load", get(load))
        .route("/set", post(set))
        .layer(sessions))
}

#[derive(Deserialize)]
struct New {
    n: u64,
}

async fn new(session: Session, Query(New { n }): Query<New>) -> Result<&'static str, StatusCode> {
    let cart = json!([
        { "sku": "A-1001", "qty": 1, "price": 1999 },
        { "sku": "B-2002", "qty": 2, "price": 499 },
        { "sku": "C-3003", "qty": 3, "price": 2500 },
    ]);
    let set = || {
        session.set("userId", &n.to_string())?;
        session.set("n", &n)?;
        session.set("cart", &cart)?;
        session.set("views", &0)?;
        session.set("theme", "dark")
    };
    set().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok("ok")
}

async fn load(session: Session) -> Result<String, StatusCode> {
    let n: Option<u64> = session.get("n").map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    n.map(|n| n.to_string()).ok_or(StatusCode::UNAUTHORIZED)
}

#[derive(Deserialize)]
struct Set {
    v: u64,
}

async fn set(session: Session, Query(Set { v }): Query<Set>) -> Result<&'static str, StatusCode> {
    if session.is_empty() {
        return Err(StatusCode::UNAUTHORIZED);
    }
    session.set("views", &v).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok("ok")
}
