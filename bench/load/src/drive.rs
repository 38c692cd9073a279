//! The loop: wait for readiness, take the answers, send the next requests.
//!
//! Used by seeding and by measuring, which differ only in their `Work`. When the time is over, what is under way is
//! awaited, so that nothing of this measurement runs into the next one.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use memchr::memmem;
use mio::{Events, Interest, Poll, Token};

use crate::Load;
use crate::answer::{Answer, Parsed};
use crate::connection::Connection;
use crate::latency::Latencies;

const STALL_TIMEOUT: Duration = Duration::from_secs(10);
const WAKE_INTERVAL: Duration = Duration::from_millis(100);
/// How much of a wrong answer is shown.
const EXCERPT_BYTES: usize = 120;

/// What is sent, and which answers are right.
pub trait Work {
    /// The next request and its number; none when all are sent.
    fn next(&mut self) -> Option<(u32, &[u8])>;
    /// False when the answer is not the right one for that request.
    fn accept(&mut self, request: u32, answer: &Answer<'_>) -> bool;
}

/// What one measurement found. There were no errors: any would have failed it.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// Right answers within the counted time.
    pub answers: u64,
    /// The same, a second.
    pub per_second: f64,
    /// The latency half of the answers did not exceed.
    pub p50: Duration,
    /// The latency 99 % of the answers did not exceed.
    pub p99: Duration,
    /// The part of one core that the generator itself took, where the system tells.
    pub generator_cpu: Option<f64>,
}

/// Why a measurement does not count.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The connection broke.
    #[error("the server's connection failed: {0}")]
    Connection(#[from] io::Error),
    /// Nothing came back for ten seconds, or seeding did not end.
    #[error("the server stopped answering")]
    Stalled,
    /// The server sent something this program cannot measure.
    #[error("the server's answer cannot be measured: {0}")]
    Unusable(&'static str),
    /// At least one answer was not 200 or did not belong to its session.
    #[error("{wrong} of {all} answers were wrong; the first, to session {session}: {status} {excerpt:?}")]
    Wrong {
        /// How many answers were wrong.
        wrong: u64,
        /// How many answers there were.
        all: u64,
        /// The number of the session that was asked for.
        session: u32,
        /// The first wrong answer's status.
        status: String,
        /// The start of its body.
        excerpt: String,
    },
}

pub(crate) fn drive<W: Work>(load: &Load, work: &mut W) -> Result<Measurement, LoadError> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(load.connections);
    for index in 0..load.connections {
        let mut connection = Connection::open(load.server)?;
        poll.registry().register(&mut connection.stream, Token(index), Interest::READABLE)?;
        connections.push(connection);
    }
    let cpu_before = thread_cpu();
    let mut tally = Tally::new(load, Instant::now());
    for connection in &mut connections {
        tally.send_next(connection, work)?;
    }
    let mut events = Events::with_capacity(load.connections.max(1));
    let head_end = memmem::Finder::new(b"\r\n\r\n");
    while tally.under_way > 0 {
        match poll.poll(&mut events, Some(WAKE_INTERVAL)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        if events.is_empty() {
            tally.check_stall()?;
        }
        for event in &events {
            let Some(connection) = connections.get_mut(event.token().0) else {
                continue;
            };
            if tally.take(connection, work, &head_end)? {
                tally.send_next(connection, work)?;
            }
        }
    }
    let spent = tally.started.elapsed();
    let cpu = cpu_before.zip(thread_cpu()).map(|(before, after)| (after - before).as_secs_f64());
    tally.finish(load.duration, cpu.map(|cpu| cpu / spent.as_secs_f64()))
}

struct Tally {
    started: Instant,
    /// Answers count from here on.
    counted_from: Instant,
    /// Nothing is sent or counted from here on.
    ends: Instant,
    now: Instant,
    under_way: usize,
    latencies: Latencies,
    all: u64,
    wrong: u64,
    first_wrong: Option<(u32, String, String)>,
}

impl Tally {
    fn new(load: &Load, now: Instant) -> Self {
        Self {
            started: now,
            counted_from: now + load.warmup,
            ends: now + load.warmup + load.duration,
            now,
            under_way: 0,
            latencies: Latencies::new(),
            all: 0,
            wrong: 0,
            first_wrong: None,
        }
    }

    /// Takes what arrived; true when the connection is free for its next request.
    fn take<W: Work>(
        &mut self,
        connection: &mut Connection,
        work: &mut W,
        head_end: &memmem::Finder<'_>,
    ) -> Result<bool, LoadError> {
        let (Some(request), sent_at) = (connection.under_way, connection.sent_at) else {
            return Ok(false);
        };
        let answer = match connection.receive(head_end)? {
            Parsed::Partial => return Ok(false),
            Parsed::Unusable(why) => return Err(LoadError::Unusable(why)),
            Parsed::Complete(answer) => answer,
        };
        self.now = Instant::now();
        if !(answer.is_ok() && work.accept(request, &answer)) {
            self.note_wrong(request, &answer);
        }
        self.all += 1;
        if self.now >= self.counted_from && self.now < self.ends {
            self.latencies.record(self.now - sent_at);
        }
        connection.under_way = None;
        self.under_way -= 1;
        Ok(true)
    }

    fn send_next<W: Work>(&mut self, connection: &mut Connection, work: &mut W) -> Result<(), LoadError> {
        if self.now >= self.ends {
            return Ok(());
        }
        if let Some((request, bytes)) = work.next() {
            connection.send(request, bytes, self.now)?;
            self.under_way += 1;
        }
        Ok(())
    }

    fn note_wrong(&mut self, request: u32, answer: &Answer<'_>) {
        self.wrong += 1;
        let excerpt = answer.body.get(..EXCERPT_BYTES).unwrap_or(answer.body);
        self.first_wrong.get_or_insert_with(|| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            (request, text(answer.status), text(excerpt))
        });
    }

    fn check_stall(&self) -> Result<(), LoadError> {
        if self.now.elapsed() > STALL_TIMEOUT { Err(LoadError::Stalled) } else { Ok(()) }
    }

    fn finish(self, counted: Duration, generator_cpu: Option<f64>) -> Result<Measurement, LoadError> {
        if let Some((session, status, excerpt)) = self.first_wrong {
            return Err(LoadError::Wrong { wrong: self.wrong, all: self.all, session, status, excerpt });
        }
        let answers = self.latencies.total();
        Ok(Measurement {
            answers,
            per_second: rate(answers, counted),
            p50: self.latencies.percentile(500),
            p99: self.latencies.percentile(990),
            generator_cpu,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn rate(answers: u64, counted: Duration) -> f64 {
    answers as f64 / counted.as_secs_f64()
}

/// The processor time of this thread so far (Linux).
fn thread_cpu() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
