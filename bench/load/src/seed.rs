//! Makes the sessions that a measurement uses, through `POST /new`, as a browser would get them.
//!
//! Called once per server before its first measurement. The session's place in the list is its own number `n`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Load;
use crate::answer::Answer;
use crate::drive::{LoadError, Work, drive};

/// Sessions are made as fast as the server goes, for at most this long.
const SEED_TIMEOUT: Duration = Duration::from_secs(300);
const SEED_CONNECTIONS: usize = 64;

/// A session as its browser knows it.
#[derive(Clone, Debug)]
pub struct Session {
    /// `name=value`, ready for a `Cookie` header.
    pub cookie: String,
}

/// Makes `count` sessions.
///
/// # Errors
/// When the server cannot be reached, gives a wrong answer, sets no cookie, or needs too long.
pub fn seed(server: SocketAddr, count: u32) -> Result<Vec<Session>, LoadError> {
    let mut work = Seeding { server, count, next: 0, request: Vec::new(), cookies: Vec::new() };
    work.cookies.resize(usize::try_from(count).unwrap_or_default(), None);
    let load = Load { server, connections: SEED_CONNECTIONS, warmup: Duration::ZERO, duration: SEED_TIMEOUT };
    drive(&load, &mut work)?;
    let sessions: Option<Vec<Session>> =
        work.cookies.into_iter().map(|cookie| cookie.map(|cookie| Session { cookie })).collect();
    sessions.ok_or(LoadError::Stalled)
}

struct Seeding {
    server: SocketAddr,
    count: u32,
    next: u32,
    request: Vec<u8>,
    cookies: Vec<Option<String>>,
}

impl Work for Seeding {
    fn next(&mut self) -> Option<(u32, &[u8])> {
        if self.next == self.count {
            return None;
        }
        let n = self.next;
        self.next += 1;
        self.request =
            format!("POST /new?n={n} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.server)
                .into_bytes();
        Some((n, &self.request))
    }

    fn accept(&mut self, request: u32, answer: &Answer<'_>) -> bool {
        let cookie = answer.cookie().and_then(|cookie| std::str::from_utf8(cookie).ok()).map(str::to_owned);
        let found = cookie.is_some();
        if let Some(place) = usize::try_from(request).ok().and_then(|index| self.cookies.get_mut(index)) {
            *place = cookie;
        }
        found
    }
}
