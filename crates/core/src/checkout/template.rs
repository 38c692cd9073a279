//! A new checkout's row, with a use of its coupon reserved where one can be used.

use super::DEFAULT_SLOT;
use super::id::CheckoutId;
use super::owner::Owner;
use super::state::{CHECKOUT_LIFETIME, Checkout, CheckoutState};
use crate::ledger::{Draft, Record};
use crate::money::Price;
use crate::payment::{CouponCode, CouponHold, HoldState};

/// A new row in the making.
pub(super) struct Template<'a> {
    pub(super) id: &'a CheckoutId,
    pub(super) owner: &'a Owner,
    pub(super) data: &'a str,
    pub(super) choice: &'a str,
    pub(super) price: Option<Price>,
    pub(super) code: Option<&'a CouponCode>,
    pub(super) renewed_from: Option<CheckoutId>,
}

impl Template<'_> {
    /// Puts the row, and reserves a use of its coupon where one can be used.
    pub(super) fn put(self, draft: &mut Draft<'_>) -> Checkout {
        let now = draft.now;
        let known = self.code.and_then(|code| draft.books.coupon_by_code(code));
        let current = known.and_then(|coupon| draft.coupon(&coupon.id)).cloned();
        let usable = current.filter(|coupon| self.price.is_some() && coupon.is_available(now));
        let price = self.price.map(|price| match &usable {
            Some(coupon) => Price { discount: coupon.discount.off(price.original), ..price },
            None => price,
        });
        let coupon = usable.as_ref().map(|c| CouponHold { coupon: c.id.clone(), state: HoldState::Reserved });
        if let Some(coupon) = usable {
            draft.put(Record::Coupon(coupon.reserve()));
        }
        let row = Checkout {
            id: self.id.clone(),
            owner: self.owner.clone(),
            slot: DEFAULT_SLOT.to_owned(),
            data: self.data.to_owned(),
            choice: self.choice.to_owned(),
            price,
            coupon,
            state: CheckoutState::Active,
            renewed_from: self.renewed_from,
            superseded_by: None,
            created_at: now,
            updated_at: now,
            expires_at: now.plus(CHECKOUT_LIFETIME),
            version: 1,
        };
        draft.put(Record::Checkout(row.clone()));
        row
    }
}
