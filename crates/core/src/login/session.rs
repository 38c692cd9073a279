//! One request's view of a login session: what the cookie named, what the store held, what the handler changed,
//! and the decision what to write at the end. Pure: the service in [`super::logins`] does what is decided here.

use super::change::{LoginChange, Merge};
use super::cookie::CookieFields;
use super::data::{DataError, Device, LoginData, Removed};
use super::expiry::Lifetime;
use super::id::{Fingerprint, LoginId, UserId};
use super::policy::{LoginPolicy, Unset};
use super::rules::{
    CookieFact, CookieStep, DataFact, Facts, IdFact, LifetimeFact, SavedFact, Upkeep, end_of_request,
};
use super::signature::{CookieFault, SignedBy, SignedId};
use super::store::{Absence, NewLogin, Stored};
use crate::entropy::{Entropy, NoEntropy};
use crate::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Why a request has no stored session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// It came without our cookie.
    NoCookie,
    /// Its cookie names nothing we signed.
    BadCookie(CookieFault),
    /// The store has no live session under the id.
    Absent(Absence),
    /// The store did not answer: there may well be a session.
    StoreDown,
}

impl Lost {
    /// One word for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoCookie => "no_cookie",
            Self::BadCookie(CookieFault::BadSignature) => "bad_signature",
            Self::BadCookie(CookieFault::Unsigned) => "unsigned_cookie",
            Self::BadCookie(CookieFault::Malformed) => "malformed_cookie",
            Self::Absent(Absence::Unknown) => "unknown",
            Self::Absent(Absence::Expired) => "expired",
            Self::Absent(Absence::Ended) => "ended",
            Self::Absent(Absence::Undecodable(_)) => "undecodable",
            Self::StoreDown => "store_down",
        }
    }
}

/// When the id that a regenerated session had before ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retire {
    AfterGrace,
    Now,
}

/// What the handler asked for, beyond changing keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Keep,
    NewId(Retire),
    End,
    Leave,
}

/// The session of one request.
#[derive(Debug)]
pub struct LoginSession {
    cookie: Option<SignedId>,
    lost: Option<Lost>,
    stored: Option<Arc<Stored>>,
    original: Option<Arc<Stored>>,
    current: Option<LoginData>,
    max_age: Option<Option<Duration>>,
    device: Option<Device>,
    merge: Merge,
    wish: Wish,
    saved_midway: Option<Arc<Stored>>,
    finished: bool,
}

/// What to write. One store call each.
#[derive(Debug)]
pub enum Write {
    /// Nothing.
    Nothing,
    /// A new session.
    Create(NewLogin),
    /// Changed keys.
    Commit(LoginChange),
    /// A later expiry.
    Touch(LoginId, Timestamp),
    /// A new id for it.
    Replace {
        /// The id it had.
        old: LoginId,
        /// When that id ends.
        retires_at: Timestamp,
        /// The session under its new id.
        login: NewLogin,
    },
    /// The end of it.
    Destroy(LoginId),
}

/// What to tell the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CookiePlan {
    /// Nothing.
    Leave,
    /// The cookie that names this session, until then (`None`: until the browser closes).
    Set(LoginId, Option<Timestamp>),
    /// Forget the cookie.
    Clear,
}

/// The end of a request: what to write, then what to tell the browser.
#[derive(Debug)]
pub struct Plan {
    /// For the store.
    pub write: Write,
    /// For the browser, once the write has succeeded.
    pub cookie: CookiePlan,
}

static NOTHING: LoginData = LoginData::EMPTY;

impl LoginSession {
    /// A session that the store holds, as the cookie named it.
    #[must_use]
    pub fn found(cookie: SignedId, stored: Arc<Stored>) -> Self {
        Self {
            cookie: Some(cookie),
            original: Some(stored.clone()),
            stored: Some(stored),
            ..Self::empty(None)
        }
    }

    /// No stored session, and why. An id the store does not know is never adopted.
    #[must_use]
    pub fn lost(cookie: Option<SignedId>, why: Lost) -> Self {
        Self { cookie, ..Self::empty(Some(why)) }
    }

    const fn empty(lost: Option<Lost>) -> Self {
        Self {
            cookie: None,
            lost,
            stored: None,
            original: None,
            current: None,
            max_age: None,
            device: None,
            merge: Merge::ByKey,
            wish: Wish::Keep,
            saved_midway: None,
            finished: false,
        }
    }

