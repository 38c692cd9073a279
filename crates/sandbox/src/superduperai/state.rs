//! The stand-in itself: settings, generations, listeners, switches and counts, and the table of its routes.
//!
//! Everything is in memory behind short locks; no lock is held across an await.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, broadcast, watch};

use super::config::SuperDuperAiConfig;
use super::control::SuperDuperAiControl;
use super::generation::Generation;
use super::misbehaviour::Misbehaviour;
use super::{Switch, api, events, media, switchboard};
use crate::shelf::Shelf;
use crate::switch::Active;

/// The largest body any of its endpoints takes: a prompt of 1 MiB, however it is escaped, and some.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most event streams at once.
const STREAMS_MAX: usize = 4096;
/// Events a slow listener may be behind.
const EVENTS_BEHIND_MAX: usize = 64;

/// The stand-in SuperDuperAI, before it is served.
pub struct SuperDuperAi(App);

pub(crate) type App = Arc<State>;

/// A generation and whoever listens to it.
pub(crate) struct Entry {
    pub(crate) generation: Generation,
    pub(crate) listeners: broadcast::Sender<String>,
}

pub(crate) struct State {
    pub(crate) config: SuperDuperAiConfig,
    base: String,
    numbers: AtomicU64,
    pub(crate) entries: Mutex<Shelf<Entry>>,
    pub(crate) rendering: watch::Sender<usize>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) active: Mutex<Active<Misbehaviour>>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl SuperDuperAi {
    /// Nothing generated yet. `address` is where it will be served.
    #[must_use]
    pub fn new(config: SuperDuperAiConfig, address: SocketAddr) -> Self {
        let base = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        Self(Arc::new(State {
            base: base.trim_end_matches('/').to_owned(),
            numbers: AtomicU64::new(0),
            entries: Mutex::new(Shelf::new(config.generations_max)),
            rendering: watch::Sender::new(0),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            active: Mutex::default(),
            counts: Mutex::default(),
            config,
        }))
    }

    /// Its routes, to serve alone or to merge into a larger stand-in.
    pub fn router(&self) -> Router {
        let home = "/sandbox/superduperai";
        Router::new()
            .route(&format!("{home}/api/v1/file/generate-video"), post(api::generate))
            .route(&format!("{home}/api/v1/file"), get(api::list))
            .route(&format!("{home}/api/v1/file/{{id}}"), get(api::file))
            .route(&format!("{home}/api/v1/events/{{channel}}"), get(events::listen))
            .route(&format!("{home}/media/{{file}}"), get(media::media))
            .route(home, get(switchboard::status))
            .route(&format!("{home}/misbehave"), post(switchboard::misbehave))
            .route(&format!("{home}/switch"), post(switchboard::switch))
            .route(&format!("{home}/clear"), post(switchboard::clear))
            .route(&format!("{home}/act"), post(switchboard::act))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::clone(&self.0))
    }

    /// A handle for tests that run in the same process.
    #[must_use]
    pub fn control(&self) -> SuperDuperAiControl {
        SuperDuperAiControl::new(Arc::clone(&self.0))
    }
}

impl fmt::Debug for SuperDuperAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuperDuperAi").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn now_ms(&self) -> i64 {
        (self.config.clock)()
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn video_url(&self, file_id: &str) -> String {
        format!("{}/sandbox/superduperai/media/{file_id}.webm", self.base)
    }

    pub(crate) fn add(&self, generation: Generation) {
        let id = generation.file_id.clone();
        let listeners = broadcast::Sender::new(EVENTS_BEHIND_MAX);
        self.entries.lock().put(&id, Entry { generation, listeners });
    }

    pub(crate) fn generation(&self, id: &str) -> Option<Generation> {
        self.entries.lock().get(id).map(|entry| entry.generation.clone())
    }

    /// Changes a generation that is not over and tells the listeners, as one step. False when it is over or gone.
    pub(crate) fn change(
        &self,
        id: &str,
        change: impl FnOnce(&mut Generation),
        news: impl FnOnce(&Generation) -> Vec<(&'static str, Value)>,
    ) -> bool {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(id).filter(|entry| !entry.generation.is_over()) else {
            return false;
        };
        change(&mut entry.generation);
        for (kind, object) in news(&entry.generation) {
            // Nobody listening is no error: the events are for whoever is there.
            let _ = entry.listeners.send(json!({ "type": kind, "object": object }).to_string());
        }
        true
    }

    pub(crate) fn subscribe(&self, id: &str) -> Option<broadcast::Receiver<String>> {
        self.entries.lock().get(id).map(|entry| entry.listeners.subscribe())
    }

    /// The switch that applies here, if any; counts it when it does.
    pub(crate) fn take(&self, kind: Misbehaviour, labels: &[&str]) -> Option<Switch> {
        let taken = self.active.lock().take(kind, labels);
        if taken.is_some() {
            self.count("misbehaved");
        }
        taken
    }

    pub(crate) fn count(&self, what: &str) {
        *self.counts.lock().entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().clone()
    }
}
