//! Continuing an expired checkout: once, by its owner, at today's price.

use super::DEFAULT_SLOT;
use super::id::CheckoutId;
use super::owner::{Caller, Owner};
use super::service::{CheckoutError, Recovered, money_of, note_of};
use super::state::{
    Checkout, CheckoutEvent, CheckoutState, CheckoutStep, Money, RECOVERY_WINDOW, RENEWALS_MAX,
};
use super::template::Template;
use crate::ledger::{Books, Decision, Draft};
use crate::money::Price;
use crate::payment::{Terms, leave_active};
use crate::time::Timestamp;

/// A recovery, checked.
pub(super) struct Recovery {
    pub(super) id: CheckoutId,
    pub(super) owner: Owner,
    pub(super) named: Option<CheckoutId>,
    pub(super) caller: Caller,
}

impl Recovery {
    pub(super) fn decide(
        &self,
        books: &Books,
        terms: &Terms,
        now: Timestamp,
    ) -> Decision<Result<Recovered, CheckoutError>> {
        let mut actives = books.active(&self.owner, DEFAULT_SLOT);
        let named = match &self.named {
            Some(id) => books.checkout(id).filter(|row| self.may_continue(row)),
            None => actives.first().copied().or_else(|| books.latest(&self.owner, DEFAULT_SLOT)),
        };
        let Some(row) = named else { return Decision::only(Err(CheckoutError::NothingToRecover)) };
        // A guest's row, continued by who has signed in since: what is active in its place counts too.
        for beside in books.active(&row.owner, &row.slot) {
            if self.caller.may_touch(&beside.owner) && actives.iter().all(|known| known.id != beside.id) {
                actives.push(beside);
            }
        }
        if money_of(books, &row.id) == Money::UnderWay
            || actives.iter().any(|active| money_of(books, &active.id) == Money::UnderWay)
        {
            return Decision::only(Err(CheckoutError::PaymentInProgress));
        }
        let found = |row: &Checkout| Recovered { checkout: row.clone(), price_before: row.price };
        // Another tab was faster, or the owner has chosen again since: that is the one.
        let live = actives.iter().copied().find(|active| active.is_live(now));
        if let Some(live) = live
            && !matches!(row.state, CheckoutState::Completed { .. })
        {
            return Decision::only(Ok(Recovered { checkout: live.clone(), price_before: row.price }));
        }
        match &row.state {
            CheckoutState::Active if row.is_live(now) => Decision::only(Ok(found(row))),
            CheckoutState::Active | CheckoutState::Expired { .. } => {
                self.renew(books, terms, row, &actives, now)
            }
            CheckoutState::Completed { .. } | CheckoutState::Invalidated { .. } => {
                Decision::only(Err(CheckoutError::NothingToRecover))
            }
        }
    }

    /// A backend speaks for one user at a time: another user's row is not this one's to continue.
    fn may_continue(&self, row: &Checkout) -> bool {
        match &self.caller {
            Caller::Browser(_) => self.caller.may_touch(&row.owner),
            Caller::Backend(_) | Caller::Operator => self.owner.owns(&row.owner),
        }
    }

    fn renew(
        &self,
        books: &Books,
        terms: &Terms,
        row: &Checkout,
        actives: &[&Checkout],
        now: Timestamp,
    ) -> Decision<Result<Recovered, CheckoutError>> {
        let nothing = || Decision::only(Err(CheckoutError::NothingToRecover));
        let since = row.state.left_active_at().unwrap_or(row.expires_at);
        // Continued before, bought by late money for one before it, renewed too often, or too old.
        let bought = |row: &Checkout| matches!(row.state, CheckoutState::Completed { .. });
        let is_over = books.renewal_of(&row.id).is_some()
            || row.superseded_by.is_some()
            || books.renewals_around(&row.id).any(bought)
            || books.renewals_around(&row.id).count() >= RENEWALS_MAX;
        if is_over || now.since(since) >= RECOVERY_WINDOW {
            return nothing();
        }
        let mut draft = Draft::new(books, now, note_of("checkout.recovered", &self.caller, &self.id));
        // Whatever else is active in its place is overdue, and nobody has said so yet.
        let beside = actives.iter().copied().filter(|other| other.id != row.id);
        for row in std::iter::once(row).chain(beside) {
            if let CheckoutStep::To(state) = row.on(&CheckoutEvent::Expire, Money::Still, now) {
                leave_active(&mut draft, terms, row, state, None);
            }
        }
        let price = match (&terms.catalogue, serde_json::from_str::<serde_json::Value>(&row.data)) {
            (Some(catalogue), Ok(data)) => match catalogue.price(&data["selectedPackages"]) {
                Ok(price) => Some(price),
                // What was chosen is not sold any more.
                Err(_) => return nothing(),
            },
            _ => row.price,
        };
        let code = row.coupon.as_ref().and_then(|hold| books.coupon(&hold.coupon)).map(|c| c.code.clone());
        let template = Template {
            id: &self.id,
            owner: &row.owner,
            data: &row.data,
            choice: &row.choice,
            price: price.map(|price| Price::full(price.original, price.currency)),
            code: code.as_ref(),
            renewed_from: Some(row.id.clone()),
        };
        let renewed = template.put(&mut draft);
        let recovered = Recovered { checkout: renewed, price_before: row.price };
        Decision::write(draft.finish(), Ok(recovered))
    }
}
