//! `grants`.

use super::super::columns::{Column, Line, Stored};
use super::cow;
use sessile_core::checkout::CheckoutId;
use sessile_core::login::UserId;
use sessile_core::payment::{Grant, PaymentId};

impl Stored for Grant {
    const TABLE: &'static str = "grants";
    const KEY: &'static str = "payment_id";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::text("payment_id", |row| cow(Some(row.payment.as_str()))),
        Column::text("user_id", |row| cow(Some(row.user.as_str()))),
        Column::text("tier", |row| cow(row.tier.as_deref())),
        Column::text("checkout_id", |row| cow(row.checkout.as_ref().map(CheckoutId::as_str))),
        Column::time("granted_at", |row| Some(row.granted_at)),
        Column::time("revoked_at", |row| row.revoked_at),
        Column::int("version", |row| Some(row.version)),
    ];

    fn read(line: &Line<'_>) -> Option<Self> {
        Some(Self {
            payment: PaymentId::parse(line.text("payment_id")?)?,
            user: UserId::parse(line.text("user_id")?)?,
            tier: line.text("tier").map(str::to_owned),
            checkout: line.text("checkout_id").and_then(CheckoutId::parse),
            granted_at: line.time("granted_at")?,
            revoked_at: line.time("revoked_at"),
            version: line.int("version")?,
        })
    }
}
