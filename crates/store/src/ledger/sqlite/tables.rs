//! Every table of the ledger with every column, as [`super::takeover`] checks them against a file.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    /// Integers: numbers, truth values, and times as unix milliseconds.
    Whole,
}

/// A column that we read and write.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    /// Whether we write NULL there.
    pub(super) empties: bool,
    /// How it is added where it is missing; `None`: the table is not one that we know without it.
    pub(super) ours: Option<&'static str>,
}

const fn text(name: &'static str) -> Column {
    Column { name, holds: Holds::Text, empties: false, ours: None }
}

const fn whole(name: &'static str) -> Column {
    Column { name, holds: Holds::Whole, empties: false, ours: None }
}

const fn or_null(column: Column) -> Column {
    Column { empties: true, ..column }
}

/// A column of ours, with what stands in its definition.
const fn ours(column: Column, definition: &'static str) -> Column {
    Column { ours: Some(definition), ..column }
}

const fn ours_or_null(column: Column) -> Column {
    let definition = match column.holds {
        Holds::Text => "TEXT",
        Holds::Whole => "INTEGER",
    };
    Column { empties: true, ours: Some(definition), ..column }
}

/// Every table, with every column.
pub(super) const TABLES: &[(&str, &[Column])] = &[
    ("coupons", COUPONS),
    ("checkout_sessions", CHECKOUTS),
    ("payment_sessions", PAYMENTS),
    ("sessile_tombstones", &[text("id"), whole("at")]),
    (
        "payment_attempts",
        &[
            text("provider"),
            whole("click_trans_id"),
            whole("click_paydoc_id"),
            or_null(whole("merchant_prepare_id")),
            text("payment_id"),
            whole("created_at"),
        ],
    ),
    (
        "provider_inbox",
        &[
            text("provider"),
            text("dedupe_key"),
            whole("received_at"),
            whole("applied_at"),
            text("outcome"),
            or_null(text("answer")),
        ],
    ),
    ("coupon_usages", &[text("coupon_id"), text("payment_session_id"), text("user_id"), whole("used_at")]),
    (
        "grants",
        &[
            text("payment_id"),
            text("user_id"),
            or_null(text("tier")),
            or_null(text("checkout_id")),
            whole("granted_at"),
            or_null(whole("revoked_at")),
            whole("version"),
        ],
    ),
    (
        "refunds",
        &[
            text("id"),
            text("payment_id"),
            whole("amount_minor"),
            text("currency"),
            text("reason"),
            text("status"),
            or_null(text("note")),
            whole("created_at"),
            whole("updated_at"),
            whole("version"),
        ],
    ),
    (
        "audit_log",
        &[
            whole("seq"),
            whole("at"),
            text("event"),
            text("actor"),
            or_null(text("payment_id")),
            or_null(text("checkout_id")),
            text("facts"),
            text("previous"),
            text("hash"),
        ],
    ),
    ("audit_head", &[whole("id"), whole("seq"), text("hash")]),
    (
        "outbox",
        &[
            text("id"),
            text("kind"),
            text("payload"),
            whole("created_at"),
            whole("attempts"),
            text("state"),
            whole("next_at"),
            or_null(text("error")),
        ],
    ),
];

const CHECKOUTS: &[Column] = &[
    text("id"),
    or_null(text("user_id")),
    text("session_data"),
    text("status"),
    whole("is_used"),
    whole("created_at"),
    whole("updated_at"),
    ours_or_null(text("guest_hash")),
    ours(text("slot"), "TEXT NOT NULL DEFAULT 'default'"),
    ours(whole("version"), "INTEGER NOT NULL DEFAULT 1"),
    ours_or_null(whole("expires_at")),
    ours(text("choice"), "TEXT NOT NULL DEFAULT ''"),
    ours_or_null(whole("price_original")),
    ours_or_null(whole("price_discount")),
    ours_or_null(text("currency")),
    ours_or_null(text("coupon_id")),
    ours_or_null(text("coupon_state")),
    ours_or_null(whole("left_at")),
    ours_or_null(text("renewed_from")),
    ours_or_null(text("superseded_by")),
    ours_or_null(text("invalidated_reason")),
    ours_or_null(text("completed_payment_id")),
];

const PAYMENTS: &[Column] = &[
    text("id"),
    text("user_id"),
    text("user_email"),
    whole("amount"),
    whole("original_amount"),
    whole("discount_amount"),
    or_null(text("coupon_id")),
    text("merchant_trans_id"),
    or_null(text("click_trans_id")),
    text("status"),
    text("payment_method"),
    text("idempotency_key"),
    or_null(text("metadata")),
    whole("created_at"),
    whole("updated_at"),
    whole("expires_at"),
    ours(whole("version"), "INTEGER NOT NULL DEFAULT 1"),
    ours(text("currency"), "TEXT NOT NULL DEFAULT 'UZS'"),
    ours_or_null(whole("amount_minor")),
    ours_or_null(whole("original_minor")),
    ours_or_null(whole("discount_minor")),
    ours_or_null(whole("click_paydoc_id")),
    ours_or_null(whole("merchant_prepare_id")),
    ours_or_null(text("reason")),
    ours_or_null(text("how")),
    ours_or_null(text("disposition")),
    ours_or_null(text("refund_reason")),
    ours_or_null(text("allocated_to")),
    ours_or_null(whole("state_at")),
    ours_or_null(whole("ask_at")),
    ours(whole("ask_times"), "INTEGER NOT NULL DEFAULT 0"),
    ours(text("flags"), "TEXT NOT NULL DEFAULT ''"),
    ours_or_null(text("checkout_id")),
    ours_or_null(text("coupon_state")),
    ours(text("request_digest"), "TEXT NOT NULL DEFAULT ''"),
];

const COUPONS: &[Column] = &[
    text("id"),
    text("code"),
    or_null(text("description")),
    text("discount_type"),
    whole("discount_value"),
    or_null(whole("original_price")),
    or_null(whole("max_uses")),
    whole("used_count"),
    or_null(whole("valid_from")),
    or_null(whole("valid_until")),
    whole("is_active"),
    or_null(text("created_by")),
    whole("created_at"),
    ours(whole("reserved_count"), "INTEGER NOT NULL DEFAULT 0 CHECK (reserved_count >= 0)"),
    ours_or_null(whole("discount_minor")),
    ours_or_null(whole("original_price_minor")),
    ours(whole("version"), "INTEGER NOT NULL DEFAULT 1"),
];
