//! The listener behind the stand-ins: bind, serve, stop.
//!
//! `sessile dev` hands in its own listener through [`serve`]; tests use [`Sandbox::start`], which takes a free port
//! on loopback. Nothing here knows what a provider does.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::whop::{Whop, WhopConfig, WhopControl};

/// How long [`Sandbox::stop`] lets requests under way finish before it cuts them.
pub const STOP_GRACE: Duration = Duration::from_secs(2);

/// Why the stand-in could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// No address to listen on.
    #[error("the stand-in could not listen on loopback; choose a free port")]
    Listen(#[source] std::io::Error),
    /// The listener is reachable from other machines.
    #[error("the stand-in refuses to listen on {0}: it signs anybody in, so it stays on loopback")]
    NotLoopback(SocketAddr),
    /// The operating system gave no randomness for the signing key.
    #[error("the operating system gave no randomness for the stand-in's signing key")]
    Randomness,
    /// The server ended with an error.
    #[error("the stand-in stopped serving")]
    Serve(#[source] std::io::Error),
}

/// Serves the stand-in Whop on `listener` until the future is dropped.
///
/// # Errors
/// [`SandboxError`] when the listener is not on loopback, no key can be made, or serving ends.
pub async fn serve(listener: TcpListener, config: WhopConfig) -> Result<(), SandboxError> {
    let whop = Whop::new(config, loopback(&listener)?)?;
    axum::serve(listener, whop.router()).await.map_err(SandboxError::Serve)
}

/// A running stand-in. It ends when the handle is dropped; [`Sandbox::stop`] waits for requests under way.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    whop: WhopControl,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), std::io::Error>>,
}

impl Sandbox {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// See [`serve`].
    pub async fn start(config: WhopConfig) -> Result<Self, SandboxError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(SandboxError::Listen)?;
        Self::start_on(listener, config)
    }

    /// Starts on a listener that is already bound to loopback. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`serve`].
    pub fn start_on(listener: TcpListener, config: WhopConfig) -> Result<Self, SandboxError> {
        let address = loopback(&listener)?;
        let whop = Whop::new(config, address)?;
        let control = whop.control();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, whop.router()).with_graceful_shutdown(async move {
            // A dropped handle is an order to stop as well.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { server.await });
        Ok(Self { address, whop: control, shutdown: Some(shutdown), task })
    }

    /// Where it listens, without a trailing slash: `http://127.0.0.1:40123`. Also its OpenID issuer, unless the
    /// configuration names a public URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `WHOP_BASE_URL` is set to: `http://127.0.0.1:40123/oauth/`.
    #[must_use]
    pub fn whop_base_url(&self) -> String {
        format!("{}/oauth/", self.base_url())
    }

    /// Switches misbehaviours and reads counts without going through HTTP.
    #[must_use]
    pub fn whop(&self) -> &WhopControl {
        &self.whop
    }

    /// Stops accepting, lets requests under way finish for [`STOP_GRACE`], then cuts them.
    pub async fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        if tokio::time::timeout(STOP_GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

fn loopback(listener: &TcpListener) -> Result<SocketAddr, SandboxError> {
    let address = listener.local_addr().map_err(SandboxError::Listen)?;
    if address.ip().is_loopback() { Ok(address) } else { Err(SandboxError::NotLoopback(address)) }
}
