//! All requests of one kind, one per session, as bytes in one block, and the shuffled order they go out in.
//!
//! Prepared once per server and kind, then reused by every measurement, which goes on where the last one stopped. A
//! changing request carries a number that is never the same twice, so that no server can skip the write.

use std::net::SocketAddr;

use crate::answer::{Answer, number};
use crate::drive::Work;
use crate::seed::Session;
use crate::shuffle::XorShift;

/// Nine digits from the start, so that counting up never changes a request's length.
const FIRST_VALUE: u32 = 100_000_000;
const VALUE_DIGITS: usize = 9;

/// Which route of the contract is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `GET /load`: the answer's body is the session's own number.
    Load,
    /// `POST /set?v=`: one key changes, durably before the answer.
    Set,
}

/// The prepared requests of one kind.
#[derive(Debug)]
pub struct Requests {
    kind: Kind,
    block: Vec<u8>,
    /// Where each session's request starts and ends in the block.
    places: Vec<(usize, usize)>,
    order: Vec<u32>,
    cursor: usize,
    value: u32,
}

impl Requests {
    /// Prepares one request for each session.
    #[must_use]
    pub fn new(kind: Kind, server: SocketAddr, sessions: &[Session]) -> Self {
        let mut block = Vec::new();
        let mut places = Vec::with_capacity(sessions.len());
        for session in sessions {
            let start = block.len();
            let line = match kind {
                Kind::Load => "GET /load HTTP/1.1".to_owned(),
                Kind::Set => format!("POST /set?v={FIRST_VALUE} HTTP/1.1"),
            };
            let length = if kind == Kind::Set { "Content-Length: 0\r\n" } else { "" };
            block.extend_from_slice(
                format!("{line}\r\nHost: {server}\r\n{length}Cookie: {}\r\n\r\n", session.cookie).as_bytes(),
            );
            places.push((start, block.len()));
        }
        let mut order: Vec<u32> = (0..).take(sessions.len()).collect();
        XorShift::new(0x5e55_1071).shuffle(&mut order);
        Self { kind, block, places, order, cursor: 0, value: FIRST_VALUE }
    }

    fn write_next_value(&mut self, start: usize) {
        self.value += 1;
        let from = start + b"POST /set?v=".len();
        let mut rest = self.value;
        for digit in self.block.get_mut(from..from + VALUE_DIGITS).unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
    }
}

impl Work for Requests {
    fn next(&mut self) -> Option<(u32, &[u8])> {
        let request = *self.order.get(self.cursor)?;
        self.cursor += 1;
        if self.cursor == self.order.len() {
            self.cursor = 0;
        }
        let (start, end) = *self.places.get(usize::try_from(request).ok()?)?;
        if self.kind == Kind::Set {
            self.write_next_value(start);
        }
        Some((request, self.block.get(start..end)?))
    }

    fn accept(&mut self, request: u32, answer: &Answer<'_>) -> bool {
        match self.kind {
            Kind::Load => number(answer.body) == usize::try_from(request).ok(),
            Kind::Set => answer.body == b"ok",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn sessions() -> Vec<Session> {
        (0..100).map(|n| Session { cookie: format!("sid=cookie-{n}") }).collect()
    }

    #[test]
    fn one_round_visits_every_session_once() {
        let mut requests = Requests::new(Kind::Load, ([127, 0, 0, 1], 80).into(), &sessions());
        let mut seen = HashSet::new();
        for _ in 0..100 {
            let (request, bytes) = requests.next().unwrap();
            let text = std::str::from_utf8(bytes).unwrap();
            assert!(text.contains(&format!("sid=cookie-{request}\r\n")), "{text}");
            seen.insert(request);
        }
        assert_eq!(seen.len(), 100);
    }

    #[test]
    fn every_change_sets_another_number() {
        let mut requests = Requests::new(Kind::Set, ([127, 0, 0, 1], 80).into(), &sessions());
        let lines: HashSet<Vec<u8>> =
            (0..1000).map(|_| requests.next().unwrap().1.get(..21).unwrap().to_vec()).collect();
        assert_eq!(lines.len(), 1000);
        assert!(lines.contains(&b"POST /set?v=100001000"[..]));
    }
}
