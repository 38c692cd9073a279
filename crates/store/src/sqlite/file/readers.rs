//! The connections that read. Whoever asks takes one that is free this moment and reads on its own thread; the lock
//! is held for microseconds and never across an await.

use super::connection::open_reader;
use crate::open::OpenError;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections at most; beyond the number of cores they only wait for each other.
const READERS_MAX: usize = 16;

/// The connections.
pub(super) struct Readers {
    connections: Box<[Mutex<Connection>]>,
    turn: AtomicUsize,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let open = |_| open_reader(path).map(Mutex::new);
        let connections = (0..(cores * 2).min(READERS_MAX)).map(open).collect::<Result<_, _>>()?;
        Ok(Self { connections, turn: AtomicUsize::new(0) })
    }

    pub(super) fn with<R>(&self, read: impl FnOnce(&Connection) -> R) -> R {
        if let Some(free) = self.connections.iter().find_map(Mutex::try_lock) {
            return read(&free);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        read(&self.connections[turn].lock())
    }
}
