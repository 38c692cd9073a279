//! `checkout_sessions`.

use super::{Table, Unreadable, minor, ms, or, parsed, read_as, time, time_or_null};
use crate::ledger::sqlite::rows::coupon::hold;
use rusqlite::{Connection, Row, params};
use sessile_core::checkout::{
    CHECKOUT_LIFETIME, Checkout, CheckoutId, CheckoutState, GuestHash, InvalidReason, Owner,
};
use sessile_core::ledger::Record;
use sessile_core::login::UserId;
use sessile_core::money::{Currency, Price};
use sessile_core::payment::{CouponHold, HoldState, PaymentId};

/// The next version of a row.
macro_rules! moved {
    ($also:expr) => {
        concat!(
            "UPDATE checkout_sessions SET session_data = ?3, status = ?4, is_used = ?5, updated_at = ?7, slot = ?9, \
             version = ?10, choice = ?12, price_original = ?13, price_discount = ?14, currency = ?15, coupon_id = ?16, \
             coupon_state = ?17, left_at = ?18, superseded_by = ?20, invalidated_reason = ?21, \
             completed_payment_id = ?22",
            $also,
            " WHERE id = ?1 AND version = ?23"
        )
    };
}

macro_rules! named {
    () => {
        ", user_id = ?2, created_at = ?6, guest_hash = ?8, expires_at = ?11, renewed_from = ?19"
    };
}

/// The columns of [`moved`]'s statement that are indexed and hardly ever change.
fn names(row: &Checkout) -> impl PartialEq + '_ {
    (&row.owner, row.renewed_from.as_ref(), row.created_at, row.expires_at)
}

/// The table of checkouts.
pub(in crate::ledger::sqlite) struct Checkouts;

impl Table for Checkouts {
    type Entry = Checkout;
    const NAME: &'static str = "checkout_sessions";
    const COLUMNS: &'static str = "id, user_id, session_data, status, created_at, updated_at, guest_hash, slot, \
        version, expires_at, choice, price_original, price_discount, currency, coupon_id, coupon_state, left_at, \
        renewed_from, superseded_by, invalidated_reason, completed_payment_id";

    fn record(entry: Checkout) -> Record {
        Record::Checkout(entry)
    }

    fn read(row: &Row<'_>) -> Result<Checkout, Unreadable> {
        let updated_at = time(row, 5)?;
        let created_at = time(row, 4)?;
        let at = time_or_null(row, 16)?.unwrap_or(updated_at);
        let state = match row.get_ref(3)?.as_str().unwrap_or_default() {
            "active" => CheckoutState::Active,
            "completed" => CheckoutState::Completed {
                at,
                payment: parsed(row, 20, "completed_payment_id", PaymentId::parse)?,
            },
            "expired" => CheckoutState::Expired { at },
            "invalidated" => {
                let reason = row.get_ref(19)?.as_str_or_null().unwrap_or_default();
                CheckoutState::Invalidated { at, reason: InvalidReason::read(reason) }
            }
            _ => return Err(Unreadable("status is none that we know".to_owned())),
        };
        Ok(Checkout {
            id: read_as("id", parsed(row, 0, "id", CheckoutId::parse)?)?,
            owner: Owner {
                user: parsed(row, 1, "user_id", |text| UserId::parse(text))?,
                guest: parsed(row, 6, "guest_hash", GuestHash::parse)?,
            },
            slot: row.get(7)?,
            data: row.get(2)?,
            choice: row.get(10)?,
            price: price(row)?,
            coupon: hold(row, 14, 15, HoldState::Released)?,
            state,
            renewed_from: parsed(row, 17, "renewed_from", CheckoutId::parse)?,
            superseded_by: parsed(row, 18, "superseded_by", CheckoutId::parse)?,
            created_at,
            updated_at,
            expires_at: time_or_null(row, 9)?.unwrap_or_else(|| created_at.plus(CHECKOUT_LIFETIME)),
            version: or(row, 8, 1)?,
        })
    }

    fn insert(db: &Connection, entry: &Checkout) -> rusqlite::Result<usize> {
        // A name that was purged is not given again.
        const SQL: &str = "INSERT INTO checkout_sessions (id, user_id, session_data, status, is_used, created_at, \
             updated_at, guest_hash, slot, version, expires_at, choice, price_original, price_discount, currency, \
             coupon_id, coupon_state, left_at, renewed_from, superseded_by, invalidated_reason, completed_payment_id) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22 \
             WHERE ?23 = 0 AND NOT EXISTS (SELECT 1 FROM sessile_tombstones WHERE id = ?1)";
        write(db, SQL, entry, 0)
    }

    fn update(db: &Connection, before: &Checkout, after: &Checkout) -> rusqlite::Result<usize> {
        const STATE: &str = moved!("");
        const ALL: &str = moved!(named!());
        let sql = if names(before) == names(after) { STATE } else { ALL };
        write(db, sql, after, before.version)
    }
}

fn price(row: &Row<'_>) -> Result<Option<Price>, Unreadable> {
    let Some(original) = row.get::<_, Option<i64>>(11)? else { return Ok(None) };
    Ok(Some(Price {
        original: minor("price_original", original)?,
        discount: minor("price_discount", or(row, 12, 0)?)?,
        currency: parsed(row, 13, "currency", Currency::parse)?.unwrap_or(Currency::UZS),
    }))
}

fn write(db: &Connection, sql: &str, entry: &Checkout, base: i64) -> rusqlite::Result<usize> {
    let state = &entry.state;
    let (reason, payment) = match state {
        CheckoutState::Invalidated { reason, .. } => (Some(reason.name()), None),
        CheckoutState::Completed { payment, .. } => (None, payment.as_ref()),
        CheckoutState::Active | CheckoutState::Expired { .. } => (None, None),
    };
    db.prepare_cached(sql)?.execute(params![
        entry.id.as_str(),
        entry.owner.user.as_ref().map(UserId::as_str),
        entry.data,
        state.name(),
        matches!(state, CheckoutState::Completed { .. }),
        ms(entry.created_at),
        ms(entry.updated_at),
        entry.owner.guest.as_ref().map(GuestHash::as_str),
        entry.slot,
        entry.version,
        ms(entry.expires_at),
        entry.choice,
        entry.price.map(|price| price.original.get()),
        entry.price.map(|price| price.discount.get()),
        entry.price.as_ref().map(|price| price.currency.as_str()),
        entry.coupon.as_ref().map(|hold| hold.coupon.as_str()),
        entry.coupon.as_ref().map(|CouponHold { state, .. }| state.name()),
        state.left_active_at().map(ms),
        entry.renewed_from.as_ref().map(CheckoutId::as_str),
        entry.superseded_by.as_ref().map(CheckoutId::as_str),
        reason,
        payment.map(PaymentId::as_str),
        base,
    ])
}
