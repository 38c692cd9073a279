//! What the client asks of a device's storage, call by call, the same for every contender: the first login, a committed
//! ratchet step, and reading everything back.

use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::time::Instant;
use whatsapp_rust::bytes::Bytes;
use whatsapp_rust::store::traits::Backend;
use whatsapp_rust::wacore::store::Device;
use whatsapp_rust::waproto::whatsapp::ADVSignedDeviceIdentity;

/// What a first login stores at once.
pub(crate) const PREKEYS: u32 = 812;
/// Chats of the device.
const CHATS: u32 = 20;
/// Bytes of a session's record, and of a pre-key's, as the client writes them.
const SESSION_BYTES: usize = 1200;
const PREKEY_BYTES: usize = 80;

fn address(chat: u32) -> Arc<str> {
    format!("49170{chat:07}@s.whatsapp.net").into()
}

fn record(bytes: usize, number: u32) -> Bytes {
    let mut record = vec![0x5a; bytes];
    record[..4].copy_from_slice(&number.to_be_bytes());
    record.into()
}

/// Pairs the device and logs it in for the first time.
pub(crate) async fn link(storage: &dyn Backend) -> Result<()> {
    storage.create().await?;
    let mut device = storage.load().await?.unwrap_or_else(Device::new);
    device.pn = Some("491700000001:2@s.whatsapp.net".parse().ok().context("a number")?);
    device.account = Some(ADVSignedDeviceIdentity::default());
    storage.save(&device).await?;
    let keys: Vec<_> = (1..=PREKEYS).map(|id| (id, record(PREKEY_BYTES, id))).collect();
    storage.store_prekeys_batch(&keys, true).await?;
    let identities: Vec<_> = (0..CHATS).map(|chat| (address(chat), [7; 32])).collect();
    storage.put_identities_batch(&identities).await?;
    let sessions: Vec<_> = (0..CHATS).map(|chat| (address(chat), record(SESSION_BYTES, chat))).collect();
    storage.put_sessions_batch(&sessions).await?;
    Ok(())
}

/// Takes so many steps, each durable before the next; how long each took, in microseconds.
pub(crate) async fn steps(storage: &dyn Backend, count: u32) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    for number in 0..count {
        let session = [(address(number % CHATS), record(SESSION_BYTES, number))];
        let began = Instant::now();
        storage.put_sessions_batch(&session).await?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}

/// Reads the whole device.
pub(crate) async fn read(storage: &dyn Backend) -> Result<()> {
    ensure!(storage.load().await?.is_some_and(|device| device.pn.is_some()), "the device is not there");
    let ids: Vec<u32> = (1..=PREKEYS).collect();
    let keys = storage.load_prekeys_batch(&ids).await?;
    ensure!(keys.len() == ids.len(), "{} of {PREKEYS} pre-keys are there", keys.len());
    for chat in 0..CHATS {
        ensure!(storage.get_session(&address(chat)).await?.is_some(), "a session is not there");
    }
    Ok(())
}
