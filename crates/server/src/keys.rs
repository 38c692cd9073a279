//! `sessile keys rotate`: what is sealed under an older key of `SESSILE_SEALING_KEY` is sealed anew under the first one, beside
//! working servers, and then it is said which keys may be dropped.
//!
//! Two things are sealed: refresh tokens, inside login sessions, and the data keys of WhatsApp devices. A device that a process
//! runs is left to that process, which does it at its next start.

use crate::config::Config;
use crate::exit::{Exit, Stop};
use crate::http::REFRESH_TOKEN_KEY;
use crate::stores::{Stores, options_for, reason_of};
use serde_json::json;
use sessile_core::login::{Amendment, LoginData, PortableLogin};
use sessile_core::sealing::key_of_sealed;
use sessile_core::whatsapp::{DeviceStore, DeviceStoreError, OwnerId, RewrapError, Rewrapped, rewrap};
use sessile_core::{Clock, OsEntropy, SealingKeys, StoreError, SystemClock};
use sessile_store::{Choice, LoginEnd, LoginOptions, StoreUrl, open_login_end};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sessions that are looked at together.
const BATCH: usize = 1000;
/// How often all sessions are gone through: one that changes under our hands is met again.
const ROUNDS_MAX: usize = 3;

/// What one kind of sealed value came to.
#[derive(Debug, Default)]
struct Tally {
    /// Sealed values that were met.
    met: u64,
    anew: u64,
    /// What is still under another key than the first, by the key's name.
    left: BTreeMap<String, u64>,
    /// Why, where there is a reason to tell.
    reasons: Vec<String>,
}

impl Tally {
    fn leave(&mut self, key: &str) {
        *self.left.entry(key.to_owned()).or_default() += 1;
    }
}

/// Seals anew and reports. [`Exit::Failed`] while something is left under an older key.
///
/// # Errors
/// [`Stop`] says what to do; what was sealed anew stays so.
pub(crate) async fn rotate(config: &Config, as_json: bool) -> Result<Exit, Stop> {
    let keys = config.whatsapp.sealing.keys(&OsEntropy)?;
    let Some(keys) = config.sealing.clone().or(keys) else {
        return Err(Stop::usage(
            "SESSILE_SEALING_KEY is not set, so nothing is sealed; to rotate, put the new key first: \
             SESSILE_SEALING_KEY=new:<hex>,old:<hex>",
        ));
    };
    let tokens = refresh_tokens(config, &keys).await?;
    let devices = devices(config, &keys).await?;
    let kept = |key: &&str| tokens.left.contains_key(*key) || devices.left.contains_key(*key);
    let droppable: Vec<&str> = keys.older().filter(|key| !kept(key)).collect();
    if as_json {
        let told = |tally: &Tally| json!({ "met": tally.met, "anew": tally.anew, "left": tally.left, "reasons": tally.reasons });
        println!(
            "{}",
            json!({
                "newest": keys.newest(),
                "refresh_tokens": told(&tokens),
                "devices": told(&devices),
                "may_be_dropped": droppable,
            })
        );
    } else {
        print!("{}", text(&keys, &tokens, &devices, &droppable));
    }
    let nothing_left = tokens.left.is_empty() && devices.left.is_empty();
    Ok(if nothing_left { Exit::Done } else { Exit::Failed })
}

fn text(keys: &SealingKeys, tokens: &Tally, devices: &Tally, droppable: &[&str]) -> String {
    let mut lines = Vec::new();
    for (what, tally) in [("refresh tokens", tokens), ("WhatsApp devices", devices)] {
        lines.push(format!(
            "{what}: {} sealed, {} of them anew under `{}`",
            tally.met,
            tally.anew,
            keys.newest()
        ));
        lines.extend(tally.left.iter().map(|(key, left)| {
            let listed = key == keys.newest() || keys.older().any(|older| older == key);
            let hint =
                if listed { "run it again" } else { "that key is not listed, and nothing else opens them" };
            format!("  {left} are left under `{key}`: {hint}")
        }));
        lines.extend(tally.reasons.iter().map(|reason| format!("  {reason}")));
    }
    lines.push(match (keys.older().count(), droppable) {
        (0, _) => {
            "there is no older key; to rotate, put a new one first: SESSILE_SEALING_KEY=new:<hex>,old:<hex>"
                .to_owned()
        }
        (_, []) => "no key may be dropped yet".to_owned(),
        (_, some) => format!(
            "may be dropped, once every process has been started with this list: {}",
            some.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
        ),
    });
    lines.join("\n") + "\n"
}

