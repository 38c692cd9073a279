//! The benchmark's application on tower-sessions and its own stores, configured as fast as they go.
//!
//! Started by the runner; the contract (environment, routes) is in `bench/README.md`. Cookies are not signed, which
//! is this library's default and costs it less than the others pay.

mod routes;
mod stores;

use anyhow::{Result, bail};
use axum::Router;
use bench_serve::variable;
use routes::Touch;

fn main() -> Result<()> {
    bench_serve::run("shared", app)
}

async fn app() -> Result<Router> {
    let touch = match variable("TOUCH")?.as_str() {
        "always" => Touch::Always,
        // This library has no interval: it either saves on every request or only on a change.
        "interval" | "never" => Touch::OnChange,
        other => bail!("TOUCH is `{other}`: set it to interval, always or never"),
    };
    Ok(match variable("STORE")?.as_str() {
        "postgres" => routes::app(stores::postgres(&variable("DATABASE_URL")?).await?, touch),
        "sqlite" => routes::app(stores::sqlite(&variable("SQLITE_PATH")?).await?, touch),
        "redis" => routes::app(stores::redis(&variable("REDIS_URL")?).await?, touch),
        other => bail!("STORE is `{other}`: set it to postgres, sqlite or redis"),
    })
}
