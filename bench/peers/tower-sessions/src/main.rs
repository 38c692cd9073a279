//! The benchmark's application on tower-sessions and its own stores, configured as fast as they go.
//!
//! Started by the runner; the contract (environment, routes) is in `bench/README.md`. Cookies are not signed, which
//! is this library's default and costs it less than the others pay.

mod routes;
mod stores;

use anyhow::{Context, Result, bail};
use axum::serve::ListenerExt;
use routes::Touch;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let touch = match variable("TOUCH")?.as_str() {
        "always" => Touch::Always,
        // This library has no interval: it either saves on every request or only on a change.
        "interval" | "never" => Touch::OnChange,
        other => bail!("TOUCH is `{other}`: set it to interval, always or never"),
    };
    let app = match variable("STORE")?.as_str() {
        "postgres" => routes::app(stores::postgres(&variable("DATABASE_URL")?).await?, touch),
        "sqlite" => routes::app(stores::sqlite(&variable("SQLITE_PATH")?).await?, touch),
        "redis" => routes::app(stores::redis(&variable("REDIS_URL")?).await?, touch),
        other => bail!("STORE is `{other}`: set it to postgres, sqlite or redis"),
    };
    let port: u16 = variable("PORT")?.parse().context("PORT is not a port number")?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("cannot listen on PORT")?;
    println!("listening {}", listener.local_addr()?.port());
    // Without TCP_NODELAY a keep-alive answer can wait for the peer's acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await.context("the server stopped")
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}
