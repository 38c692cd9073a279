//! One client's connection from the first byte to the last: shake hands, admit, then answer one stanza after another.

use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_websockets::ServerBuilder;
use whatsapp_rust::wacore::noise::NoiseCipher;
use whatsapp_rust::wacore_binary::Node;

use super::world::{OUTBOX_MAX, Outgoing, World};
use super::{delivery, iq, login};
use crate::address::Device;
use crate::error::Broken;
use crate::misbehaviour::Misbehaviour;
use crate::protocol::frames::{FrameReader, FrameWriter, halves};
use crate::protocol::noise::{Greeting, greet};
use crate::protocol::stanza;

/// How long a client has for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client that was told goodbye has for hanging up. It is read from meanwhile, as a socket that is closed
/// with something unread in it takes the goodbye back.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Serves one client until either side ends it.
pub(crate) async fn run(world: Arc<World>, stream: TcpStream) {
    let id = world.update(super::world::State::next_id);
    let end = drive(&world, id, stream).await;
    world.update(|state| state.close(id));
    if let Err(error) = end {
        tracing::debug!(connection = id, error = &error as &dyn std::error::Error, "a connection ended");
    }
}

async fn drive(world: &Arc<World>, id: u64, stream: TcpStream) -> Result<(), Broken> {
    let _ = stream.set_nodelay(true);
    let (_, socket) = ServerBuilder::new().accept(stream).await?;
    let (mut reader, mut writer) = halves(socket);
    let greeting = tokio::time::timeout(HANDSHAKE_TIMEOUT, greet(&world.identity, &mut reader, &mut writer));
    let greeting = greeting.await.map_err(|_| Broken::Handshake("it took too long".into()))??;

    let (outbox, inbox) = mpsc::channel(OUTBOX_MAX);
    world.update(|state| login::admit(state, id, &greeting, outbox));
    let Greeting { reads, writes, .. } = greeting;
    // A set, because it takes its task along when this connection ends.
    let mut writing = JoinSet::new();
    writing.spawn(write(Arc::clone(world), id, writer, writes, inbox));
    read(world, id, reader, &reads, writing).await
}

/// Reads until the client hangs up, or has been told goodbye.
async fn read(
    world: &Arc<World>,
    id: u64,
    mut reader: FrameReader,
    cipher: &NoiseCipher,
    mut writing: JoinSet<Result<(), Broken>>,
) -> Result<(), Broken> {
    let mut counter = 0;
    loop {
        let frame = tokio::select! {
            frame = reader.next() => frame,
            said = writing.join_next() => {
                let hung_up = async { while reader.next().await.is_ok() {} };
                let _ = tokio::time::timeout(CLOSE_GRACE, hung_up).await;
                return said.and_then(Result::ok).unwrap_or(Err(Broken::Closed("its writer ended")));
            }
        };
        let mut frame = frame?;
        let opened = cipher.decrypt_in_place_with_counter(counter, &mut frame);
        opened.map_err(|error| Broken::Frame(error.to_string()))?;
        counter += 1;
        hear(world, id, stanza::decode(frame)?).await?;
    }
}

/// Looks at one stanza, as politely as the switches allow.
async fn hear(world: &Arc<World>, id: u64, heard: Node) -> Result<(), Broken> {
    tracing::trace!(connection = id, stanza = %heard.tag, "from the client");
    let manners = world.update(|state| {
        let connection = state.connections.get_mut(&id)?;
        connection.frames_in += 1;
        let (device, frames) = (connection.device().cloned(), connection.frames_in);
        let cut = state.switches.take_cut(device.as_ref(), frames);
        let silent = state.switches.take(Misbehaviour::Silent, device.as_ref()).is_some();
        let slow = state.switches.take(Misbehaviour::Slow, device.as_ref());
        Some((device, cut, silent, slow))
    });
    let Some((device, cut, silent, slow)) = manners else {
        return Err(Broken::Closed("it is not known any more"));
    };
    if cut {
        return Err(Broken::Closed("it was to break here"));
    }
    if let Some(slow) = slow {
        tokio::time::sleep(Duration::from_millis(slow.delay_ms)).await;
    }
    if silent {
        world.update(|state| state.unheard.extend(stanza::attr(&heard, "id")));
        return Ok(());
    }
    answer(world, id, device, heard).await
}

async fn answer(world: &Arc<World>, id: u64, device: Option<Device>, heard: Node) -> Result<(), Broken> {
    match (heard.tag.as_ref(), device) {
        ("iq", device) => iq::answer(world, id, device.as_ref(), &heard).await,
        ("message", Some(device)) => delivery::from_device(world, id, &device, &heard).await,
        ("receipt" | "ack", Some(device)) => {
            world.update(|state| delivery::acknowledged(state, id, &device, &heard));
            Ok(())
        }
        // Presence, typing, and notes about the session need no answer.
        _ => Ok(()),
    }
}

/// Writes what is put into the outbox, until it is told to close.
async fn write(
    world: Arc<World>,
    id: u64,
    mut writer: FrameWriter,
    cipher: NoiseCipher,
    mut inbox: mpsc::Receiver<Outgoing>,
) -> Result<(), Broken> {
    let mut counter = 0;
    while let Some(Outgoing::Stanza(stanza)) = inbox.recv().await {
        let mut frame = stanza::encode(&stanza)?;
        let sealed = cipher.encrypt_in_place_with_counter(counter, &mut frame);
        sealed.map_err(|error| Broken::Frame(error.to_string()))?;
        counter += 1;
        writer.send(&frame).await?;
        world.update(|state| {
            if let Some(connection) = state.connections.get_mut(&id) {
                connection.frames_out += 1;
            }
        });
    }
    writer.close().await;
    Ok(())
}
