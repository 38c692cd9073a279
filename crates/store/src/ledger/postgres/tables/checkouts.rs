//! `checkout_sessions`.

use super::super::columns::{Column, Line, Stored};
use super::json::spelled;
use super::{cow, hold_of};
use sessile_core::Timestamp;
use sessile_core::checkout::{
    CHECKOUT_LIFETIME, Checkout, CheckoutId, CheckoutState, GuestHash, InvalidReason, Owner,
};
use sessile_core::login::UserId;
use sessile_core::money::{Currency, Minor, Price};
use sessile_core::payment::{HoldState, PaymentId};

/// The slot of rows that name none.
const SLOT: &str = "default";

impl Stored for Checkout {
    const TABLE: &'static str = "checkout_sessions";
    const KEY: &'static str = "id";
    const GONE: Option<&'static str> = Some("sessile_tombstones");
    const COLUMNS: &'static [Column<Self>] = &[
        Column::text("id", |row| cow(Some(row.id.as_str()))),
        Column::text("user_id", |row| cow(row.owner.user.as_ref().map(UserId::as_str))),
        Column::text("guest_hash", |row| cow(row.owner.guest.as_ref().map(GuestHash::as_str))),
        Column::<Self>::json("session_data", |row| &row.data).once(),
        Column::text("slot", |row| cow(Some(&row.slot))),
        Column::text("choice", |row| cow(Some(&row.choice))),
        Column::int("price_original", |row| row.price.map(|price| price.original.get())),
        Column::int("price_discount", |row| row.price.map(|price| price.discount.get())),
        Column::text("currency", |row| cow(row.price.as_ref().map(|price| price.currency.as_str()))),
        Column::text("coupon_id", |row| cow(row.coupon.as_ref().map(|hold| hold.coupon.as_str()))),
        Column::text("coupon_state", |row| cow(row.coupon.as_ref().map(|hold| hold.state.name()))),
        Column::text("status", |row| cow(Some(row.state.name()))),
        Column::flag("is_used", |row| matches!(row.state, CheckoutState::Completed { .. })),
        Column::time("left_at", |row| row.state.left_active_at()),
        Column::text("completed_payment_id", |row| match &row.state {
            CheckoutState::Completed { payment, .. } => cow(payment.as_ref().map(PaymentId::as_str)),
            _ => None,
        }),
        Column::text("invalidated_reason", |row| match &row.state {
            CheckoutState::Invalidated { reason, .. } => cow(Some(reason.name())),
            _ => None,
        }),
        Column::text("renewed_from", |row| cow(row.renewed_from.as_ref().map(CheckoutId::as_str))),
        Column::text("superseded_by", |row| cow(row.superseded_by.as_ref().map(CheckoutId::as_str))),
        Column::<Self>::time("created_at", |row| Some(row.created_at)).once(),
        Column::time("updated_at", |row| Some(row.updated_at)),
        Column::time("touched_at", |row| Some(row.updated_at)),
        Column::time("expires_at", |row| Some(row.expires_at)),
        Column::int("version", |row| Some(row.version)),
    ];

    fn read(line: &Line<'_>) -> Option<Self> {
        let updated_at = line.time("touched_at").or_else(|| line.time("updated_at"));
        let created_at = line.time("created_at").or(updated_at).unwrap_or(Timestamp::EPOCH);
        let updated_at = updated_at.unwrap_or(created_at);
        let guest = line.text("guest_hash").and_then(GuestHash::parse);
        Some(Self {
            id: CheckoutId::parse(line.text("id")?)?,
            owner: Owner { user: line.text("user_id").and_then(UserId::parse), guest },
            slot: line.text("slot").unwrap_or(SLOT).to_owned(),
            data: spelled(line.text("session_data")?),
            choice: line.text("choice").unwrap_or_default().to_owned(),
            price: price_of(line),
            coupon: hold_of(line.text("coupon_id"), line.text("coupon_state"), HoldState::Released),
            state: state_of(line, updated_at)?,
            renewed_from: line.text("renewed_from").and_then(CheckoutId::parse),
            superseded_by: line.text("superseded_by").and_then(CheckoutId::parse),
            created_at,
            updated_at,
            expires_at: line.time("expires_at").unwrap_or_else(|| created_at.plus(CHECKOUT_LIFETIME)),
            version: line.int("version")?,
        })
    }
}

fn price_of(line: &Line<'_>) -> Option<Price> {
    Some(Price {
        original: Minor::new(line.int("price_original")?)?,
        discount: line.int("price_discount").and_then(Minor::new).unwrap_or(Minor::ZERO),
        currency: Currency::parse(line.text("currency")?)?,
    })
}

fn state_of(line: &Line<'_>, updated_at: Timestamp) -> Option<CheckoutState> {
    let at = line.time("left_at").unwrap_or(updated_at);
    match line.text("status")? {
        "active" => Some(CheckoutState::Active),
        "completed" => {
            let payment = line.text("completed_payment_id").and_then(PaymentId::parse);
            Some(CheckoutState::Completed { at, payment })
        }
        "expired" => Some(CheckoutState::Expired { at }),
        "invalidated" => {
            let reason = InvalidReason::read(line.text("invalidated_reason"));
            Some(CheckoutState::Invalidated { at, reason })
        }
        _ => None,
    }
}
