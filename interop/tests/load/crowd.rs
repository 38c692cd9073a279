//! All clients together: set loose while something breaks, then asked what was kept of what they were promised.

use super::Outcome;
use super::client::{Answer, Client, shown};
use super::session::{GRACE, Life, Renewal, Session};
use super::visitor::{Counts, SignIn, Visitor};
use futures_util::{StreamExt as _, stream};
use sessile::{Clock as _, LoginStore, SystemClock, UserId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Sessions that are asked about at the same time.
const SIDE_BY_SIDE: usize = 16;
/// How often a look may go unanswered before the server counts as down.
const LOOKS_MAX: usize = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Broken promises shown in a failure.
const SHOWN_MAX: usize = 20;

/// Many clients of one server.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) client: Client,
    visitors: Vec<Visitor>,
}

impl Crowd {
    pub(crate) fn new(name: &str, home: &str, size: usize, rng: &mut fastrand::Rng) -> Outcome<Self> {
        let client = Client::new(home)?;
        let visitor = |at| Visitor::new(format!("{name}-{at}"), client.clone(), rng.fork());
        Ok(Self { visitors: (0..size).map(visitor).collect(), client })
    }

    /// Lets everybody loose for as long as `work` takes; every request under way is awaited.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Outcome<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut roaming = JoinSet::new();
        for visitor in self.visitors.drain(..) {
            let stop = stop.clone();
            roaming.spawn(async move { visitor.roam(&stop).await });
        }
        let done = work.await;
        stop.store(true, Ordering::Relaxed);
        while let Some(visitor) = roaming.join_next().await {
            self.visitors.push(visitor?);
        }
        self.no_broken_promise()?;
        Ok(done)
    }

    /// Asks for every session and holds the answers against the promises.
    pub(crate) async fn check(&mut self) -> Outcome<Checked> {
        let client = &self.client;
        for visitor in &mut self.visitors {
            visitor.settle();
            let looks = visitor.left.drain(..).map(|session| look(client, session));
            let looked: Vec<_> = stream::iter(looks).buffer_unordered(SIDE_BY_SIDE).collect().await;
            for (session, verdict) in looked {
                visitor.left.push(session);
                visitor.broken.extend(verdict.err());
            }
        }
        self.no_broken_promise()?;
        Ok(self.checked())
    }

    /// The last word: once every grace is over, twice the same, and no session in two places.
    pub(crate) async fn check_for_good(
        &mut self,
        store: &dyn LoginStore,
        renewal: Renewal,
    ) -> Outcome<Checked> {
        let renewals = self.sessions().flat_map(|session| session.former.iter().map(|(_, at)| *at));
        if let Some(latest) = renewals.max() {
            tokio::time::sleep_until((latest + GRACE).into()).await;
        }
        self.check().await?;
        let before = self.lives();
        let checked = self.check().await?;
        let changed = before.iter().zip(self.lives()).filter(|(before, after)| **before != *after).count();
        if changed > 0 {
            return Err(format!("{changed} sessions are not what they were a moment ago").into());
        }
        for session in self.sessions() {
            let user = UserId::parse(session.user.clone()).ok_or("a user")?;
            let live = store.list(&user, SystemClock.now()).await?.len();
            let allowed = session.live_allowed(renewal);
            if !allowed.contains(&live) {
                return Err(format!("{}: {live} live sessions, {allowed:?} allowed", session.user).into());
            }
        }
        Ok(checked)
    }

    /// What was promised and what was not, over all rounds.
    pub(crate) fn counts(&self) -> Counts {
        self.visitors.iter().fold(Counts::default(), |sum, visitor| Counts {
            acknowledged: sum.acknowledged + visitor.counts.acknowledged,
            unknown: sum.unknown + visitor.counts.unknown,
        })
    }

    /// How many regenerations were acknowledged.
    pub(crate) fn renewals(&self) -> u64 {
        self.sessions().map(|session| session.former.len() as u64).sum()
    }

    pub(crate) fn sign_ins(&self) -> impl Iterator<Item = SignIn> {
        self.visitors.iter().flat_map(|visitor| visitor.sign_ins.iter().copied())
    }

    fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.visitors.iter().flat_map(|visitor| &visitor.left)
    }

    fn lives(&self) -> Vec<(String, Life)> {
        let mut lives: Vec<_> = self.sessions().map(|session| (session.user.clone(), session.life)).collect();
        lives.sort_by(|one, other| one.0.cmp(&other.0));
        lives
    }

    fn checked(&self) -> Checked {
        let count = |life| self.sessions().filter(|session| session.life == life).count();
        Checked {
            live: count(Life::Live),
            ended: count(Life::Ended),
            open: count(Life::Moved) + count(Life::MaybeEnded),
        }
    }

    fn no_broken_promise(&self) -> Outcome {
        let broken: Vec<&str> =
            self.visitors.iter().flat_map(|visitor| &visitor.broken).map(String::as_str).collect();
        if broken.is_empty() {
            return Ok(());
        }
        let shown = broken[..broken.len().min(SHOWN_MAX)].join("\n  ");
        Err(format!("{} broken promises:\n  {shown}", broken.len()).into())
    }
}

/// Sessions after a check, by what is known of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) live: usize,
    pub(crate) ended: usize,
    pub(crate) open: usize,
}

async fn look(client: &Client, mut session: Session) -> (Session, Result<(), String>) {
    let verdict = async {
        let seen = ask(client, &session.cookie).await?;
        session.observe(&seen)?;
        for (cookie, since) in &session.former {
            // Taken before the question: the answer may be older than the time after it.
            let age = since.elapsed();
            let seen = ask(client, cookie).await?;
            session.observe_former(&seen, age)?;
        }
        Ok(())
    };
    let verdict = verdict.await;
    (session, verdict)
}

async fn ask(client: &Client, cookie: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    for _ in 0..LOOKS_MAX {
        match client.get("/get", Some(cookie)).await {
            Answer::Acknowledged { body, .. } => return Ok(shown(&body)),
            Answer::Refused(status, body) => return Err(format!("a look was refused with {status}: {body}")),
            Answer::Unknown(_) | Answer::NotSent => tokio::time::sleep(LOOK_PAUSE).await,
        }
    }
    Err(format!("the server did not answer {LOOKS_MAX} times in a row"))
}
