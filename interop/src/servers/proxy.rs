//! A TCP proxy that fails on command: the network between a program and its database.
//!
//! It runs on a thread and runtime of its own, so that a test which blocks does not stall the network by
//! accident. A command returns after it took effect.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use crate::servers::{error::ServerError, ports};

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Before the next accept after one that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    Stalled,
    RepliesStalled,
    Cut,
}

#[derive(Debug)]
struct Command {
    flow: Flow,
    done: oneshot::Sender<Result<(), ServerError>>,
}

/// A running proxy; it ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    commands: mpsc::Sender<Command>,
}

impl Proxy {
    /// Starts a proxy to `target`, such as `127.0.0.1:5432`.
    ///
    /// # Errors
    /// When the address is not one, or no port is free.
    pub async fn start(target: &str) -> Result<Self, ServerError> {
        let not_an_address =
            |_| ServerError::Setup(format!("`{target}` is not an address like 127.0.0.1:5432"));
        let target: SocketAddr = target.parse().map_err(not_an_address)?;
        let port = ports::free_port()?;
        let (commands, queue) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServerError::io("start the proxy's runtime"))?;
        std::thread::spawn(move || runtime.block_on(serve(port, target, queue)));
        let proxy = Self { port, commands };
        proxy.restore().await?;
        Ok(proxy)
    }

    /// Where it listens, always on 127.0.0.1; the port stays the same.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `url` with its host and port replaced by the proxy's.
    ///
    /// # Errors
    /// When `url` is not a URL with a host.
    pub fn url_of(&self, url: &str) -> Result<String, ServerError> {
        let no_host = || ServerError::Setup("the URL has no host to replace".into());
        let mut url = url::Url::parse(url).map_err(|_| no_host())?;
        url.set_host(Some("127.0.0.1")).map_err(|_| no_host())?;
        url.set_port(Some(self.port)).map_err(|()| no_host())?;
        Ok(url.to_string())
    }

    /// Drops all connections and refuses new ones: the server is gone.
    ///
    /// # Errors
    /// When the proxy's thread is gone.
    pub async fn cut(&self) -> Result<(), ServerError> {
        self.set(Flow::Cut).await
    }

    /// Accepts connections and forwards nothing: the server hangs. What is sent meanwhile arrives later.
    ///
    /// # Errors
    /// When the proxy's thread is gone.
    pub async fn stall(&self) -> Result<(), ServerError> {
        self.set(Flow::Stalled).await
    }

    /// Forwards requests but no replies. Followed by [`Proxy::cut`], a write lands and its reply is lost.
    ///
    /// # Errors
    /// When the proxy's thread is gone.
    pub async fn stall_replies(&self) -> Result<(), ServerError> {
        self.set(Flow::RepliesStalled).await
    }

    /// Forwards everything again.
    ///
    /// # Errors
    /// When the port cannot be taken again.
    pub async fn restore(&self) -> Result<(), ServerError> {
        self.set(Flow::Open).await
    }

    async fn set(&self, flow: Flow) -> Result<(), ServerError> {
        let gone = || ServerError::Setup("the proxy's thread is gone".into());
        let (done, answer) = oneshot::channel();
        self.commands.send(Command { flow, done }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// The proxy's loop. Ends, and drops every connection, when its [`Proxy`] is dropped.
async fn serve(port: u16, target: SocketAddr, mut commands: mpsc::Receiver<Command>) {
    let (flows, _) = watch::channel(Flow::Cut);
    let mut listener = None;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            command = commands.recv() => {
                let Some(Command { flow, done }) = command else { return };
                flows.send_replace(flow);
                if flow == Flow::Cut {
                    listener = None;
                    connections.shutdown().await;
                }
                let listening = match (flow, &listener) {
                    (Flow::Cut, _) | (_, Some(_)) => Ok(()),
                    (_, None) => bind(port).await.map(|bound| listener = Some(bound)),
                };
                let _ = done.send(listening);
            }
            client = accept(listener.as_ref()) => {
                connections.spawn(connection(client, target, flows.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn bind(port: u16) -> Result<TcpListener, ServerError> {
    let what = format!("listen on port {port}");
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(ServerError::io(what))
}

/// Never ready without a listener. A failed accept concerns that client alone, or passes when files are free.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => return client,
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Forwards both ways until one side ends or the proxy cuts.
async fn connection(client: TcpStream, target: SocketAddr, mut flow: watch::Receiver<Flow>) {
    if flow.wait_for(|flow| *flow != Flow::Stalled).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = pump(from_client, to_server, flow.clone(), &[Flow::Stalled]);
    let replies = pump(from_server, to_client, flow, &[Flow::Stalled, Flow::RepliesStalled]);
    tokio::join!(requests, replies);
}

/// Forwards one direction. What was read before a stall is held until the flow is open again.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
    held_by: &[Flow],
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let open = flow.wait_for(|flow| !held_by.contains(flow)).await.is_ok();
        if !open || to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
    // Dropping `to` passes the end on; the other direction goes on until its own end.
}
