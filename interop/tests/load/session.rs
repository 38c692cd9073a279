//! One session as its client knows it, and what that allows the server to answer. Pure.
//!
//! A change that was not acknowledged may be there or not, and may still land until a later change of the same
//! slot is acknowledged. Every change writes two keys at once; they are never seen apart.

use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Pairs of keys in each session. Two, so that changes of different keys can be under way at once.
pub(crate) const SLOTS: usize = 2;
/// How long an id that was regenerated away may answer: the policy's grace of 10 s, and some for a busy machine.
pub(crate) const GRACE: Duration = Duration::from_secs(12);

/// What the client knows of the end of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It goes on.
    Live,
    /// A regeneration was not acknowledged: it goes on under this id or under one that nobody was told.
    Moved,
    /// A log-out was not acknowledged.
    MaybeEnded,
    /// It has ended.
    Ended,
}

/// How an engine regenerates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The new session and the end of the old one are one step.
    OneStep,
    /// On Redis the new session comes first and the old one retires after it, since on Cluster they lie apart.
    /// Whoever is killed in between leaves both.
    TwoSteps,
}

/// The value of one pair of keys.
#[derive(Debug, Clone, Default)]
struct Slot {
    sure: Option<u64>,
    doubtful: Vec<u64>,
}

impl Slot {
    fn allows(&self, seen: Option<u64>) -> bool {
        seen == self.sure || seen.is_some_and(|value| self.doubtful.contains(&value))
    }

    /// What has been seen stays; what was asked for after it may still land.
    fn settle_on(&mut self, seen: Option<u64>) {
        if let Some(place) = self.doubtful.iter().position(|value| Some(*value) == seen) {
            self.doubtful.drain(..=place);
            self.sure = seen;
        }
    }
}

/// One session, its promises and its doubts.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) cookie: String,
    pub(crate) life: Life,
    /// Whether a regeneration was not acknowledged, so that it may go on under an id that nobody was told.
    pub(crate) has_moved: bool,
    /// Cookies that it had before, and since when it has not.
    pub(crate) former: Vec<(String, Instant)>,
    slots: [Slot; SLOTS],
}

impl Session {
    /// A session whose creation with `value` in every slot was acknowledged.
    pub(crate) fn created(user: String, cookie: String, value: u64) -> Self {
        let slot = Slot { sure: Some(value), doubtful: Vec::new() };
        Self {
            user,
            cookie,
            life: Life::Live,
            has_moved: false,
            former: Vec::new(),
            slots: [slot.clone(), slot],
        }
    }

    /// The keys of all slots, and the user, for a creation.
    pub(crate) fn first_keys(user: &str, value: u64) -> Value {
        let mut keys = Map::new();
        keys.insert("userId".to_owned(), json!(user));
        for slot in 0..SLOTS {
            let names = [format!("a{slot}"), format!("b{slot}")];
            keys.extend(names.map(|name| (name, json!(value))));
        }
        Value::Object(keys)
    }

    /// The keys of one slot.
    pub(crate) fn keys(slot: usize, value: u64) -> Value {
        json!({ format!("a{slot}"): value, format!("b{slot}"): value })
    }

    pub(crate) fn acknowledged(&mut self, slot: usize, value: u64) {
        self.slots[slot] = Slot { sure: Some(value), doubtful: Vec::new() };
    }

    pub(crate) fn doubted(&mut self, slot: usize, value: u64) {
        self.slots[slot].doubtful.push(value);
    }

    pub(crate) fn may_have_moved(&mut self) {
        (self.life, self.has_moved) = (Life::Moved, true);
    }

    pub(crate) fn renewed(&mut self, cookie: String, at: Instant) {
        self.former.push((std::mem::replace(&mut self.cookie, cookie), at));
    }

    /// Holds what the server shows of this session against what it may show, and learns from it.
    pub(crate) fn observe(&mut self, shown: &Map<String, Value>) -> Result<(), String> {
        if shown.is_empty() {
            return match self.life {
                Life::Live => Err(format!("{}: lost, although nobody ended it", self.user)),
                Life::Moved | Life::MaybeEnded | Life::Ended => {
                    self.life = Life::Ended;
                    Ok(())
                }
            };
        }
        if self.life == Life::Ended {
            return Err(format!("{}: back from the dead with {shown:?}", self.user));
        }
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let seen = whole(shown, at).map_err(|error| format!("{}: {error}", self.user))?;
            if !slot.allows(seen) {
                return Err(format!("{}: slot {at} shows {seen:?}, known is {slot:?}", self.user));
            }
            slot.settle_on(seen);
        }
        self.owned(shown)
    }

    /// What a cookie that this session had before may show: nothing once its grace is over, until then the session.
    pub(crate) fn observe_former(&self, shown: &Map<String, Value>, since: Duration) -> Result<(), String> {
        if shown.is_empty() {
            return Ok(());
        }
        if since > GRACE {
            return Err(format!("{}: a former id still answers after {since:?}: {shown:?}", self.user));
        }
        for slot in 0..SLOTS {
            whole(shown, slot).map_err(|error| format!("{}, former id: {error}", self.user))?;
        }
        self.owned(shown)
    }

    /// How many live sessions of its user there may be, whatever their ids: a change is whole or not at all.
    pub(crate) fn live_allowed(&self, renewal: Renewal) -> RangeInclusive<usize> {
        match (self.life, renewal) {
            (Life::Moved, Renewal::TwoSteps) => 1..=2,
            (Life::Ended, _) if !self.has_moved => 0..=0,
            (Life::MaybeEnded, _) => 0..=1,
            (Life::Live | Life::Moved | Life::Ended, _) => 1..=1,
        }
    }

    fn owned(&self, shown: &Map<String, Value>) -> Result<(), String> {
        let owner = shown.get("userId");
        if owner == Some(&json!(self.user)) {
            return Ok(());
        }
        Err(format!("{}: shows the session of {owner:?}", self.user))
    }
}

/// The value of both keys of a slot, which are always the same.
fn whole(shown: &Map<String, Value>, slot: usize) -> Result<Option<u64>, String> {
    let [a, b] = ["a", "b"].map(|name| shown.get(&format!("{name}{slot}")).and_then(Value::as_u64));
    if a == b { Ok(a) } else { Err(format!("slot {slot} is torn: a={a:?} b={b:?}")) }
}
