//! The login service: from a request's cookies to its session, and from the finished session to what is stored
//! and what the browser is told. Loads, decides, commits once.

use super::id::{DeviceHandle, LoginId, UserId};
use super::policy::LoginPolicy;
use super::session::{CookiePlan, LoginSession, Lost, Plan, Write};
use super::signature::{CookieFault, CookieSigner, SignedId};
use super::store::{Absence, EndReason, ListedLogin, LoginStore, Lookup, NewLogin, Revoked, Stored};
use crate::entropy::{Entropy, NoEntropy};
use crate::store::StoreError;
use crate::time::{Clock, Timestamp};
use std::sync::Arc;

/// Everything that login sessions need, shared by all requests.
#[derive(Clone)]
pub struct Logins {
    store: Arc<dyn LoginStore>,
    policy: Arc<LoginPolicy>,
    signer: CookieSigner,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Why a session could not be kept. The answer must not go out as if it had been.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The session ended while the request ran; its changes are not stored.
    #[error("the session was ended while this request ran")]
    Ended,
    /// Strict mode, and somebody else changed the session.
    #[error("the session changed while this request ran")]
    Conflict,
    /// It would hold too much.
    #[error("the session would hold {bytes} bytes; {limit} is the limit")]
    TooLarge {
        /// What it would hold.
        bytes: usize,
        /// What it may hold.
        limit: usize,
    },
    /// The store did not answer; whether the change is stored is unknown. Repeating is safe.
    #[error("session storage did not answer")]
    Unavailable(#[source] StoreError),
    /// No new id could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Gone => Self::Ended,
            StoreError::Conflict => Self::Conflict,
            StoreError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            // 192 random bits that are taken: a generator gone wrong. Nothing was stored.
            StoreError::Taken
            | StoreError::Undecodable { .. }
            | StoreError::Refused(_)
            | StoreError::Unavailable(_) => Self::Unavailable(error),
        }
    }
}

/// The `Set-Cookie` that an answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CookieOut {
    /// None.
    Leave,
    /// This value, until then (`None`: until the browser closes).
    Set {
        /// Signed and percent-encoded.
        value: String,
        /// The cookie's end.
        expires: Option<Timestamp>,
    },
    /// An empty one from the past.
    Clear,
}

