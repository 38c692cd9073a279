//! Opening a checkout: the same choice again is the same row, another choice takes the place of what was active.

use super::DEFAULT_SLOT;
use super::choice::Choice;
use super::id::CheckoutId;
use super::owner::{Caller, Owner};
use super::service::{CheckoutError, Opened, Opening, money_of, note_of};
use super::state::{Checkout, CheckoutEvent, CheckoutState, CheckoutStep, InvalidReason, Money};
use super::template::Template;
use crate::ledger::{Books, Decision, Draft};
use crate::money::Price;
use crate::payment::{CouponCode, Terms, leave_active};
use crate::time::Timestamp;

/// What a browser or a backend wants, checked.
pub(super) struct Wish {
    pub(super) id: CheckoutId,
    pub(super) owner: Owner,
    pub(super) choice: Choice,
    pub(super) price: Option<Price>,
    pub(super) code: Option<CouponCode>,
    pub(super) existing: Option<CheckoutId>,
}

impl Wish {
    pub(super) fn decide(
        &self,
        books: &Books,
        terms: &Terms,
        caller: &Caller,
        now: Timestamp,
    ) -> Decision<Result<Opened, CheckoutError>> {
        let mut actives = books.active(&self.owner, DEFAULT_SLOT);
        let named = self.existing.as_ref().and_then(|id| books.checkout(id));
        let named = named.filter(|row| caller.may_touch(&row.owner) && row.state == CheckoutState::Active);
        actives.extend(named.filter(|named| actives.iter().all(|row| row.id != named.id)));
        let same = actives.iter().find(|row| row.is_live(now) && self.is_same(books, row, now)).copied();
        // The same choice again is no change, whatever becomes of its payment.
        let gives_way = |row: &&&Checkout| same.is_none_or(|same| same.id != row.id);
        if actives.iter().filter(gives_way).any(|row| money_of(books, &row.id) == Money::UnderWay) {
            return Decision::only(Err(CheckoutError::PaymentInProgress));
        }
        let event = if same.is_some() { "checkout.deduplicated" } else { "checkout.created" };
        let stays = same.map_or(&self.id, |row| &row.id);
        let mut draft = Draft::new(books, now, note_of(event, caller, stays));
        let mut replaced = 0;
        for row in actives.into_iter().filter(|row| row.id != *stays) {
            let expire = row.on(&CheckoutEvent::Expire, Money::Still, now);
            let invalidate =
                || row.on(&CheckoutEvent::Invalidate(InvalidReason::Superseded), Money::Still, now);
            let (step, by) = match expire {
                CheckoutStep::To(_) => (expire, None),
                _ => (invalidate(), Some(stays.clone())),
            };
            if let CheckoutStep::To(state) = step {
                replaced += usize::from(by.is_some());
                leave_active(&mut draft, terms, row, state, by);
            }
        }
        if let Some(row) = same {
            let opened = Opened { checkout: row.clone(), how: Opening::Same };
            return if draft.is_empty() {
                Decision::only(Ok(opened))
            } else {
                Decision::write(draft.finish(), Ok(opened))
            };
        }
        let template = Template {
            id: &self.id,
            owner: &self.owner,
            data: self.choice.json(),
            choice: self.choice.digest(),
            price: self.price,
            code: self.code.as_ref(),
            renewed_from: None,
        };
        let row = template.put(&mut draft);
        let how = if replaced > 0 { Opening::Renewed } else { Opening::New };
        Decision::write(draft.finish(), Ok(Opened { checkout: row, how }))
    }

    /// The same choice at the same price, with the same coupon. One that cannot be used is ignored here as well.
    fn is_same(&self, books: &Books, row: &Checkout, now: Timestamp) -> bool {
        let held = row.coupon.as_ref().and_then(|hold| books.coupon(&hold.coupon)).map(|coupon| &coupon.code);
        let usable = |code: &&CouponCode| {
            let known = books.coupon_by_code(code).filter(|coupon| coupon.is_available(now));
            held == Some(*code) || (self.price.is_some() && known.is_some())
        };
        let asked = self.code.as_ref().filter(usable);
        let full = row.price.map(|price| price.original);
        row.choice == self.choice.digest() && held == asked && full == self.price.map(|price| price.original)
    }
}
