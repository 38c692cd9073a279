//! Loading what a decision has to see, and following the links that are always followed: of a payment its checkout,
//! coupon, grant, refunds, its user and the user's grants; of a checkout the active ones in its place, the one that took
//! its place, all that these continue or that continue them, and the open and completed payments and the coupons of all.
//! Each row is read once.

use super::desk::Desk;
use super::rows::{Checkouts, Coupons, Grants, Payments, Refunds};
use rusqlite::{OptionalExtension, params};
use sessile_core::checkout::{Checkout, CheckoutState, GuestHash, Owner, RENEWALS_MAX};
use sessile_core::ledger::{Books, CheckoutKey, LEFT_MAX, PaymentKey, Reads, Record, RecordKey};
use sessile_core::login::UserId;
use sessile_core::payment::{Coupon, CouponHold, CouponId, Payment, PaymentId};
use std::collections::BTreeSet;

/// Under which our provider's attempts are kept.
pub(super) const PROVIDER: &str = "click";
/// Active checkouts of one place that are loaded, newest first. We leave one; older applications leave several.
const ACTIVE: &str = "user_id = ?1 AND status = 'active' AND slot = ?2 ORDER BY created_at DESC LIMIT 100";
const ACTIVE_OF_GUEST: &str = "guest_hash = ?1 AND user_id IS NULL AND status = 'active' AND slot = ?2 \
                               ORDER BY created_at DESC LIMIT 100";
const LATEST: &str = "id = (SELECT id FROM checkout_sessions WHERE user_id = ?1 AND status IN \
                      ('completed', 'expired', 'invalidated') AND slot = ?2 \
                      ORDER BY coalesce(left_at, updated_at) DESC, id DESC LIMIT 1)";
const LATEST_OF_GUEST: &str = "id = (SELECT id FROM checkout_sessions WHERE guest_hash = ?1 AND user_id IS NULL \
                               AND status IN ('completed', 'expired', 'invalidated') AND slot = ?2 \
                               ORDER BY coalesce(left_at, updated_at) DESC, id DESC LIMIT 1)";
/// A literal, because statements are: [`LEFT_MAX`].
const LEFT: &str = "user_id = ?1 AND status IN ('completed', 'expired', 'invalidated') AND slot = ?2 \
                    ORDER BY coalesce(left_at, updated_at) DESC, id DESC LIMIT 100";
const LEFT_OF_GUEST: &str = "guest_hash = ?1 AND user_id IS NULL \
                             AND status IN ('completed', 'expired', 'invalidated') AND slot = ?2 \
                             ORDER BY coalesce(left_at, updated_at) DESC, id DESC LIMIT 100";
const _: () = assert!(LEFT_MAX == 100, "LEFT and LEFT_OF_GUEST say so too");

/// Loads everything that `reads` names.
pub(super) fn load(desk: Desk<'_>, reads: &Reads) -> rusqlite::Result<Books> {
    let mut loader =
        Loader { desk, books: Books::default(), followed: BTreeSet::new(), users: BTreeSet::new() };
    reads.payments.iter().try_for_each(|key| loader.payment_by(key))?;
    reads.checkouts.iter().try_for_each(|key| loader.checkout_by(key))?;
    for code in &reads.codes {
        loader.keep(desk.rows::<Coupons>("upper(code) = ?1", [code.as_str()])?, Record::Coupon);
    }
    reads.coupons.iter().try_for_each(|id| loader.coupon(id))?;
    reads.users.iter().try_for_each(|user| loader.user(user))?;
    for id in &reads.refunds {
        let Some(refund) = desk.row::<Refunds>("id = ?1", [id.as_str()])? else { continue };
        let payment = refund.payment.clone();
        loader.books.load(Record::Refund(refund));
        loader.payment_by(&PaymentKey::Id(payment))?;
    }
    loader.numbers(reads)?;
    Ok(loader.books)
}

struct Loader<'c> {
    desk: Desk<'c>,
    books: Books,
    /// Rows whose links were followed.
    followed: BTreeSet<RecordKey>,
    users: BTreeSet<UserId>,
}

