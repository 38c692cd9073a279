//! The peer application as a program: settings from the environment, JSON logs on standard error.

use std::process::ExitCode;

use sessile_interop::peer::{PeerError, Settings, serve};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match Box::pin(run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), PeerError> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    serve(&settings).await
}
