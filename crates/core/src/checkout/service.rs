//! The service: what HTTP, the sweeper and an operator may do with checkouts. It loads, decides, and commits once.

use super::DEFAULT_SLOT;
use super::catalogue::Unpriced;
use super::choice::{BadChoice, Choice};
use super::id::{CheckoutId, GuestHash};
use super::opening::Wish;
use super::owner::{Caller, Owner};
use super::recovery::Recovery;
use super::state::{
    Checkout, CheckoutEvent, CheckoutState, CheckoutStep, InvalidReason, Money, RECOVERY_WINDOW,
};
use crate::entropy::Entropy;
use crate::ledger::{
    Books, CheckoutKey, Decision, Draft, Due, LEFT_MAX, LedgerStore, Note, Reads, Record, RecordKey, Write,
    transact,
};
use crate::login::UserId;
use crate::money::Price;
use crate::payment::{CouponCode, Terms, complete_checkout_unpaid, leave_active};
use crate::store::StoreError;
use crate::time::{Clock, Timestamp};
use futures_util::future::join_all;
use std::sync::Arc;

/// Checkouts, on some ledger.
#[derive(Clone)]
pub struct Checkouts {
    ledger: Arc<dyn LedgerStore>,
    terms: Arc<Terms>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A choice that somebody made.
#[derive(Debug, Clone)]
pub struct NewCheckout {
    /// What.
    pub choice: Choice,
    /// The part of it that a catalogue prices.
    pub packages: serde_json::Value,
    /// For whom, when a backend asks.
    pub user: Option<UserId>,
    /// The checkout that it replaces.
    pub existing: Option<CheckoutId>,
    /// What they typed.
    pub coupon: Option<String>,
}

/// A checkout that is open.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its row.
    pub checkout: Checkout,
    /// How it came to be.
    pub how: Opening,
}

/// How an open checkout came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It is new.
    New,
    /// The same choice again: it was there.
    Same,
    /// Another choice: it took the place of one or more.
    Renewed,
}

/// A checkout that continues an expired one.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its row.
    pub checkout: Checkout,
    /// What the expired one cost, where it had a price.
    pub price_before: Option<Price>,
}

/// Why a checkout is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// No such checkout, or somebody else's.
    NotFound,
    /// It is completed.
    AlreadyUsed,
    /// It was invalidated, or had expired before.
    NoLongerValid,
    /// It has expired now.
    Expired,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Rows that left `active`.
    pub expired: u64,
    /// Rows that were removed.
    pub deleted: u64,
}

