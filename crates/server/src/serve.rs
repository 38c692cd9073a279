//! Listening, serving, and stopping without breaking a promise: after a signal nothing new is accepted, requests under
//! way are finished (within a limit), and only then are the stores closed.

use crate::app::App;
use crate::config::{Config, Kept, keep};
use crate::exit::Stop;
use crate::limits::{CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX, STOP_GRACE};
use crate::stores::Stores;
use crate::worker::Background;
use crate::{http, telemetry};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use sessile_core::{OsEntropy, SystemClock};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// After a failed accept (no file descriptors left), so long until the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens a listener.
///
/// # Errors
/// [`Stop`] names the port and what to do.
pub async fn listen(host: &str, port: u16) -> Result<TcpListener, Stop> {
    TcpListener::bind((host, port)).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Stop::usage(format!(
            "port {port} on {host} is in use by another process; stop that one, or set PORT to a free port"
        )),
        ErrorKind::PermissionDenied => {
            Stop::usage(format!("port {port} may not be used by this user; set PORT to one above 1023"))
        }
        _ => Stop::usage(format!(
            "HOST {host}, PORT {port} cannot be listened on ({error}); check HOST and PORT"
        )),
    })
}

/// Serves on `listener` until `stop` completes.
///
/// # Errors
/// [`Stop`] when the stores cannot be opened.
pub(crate) async fn serve(
    config: &Config,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Stop> {
    telemetry::start();
    announce(config);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let mut stores = Stores::open(config, clock.clone()).await?;
    stores.open_devices(config, clock.clone()).await?;
    name_store(config, &stores);
    operator_token(config);
    let app = App::new(config, &stores, clock, entropy)?;
    let background = Background::start(config, &stores, &app)?;
    if let Some(tour) = &config.tour {
        tour.watch_over(background.crew());
    }
    app.whatsapp.run();
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(address, "listening");
    let waiting = app.clone();
    let stop = async move {
        stop.await;
        waiting.stop_waiting();
    };
    accept(listener, http::router(app.clone()), stop).await;
    app.whatsapp.stop().await;
    background.stop().await;
    close(app, stores).await;
    tracing::info!("stopped");
    Ok(())
}

/// Lets go of the stores.
pub(crate) async fn close(app: App, stores: Stores) {
    // The last owner closes files and finishes what was accepted; that blocks, briefly.
    let _ = tokio::task::spawn_blocking(move || drop((app, stores))).await;
}

/// Accepts until `stop`, then lets requests under way finish for [`STOP_GRACE`].
pub async fn accept(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    tokio::pin!(stop);
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = &mut stop => break,
        };
        let Some((place, accepted)) = accepted else { break };
        let (stream, peer) = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = server.serve_connection(TokioIo::new(prompt(stream)), service(&router, peer));
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    let open = graceful.count();
    tracing::info!(connections = open, "stopping: nothing new is accepted, requests under way are finished");
    if tokio::time::timeout(STOP_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = STOP_GRACE.as_secs(), "requests that took longer than the grace were cut");
    }
}

/// Answers are small and whole: they leave at once.
fn prompt(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    stream
}

type Connection =
    TowerToHyperService<tower::util::BoxCloneSyncService<Incoming, axum::response::Response, Never>>;
type Incoming = hyper::Request<hyper::body::Incoming>;
type Never = std::convert::Infallible;

/// The router for one connection; requests carry the peer's address for the device list.
fn service(router: &Router, peer: SocketAddr) -> Connection {
    let router = router.clone();
    let service = tower::service_fn(move |mut request: Incoming| {
        request.extensions_mut().insert(peer);
        tower::ServiceExt::oneshot(router.clone(), request.map(axum::body::Body::new))
    });
    TowerToHyperService::new(tower::util::BoxCloneSyncService::new(service))
}

/// Completes at SIGTERM or SIGINT. A second one ends the process at once.
pub(crate) async fn asked_to_stop() {
    signal().await;
    tokio::spawn(async {
        signal().await;
        tracing::warn!("asked a second time: stopping at once");
        std::process::exit(1);
    });
}

async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            }
            _ => std::future::pending().await,
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn announce(config: &Config) {
    for name in &config.strangers {
        tracing::warn!(name, "this variable is no setting of Sessile; check its spelling");
    }
    if let Some(warning) = &config.store.warning {
        tracing::warn!("{}", warning.sentence);
    }
    if config.providers.mock_login && !matches!(config.mode, crate::config::Mode::Development) {
        tracing::warn!(
            "MOCK_LOGIN is set in production: /auth/whop leads to /auth/dev, which does not exist here"
        );
    }
}

fn name_store(config: &Config, stores: &Stores) {
    let info = stores.logins.info();
    let (engine, place) = (info.engine, info.place.as_str());
    if config.store.warning.is_none() && info.persistence == sessile_core::login::Persistence::Durable {
        tracing::info!(engine, place, "login sessions are persistent: they outlive restarts and deploys");
    } else {
        tracing::warn!(engine, place, "login sessions are not persistent");
    }
}

/// Made at the first start, kept, and shown this once: on standard output, never in a log.
fn operator_token(config: &Config) {
    if config.admin_token.is_some() {
        return;
    }
    let path = config.in_data("admin-token");
    match keep(&path, &OsEntropy) {
        Ok((_, Kept::Found)) => {}
        Ok((token, Kept::New)) => {
            println!(
                "Operator's token, shown this once and kept in {}:\n  {}",
                path.display(),
                token.expose()
            );
        }
        Err(error) => tracing::warn!(%error, "no operator's token could be kept; set SESSILE_ADMIN_TOKEN"),
    }
}
