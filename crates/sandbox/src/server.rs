//! The listener behind the stand-ins: bind, serve, stop.
//!
//! `sessile dev` hands in its own listener through [`serve`]; tests use [`Sandbox::start`], which takes a free port
//! on loopback. Nothing here knows what a provider does.

use axum::Router;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::click::{Click, ClickConfig, ClickControl, ClickError};
use crate::config::SandboxConfig;
use crate::stripe::{Stripe, StripeConfig, StripeControl, StripeError};
use crate::superduperai::{SuperDuperAi, SuperDuperAiConfig, SuperDuperAiControl};
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
    #[error(
        "the stand-in refuses to listen on {0}: it signs anybody in and pays for anything, so it stays on loopback"
    )]
    NotLoopback(SocketAddr),
    /// The operating system gave no randomness for the signing key.
    #[error("the operating system gave no randomness for the stand-in's signing key")]
    Randomness,
    /// The stand-in Click was given settings it cannot work with.
    #[error("the stand-in Click cannot start")]
    Click(#[source] ClickError),
    /// The stand-in Stripe was given settings it cannot work with.
    #[error("the stand-in Stripe cannot start")]
    Stripe(#[source] StripeError),
    /// The server ended with an error.
    #[error("the stand-in stopped serving")]
    Serve(#[source] std::io::Error),
}

/// Serves the stand-ins on `listener` until the future is dropped.
///
/// # Errors
/// [`SandboxError`] when the listener is not on loopback, a stand-in cannot be made, or serving ends.
pub async fn serve(listener: TcpListener, config: impl Into<SandboxConfig>) -> Result<(), SandboxError> {
    let stand_ins = StandIns::new(config.into(), loopback(&listener)?)?;
    axum::serve(listener, stand_ins.router).await.map_err(SandboxError::Serve)
}

/// Every stand-in's handle, and the routes of those that are configured.
struct StandIns {
    router: Router,
    controls: Controls,
}

#[derive(Debug)]
struct Controls {
    whop: WhopControl,
    click: ClickControl,
    stripe: StripeControl,
    superduperai: SuperDuperAiControl,
}

impl StandIns {
    fn new(config: SandboxConfig, address: SocketAddr) -> Result<Self, SandboxError> {
        let (serve_whop, serve_click) = (config.whop.is_some(), config.click.is_some());
        let (serve_stripe, serve_superduperai) = (config.stripe.is_some(), config.superduperai.is_some());
        // A stand-in that nobody asked for still has a handle, so that asking for it cannot fail; nothing reaches it.
        let whop = config.whop.unwrap_or_else(|| WhopConfig::new("not-served", Vec::new()));
        let whop = Whop::new(whop, address)?;
        let click =
            Click::new(config.click.unwrap_or_else(ClickConfig::demo)).map_err(SandboxError::Click)?;
        let stripe = Stripe::new(config.stripe.unwrap_or_else(StripeConfig::demo), address);
        let stripe = stripe.map_err(SandboxError::Stripe)?;
        let superduperai =
            SuperDuperAi::new(config.superduperai.unwrap_or_else(SuperDuperAiConfig::demo), address);
        let routers = [
            (serve_whop, whop.router()),
            (serve_click, click.router()),
            (serve_stripe, stripe.router()),
            (serve_superduperai, superduperai.router()),
        ];
        let served = routers.into_iter().filter(|(serve, _)| *serve);
        let router = served.fold(Router::new(), |all, (_, router)| all.merge(router));
        let controls = Controls {
            whop: whop.control(),
            click: click.control(),
            stripe: stripe.control(),
            superduperai: superduperai.control(),
        };
        Ok(Self { router, controls })
    }
}

/// Running stand-ins. They end when the handle is dropped; [`Sandbox::stop`] waits for requests under way.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    controls: Controls,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), std::io::Error>>,
}

impl Sandbox {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// See [`serve`].
    pub async fn start(config: impl Into<SandboxConfig>) -> Result<Self, SandboxError> {
        let config = config.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(SandboxError::Listen)?;
        Self::start_on(listener, config)
    }

    /// Starts on a listener that is already bound to loopback. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`serve`].
    pub fn start_on(listener: TcpListener, config: impl Into<SandboxConfig>) -> Result<Self, SandboxError> {
        let address = loopback(&listener)?;
        let StandIns { router, controls } = StandIns::new(config.into(), address)?;
        let (shutdown, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, router).with_graceful_shutdown(async move {
            // A dropped handle is an order to stop as well.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { server.await });
        Ok(Self { address, controls, shutdown: Some(shutdown), task })
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

    /// What `CLICK_PAY_URL` is set to: `http://127.0.0.1:40123/sandbox/click/services/pay`.
    #[must_use]
    pub fn click_pay_url(&self) -> String {
        format!("{}/sandbox/click/services/pay", self.base_url())
    }

    /// What `CLICK_API_URL` is set to: `http://127.0.0.1:40123/sandbox/click/v2/merchant/`.
    #[must_use]
    pub fn click_api_url(&self) -> String {
        format!("{}/sandbox/click/v2/merchant/", self.base_url())
    }

    /// Switches Whop's misbehaviours and reads its counts without going through HTTP. Where no Whop is configured the
    /// handle is there and no request reaches what is behind it.
    #[must_use]
    pub fn whop(&self) -> &WhopControl {
        &self.controls.whop
    }

    /// Pays, cancels, sends messages by hand, switches misbehaviours, reads the ledger. Where no Click is configured
    /// the handle is there and knows no callbacks.
    #[must_use]
    pub fn click(&self) -> &ClickControl {
        &self.controls.click
    }

    /// What `STRIPE_API_URL` is set to: `http://127.0.0.1:40123/sandbox/stripe`; the routes begin with `/v1/`.
    #[must_use]
    pub fn stripe_api_url(&self) -> String {
        format!("{}/sandbox/stripe", self.base_url())
    }

    /// What `SUPERDUPERAI_URL` is set to: `http://127.0.0.1:40123/sandbox/superduperai`; the routes begin with
    /// `/api/v1/`.
    #[must_use]
    pub fn superduperai_url(&self) -> String {
        format!("{}/sandbox/superduperai", self.base_url())
    }

    /// Pays, settles, refunds, delivers again, switches misbehaviours, reads sessions, events and calls. Where no
    /// Stripe is configured the handle is there and knows no webhook.
    #[must_use]
    pub fn stripe(&self) -> &StripeControl {
        &self.controls.stripe
    }

    /// Reads what was asked for, ends generations by hand, switches misbehaviours. Where no SuperDuperAI is
    /// configured the handle is there and nothing is ever asked for.
    #[must_use]
    pub fn superduperai(&self) -> &SuperDuperAiControl {
        &self.controls.superduperai
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
