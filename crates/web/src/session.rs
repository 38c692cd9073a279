//! The session as a handler holds it. Cheap to clone; all clones in one request are the same session.
//!
//! Reading and changing never waits: the session was loaded before the handler ran, and what changed is written
//! when the handler has returned, before the first byte of the answer leaves. The id is never given out.

use crate::error::Error;
use crate::held::Held;
use crate::shared::Shared;
use crate::typed::SessionKey;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sessile_core::login::{CookieOut, Fingerprint, LoginError, LoginId, Lost, Removed, UserId, Write};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The visitor's session: an axum extractor, and a request extension under this type.
///
/// ```
/// # use sessile::{Error, Session};
/// async fn count(session: Session) -> Result<String, Error> {
///     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
///     session.set("visits", &visits)?;
///     Ok(format!("visit number {visits}"))
/// }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
/// # fn main() { run(axum::routing::get(count)) }
/// ```
///
/// Behind a store that did not answer, the extractor refuses with 503 rather than show an empty session, so that
/// nobody looks logged out because of an outage. A route that signs people in takes
/// [`SignInSession`](crate::SignInSession) instead.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    held: Mutex<Held>,
    /// One save or commit at a time; the second decides on what the first has stored.
    turn: tokio::sync::Mutex<()>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, held: Held) -> Self {
        Self(Arc::new(Inner { shared, held: Mutex::new(held), turn: tokio::sync::Mutex::new(()) }))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock()
    }

    /// The value under `key`; `None` when it is not set.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// # async fn handler(session: Session) -> Result<(), Error> {
    /// assert_eq!(session.get::<String>("theme")?, None);
    /// session.set("theme", "dark")?;
    /// assert_eq!(session.get::<String>("theme")?.as_deref(), Some("dark"));
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(handler)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] when the stored value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        Ok(self.held().session().get(key)?)
    }

    /// Sets `key` to anything that has a JSON form.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// # async fn handler(session: Session) -> Result<(), Error> {
    /// session.set("basket", &["apple", "pear"])?;
    /// assert!(session.set("cookie", &1).is_err(), "that name is express-session's own");
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(handler)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] for a reserved key, a value without JSON form, or after the answer has left.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        Ok(self.held().change(|| self.shared().logins.now()).set(key, value)?)
    }

    /// Removes `key`, and says whether it was there.
    ///
    /// ```
    /// # use sessile::{Error, Removed, Session};
    /// # async fn handler(session: Session) -> Result<(), Error> {
    /// session.set("flash", "Saved.")?;
    /// assert_eq!(session.remove("flash")?, Removed::Yes);
    /// assert_eq!(session.remove("flash")?, Removed::WasAbsent);
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(handler)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] after the answer has left.
    pub fn remove(&self, key: &str) -> Result<Removed, Error> {
        Ok(self.held().change(|| self.shared().logins.now()).remove(key)?)
    }

    /// Removes `key` and gives what was there, such as a message to be shown once.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// # async fn handler(session: Session) -> Result<(), Error> {
    /// session.set("flash", "Saved.")?;
    /// assert_eq!(session.take::<String>("flash")?.as_deref(), Some("Saved."));
    /// assert_eq!(session.take::<String>("flash")?, None);
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(handler)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] when it is not a `T` (then it stays), or after the answer has left.
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let mut held = self.held();
        let value = held.session().get(key)?;
        if value.is_some() {
            held.change(|| self.shared().logins.now()).remove(key)?;
        }
        Ok(value)
    }

    /// The value of a type that names its own key.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub fn value<T: SessionKey>(&self) -> Result<Option<T>, Error> {
        self.get(T::KEY)
    }

    /// Stores a value under the key that its type names.
    ///
    /// # Errors
    /// As [`Session::set`].
    pub fn put<T: SessionKey>(&self, value: &T) -> Result<(), Error> {
        self.set(T::KEY, value)
    }

    /// Removes every key. The session itself, its id and its cookie go on.
    ///
    /// # Errors
    /// [`Error::Data`] after the answer has left.
    pub fn clear(&self) -> Result<(), Error> {
        Ok(self.held().change(|| self.shared().logins.now()).clear()?)
    }

    /// The keys, in the order in which they were first set.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// # async fn handler(session: Session) -> Result<(), Error> {
    /// assert!(session.is_empty());
    /// session.set("b", &1)?;
    /// session.set("a", &2)?;
    /// assert_eq!(session.keys(), ["b", "a"]);
    /// session.clear()?;
    /// assert!(session.is_empty());
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(handler)) }
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.held().session().data().keys().map(str::to_owned).collect()
    }

    /// Whether no key is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held().session().data().is_empty()
    }

    /// The signed-in user: what stands under the policy's user key (`userId`).
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        self.held().session().user(self.shared().logins.policy())
    }

    /// Signs `user` in: a new id against session fixation, and the user under the policy's user key. Other keys
    /// stay. A text or a number, whichever the application's ids are.
    ///
    /// ```
    /// # use sessile::{Error, Session, SignInSession};
    /// async fn sign_in(SignInSession(session): SignInSession) -> Result<&'static str, Error> {
    ///     // …after the password was checked
    ///     session.sign_in("user-7")?;
    ///     assert_eq!(session.user().unwrap().as_str(), "user-7");
    ///     Ok("welcome")
    /// }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(sign_in)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotAUser`] when it is neither, or empty; [`Error::Data`] after the answer has left.
    pub fn sign_in<T: Serialize + ?Sized>(&self, user: &T) -> Result<(), Error> {
        let (shared, mut held) = (self.shared(), self.held());
        let policy = shared.logins.policy();
        let mut alone = sessile_core::login::LoginData::default();
        alone.set(&policy.user_key, user)?;
        alone.user(&policy.user_key).ok_or(Error::NotAUser)?;
        held.regenerate(shared.logins.now())?;
        Ok(held.change(|| shared.logins.now()).set(&policy.user_key, user)?)
    }

    /// Gives the session a new id at the end of the request, and keeps what it holds. The old id answers requests
    /// that are under way for the policy's grace time, then never again.
    ///
    /// # Errors
    /// [`Error::Data`] after the answer has left.
    pub fn regenerate(&self) -> Result<(), Error> {
        self.held().regenerate(self.shared().logins.now())
    }

    /// Ends the session with this request and clears the cookie: a log-out. Nothing brings it back, also not a
    /// request that is writing at this moment.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// async fn log_out(session: Session) -> Result<&'static str, Error> {
    ///     session.destroy()?;
    ///     Ok("good-bye")
    /// }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(log_out)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] after the answer has left.
    pub fn destroy(&self) -> Result<(), Error> {
        self.held().destroy(self.shared().logins.now())
    }

    /// express-session's `req.session = null`: by the policy's [`Unset`](crate::Unset), ends the session or leaves
    /// the stored one exactly as it is, without this request's changes.
    ///
    /// # Errors
    /// [`Error::Data`] after the answer has left.
    pub fn unset(&self) -> Result<(), Error> {
        self.held().unset(self.shared().logins.policy())
    }

    /// Makes what changed durable now, in the middle of the request, for instance before a payment is started. A
    /// session that ends still ends with the answer.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// async fn pay(session: Session) -> Result<&'static str, Error> {
    ///     session.set("payment", "begun")?;
    ///     session.save().await?;
    ///     // …from here on a crash of this process loses nothing of it
    ///     Ok("paid")
    /// }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(pay)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Login`] when it is not stored, or not known to be.
    pub async fn save(&self) -> Result<(), Error> {
        let _turn = self.0.turn.lock().await;
        let logins = &self.shared().logins;
        let planned = {
            let mut held = self.held();
            let (session, before) = held.begin_save()?;
            logins.plan_save(session)?.map(|write| (write, before))
        };
        let Some((write, before)) = planned else {
            return Ok(());
        };
        let id = id_of(&write);
        if let (Some(stored), Some(id)) = (logins.write(write).await?, id) {
            self.held().saved(&before, id, stored, logins.policy())?;
        }
        Ok(())
    }

    /// Gives this session its own idle timeout and cookie lifetime in place of the policy's: `None` until the
    /// browser closes. It is kept with the next key that changes.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// # use std::time::Duration;
    /// # async fn handler(session: Session) -> Result<(), Error> {
    /// session.set_max_age(Duration::from_secs(30 * 86_400)); // "remember me"
    /// session.set("remembered", &true)?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(handler)) }
    /// ```
    pub fn set_max_age(&self, max_age: impl Into<Option<Duration>>) {
        self.held().change(|| self.shared().logins.now()).set_max_age(max_age.into());
    }

    /// From now on any concurrent change of this session, also of another key, is a conflict (409 in place of the
    /// answer) instead of being merged.
    pub fn strict(&self) {
        self.held().change(|| self.shared().logins.now()).be_strict();
    }

    /// Eight hexadecimal digits that name the session in a log; `None` when the request named none.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.held().session().fingerprint()
    }

    /// Why the request has no stored session; `None` when it has one.
    ///
    /// ```
    /// # use sessile::{Lost, Session};
    /// # async fn handler(session: Session) {
    /// assert_eq!(session.why_lost(), Some(Lost::NoCookie));
    /// # }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run(axum::routing::get(handler)) }
    /// ```
    #[must_use]
    pub fn why_lost(&self) -> Option<Lost> {
        self.held().session().why_lost().cloned()
    }

    pub(crate) fn is_store_down(&self) -> bool {
        self.held().session().why_lost() == Some(&Lost::StoreDown)
    }

    /// The id under which the session is stored.
    pub(crate) fn stored_id(&self) -> Option<LoginId> {
        self.held().session().id().cloned()
    }

    /// Decides and does what the end of the request does. From here on no change is taken.
    pub(crate) async fn commit(&self) -> Result<CookieOut, LoginError> {
        let _turn = self.0.turn.lock().await;
        let logins = &self.shared().logins;
        let plan = {
            let mut held = self.held();
            logins.plan(held.finish(logins.policy(), || logins.now()))?
        };
        logins.carry_out(plan).await
    }
}

fn id_of(write: &Write) -> Option<LoginId> {
    match write {
        Write::Create(login) | Write::Replace { login, .. } => Some(login.id.clone()),
        Write::Commit(change) => Some(change.id.clone()),
        Write::Nothing | Write::Touch(..) | Write::Destroy(_) => None,
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fingerprint() {
            Some(fingerprint) => write!(f, "Session({fingerprint})"),
            None => f.write_str("Session(new)"),
        }
    }
}