async fn refresh_tokens(config: &Config, keys: &SealingKeys) -> Result<Tally, Stop> {
    if matches!(config.store.login, StoreUrl::Memory) {
        return Ok(Tally::default());
    }
    let options =
        LoginOptions { events: Choice::No, ..options_for(&config.store.login, &config.login_options) };
    let store = open_login_end(config.store.login_url.expose(), &options).await?;
    let mut anew = 0;
    for round in 1.. {
        let (mut tally, stale) = one_round(&*store, keys).await.map_err(|error: StoreError| {
            Stop::failed(format!("login sessions: {}; run it again", reason_of(&error)))
        })?;
        anew += tally.anew;
        if stale == 0 || round == ROUNDS_MAX {
            tally.anew = anew;
            return Ok(tally);
        }
    }
    Ok(Tally::default())
}

/// Goes through all sessions once; says how many changed under our hands.
async fn one_round(store: &dyn LoginEnd, keys: &SealingKeys) -> Result<(Tally, u64), StoreError> {
    let (mut tally, mut stale, mut mark) = (Tally::default(), 0, None);
    loop {
        let batch = store.export(mark.as_ref(), BATCH, SystemClock.now()).await?;
        let mut amendments = Vec::new();
        for row in batch.rows {
            let PortableLogin::Session(session) = row else { continue };
            // Most sessions hold no token: they need not be taken apart.
            if !session.json.contains(REFRESH_TOKEN_KEY) {
                continue;
            }
            let Some(mut data) = session.data() else { continue };
            let Ok(Some(sealed)) = data.get::<String>(REFRESH_TOKEN_KEY) else { continue };
            let Some(key) = key_of_sealed(&sealed) else { continue };
            tally.met += 1;
            if keys.is_newest(&sealed) {
                continue;
            }
            match amended(&mut data, &sealed, keys) {
                Some(after) => {
                    amendments.push((
                        key.to_owned(),
                        Amendment { name: session.name, before: session.json, after },
                    ));
                }
                None => tally.leave(key),
            }
        }
        let given: Vec<Amendment> = amendments.iter().map(|(_, amendment)| amendment.clone()).collect();
        let done = if given.is_empty() { 0 } else { store.amend(&given).await? };
        tally.anew += done;
        // Which of a batch changed meanwhile is not known; their keys are.
        let missed = given.len() as u64 - done;
        stale += missed;
        amendments
            .iter()
            .take(usize::try_from(missed).unwrap_or(usize::MAX))
            .for_each(|(key, _)| tally.leave(key));
        mark = batch.next;
        if mark.is_none() {
            return Ok((tally, stale));
        }
    }
}

/// The session's data with the token sealed anew; `None` when no listed key opens it.
fn amended(data: &mut LoginData, sealed: &str, keys: &SealingKeys) -> Option<String> {
    let anew = keys.reseal(REFRESH_TOKEN_KEY, sealed, &OsEntropy).ok()?;
    data.set(REFRESH_TOKEN_KEY, &anew).ok()?;
    Some(data.to_json())
}

async fn devices(config: &Config, keys: &SealingKeys) -> Result<Tally, Stop> {
    let mut tally = Tally::default();
    if config.whatsapp.place.is_err() {
        return Ok(tally);
    }
    // With the journal of this machine in front, where there is one: it may know more than the database.
    let mut stores = Stores::open(config, Arc::new(SystemClock)).await?;
    stores.open_devices(config, Arc::new(SystemClock)).await?;
    let Some(home) = &stores.devices else { return Ok(tally) };
    let store: &dyn DeviceStore = &*home.store;
    let failed = |error: DeviceStoreError| Stop::failed(format!("WhatsApp devices: {error}; run it again"));
    let owner = OwnerId::generate(&OsEntropy).map_err(|error| Stop::failed(error.to_string()))?;
    for head in store.list().await.map_err(failed)? {
        let Some(wrapped) = head.wrapped_key.as_ref().filter(|_| head.moved_to.is_none()) else { continue };
        let device = &head.device;
        tally.met += 1;
        if keys.is_newest(wrapped) {
            continue;
        }
        match rewrap(store, device, &owner, keys, &OsEntropy, SystemClock.now()).await {
            Ok(Rewrapped::Anew) => tally.anew += 1,
            Ok(Rewrapped::NothingToDo) => {}
            Err(error) => {
                tally.leave(key_of_sealed(wrapped).unwrap_or("?"));
                let hint = match &error {
                    RewrapError::Store(DeviceStoreError::Held { .. }) => {
                        "; it does so itself when it is started anew"
                    }
                    _ => "",
                };
                tally.reasons.push(format!("{}: {error}{hint}", device.as_str()));
            }
        }
    }
    Ok(tally)
}
