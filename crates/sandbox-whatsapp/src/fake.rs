//! The handle on a running stand-in: start, look, act, stop.

use std::future::IntoFuture;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use whatsapp_rust::wacore::crypto::generate_curve_key_pair;

use crate::address::Device;
use crate::control;
use crate::error::FakeError;
use crate::misbehaviour::{Switch, SwitchError, strike};
use crate::peer::Peer;
use crate::phone::{LinkedDevice, Phone};
use crate::protocol::certificate;
use crate::protocol::noise::ServerIdentity;
use crate::ratchet::{RatchetReuse, RatchetStep};
use crate::record::{ConnectionRecord, MessageRecord, SentRecord};
use crate::server::connection;
use crate::server::world::{World, now};

/// The number of the phone that [`FakeWhatsApp::phone`] is.
pub const PHONE_NUMBER: &str = "491700000001";
/// The path that clients connect to.
pub const CHAT_PATH: &str = "/ws/chat";

/// A running stand-in. It ends when the handle is dropped.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sessile_sandbox_whatsapp::{FakeWhatsApp, Misbehaviour, Switch};
///
/// let whatsapp = FakeWhatsApp::start().await?;
/// assert!(whatsapp.url().starts_with("ws://127.0.0.1:"));
/// whatsapp.switch(Switch::new(Misbehaviour::Unauthorized))?;
/// assert!(whatsapp.ratchet_reuse().is_empty());
/// whatsapp.stop().await;
/// # Ok(()) }
/// ```
pub struct FakeWhatsApp {
    address: SocketAddr,
    control: SocketAddr,
    world: Arc<World>,
    serving: JoinHandle<()>,
}

impl FakeWhatsApp {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`FakeError`] when there is no free port, or no keys can be made.
    pub async fn start() -> Result<Self, FakeError> {
        let (listener, address) = listen().await?;
        let (control_listener, control) = listen().await?;
        let key = generate_curve_key_pair();
        let certificate = certificate::chain(&key, &generate_curve_key_pair(), now());
        let certificate = certificate.map_err(|error| FakeError::Keys(Box::new(error)))?;
        let world = Arc::new(World::new(ServerIdentity { key, certificate }));
        let serving = tokio::spawn(serve(listener, control_listener, Arc::clone(&world)));
        Ok(Self { address, control, world, serving })
    }

    /// What the client is given as the server's URL: `ws://127.0.0.1:40123/ws/chat`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}{CHAT_PATH}", self.address)
    }

    /// Where programs that are not Rust look and act: `http://127.0.0.1:40124/sandbox/whatsapp`.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}{}", self.control, control::BASE)
    }

    /// The phone of [`PHONE_NUMBER`].
    #[must_use]
    pub fn phone(&self) -> Phone {
        self.phone_of(PHONE_NUMBER)
    }

    /// The phone of another account.
    #[must_use]
    pub fn phone_of(&self, number: &str) -> Phone {
        Phone::new(Arc::clone(&self.world), number)
    }

    /// Somebody to write to.
    #[must_use]
    pub fn peer(&self, number: &str) -> Peer {
        Peer::new(Arc::clone(&self.world), number)
    }

    /// From now on this number is not on WhatsApp.
    pub fn unregister(&self, number: &str) {
        self.world.update(|state| state.switches.unregister(number));
    }

    /// Every connection so far, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionRecord> {
        self.world.read(|state| state.connections.iter().map(|(id, each)| each.record(*id)).collect())
    }

    /// Whether a device is logged in and has asked for what waits for it.
    #[must_use]
    pub fn is_online(&self, device: &LinkedDevice) -> bool {
        let device = Device::new(&device.number, device.device);
        self.world.read(|state| {
            let id = state.companion(&device).and_then(|companion| companion.connection);
            let connection = id.and_then(|id| state.connections.get(&id));
            connection.is_some_and(|connection| connection.open && connection.active)
        })
    }

    /// How many keys each upload of a device brought.
    #[must_use]
    pub fn key_uploads(&self, device: &LinkedDevice) -> Vec<usize> {
        let device = Device::new(&device.number, device.device);
        self.world
            .read(|state| state.companion(&device).map(|each| each.keys.uploads.clone()).unwrap_or_default())
    }

    /// Messages that devices handed to the server, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<SentRecord> {
        self.world.read(|state| state.sent.clone())
    }

    /// The ids of what clients sent while the server was silent, oldest first.
    #[must_use]
    pub fn unheard(&self) -> Vec<String> {
        self.world.read(|state| state.unheard.clone())
    }

    /// Messages as phones and peers read them, or failed to, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<MessageRecord> {
        self.world.read(|state| state.messages.clone())
    }

    /// Every (chain, counter) that came twice. Empty unless a device repeats itself.
    #[must_use]
    pub fn ratchet_reuse(&self) -> Vec<RatchetReuse> {
        self.world.read(|state| state.ratchets.reuses())
    }

    /// Every (chain, counter) that came.
    #[must_use]
    pub fn ratchet_steps(&self) -> Vec<RatchetStep> {
        self.world.read(|state| state.ratchets.steps())
    }

    /// Misbehaves from now on. What is to be done to a device that is connected is done at once.
    ///
    /// # Errors
    /// [`SwitchError`] when the settings or the number of switches are above their limits.
    pub fn switch(&self, switch: Switch) -> Result<(), SwitchError> {
        switch_on(&self.world, switch)
    }

    /// Good manners again.
    pub fn clear_switches(&self) {
        self.world.update(|state| state.switches.clear());
    }

    /// Waits until `look` finds what it looks for, which is asked again after everything that happens.
    ///
    /// `None` when that takes longer than `patience`.
    pub async fn until<T>(&self, patience: Duration, look: impl Fn(&Self) -> Option<T>) -> Option<T> {
        let mut changes = self.world.changes();
        let looking = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = look(self) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, looking).await.ok().flatten()
    }

    /// Stops: every connection breaks.
    pub async fn stop(mut self) {
        self.serving.abort();
        // Aborted, which is what was asked for.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for FakeWhatsApp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Switches on, and does at once what is to be done to those who are connected.
pub(crate) fn switch_on(world: &World, switch: Switch) -> Result<(), SwitchError> {
    world.update(|state| {
        state.switches.add(switch)?;
        let online: Vec<_> = state
            .connections
            .values()
            .filter(|each| each.open)
            .filter_map(|each| each.device().cloned())
            .collect();
        online.iter().for_each(|device| strike(state, device));
        Ok(())
    })
}

async fn listen() -> Result<(TcpListener, SocketAddr), FakeError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(FakeError::Listen)?;
    let address = listener.local_addr().map_err(FakeError::Listen)?;
    Ok((listener, address))
}

/// Serves clients and the control until it is aborted; every connection ends with it.
async fn serve(clients: TcpListener, control: TcpListener, world: Arc<World>) {
    let control = axum::serve(control, control::router(Arc::clone(&world)));
    let (ended, ()) = tokio::join!(control.into_future(), accept(clients, world));
    if let Err(error) = ended {
        tracing::warn!(error = &error as &dyn std::error::Error, "the control ended");
    }
}

async fn accept(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::run(Arc::clone(&world), stream));
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a connection was not accepted");
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