    /// The data as the handler sees it now.
    #[must_use]
    pub fn data(&self) -> &LoginData {
        match (&self.current, &self.stored) {
            (Some(current), _) => current,
            (None, Some(stored)) => &stored.data,
            (None, None) => &NOTHING,
        }
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// [`DataError::WrongType`].
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DataError> {
        self.data().get(key)
    }

    /// Sets `key`.
    ///
    /// # Errors
    /// [`DataError::ReservedKey`], [`DataError::WrongType`], [`DataError::TooLate`].
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), DataError> {
        self.writable()?.set(key, value)
    }

    /// Removes `key`.
    ///
    /// # Errors
    /// [`DataError::TooLate`].
    pub fn remove(&mut self, key: &str) -> Result<Removed, DataError> {
        Ok(self.writable()?.remove(key))
    }

    /// Removes every key; the session itself goes on.
    ///
    /// # Errors
    /// [`DataError::TooLate`].
    pub fn clear(&mut self) -> Result<(), DataError> {
        self.writable()?.clear();
        Ok(())
    }

    fn writable(&mut self) -> Result<&mut LoginData, DataError> {
        if self.finished {
            return Err(DataError::TooLate);
        }
        if self.wish == Wish::End {
            // Destroyed and then used again: a new session under a new id; the old one still ends now.
            self.wish = Wish::NewId(Retire::Now);
        }
        if self.current.is_none() {
            self.current = Some(self.data().clone());
        }
        self.current.as_mut().ok_or(DataError::TooLate)
    }

    /// Asks for a new id at the end of the request; the data stays.
    pub fn regenerate(&mut self) {
        self.wish = match self.wish {
            Wish::NewId(Retire::Now) | Wish::End => Wish::NewId(Retire::Now),
            Wish::Keep | Wish::Leave | Wish::NewId(Retire::AfterGrace) => Wish::NewId(Retire::AfterGrace),
        };
    }

    /// Ends the session at the end of the request.
    pub fn destroy(&mut self) {
        self.current = Some(LoginData::default());
        self.wish = Wish::End;
    }

    /// express-session's `req.session = null`: with `unset: destroy` the session ends, otherwise it is left as it
    /// is, neither written nor touched.
    pub fn unset(&mut self, policy: &LoginPolicy) {
        match policy.unset {
            Unset::Destroy => self.destroy(),
            Unset::Keep => self.wish = Wish::Leave,
        }
    }

    /// Gives this session's cookie its own lifetime (`None`: until the browser closes).
    pub fn set_max_age(&mut self, max_age: Option<Duration>) {
        self.max_age = Some(max_age);
    }

    /// Makes any concurrent change a conflict instead of merging with it.
    pub fn be_strict(&mut self) {
        self.merge = Merge::Strict;
    }

    /// Records the device for a session that is created or renewed in this request.
    pub fn set_device(&mut self, device: Device) {
        self.device = Some(device);
    }

    /// The id that the request came with, when the store knows it.
    #[must_use]
    pub fn id(&self) -> Option<&LoginId> {
        self.stored.as_ref().and(self.cookie.as_ref()).map(|cookie| &cookie.id)
    }

