//! The line between this server and its database, which the tour can cut: while it is cut every call of a store answers
//! `Unavailable` without having reached anything.
//!
//! Only `sessile dev` lays one. It stands right before the engines, behind the spools, so that what happens is what
//! happens when a real database is away.

use async_trait::async_trait;
use sessile_core::checkout::{CheckoutId, Owner};
use sessile_core::generation::{
    Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, Mark, StripeSessionId, Tally,
    Tidied,
};
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Census, Cursor, Due, EffectRow, EffectState, Kind, LedgerStore, Page,
    PaymentFilter, PaymentKey, Reads, Record, RecordKey, Retry, Work,
};
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginChange, LoginCount, LoginEvent, LoginId, LoginStore, Lookup,
    NewLogin, Revoked, StoreInfo, Stored, Swept, UserId,
};
use sessile_core::user::{Arrival, User, UserDirectory, UserUuid};
use sessile_core::{StoreError, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Whether the database can be reached.
#[derive(Debug, Default)]
pub(crate) struct Line(Mutex<Option<Instant>>);

/// Why a call went nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tour has cut this server off from its database")]
struct CutOff;

impl From<CutOff> for StoreError {
    fn from(cut: CutOff) -> Self {
        Self::unavailable(cut)
    }
}

impl Line {
    /// Nothing comes through for so long.
    pub(crate) fn cut(&self, length: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + length);
    }

    /// How much longer it is cut; `None` while everything comes through.
    pub(crate) fn cut_for(&self) -> Option<Duration> {
        let until = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Login sessions at the far end of `line`.
    pub(crate) fn logins(line: &Arc<Self>, inner: Arc<dyn LoginStore>) -> Arc<dyn LoginStore> {
        Arc::new(Behind { line: line.clone(), inner })
    }

    /// Users, likewise.
    pub(crate) fn users(line: &Arc<Self>, inner: Arc<dyn UserDirectory>) -> Arc<dyn UserDirectory> {
        Arc::new(Behind { line: line.clone(), inner })
    }

    /// Checkouts and payments, likewise.
    pub(crate) fn ledger(line: &Arc<Self>, inner: Arc<dyn LedgerStore>) -> Arc<dyn LedgerStore> {
        Arc::new(Behind { line: line.clone(), inner })
    }

    /// Paid jobs, likewise.
    pub(crate) fn generations(line: &Arc<Self>, inner: Arc<dyn GenerationStore>) -> Arc<dyn GenerationStore> {
        Arc::new(Behind { line: line.clone(), inner })
    }

    fn through(&self) -> Result<(), CutOff> {
        self.cut_for().map_or(Ok(()), |_| Err(CutOff))
    }
}

/// A store at the far end of a line.
struct Behind<S: ?Sized> {
    line: Arc<Line>,
    inner: Arc<S>,
}

/// Every call of a trait, refused while the line is cut; what asks nobody is written out.
macro_rules! behind {
    ($trait:ident { $(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* } $($quiet:tt)*) => {
        #[async_trait]
        impl $trait for Behind<dyn $trait> {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, StoreError> {
                self.line.through()?;
                self.inner.$name($($arg),*).await
            })*
            $($quiet)*
        }
    };
}

behind!(LoginStore {
    fn create(login: NewLogin, now: Timestamp) -> Arc<Stored>;
    fn load(id: &LoginId, now: Timestamp) -> Lookup;
    fn commit(change: LoginChange, now: Timestamp) -> Arc<Stored>;
    fn touch(id: &LoginId, expires_at: Timestamp, now: Timestamp) -> ();
    fn replace(old: &LoginId, retires_at: Timestamp, login: NewLogin, now: Timestamp) -> Arc<Stored>;
    fn destroy(id: &LoginId, reason: EndReason, now: Timestamp) -> ();
    fn list(user: &UserId, now: Timestamp) -> Vec<ListedLogin>;
    fn revoke(user: &UserId, handle: &DeviceHandle, now: Timestamp) -> Revoked;
    fn revoke_all(user: &UserId, except: Option<&LoginId>, now: Timestamp) -> u64;
    fn sweep(now: Timestamp, batch: usize) -> Swept;
    fn count(now: Timestamp) -> LoginCount;
    fn events(limit: usize) -> Vec<LoginEvent>;
    fn settle(events: &[LoginEvent]) -> ();
    fn ping() -> ();
}
fn info(&self) -> StoreInfo {
    self.inner.info()
});

behind!(UserDirectory {
    fn sign_in(arrival: &Arrival) -> User;
    fn find(id: &UserUuid) -> Option<User>;
});

behind!(LedgerStore {
    fn transact(work: Work) -> ();
    fn look(reads: &Reads) -> Books;
    fn owner_of(checkout: &CheckoutId) -> Option<Owner>;
    fn payer_of(payment: &PaymentKey) -> Option<Owner>;
    fn due(due: Due, now: Timestamp, limit: usize) -> Vec<RecordKey>;
    fn page(kind: Kind, filter: &PaymentFilter, after: Option<&Cursor>, limit: usize) -> Page<Record>;
    fn census(now: Timestamp) -> Census;
    fn claim(now: Timestamp, lease_until: Timestamp, limit: usize) -> Vec<EffectRow>;
    fn done(id: &str) -> ();
    fn undone(id: &str, retry: Retry, error: &str) -> ();
    fn effects(state: EffectState, limit: usize) -> Vec<EffectRow>;
    fn requeue(id: &str, now: Timestamp) -> bool;
    fn audit(after: i64, limit: usize) -> Vec<AuditRow>;
    fn audit_head() -> AuditHead;
    fn history(about: &RecordKey, limit: usize) -> Vec<AuditRow>;
    fn ping() -> ();
});

behind!(GenerationStore {
    fn create(job: &Generation, now: Timestamp) -> ();
    fn load(key: &GenerationKey, now: Timestamp) -> Option<Generation>;
    fn commit(job: &Generation, now: Timestamp) -> ();
    fn bind(own: &GenerationId, stripe: &StripeSessionId, now: Timestamp) -> Option<Generation>;
    fn claim(now: Timestamp, lease_until: Timestamp, limit: usize) -> Vec<Generation>;
    fn keep(event: &KeptEvent) -> Kept;
    fn kept(now: Timestamp, lease_until: Timestamp, limit: usize) -> Vec<KeptEvent>;
    fn applied(id: &str, now: Timestamp) -> ();
    fn postponed(id: &str, next_at: Timestamp) -> ();
    fn waiting(limit: usize) -> Vec<KeptEvent>;
    fn recent(status: Option<&str>, limit: usize) -> Vec<Generation>;
    fn marked(mark: &Mark, now: Timestamp, limit: usize) -> Vec<Generation>;
    fn tally(now: Timestamp) -> Tally;
    fn tidy(now: Timestamp, batch: usize) -> Tidied;
    fn ping() -> ();
});

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::user::ProviderId;
    use sessile_store::users::MemoryUsers;

    #[tokio::test(start_paused = true)]
    async fn a_cut_line_lets_nothing_through_and_mends_itself() {
        let (line, users) = (Arc::new(Line::default()), Arc::new(MemoryUsers::default()));
        let behind = Line::users(&line, users.clone());
        let who = ProviderId::new("whop", "user_1").unwrap();
        let ada = Arrival::new(who, None, Timestamp::EPOCH);
        line.cut(Duration::from_secs(10));
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(matches!(behind.sign_in(&ada).await, Err(StoreError::Unavailable(_))));
        assert_eq!(users.find(&ada.who.derived_user()).await.unwrap(), None, "nothing was reached");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(line.cut_for(), None);
        assert!(behind.sign_in(&ada).await.is_ok());
    }
}