/// Why a checkout was not opened, completed or recovered. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The choice cannot be kept.
    #[error(transparent)]
    Choice(#[from] BadChoice),
    /// The choice has no price.
    #[error(transparent)]
    Unpriced(#[from] Unpriced),
    /// It is not valid, and why.
    #[error("This checkout session is no longer valid.")]
    Invalid(Invalid),
    /// Money for it is on its way.
    #[error("A payment for this checkout is being processed. Wait for it before you change your choice.")]
    PaymentInProgress,
    /// There is nothing to continue.
    #[error("No recoverable session data found")]
    NothingToRecover,
    /// The outcome is unknown; the same again is safe.
    #[error("the ledger did not answer")]
    Unavailable(#[source] StoreError),
}

impl From<StoreError> for CheckoutError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

impl Checkouts {
    /// On a ledger.
    pub fn new(
        ledger: Arc<dyn LedgerStore>,
        terms: Arc<Terms>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { ledger, terms, clock, entropy }
    }

    /// The ledger, for lists.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn LedgerStore> {
        &self.ledger
    }

    /// Opens a checkout for a choice. The same choice again is the same checkout; another choice takes the place of
    /// whatever was active.
    ///
    /// # Errors
    /// [`CheckoutError`]; nothing changed then.
    pub async fn open(&self, caller: &Caller, new: NewCheckout) -> Result<Opened, CheckoutError> {
        let price = match &self.terms.catalogue {
            Some(catalogue) => Some(catalogue.price(&new.packages)?),
            None => None,
        };
        let owner = owner_for(caller, new.user.clone());
        let id = self.new_id()?;
        let code = new.coupon.as_deref().and_then(CouponCode::parse);
        let mut reads = Reads::none().code(code.clone());
        if !owner.is_nobody() {
            reads = reads.checkout(CheckoutKey::Active(owner.clone(), DEFAULT_SLOT.to_owned()));
        }
        if let Some(existing) = &new.existing {
            reads = reads.checkout(CheckoutKey::Id(existing.clone()));
        }
        let (terms, now, caller) = (self.terms.clone(), self.clock.now(), caller.clone());
        let wish = Wish { id, owner, choice: new.choice, price, code, existing: new.existing };
        transact(&*self.ledger, reads, now, move |books| wish.decide(books, &terms, &caller, now)).await?
    }

    /// A checkout that its owner may pay for. One whose time is over is expired for good.
    ///
    /// # Errors
    /// [`CheckoutError::Invalid`] says why not.
    pub async fn validate(&self, caller: &Caller, id: &CheckoutId) -> Result<Checkout, CheckoutError> {
        let row = self.find(caller, id).await?;
        match &row.state {
            CheckoutState::Completed { .. } => Err(CheckoutError::Invalid(Invalid::AlreadyUsed)),
            CheckoutState::Expired { .. } | CheckoutState::Invalidated { .. } => {
                Err(CheckoutError::Invalid(Invalid::NoLongerValid))
            }
            CheckoutState::Active if row.is_live(self.clock.now()) => Ok(row),
            CheckoutState::Active => {
                self.expire(id).await?;
                Err(CheckoutError::Invalid(Invalid::Expired))
            }
        }
    }

    /// A checkout in whatever state, for its owner. One whose time is over is expired for good, so that a clock that
    /// goes back does not bring it back; only one that is being paid stays active beyond its time.
    ///
    /// # Errors
    /// [`CheckoutError::Invalid`] when there is none, or it is somebody else's.
    pub async fn show(&self, caller: &Caller, id: &CheckoutId) -> Result<Checkout, CheckoutError> {
        let row = self.find(caller, id).await?;
        let overdue = row.state == CheckoutState::Active && !row.is_live(self.clock.now());
        if overdue && self.expire(id).await? { self.find(caller, id).await } else { Ok(row) }
    }

    /// A checkout as it is stored, for its owner.
    async fn find(&self, caller: &Caller, id: &CheckoutId) -> Result<Checkout, CheckoutError> {
        let owner = self.ledger.owner_of(id).await?;
        if !owner.is_some_and(|owner| caller.may_touch(&owner)) {
            return Err(CheckoutError::Invalid(Invalid::NotFound));
        }
        let books = self.ledger.look(&Reads::none().checkout(CheckoutKey::Id(id.clone()))).await?;
        let found = books.checkout(id).filter(|row| caller.may_touch(&row.owner)).cloned();
        found.ok_or(CheckoutError::Invalid(Invalid::NotFound))
    }

    /// The application declares a checkout complete.
    ///
    /// # Errors
    /// [`CheckoutError::Invalid`] for what is neither active nor expired.
    pub async fn complete(&self, caller: &Caller, id: &CheckoutId) -> Result<Checkout, CheckoutError> {
        self.find(caller, id).await?;
        let reads = Reads::none().checkout(CheckoutKey::Id(id.clone()));
        let (id, caller) = (id.clone(), caller.clone());
        let (terms, now) = (self.terms.clone(), self.clock.now());
        transact(&*self.ledger, reads, now, move |books| {
            let invalid = |why| Decision::only(Err(CheckoutError::Invalid(why)));
            let Some(row) = books.checkout(&id).filter(|row| caller.may_touch(&row.owner)) else {
                return invalid(Invalid::NotFound);
            };
            match row.state {
                CheckoutState::Completed { .. } => invalid(Invalid::AlreadyUsed),
                CheckoutState::Invalidated { .. } => invalid(Invalid::NoLongerValid),
                CheckoutState::Active | CheckoutState::Expired { .. } => {
                    let mut draft = Draft::new(books, now, note_of("checkout.completed", &caller, &id));
                    complete_checkout_unpaid(&mut draft, &terms, row);
                    let done = draft.checkout(&id).cloned().unwrap_or_else(|| row.clone());
                    Decision::write(draft.finish(), Ok(done))
                }
            }
        })
        .await?
    }

    /// Continues an expired checkout: the one that is named, or the owner's latest. Two tabs get one successor.
    ///
    /// # Errors
    /// [`CheckoutError::NothingToRecover`], [`CheckoutError::PaymentInProgress`].
    pub async fn recover(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        expired: Option<&CheckoutId>,
    ) -> Result<Recovered, CheckoutError> {
        let owner = owner_for(caller, user);
        if owner.is_nobody() {
            return Err(CheckoutError::NothingToRecover);
        }
        let slot = DEFAULT_SLOT.to_owned();
        let reads = Reads::none().checkout(CheckoutKey::Active(owner.clone(), slot.clone()));
        let reads = match expired {
            Some(id) => reads.checkout(CheckoutKey::Id(id.clone())),
            None => reads.checkout(CheckoutKey::Latest(owner.clone(), slot)),
        };
        let recovery =
            Recovery { id: self.new_id()?, owner, named: expired.cloned(), caller: caller.clone() };
        let (terms, now) = (self.terms.clone(), self.clock.now());
        transact(&*self.ledger, reads, now, move |books| recovery.decide(books, &terms, now)).await?
    }

    /// A guest has signed in: everything that the cookie owned is the user's now. Again, it changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn adopt(&self, guest: &GuestHash, user: &UserId) -> Result<(), StoreError> {
        let (guest, user) = (Owner::guest(guest.clone()), Owner::user(user.clone()));
        // One step, but for a guest who has left more rows than one step sees.
        while self.adopt_some(&guest, &user).await? >= LEFT_MAX {}
        Ok(())
    }

    /// One step of [`Checkouts::adopt`]; answers how many rows changed their owner.
    async fn adopt_some(&self, guest: &Owner, user: &Owner) -> Result<usize, StoreError> {
        let slot = || DEFAULT_SLOT.to_owned();
        let reads = Reads::none()
            .checkout(CheckoutKey::Active(guest.clone(), slot()))
            .checkout(CheckoutKey::Left(guest.clone(), slot()))
            .checkout(CheckoutKey::Active(user.clone(), slot()));
        let (guest, user, terms, now) = (guest.clone(), user.clone(), self.terms.clone(), self.clock.now());
        transact(&*self.ledger, reads, now, move |books| {
            // One is active in each place: while the user's own is being paid, the guest's stays the guest's.
            let theirs = books.active(&user, DEFAULT_SLOT);
            let is_held = theirs.iter().any(|row| money_of(books, &row.id) == Money::UnderWay);
            let brought = if is_held { Vec::new() } else { books.active(&guest, DEFAULT_SLOT) };
            let mine: Vec<&Checkout> =
                brought.iter().copied().chain(books.left(&guest, DEFAULT_SLOT)).collect();
            let Some(first) = mine.first() else { return Decision::only(0) };
            let actor = Caller::Browser(user.clone());
            let mut draft = Draft::new(books, now, note_of("checkout.adopted", &actor, &first.id));
            // What the user had chosen elsewhere gives way to what they chose just now.
            if let Some(newest) = brought.first() {
                for old in theirs {
                    let invalidate = CheckoutEvent::Invalidate(InvalidReason::Superseded);
                    if let CheckoutStep::To(state) = old.on(&invalidate, money_of(books, &old.id), now) {
                        leave_active(&mut draft, &terms, old, state, Some(newest.id.clone()));
                    }
                }
            }
            for row in &mine {
                let owner = Owner { user: user.user.clone(), guest: row.owner.guest.clone() };
                let row = row.moved(row.state.clone(), now);
                draft.put(Record::Checkout(Checkout { owner, ..row }));
            }
            Decision::write(draft.finish(), mine.len())
        })
        .await
    }

    /// Ends an active checkout, for an operator or a backend.
    ///
    /// # Errors
    /// [`CheckoutError::PaymentInProgress`], [`CheckoutError::Invalid`].
    pub async fn cancel(&self, caller: &Caller, id: &CheckoutId) -> Result<Checkout, CheckoutError> {
        let event = CheckoutEvent::Invalidate(InvalidReason::Cancelled);
        self.find(caller, id).await?;
        match self.leave(id, event, "checkout.cancelled", caller.to_string()).await? {
            CheckoutStep::Held => Err(CheckoutError::PaymentInProgress),
            CheckoutStep::Refused => Err(CheckoutError::Invalid(Invalid::NoLongerValid)),
            CheckoutStep::To(_) | CheckoutStep::Stay => self.show(caller, id).await,
        }
    }

    /// Expires and purges what is due, at most `limit` of each at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn sweep(&self, limit: usize) -> Result<Swept, StoreError> {
        let now = self.clock.now();
        let due = self.ledger.due(Due::Checkouts, now, limit).await?;
        let expired = join_all(checkouts_of(&due).map(|id| self.expire(id))).await;
        let left_before = now.minus(RECOVERY_WINDOW);
        let due = self.ledger.due(Due::Purges { left_before }, now, limit).await?;
        let deleted = join_all(checkouts_of(&due).map(|id| self.purge(id, left_before))).await;
        Ok(Swept { expired: count(expired)?, deleted: count(deleted)? })
    }

    /// A timer's word about one checkout; answers whether it changed.
    async fn expire(&self, id: &CheckoutId) -> Result<bool, StoreError> {
        let step = self.leave(id, CheckoutEvent::Expire, "checkout.expired", "timer".to_owned()).await?;
        Ok(matches!(step, CheckoutStep::To(_)))
    }

    async fn leave(
        &self,
        id: &CheckoutId,
        event: CheckoutEvent,
        name: &'static str,
        actor: String,
    ) -> Result<CheckoutStep, StoreError> {
        let reads = Reads::none().checkout(CheckoutKey::Id(id.clone()));
        let (id, terms, now) = (id.clone(), self.terms.clone(), self.clock.now());
        transact(&*self.ledger, reads, now, move |books| {
            let Some(row) = books.checkout(&id) else { return Decision::only(CheckoutStep::Refused) };
            let step = row.on(&event, money_of(books, &id), now);
            let CheckoutStep::To(state) = &step else { return Decision::only(step) };
            let note = Note { event: name, actor: actor.clone(), payment: None, checkout: Some(id.clone()) };
            let mut draft = Draft::new(books, now, note);
            leave_active(&mut draft, &terms, row, state.clone(), None);
            Decision::write(draft.finish(), step)
        })
        .await
    }

    async fn purge(&self, id: &CheckoutId, left_before: Timestamp) -> Result<bool, StoreError> {
        let reads = Reads::none().checkout(CheckoutKey::Id(id.clone()));
        let (id, now) = (id.clone(), self.clock.now());
        transact(&*self.ledger, reads, now, move |books| {
            let Some(row) = books.checkout(&id).filter(|row| is_purgeable(books, row, left_before)) else {
                return Decision::only(false);
            };
            let note = Note {
                event: "checkout.purged",
                actor: "timer".to_owned(),
                payment: None,
                checkout: Some(row.id.clone()),
            };
            let mut draft = Draft::new(books, now, note);
            draft.write(Write::Purge(row.id.clone()));
            Decision::write(draft.finish(), true)
        })
        .await
    }

    fn new_id(&self) -> Result<CheckoutId, StoreError> {
        CheckoutId::generate(self.clock.now(), &*self.entropy).map_err(StoreError::unavailable)
    }
}

