//! How both Rust contenders are served, so that neither gains by it: the same allocator and the same two ways to
//! spread connections over threads.
//!
//! `RUNTIME=shared` is tokio's default, one pool of threads for everything. `RUNTIME=per-core` gives every core a
//! runtime of one thread with an application of its own, and deals connections out in turn. Each contender's default
//! is what measured best for it.

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::serve::ListenerExt;
use std::future::Future;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves what `make` makes on `PORT` until the process is ended; prints `listening <port>` when it does.
pub fn run<F, Fut>(default: &str, make: F) -> Result<()>
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Router>>,
{
    let port: u16 = variable("PORT")?.parse().context("PORT is not a port number")?;
    let runtime = std::env::var("RUNTIME").unwrap_or_else(|_| default.to_owned());
    match runtime.as_str() {
        "shared" => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(shared(port, make))
        }
        "per-core" => per_core(port, make),
        other => bail!("RUNTIME is `{other}`: set it to shared or per-core"),
    }
}

/// A variable that has to be set.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

async fn shared<F, Fut>(port: u16, make: F) -> Result<()>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Router>>,
{
    let app = make().await?;
    let listener =
        tokio::net::TcpListener::bind(("127.0.0.1", port)).await.context("cannot listen on PORT")?;
    println!("listening {}", listener.local_addr()?.port());
    // Without TCP_NODELAY a keep-alive answer can wait for the peer's acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await.context("the server stopped")
}

fn per_core<F, Fut>(port: u16, make: F) -> Result<()>
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Router>>,
{
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).context("cannot listen on PORT")?;
    let address = listener.local_addr()?;
    let cores = std::thread::available_parallelism()?.get();
    let mut hands = Vec::with_capacity(cores);
    let (ready, all_ready) = std::sync::mpsc::channel();
    for _ in 0..cores {
        let (hand, dealt) = mpsc::unbounded_channel();
        hands.push(hand);
        let (make, ready) = (make.clone(), ready.clone());
        std::thread::spawn(move || {
            let served = one_core(Dealt { dealt, address }, make, &ready);
            if let Err(error) = served {
                eprintln!("a core stopped: {error:#}");
                std::process::exit(1);
            }
        });
    }
    for _ in 0..cores {
        all_ready.recv().context("a core did not start")?;
    }
    println!("listening {}", address.port());
    for (turn, stream) in listener.incoming().enumerate() {
        hands[turn % cores].send(stream?)?;
    }
    Ok(())
}

fn one_core<F, Fut>(listener: Dealt, make: F, ready: &std::sync::mpsc::Sender<()>) -> Result<()>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Router>>,
{
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async move {
        let app = make().await?;
        ready.send(())?;
        axum::serve(listener, app).await.context("the server stopped")
    })
}

/// The connections that one core is dealt.
struct Dealt {
    dealt: mpsc::UnboundedReceiver<std::net::TcpStream>,
    address: SocketAddr,
}

impl axum::serve::Listener for Dealt {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let Some(stream) = self.dealt.recv().await else { std::future::pending().await };
            let _ = stream.set_nodelay(true);
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
                && let Ok(peer) = stream.peer_addr()
            {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}