impl Loader<'_> {
    fn keep<T>(&mut self, entries: Vec<T>, record: impl Fn(T) -> Record) {
        entries.into_iter().for_each(|entry| self.books.load(record(entry)));
    }

    fn payment_by(&mut self, key: &PaymentKey) -> rusqlite::Result<()> {
        let found = match key {
            PaymentKey::Id(id) => self.desk.row::<Payments>("id = ?1", [id.as_str()]),
            PaymentKey::Order(order) => self.desk.row::<Payments>("merchant_trans_id = ?1", [order.as_str()]),
            PaymentKey::Idempotency(key) => self.desk.row::<Payments>("idempotency_key = ?1", [key]),
        }?;
        found.map_or(Ok(()), |payment| self.payment(payment))
    }

    fn payment(&mut self, payment: Payment) -> rusqlite::Result<()> {
        let id = payment.id.clone();
        if !self.followed.insert(RecordKey::Payment(id.clone())) {
            return Ok(());
        }
        let (user, checkout, hold) = (payment.user.clone(), payment.checkout.clone(), payment.coupon.clone());
        self.books.load(Record::Payment(payment));
        self.held(hold.as_ref())?;
        self.keep(self.desk.rows::<Grants>("payment_id = ?1", [id.as_str()])?, Record::Grant);
        self.keep(self.desk.rows::<Refunds>("payment_id = ?1", [id.as_str()])?, Record::Refund);
        self.user(&user)?;
        checkout.map_or(Ok(()), |id| self.checkout_by(&CheckoutKey::Id(id)))
    }

    fn user(&mut self, user: &UserId) -> rusqlite::Result<()> {
        if !self.users.insert(user.clone()) {
            return Ok(());
        }
        if let Some(tier) = self.desk.tier(user)? {
            self.books.load_user(user.clone(), tier);
        }
        let standing = self.desk.rows::<Grants>("user_id = ?1 AND revoked_at IS NULL", [user.as_str()])?;
        self.keep(standing, Record::Grant);
        Ok(())
    }

    fn checkout_by(&mut self, key: &CheckoutKey) -> rusqlite::Result<()> {
        let rows = match key {
            CheckoutKey::Id(id) if self.followed.contains(&RecordKey::Checkout(id.clone())) => Vec::new(),
            CheckoutKey::Id(id) => {
                let found = self.desk.rows::<Checkouts>("id = ?1", [id.as_str()])?;
                if found.is_empty()
                    && self.desk.exists("SELECT 1 FROM sessile_tombstones WHERE id = ?1", [id.as_str()])?
                {
                    self.books.load_purged(id.clone());
                }
                found
            }
            CheckoutKey::Active(owner, slot) => self.of_owner(owner, slot, ACTIVE, ACTIVE_OF_GUEST)?,
            CheckoutKey::Latest(owner, slot) => {
                let rows = self.of_owner(owner, slot, LATEST, LATEST_OF_GUEST)?;
                rows.into_iter()
                    .max_by_key(|row| (row.state.left_active_at(), row.id.clone()))
                    .into_iter()
                    .collect()
            }
            CheckoutKey::Left(owner, slot) => self.of_owner(owner, slot, LEFT, LEFT_OF_GUEST)?,
        };
        rows.into_iter().try_for_each(|row| self.checkout(row))
    }

    /// What a cookie reaches only as long as it is nobody's, and what belongs to the user.
    fn of_owner(
        &self,
        owner: &Owner,
        slot: &str,
        by_user: &'static str,
        by_guest: &'static str,
    ) -> rusqlite::Result<Vec<Checkout>> {
        let mut found = Vec::new();
        if let Some(user) = owner.user.as_ref().map(UserId::as_str) {
            found = self.desk.rows::<Checkouts>(by_user, [user, slot])?;
        }
        if let Some(guest) = owner.guest.as_ref().map(GuestHash::as_str) {
            found.extend(self.desk.rows::<Checkouts>(by_guest, [guest, slot])?);
        }
        Ok(found)
    }

    fn checkout(&mut self, row: Checkout) -> rusqlite::Result<()> {
        if !self.followed.insert(RecordKey::Checkout(row.id.clone())) {
            return Ok(());
        }
        let mut linked = self.of_owner(&row.owner, &row.slot, ACTIVE, ACTIVE_OF_GUEST)?;
        if let Some(next) = &row.superseded_by {
            linked.extend(self.desk.rows::<Checkouts>("id = ?1", [next.as_str()])?);
        }
        self.renewals(&row)?;
        self.with_payments(row)?;
        for row in linked {
            self.renewals(&row)?;
            self.with_payments(row)?;
        }
        Ok(())
    }

    /// The checkouts that `row` continues, and those that continue it.
    fn renewals(&mut self, row: &Checkout) -> rusqlite::Result<()> {
        let mut before = row.renewed_from.clone();
        for _ in 0..RENEWALS_MAX {
            let Some(id) = before.take() else { break };
            let Some(found) = self.desk.row::<Checkouts>("id = ?1", [id.as_str()])? else { break };
            before.clone_from(&found.renewed_from);
            self.with_payments(found)?;
        }
        let mut last = row.id.clone();
        for _ in 0..RENEWALS_MAX {
            let Some(found) = self.desk.row::<Checkouts>("renewed_from = ?1", [last.as_str()])? else {
                break;
            };
            last = found.id.clone();
            self.with_payments(found)?;
        }
        Ok(())
    }

    /// A checkout with its coupon and its payments that are open or completed, and their coupons.
    fn with_payments(&mut self, row: Checkout) -> rusqlite::Result<()> {
        if self.books.checkout(&row.id).is_some() {
            return Ok(());
        }
        self.held(row.coupon.as_ref())?;
        let open = "checkout_id = ?1 AND status IN ('pending', 'processing', 'completed')";
        let mut payments = self.desk.rows::<Payments>(open, [row.id.as_str()])?;
        if let CheckoutState::Completed { payment: Some(id), .. } = &row.state
            && !payments.iter().any(|payment| payment.id == *id)
            && !self.has_payment(id)
        {
            payments.extend(self.desk.rows::<Payments>("id = ?1", [id.as_str()])?);
        }
        self.books.load(Record::Checkout(row));
        for payment in payments {
            self.held(payment.coupon.as_ref())?;
            self.books.load(Record::Payment(payment));
        }
        Ok(())
    }

    fn has_payment(&self, id: &PaymentId) -> bool {
        self.books.payment(id).is_some()
    }

    fn held(&mut self, hold: Option<&CouponHold>) -> rusqlite::Result<()> {
        hold.map_or(Ok(()), |hold| self.coupon(&hold.coupon))
    }

    fn coupon(&mut self, id: &CouponId) -> rusqlite::Result<()> {
        if self.books.coupon(id).is_none() {
            let found: Vec<Coupon> = self.desk.rows::<Coupons>("id = ?1", [id.as_str()])?;
            self.keep(found, Record::Coupon);
        }
        Ok(())
    }

    /// Attempts, numbers of ours and messages: which of these are known.
    fn numbers(&mut self, reads: &Reads) -> rusqlite::Result<()> {
        for trans in &reads.attempts {
            let bound = "SELECT payment_id FROM payment_attempts WHERE provider = ?1 AND click_trans_id = ?2";
            let mut select = self.desk.db.prepare_cached(bound)?;
            let payment =
                select.query_row(params![PROVIDER, trans.0], |row| row.get::<_, String>(0)).optional()?;
            if let Some(payment) = payment.and_then(|id| PaymentId::parse(&id)) {
                self.books.load_attempt(*trans, payment);
            }
        }
        for prepare in &reads.prepares {
            // Whatever a payment has is bound there, too, and stays there for ever.
            let taken = "SELECT 1 FROM payment_attempts WHERE merchant_prepare_id = ?1";
            if self.desk.exists(taken, [prepare.get()])? {
                self.books.load_prepare(*prepare);
            }
        }
        for inbound in &reads.inbox {
            let seen = "SELECT 1 FROM provider_inbox WHERE provider = ?1 AND dedupe_key = ?2";
            if self.desk.exists(seen, [inbound.provider, &inbound.digest])? {
                self.books.load_seen(inbound.clone());
            }
        }
        Ok(())
    }
}
