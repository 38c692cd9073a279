//! `refunds`.

use super::super::columns::{Column, Line, Stored};
use super::cow;
use sessile_core::money::Minor;
use sessile_core::payment::{PaymentId, Refund, RefundId, RefundReason, RefundState};

impl Stored for Refund {
    const TABLE: &'static str = "refunds";
    const KEY: &'static str = "id";
    const DERIVED: Option<(&'static str, &'static str)> = Some((
        "currency",
        "coalesce((select p.currency from {s}.payment_sessions p where p.id = v.payment_id), 'UZS')",
    ));
    const COLUMNS: &'static [Column<Self>] = &[
        Column::text("id", |row| cow(Some(row.id.as_str()))),
        Column::text("payment_id", |row| cow(Some(row.payment.as_str()))),
        Column::int("amount_minor", |row| Some(row.amount.get())),
        Column::text("reason", |row| cow(Some(row.reason.name()))),
        Column::text("status", |row| cow(Some(row.state.name()))),
        Column::text("note", |row| cow(row.note.as_deref())),
        Column::time("created_at", |row| Some(row.created_at)),
        Column::time("updated_at", |row| Some(row.updated_at)),
        Column::int("version", |row| Some(row.version)),
    ];

    fn read(line: &Line<'_>) -> Option<Self> {
        Some(Self {
            id: RefundId::parse(line.text("id")?)?,
            payment: PaymentId::parse(line.text("payment_id")?)?,
            amount: Minor::new(line.int("amount_minor")?)?,
            reason: RefundReason::read(line.text("reason")),
            state: RefundState::read(line.text("status")?)?,
            note: line.text("note").map(str::to_owned),
            created_at: line.time("created_at")?,
            updated_at: line.time("updated_at")?,
            version: line.int("version")?,
        })
    }
}