    /// What a log may say of the session that the request's cookie named, whether the store knows it or not.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.cookie.as_ref().map(|cookie| cookie.id.fingerprint())
    }

    /// Why there is no stored session; `None` when there is one.
    #[must_use]
    pub const fn why_lost(&self) -> Option<&Lost> {
        self.lost.as_ref()
    }

    /// The signed-in user.
    #[must_use]
    pub fn user(&self, policy: &LoginPolicy) -> Option<UserId> {
        self.data().user(&policy.user_key)
    }

    /// The version and expiry that the store holds.
    #[must_use]
    pub const fn stored(&self) -> Option<&Arc<Stored>> {
        self.stored.as_ref()
    }

    /// Decides what the end of the request writes and sends. No later change is taken.
    ///
    /// # Errors
    /// [`NoEntropy`] when a new id is needed and cannot be made.
    pub fn finish(
        &mut self,
        policy: &LoginPolicy,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Plan, NoEntropy> {
        self.finished = true;
        match self.wish {
            Wish::Leave => Ok(Plan { write: Write::Nothing, cookie: CookiePlan::Leave }),
            Wish::End => Ok(self.end()),
            Wish::NewId(retire) => self.renew(policy, retire, now, entropy),
            Wish::Keep => self.keep(policy, now, entropy),
        }
    }

    /// Decides what a save in the middle of the request writes; `None` when nothing changed.
    ///
    /// # Errors
    /// [`NoEntropy`] as above.
    pub fn save_now(
        &mut self,
        policy: &LoginPolicy,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Option<Write>, NoEntropy> {
        let changed = !self.holds(self.stored.as_ref());
        match self.wish {
            Wish::Keep if changed => Ok(Some(self.save(policy, now, entropy)?.0)),
            Wish::NewId(retire) => Ok(Some(self.renew(policy, retire, now, entropy)?.write)),
            Wish::Keep | Wish::Leave | Wish::End => Ok(None),
        }
    }

    /// Takes note that a save in the middle of the request has succeeded.
    pub fn saved(&mut self, id: LoginId, stored: Arc<Stored>) {
        self.cookie = match self.cookie.take() {
            Some(cookie) if cookie.id == id => Some(cookie),
            // Not what the browser sent: the cookie is due with the answer.
            _ => Some(SignedId { id, signed_by: SignedBy::Retired }),
        };
        self.current = None;
        self.wish = Wish::Keep;
        self.lost = None;
        self.saved_midway = Some(stored.clone());
        self.stored = Some(stored);
    }

    fn end(&self) -> Plan {
        match &self.cookie {
            // Also when the store could not be read: the signature proves that the id is ours to end.
            Some(cookie) if self.stored.is_some() || self.lost == Some(Lost::StoreDown) => {
                Plan { write: Write::Destroy(cookie.id.clone()), cookie: CookiePlan::Clear }
            }
            Some(_) => Plan { write: Write::Nothing, cookie: CookiePlan::Clear },
            None => Plan { write: Write::Nothing, cookie: CookiePlan::Leave },
        }
    }

    fn renew(
        &self,
        policy: &LoginPolicy,
        retire: Retire,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Plan, NoEntropy> {
        if self.data().is_empty() && !policy.save_uninitialized.is_set() {
            return Ok(self.end());
        }
        let (login, ends) = self.new_login(policy, now, entropy)?;
        let cookie = CookiePlan::Set(login.id.clone(), ends);
        let known = self.stored.is_some() || self.lost == Some(Lost::StoreDown);
        let write = match &self.cookie {
            Some(SignedId { id, .. }) if known => {
                let grace = match retire {
                    Retire::AfterGrace => policy.grace,
                    Retire::Now => Duration::ZERO,
                };
                Write::Replace { old: id.clone(), retires_at: now.plus(grace), login }
            }
            _ => Write::Create(login),
        };
        Ok(Plan { write, cookie })
    }

    fn keep(
        &mut self,
        policy: &LoginPolicy,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Plan, NoEntropy> {
        let facts = self.facts(policy);
        let (upkeep, step) = end_of_request(policy, facts);
        let retiring = self.stored.as_ref().is_some_and(|s| s.retires_at.is_some());
        let (write, id, ends) = match upkeep {
            Upkeep::Save => {
                let (write, id, ends) = self.save(policy, now, entropy)?;
                (write, Some(id), ends)
            }
            Upkeep::Touch => self.touch(policy, now),
            Upkeep::Nothing => (Write::Nothing, self.id().cloned(), None),
        };
        let renew_signature =
            self.stored.is_some() && self.cookie.as_ref().is_some_and(|c| c.signed_by == SignedBy::Retired);
        let cookie = match id {
            // The browser may hold the new id by now: an answer under the old one must not overwrite it.
            _ if retiring => CookiePlan::Leave,
            Some(id) if step == CookieStep::Set || renew_signature => CookiePlan::Set(id, ends),
            _ => CookiePlan::Leave,
        };
        Ok(Plan { write, cookie })
    }

    fn facts(&self, policy: &LoginPolicy) -> Facts {
        let unchanged = self.holds(self.original.as_ref());
        let saved = match (&self.saved_midway, &self.original) {
            (Some(midway), _) => Some(self.holds(Some(midway))),
            (None, Some(_)) if !policy.resave.is_set() => Some(unchanged),
            _ => None,
        };
        Facts {
            id: IdFact::Original,
            data: if unchanged { DataFact::Original } else { DataFact::Changed },
            saved: match saved {
                None => SavedFact::Unknown,
                Some(true) => SavedFact::Same,
                Some(false) => SavedFact::Differs,
            },
            cookie: if self.stored.is_some() { CookieFact::NamesIt } else { CookieFact::NamesAnother },
            lifetime: match self.max_age(policy) {
                Some(_) => LifetimeFact::Ends,
                None => LifetimeFact::BrowserSession,
            },
        }
    }

    /// Whether the data is what `stored` holds.
    fn holds(&self, stored: Option<&Arc<Stored>>) -> bool {
        let untouched = self.current.is_none()
            && match (stored, &self.stored) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            };
        untouched || self.data().same_entries(stored.map_or(&NOTHING, |s| &s.data))
    }

    fn touch(&self, policy: &LoginPolicy, now: Timestamp) -> (Write, Option<LoginId>, Option<Timestamp>) {
        let (Some(stored), Some(cookie)) = (&self.stored, &self.cookie) else {
            return (Write::Nothing, None, None);
        };
        let life = self.lifetime(policy, now);
        let ends = life.max_age.map(|_| life.promised(now));
        let due = stored.retires_at.is_none() && life.touch_due(stored.expires_at, now);
        let write = if due { Write::Touch(cookie.id.clone(), life.stored(now)) } else { Write::Nothing };
        (write, Some(cookie.id.clone()), ends)
    }

    /// The changed keys of a stored session, or a new session.
    fn save(
        &self,
        policy: &LoginPolicy,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(Write, LoginId, Option<Timestamp>), NoEntropy> {
        let (Some(stored), Some(cookie)) = (&self.stored, &self.cookie) else {
            let (login, ends) = self.new_login(policy, now, entropy)?;
            let id = login.id.clone();
            return Ok((Write::Create(login), id, ends));
        };
        let life = self.lifetime(policy, now);
        let ends = life.max_age.map(|_| life.promised(now));
        let change = LoginChange {
            id: cookie.id.clone(),
            base: stored.clone(),
            edits: self.data().edits_since(&stored.data),
            cookie: self.cookie_fields(policy, life.max_age, ends, now),
            device: self.device.clone(),
            expires_at: life.stored(now),
            merge: self.merge,
            bytes_max: policy.data_bytes_max,
        };
        Ok((Write::Commit(change), cookie.id.clone(), ends))
    }

    fn new_login(
        &self,
        policy: &LoginPolicy,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(NewLogin, Option<Timestamp>), NoEntropy> {
        let mut data = self.data().clone();
        // The absolute timeout counts from sign-in: the same user under a new id is no new sign-in.
        let before = self.original.as_ref().map(|s| &s.data);
        let same_user = before.is_some_and(|d| d.user(&policy.user_key) == data.user(&policy.user_key));
        let began = if same_user { before.and_then(LoginData::device).map(|d| d.created_at) } else { None };
        let device = self.device.clone().or_else(|| data.device());
        let device = device.unwrap_or(Device { created_at: 0, agent: None, address: None });
        data.set_device(Device { created_at: began.unwrap_or(now.unix_ms()), ..device });
        let created = Timestamp::from_unix_ms(began.unwrap_or(now.unix_ms()));
        let life = Lifetime { policy, max_age: self.max_age(policy), created };
        let ends = life.max_age.map(|_| life.promised(now));
        data.set_cookie(self.cookie_fields(policy, life.max_age, ends, now));
        let login = NewLogin { id: LoginId::generate(entropy)?, data, expires_at: life.stored(now) };
        Ok((login, ends))
    }

    fn cookie_fields(
        &self,
        policy: &LoginPolicy,
        max_age: Option<Duration>,
        ends: Option<Timestamp>,
        now: Timestamp,
    ) -> CookieFields {
        let stored = self.stored.as_ref().and_then(|s| s.data.cookie());
        let fields = stored.unwrap_or_else(|| CookieFields::new(&policy.cookie, max_age, now));
        fields.ending(max_age, ends)
    }

    /// The lifetime of the stored session.
    #[must_use]
    pub fn lifetime<'p>(&self, policy: &'p LoginPolicy, now: Timestamp) -> Lifetime<'p> {
        // When it began matters to the absolute timeout only.
        let began = || self.stored.as_ref().and_then(|s| s.data.device()).map(|device| device.created());
        let created = policy.absolute.and_then(|_| began()).unwrap_or(now);
        Lifetime { policy, max_age: self.max_age(policy), created }
    }

    fn max_age(&self, policy: &LoginPolicy) -> Option<Duration> {
        let stored = || self.stored.as_ref().and_then(|s| s.data.max_age());
        self.max_age.or_else(stored).unwrap_or(policy.max_age)
    }
}
