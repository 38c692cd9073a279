//! The request's session as the handle keeps it under its lock: the pure session, and what the handle itself has
//! to remember. Every change passes here, so that the device is recorded when, and only when, something is written.

use crate::error::Error;
use crate::visitor::Visitor;
use sessile_core::login::{DataError, Edit, LoginData, LoginId, LoginPolicy, LoginSession, Stored};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;

/// What the handler last asked for beyond changed keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Renew,
    End,
    Leave,
}

/// Whether the answer has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Committed,
}

/// The session behind the lock.
#[derive(Debug)]
pub(crate) struct Held {
    session: LoginSession,
    visitor: Visitor,
    asked: Option<Asked>,
    phase: Phase,
}

impl Held {
    pub(crate) const fn new(session: LoginSession, visitor: Visitor) -> Self {
        Self { session, visitor, asked: None, phase: Phase::Open }
    }

    pub(crate) const fn session(&self) -> &LoginSession {
        &self.session
    }

    /// The session, to change a key. Records the device where the stored session has none.
    pub(crate) fn change(&mut self, now: impl FnOnce() -> Timestamp) -> &mut LoginSession {
        let known = self.session.stored().is_some_and(|stored| stored.data.device().is_some());
        if !known && self.phase == Phase::Open {
            self.note_device(now());
        }
        &mut self.session
    }

    pub(crate) fn regenerate(&mut self, now: Timestamp) -> Result<(), Error> {
        self.require_open()?;
        self.asked = Some(Asked::Renew);
        self.session.regenerate();
        self.note_device(now);
        Ok(())
    }

    pub(crate) fn destroy(&mut self, now: Timestamp) -> Result<(), Error> {
        self.require_open()?;
        self.asked = Some(Asked::End);
        self.session.destroy();
        // Should the handler go on and set something, that is a new session.
        self.note_device(now);
        Ok(())
    }

    pub(crate) fn unset(&mut self, policy: &LoginPolicy) -> Result<(), Error> {
        self.require_open()?;
        self.asked = Some(Asked::Leave);
        self.session.unset(policy);
        Ok(())
    }

    pub(crate) fn require_open(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Committed => Err(DataError::TooLate.into()),
        }
    }

    /// The session, for the plan at the end of the request.
    pub(crate) fn finish(
        &mut self,
        policy: &LoginPolicy,
        now: impl FnOnce() -> Timestamp,
    ) -> &mut LoginSession {
        // With `save_uninitialized` a session is stored that no handler has changed.
        if policy.save_uninitialized.is_set() && self.session.stored().is_none() {
            self.note_device(now());
        }
        self.phase = Phase::Committed;
        &mut self.session
    }

    /// The session, for the plan of a save in the middle, and its data at this moment.
    pub(crate) fn begin_save(&mut self) -> Result<(&mut LoginSession, LoginData), Error> {
        self.require_open()?;
        self.asked = None;
        let before = self.session.data().clone();
        Ok((&mut self.session, before))
    }

    /// A save succeeded. What another task of the same request did while it was under way is done again on top.
    pub(crate) fn saved(
        &mut self,
        before: &LoginData,
        id: LoginId,
        stored: Arc<Stored>,
        policy: &LoginPolicy,
    ) -> Result<(), Error> {
        let nothing = LoginData::EMPTY;
        let base = if self.asked == Some(Asked::End) { &nothing } else { before };
        let late: Vec<Edit> = self.session.data().edits_since(base);
        self.session.saved(id, stored);
        match self.asked {
            Some(Asked::Renew) => self.session.regenerate(),
            Some(Asked::End) => self.session.destroy(),
            Some(Asked::Leave) => self.session.unset(policy),
            None => {}
        }
        for edit in late {
            match edit.value {
                Some(value) => self.session.set(&edit.key, &value)?,
                None => drop(self.session.remove(&edit.key)?),
            }
        }
        Ok(())
    }

    fn note_device(&mut self, now: Timestamp) {
        self.session.set_device(self.visitor.device(now));
    }
}

/// The whole chain of causes on one line, for the log; an error's own text never names its source.
pub(crate) fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