impl Logins {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: Arc<dyn LoginStore>,
        policy: LoginPolicy,
        signer: CookieSigner,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, policy: Arc::new(policy), signer, clock, entropy }
    }

    /// The rules in force.
    #[must_use]
    pub fn policy(&self) -> &LoginPolicy {
        &self.policy
    }

    /// Where the sessions live.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn LoginStore> {
        &self.store
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Finds the session that one of these cookie values names. The first value with a good signature counts.
    /// Never fails: [`LoginSession::why_lost`] says why there is none.
    pub async fn open<'c>(&self, values: impl Iterator<Item = &'c str> + Send) -> Opened {
        let mut fault: Option<CookieFault> = None;
        for value in values {
            match self.signer.verify(value) {
                Ok(cookie) => return self.load(cookie).await,
                Err(why) => fault = fault.or(Some(why)),
            }
        }
        Opened::lost(None, fault.map_or(Lost::NoCookie, Lost::BadCookie))
    }

    async fn load(&self, cookie: SignedId) -> Opened {
        let now = self.clock.now();
        match self.store.load(&cookie.id, now).await {
            Ok(Lookup::Live(stored)) => {
                let session = LoginSession::found(cookie.clone(), stored);
                if session.lifetime(&self.policy, now).over(now) {
                    return Opened::lost(Some(cookie), Lost::Absent(Absence::Expired));
                }
                Opened { session, fault: None }
            }
            Ok(Lookup::Absent(why)) => Opened::lost(Some(cookie), Lost::Absent(why)),
            Err(fault) => Opened { fault: Some(fault), ..Opened::lost(Some(cookie), Lost::StoreDown) },
        }
    }

    /// Decides what the end of the request writes. From here on the session takes no change.
    ///
    /// # Errors
    /// [`LoginError::NoEntropy`].
    pub fn plan(&self, session: &mut LoginSession) -> Result<Plan, LoginError> {
        Ok(session.finish(&self.policy, self.clock.now(), &*self.entropy)?)
    }

    /// Decides what a save in the middle of the request writes.
    ///
    /// # Errors
    /// [`LoginError::NoEntropy`].
    pub fn plan_save(&self, session: &mut LoginSession) -> Result<Option<Write>, LoginError> {
        Ok(session.save_now(&self.policy, self.clock.now(), &*self.entropy)?)
    }

    /// Writes what was planned, and only then says what the browser is told.
    ///
    /// # Errors
    /// [`LoginError`]: the session's changes are not stored (or not known to be), so the answer must not go out
    /// as if they were.
    pub async fn carry_out(&self, plan: Plan) -> Result<CookieOut, LoginError> {
        let touch = matches!(plan.write, Write::Touch(..));
        match self.write(plan.write).await {
            Ok(_) => Ok(self.cookie_out(plan.cookie)),
            // Nothing of the visitor's is lost with a touch: the session was ended, or is not prolonged this time.
            Err(StoreError::Gone | StoreError::Unavailable(_)) if touch => Ok(CookieOut::Leave),
            Err(error) => Err(error.into()),
        }
    }

    /// Does one write; the answer is what is stored then, where there is anything.
    ///
    /// # Errors
    /// As the store says.
    pub async fn write(&self, write: Write) -> Result<Option<Arc<Stored>>, StoreError> {
        let now = self.clock.now();
        match write {
            Write::Nothing => Ok(None),
            Write::Create(login) => {
                self.fits(&login)?;
                self.store.create(login, now).await.map(Some)
            }
            Write::Commit(change) => self.store.commit(change, now).await.map(Some),
            Write::Touch(id, expires_at) => self.store.touch(&id, expires_at, now).await.map(|()| None),
            Write::Replace { old, retires_at, login } => {
                self.fits(&login)?;
                self.store.replace(&old, retires_at, login, now).await.map(Some)
            }
            Write::Destroy(id) => self.store.destroy(&id, EndReason::Destroyed, now).await.map(|()| None),
        }
    }

    fn fits(&self, login: &NewLogin) -> Result<(), StoreError> {
        let (bytes, limit) = (login.data.to_json().len(), self.policy.data_bytes_max);
        if bytes > limit { Err(StoreError::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    fn cookie_out(&self, plan: CookiePlan) -> CookieOut {
        match plan {
            CookiePlan::Leave => CookieOut::Leave,
            CookiePlan::Clear => CookieOut::Clear,
            CookiePlan::Set(id, expires) => CookieOut::Set { value: self.signer.sign(&id), expires },
        }
    }

    /// A user's live sessions.
    ///
    /// # Errors
    /// As the store says.
    pub async fn list(&self, user: &UserId) -> Result<Vec<ListedLogin>, StoreError> {
        self.store.list(user, self.clock.now()).await
    }

    /// Ends one of a user's sessions.
    ///
    /// # Errors
    /// As the store says.
    pub async fn revoke(&self, user: &UserId, handle: &DeviceHandle) -> Result<Revoked, StoreError> {
        self.store.revoke(user, handle, self.clock.now()).await
    }

    /// Ends all of a user's sessions but `except`.
    ///
    /// # Errors
    /// As the store says.
    pub async fn revoke_all(&self, user: &UserId, except: Option<&LoginId>) -> Result<u64, StoreError> {
        self.store.revoke_all(user, except, self.clock.now()).await
    }
}

/// What [`Logins::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The request's session, stored or new.
    pub session: LoginSession,
    /// Why the store could not be asked, for the log.
    pub fault: Option<StoreError>,
}

impl Opened {
    fn lost(cookie: Option<SignedId>, why: Lost) -> Self {
        Self { session: LoginSession::lost(cookie, why), fault: None }
    }
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").field("store", &self.store.info()).field("policy", &self.policy).finish()
    }
}
