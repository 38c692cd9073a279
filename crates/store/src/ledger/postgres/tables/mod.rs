//! The five tables of records, each as its columns and the way back from a row.
//!
//! A row of an older application lacks our columns; what they mean then is said where it is read, and such a row is
//! written back only where a decision changes it.

mod checkouts;
mod coupons;
mod grants;
mod json;
mod payments;
mod refunds;

use sessile_core::payment::{CouponHold, CouponId, HoldState};
use std::borrow::Cow;

/// An optional text as a cell.
fn cow(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

/// The hold that two columns tell of. An older application counted a use when money came, and reserved none.
fn hold_of(coupon: Option<&str>, state: Option<&str>, unknown: HoldState) -> Option<CouponHold> {
    let coupon = CouponId::parse(coupon?)?;
    Some(CouponHold { coupon, state: state.and_then(HoldState::read).unwrap_or(unknown) })
}