/// A browser's rows are its own; a backend's are its user's.
fn owner_for(caller: &Caller, user: Option<UserId>) -> Owner {
    match caller {
        Caller::Browser(Owner { user: Some(user), .. }) => Owner::user(user.clone()),
        Caller::Browser(owner) => owner.clone(),
        Caller::Backend(_) | Caller::Operator => Owner { user, guest: None },
    }
}

pub(super) fn money_of(books: &Books, id: &CheckoutId) -> Money {
    let under_way = books.payments_of(id).any(|payment| payment.state.is_processing());
    if under_way { Money::UnderWay } else { Money::Still }
}

fn is_purgeable(books: &Books, row: &Checkout, left_before: Timestamp) -> bool {
    let left = match &row.state {
        CheckoutState::Expired { at } | CheckoutState::Invalidated { at, .. } => *at <= left_before,
        CheckoutState::Active | CheckoutState::Completed { .. } => false,
    };
    left && !books.payments_of(&row.id).any(|payment| {
        payment.state.is_processing()
            || payment.state.is_completed()
            || books.refunds_of(&payment.id).any(|refund| refund.state.is_open())
    })
}

fn checkouts_of(keys: &[RecordKey]) -> impl Iterator<Item = &CheckoutId> {
    keys.iter().filter_map(|key| match key {
        RecordKey::Checkout(id) => Some(id),
        _ => None,
    })
}

fn count(done: Vec<Result<bool, StoreError>>) -> Result<u64, StoreError> {
    done.into_iter().try_fold(0, |sum, done| Ok(sum + u64::from(done?)))
}

pub(super) fn note_of(event: &'static str, caller: &Caller, id: &CheckoutId) -> Note {
    Note { event, actor: caller.to_string(), payment: None, checkout: Some(id.clone()) }
}
