//! One client with one session at a time, doing what comes up at random and remembering what it was told.

use super::client::{Answer, Client, shown};
use super::session::{Life, SLOTS, Session};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Before the next attempt after one that was not answered: an outage is no reason for a storm.
const PAUSE: Duration = Duration::from_millis(20);
/// Sessions that one client begins at most; later it stays with what it has.
const SESSIONS_MAX: usize = 400;

/// A creation, for those who count them: when it was asked for, how long the answer took, and which it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignIn {
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) acknowledged: bool,
}

/// Requests that were promised something, and those that were not.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
}

/// One of the crowd.
#[derive(Debug)]
pub(crate) struct Visitor {
    name: String,
    client: Client,
    rng: fastrand::Rng,
    counter: u64,
    current: Option<Session>,
    /// Sessions that it no longer uses, with all that was promised of them.
    pub(crate) left: Vec<Session>,
    pub(crate) sign_ins: Vec<SignIn>,
    pub(crate) counts: Counts,
    /// Broken promises, in words.
    pub(crate) broken: Vec<String>,
}

impl Visitor {
    pub(crate) fn new(name: String, client: Client, rng: fastrand::Rng) -> Self {
        Self {
            name,
            client,
            rng,
            counter: 0,
            current: None,
            left: Vec::new(),
            sign_ins: Vec::new(),
            counts: Counts::default(),
            broken: Vec::new(),
        }
    }

    /// Goes on until told to stop, or until a promise is broken.
    pub(crate) async fn roam(mut self, stop: &AtomicBool) -> Self {
        while !stop.load(Ordering::Relaxed) && self.broken.is_empty() {
            if let Err(error) = Box::pin(self.step()).await {
                self.broken.push(error);
            }
        }
        self
    }

    /// Puts the session in use to the others.
    pub(crate) fn settle(&mut self) {
        self.left.extend(self.current.take());
    }

    async fn step(&mut self) -> Result<(), String> {
        let Some(session) = self.current.take() else { return self.sign_in().await };
        let kept = match self.rng.u8(..100) {
            0..40 => self.change(session).await,
            40..55 => self.change_side_by_side(session).await,
            55..75 => self.look(session).await,
            75..85 => self.renew(session).await,
            85..92 => self.log_out(session).await,
            92..96 => self.log_out_while_writing(session).await,
            _ if self.left.len() < SESSIONS_MAX => {
                self.left.push(session);
                return Ok(());
            }
            _ => self.look(session).await,
        }?;
        if kept.life == Life::Live {
            self.current = Some(kept);
        } else {
            self.left.push(kept);
        }
        Ok(())
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// What an answer is worth: `Some` is a promise.
    async fn promise(
        &mut self,
        answer: Answer,
        doing: &str,
    ) -> Result<Option<(Option<String>, Value)>, String> {
        match answer {
            Answer::Acknowledged { cookie, body } => {
                self.counts.acknowledged += 1;
                return Ok(Some((cookie, body)));
            }
            Answer::Unknown(_) | Answer::NotSent => self.counts.unknown += 1,
            Answer::Refused(status, body) => {
                return Err(format!("{}: {doing} was refused with {status}: {body}", self.name));
            }
        }
        tokio::time::sleep(PAUSE).await;
        Ok(None)
    }

    async fn sign_in(&mut self) -> Result<(), String> {
        let value = self.next();
        let user = format!("{}-{value}", self.name);
        let at = Instant::now();
        let answer = self.client.post("/set", None, &Session::first_keys(&user, value)).await;
        let promised = self.promise(answer, "a sign-in").await?;
        self.sign_ins.push(SignIn { at, took: at.elapsed(), acknowledged: promised.is_some() });
        if let Some((cookie, _)) = promised {
            let cookie = cookie.ok_or_else(|| format!("{user}: a sign-in without a cookie"))?;
            self.current = Some(Session::created(user, cookie, value));
        }
        Ok(())
    }

    async fn change(&mut self, mut session: Session) -> Result<Session, String> {
        let (slot, value) = (self.rng.usize(..SLOTS), self.next());
        let answer = change(&self.client, &session.cookie, slot, value).await;
        self.note_change(&mut session, slot, value, answer).await?;
        Ok(session)
    }

    /// Different keys at the same moment: both changes have to survive.
    async fn change_side_by_side(&mut self, mut session: Session) -> Result<Session, String> {
        let values: [u64; SLOTS] = std::array::from_fn(|_| self.next());
        let client = &self.client;
        let cookie = &session.cookie;
        let (first, second) =
            tokio::join!(change(client, cookie, 0, values[0]), change(client, cookie, 1, values[1]));
        for (slot, answer) in [first, second].into_iter().enumerate() {
            self.note_change(&mut session, slot, values[slot], answer).await?;
        }
        Ok(session)
    }

    async fn note_change(
        &mut self,
        session: &mut Session,
        slot: usize,
        value: u64,
        answer: Answer,
    ) -> Result<(), String> {
        if matches!(answer, Answer::Unknown(_)) {
            session.doubted(slot, value);
        }
        let Some((cookie, _)) = self.promise(answer, "a change").await? else { return Ok(()) };
        session.acknowledged(slot, value);
        if cookie.is_some_and(|cookie| cookie != session.cookie) {
            return Err(format!("{}: lost: a change was put into another session", session.user));
        }
        Ok(())
    }

    async fn look(&mut self, mut session: Session) -> Result<Session, String> {
        let answer = self.client.get("/get", Some(&session.cookie)).await;
        if let Some((_, body)) = self.promise(answer, "a look").await? {
            session.observe(&shown(&body))?;
        }
        Ok(session)
    }

    async fn renew(&mut self, mut session: Session) -> Result<Session, String> {
        let value = self.next();
        let body = json!({ "set": Session::first_keys(&session.user, value) });
        let answer = self.client.post("/regenerate", Some(&session.cookie), &body).await;
        if matches!(answer, Answer::Unknown(_)) {
            session.may_have_moved();
        }
        if let Some((cookie, _)) = self.promise(answer, "a regeneration").await? {
            match cookie {
                Some(cookie) if cookie != session.cookie => session.renewed(cookie, Instant::now()),
                _ => return Err(format!("{}: a regeneration without a new id", session.user)),
            }
            (0..SLOTS).for_each(|slot| session.acknowledged(slot, value));
        }
        Ok(session)
    }

    async fn log_out(&mut self, mut session: Session) -> Result<Session, String> {
        let answer = self.client.post("/destroy", Some(&session.cookie), &json!({})).await;
        self.note_log_out(&mut session, answer).await?;
        Ok(session)
    }

    /// The write may win or lose against the log-out; it must not undo it.
    async fn log_out_while_writing(&mut self, mut session: Session) -> Result<Session, String> {
        let (slot, value) = (self.rng.usize(..SLOTS), self.next());
        let client = &self.client;
        let body = json!({});
        let (_, ended) = tokio::join!(
            change(client, &session.cookie, slot, value),
            client.post("/destroy", Some(&session.cookie), &body)
        );
        session.doubted(slot, value);
        self.note_log_out(&mut session, ended).await?;
        // With the session still in use the late write would be in doubt for ever.
        if session.life == Life::Live {
            session.life = Life::MaybeEnded;
        }
        Ok(session)
    }

    async fn note_log_out(&mut self, session: &mut Session, answer: Answer) -> Result<(), String> {
        if matches!(answer, Answer::Unknown(_)) {
            session.life = Life::MaybeEnded;
        }
        if self.promise(answer, "a log-out").await?.is_some() {
            session.life = Life::Ended;
        }
        Ok(())
    }
}

async fn change(client: &Client, cookie: &str, slot: usize, value: u64) -> Answer {
    // A change of the session in use, not a sign-in: while the store is away it has to be refused.
    let body = json!({ "delay_ms": 0, "set": Session::keys(slot, value) });
    client.post("/late", Some(cookie), &body).await
}
