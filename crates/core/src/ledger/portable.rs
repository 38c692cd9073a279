//! The ledger on its way from one engine to another, row by row as it is stored: rows of an older application travel as they
//! are, and the audit log keeps every byte, so that its chain holds at the destination.
//!
//! Money moves into a ledger whose audit log is a beginning of the source's and nothing else: then nothing at the destination
//! can be newer, and rows without a version are the source's to say.

use crate::portable::{Portable, canonical_json};
use crate::time::Timestamp;
use std::fmt::Write as _;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text, byte for byte.
    Text,
    /// A whole number.
    Whole,
    /// A moment, as unix milliseconds.
    Moment,
    /// Yes or no, as 1 or 0.
    Flag,
    /// JSON: engines may spell it differently.
    Json,
    /// A UUID, as text.
    Uuid,
}

impl Holds {
    /// Whether a value of it travels as a number.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Moment | Self::Flag)
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// None.
    Empty,
    /// Text, JSON or a UUID.
    Text(String),
    /// A number, a moment or a flag.
    Number(i64),
}

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// What an empty one counts as, where an older application left it empty and we do not.
    pub usual: Option<i64>,
}

/// How a row of a table that is there already may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// To a later version, which this column counts.
    Counted(&'static str),
    /// As the source says.
    AsTold,
    /// Never.
    Never,
}

/// One table of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Users.
    Users,
    /// By which names providers know them.
    Identities,
    /// `coupons`
    Coupons,
    /// `checkout_sessions`
    Checkouts,
    /// `payment_sessions`
    Payments,
    /// Numbers of the provider that were used.
    Attempts,
    /// Messages that were heard.
    Inbox,
    /// Uses of coupons.
    Uses,
    /// `grants`
    Grants,
    /// `refunds`
    Refunds,
    /// Names that were purged.
    Tombstones,
    /// The audit log.
    Audit,
    /// What the world has not heard yet.
    Outbox,
}

const fn text(name: &'static str) -> Column {
    Column { name, holds: Holds::Text, usual: None }
}
const fn whole(name: &'static str) -> Column {
    Column { name, holds: Holds::Whole, usual: None }
}
const fn moment(name: &'static str) -> Column {
    Column { name, holds: Holds::Moment, usual: None }
}
const fn flag(name: &'static str) -> Column {
    Column { name, holds: Holds::Flag, usual: None }
}
const fn json(name: &'static str) -> Column {
    Column { name, holds: Holds::Json, usual: None }
}
const fn uuid(name: &'static str) -> Column {
    Column { name, holds: Holds::Uuid, usual: None }
}
const fn or(column: Column, usual: i64) -> Column {
    Column { usual: Some(usual), ..column }
}

impl Table {
    /// Every table, in the order in which rows may refer to those before them. The outbox comes last: what is told leaves a
    /// ledger that is whole.
    pub const ALL: [Self; 13] = [
        Self::Users,
        Self::Identities,
        Self::Coupons,
        Self::Checkouts,
        Self::Payments,
        Self::Attempts,
        Self::Inbox,
        Self::Uses,
        Self::Grants,
        Self::Refunds,
        Self::Tombstones,
        Self::Audit,
        Self::Outbox,
    ];

    /// Its name; that of the users' table is configured.
    #[must_use]
    pub fn name(self, users: &str) -> String {
        match self {
            Self::Users => users.to_owned(),
            Self::Identities => format!("{users}_identity"),
            Self::Coupons => "coupons".to_owned(),
            Self::Checkouts => "checkout_sessions".to_owned(),
            Self::Payments => "payment_sessions".to_owned(),
            Self::Attempts => "payment_attempts".to_owned(),
            Self::Inbox => "provider_inbox".to_owned(),
            Self::Uses => "coupon_usages".to_owned(),
            Self::Grants => "grants".to_owned(),
            Self::Refunds => "refunds".to_owned(),
            Self::Tombstones => "sessile_tombstones".to_owned(),
            Self::Audit => "audit_log".to_owned(),
            Self::Outbox => "outbox".to_owned(),
        }
    }

    /// How many of the first columns name a row.
    #[must_use]
    pub const fn key_columns(self) -> usize {
        match self {
            Self::Identities | Self::Attempts | Self::Inbox => 2,
            _ => 1,
        }
    }

    /// How its rows change.
    #[must_use]
    pub const fn changes(self) -> Changes {
        match self {
            Self::Coupons | Self::Checkouts | Self::Payments | Self::Grants | Self::Refunds => {
                Changes::Counted("version")
            }
            Self::Users | Self::Identities | Self::Outbox => Changes::AsTold,
            Self::Attempts | Self::Inbox | Self::Uses | Self::Tombstones | Self::Audit => Changes::Never,
        }
    }

    /// Every column, those that name a row first.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Users => const { &[uuid("id"), text("email"), text("tier"), moment("created_at")] },
            Self::Identities => const { &[text("provider"), text("subject"), uuid("user_id")] },
            Self::Coupons => COUPONS,
            Self::Checkouts => CHECKOUTS,
            Self::Payments => PAYMENTS,
            Self::Attempts => ATTEMPTS,
            Self::Inbox => INBOX,
            Self::Uses => {
                const {
                    &[
                        text("payment_session_id"),
                        text("coupon_id"),
                        text("user_id"),
                        or(moment("used_at"), 0),
                    ]
                }
            }
            Self::Grants => GRANTS,
            Self::Refunds => REFUNDS,
            Self::Tombstones => const { &[text("id"), moment("at")] },
            Self::Audit => AUDIT,
            Self::Outbox => OUTBOX,
        }
    }
}

const COUPONS: &[Column] = &[
    text("id"),
    text("code"),
    text("description"),
    text("discount_type"),
    whole("discount_value"),
    whole("original_price"),
    whole("max_uses"),
    or(whole("used_count"), 0),
    moment("valid_from"),
    moment("valid_until"),
    or(flag("is_active"), 1),
    text("created_by"),
    or(moment("created_at"), 0),
    whole("reserved_count"),
    whole("discount_minor"),
    whole("original_price_minor"),
    whole("version"),
];

const CHECKOUTS: &[Column] = &[
    text("id"),
    text("user_id"),
    json("session_data"),
    text("status"),
    flag("is_used"),
    or(moment("created_at"), 0),
    or(moment("updated_at"), 0),
    text("guest_hash"),
    text("slot"),
    whole("version"),
    moment("expires_at"),
    text("choice"),
    whole("price_original"),
    whole("price_discount"),
    text("currency"),
    text("coupon_id"),
    text("coupon_state"),
    moment("left_at"),
    text("renewed_from"),
    text("superseded_by"),
    text("invalidated_reason"),
    text("completed_payment_id"),
];

const PAYMENTS: &[Column] = &[
    text("id"),
    text("user_id"),
    text("user_email"),
    whole("amount"),
    whole("original_amount"),
    whole("discount_amount"),
    text("coupon_id"),
    text("merchant_trans_id"),
    text("click_trans_id"),
    text("status"),
    text("payment_method"),
    text("idempotency_key"),
    json("metadata"),
    or(moment("created_at"), 0),
    or(moment("updated_at"), 0),
    moment("expires_at"),
    whole("version"),
    text("currency"),
    whole("amount_minor"),
    whole("original_minor"),
    whole("discount_minor"),
    whole("click_paydoc_id"),
    whole("merchant_prepare_id"),
    text("reason"),
    text("how"),
    text("disposition"),
    text("refund_reason"),
    text("allocated_to"),
    moment("state_at"),
    moment("ask_at"),
    whole("ask_times"),
    text("flags"),
    text("checkout_id"),
    text("coupon_state"),
    text("request_digest"),
];

const ATTEMPTS: &[Column] = &[
    text("provider"),
    whole("click_trans_id"),
    whole("click_paydoc_id"),
    whole("merchant_prepare_id"),
    text("payment_id"),
    moment("created_at"),
];

const INBOX: &[Column] = &[
    text("provider"),
    text("dedupe_key"),
    moment("received_at"),
    moment("applied_at"),
    text("outcome"),
    text("answer"),
];

const GRANTS: &[Column] = &[
    text("payment_id"),
    text("user_id"),
    text("tier"),
    text("checkout_id"),
    moment("granted_at"),
    moment("revoked_at"),
    whole("version"),
];

const REFUNDS: &[Column] = &[
    text("id"),
    text("payment_id"),
    whole("amount_minor"),
    text("currency"),
    text("reason"),
    text("status"),
    text("note"),
    moment("created_at"),
    moment("updated_at"),
    whole("version"),
];

const AUDIT: &[Column] = &[
    whole("seq"),
    moment("at"),
    text("event"),
    text("actor"),
    text("payment_id"),
    text("checkout_id"),
    text("facts"),
    text("previous"),
    text("hash"),
];

const OUTBOX: &[Column] = &[
    text("id"),
    text("kind"),
    json("payload"),
    moment("created_at"),
    whole("attempts"),
    text("state"),
    moment("next_at"),
    text("error"),
];

/// A row, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Of which table.
    pub table: Table,
    /// One value for each of its columns.
    pub fields: Vec<Field>,
}

impl LedgerRow {
    /// The values that name it.
    #[must_use]
    pub fn key(&self) -> &[Field] {
        &self.fields[..self.table.key_columns().min(self.fields.len())]
    }

    /// The value of a column.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self.table.columns().iter().position(|column| column.name == name)?;
        self.fields.get(at)
    }

    /// How often it has changed, where that is counted.
    #[must_use]
    pub fn version(&self) -> Option<i64> {
        let Changes::Counted(column) = self.table.changes() else { return None };
        match self.field(column)? {
            Field::Number(version) => Some(*version),
            Field::Empty | Field::Text(_) => None,
        }
    }
}

impl Portable for LedgerRow {
    fn canonical(&self) -> Option<String> {
        let mut text = format!("{:?}", self.table);
        for (column, field) in self.table.columns().iter().zip(&self.fields) {
            let value = match field {
                Field::Empty => "-".to_owned(),
                Field::Number(number) => number.to_string(),
                Field::Text(json) if column.holds == Holds::Json => canonical_json(json),
                Field::Text(text) => text.clone(),
            };
            // With its length, so that no two rows have one text.
            let _ = write!(text, "\n{} {} {value}", column.name, value.len());
        }
        Some(text)
    }

    fn fingerprint(&self) -> String {
        let table = self.table.name("users");
        let key: Vec<String> = self.key().iter().map(|field| format!("{field:?}")).collect();
        format!("{table} {}", crate::id::fingerprint_of(&key.join(" ")))
    }

    fn ends_before(&self, _: Timestamp) -> bool {
        false
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        self.version().zip(other.version()).is_some_and(|(ours, theirs)| ours > theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_names_its_rows_and_counts_where_it_says_so() {
        for table in Table::ALL {
            let columns = table.columns();
            assert!(table.key_columns() < columns.len(), "{table:?}");
            let names: std::collections::BTreeSet<_> = columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), columns.len(), "{table:?} names a column twice");
            if let Changes::Counted(column) = table.changes() {
                assert!(names.contains(column), "{table:?}");
            }
        }
    }

    #[test]
    fn rows_are_the_same_however_their_json_is_spelled_and_never_by_accident() {
        let row = |payload: &str, kind: &str| LedgerRow {
            table: Table::Outbox,
            fields: ["a", kind, payload].map(|text| Field::Text(text.to_owned())).to_vec(),
        };
        assert_eq!(row("{\"a\": 1}", "k").canonical(), row("{\"a\":1}", "k").canonical());
        assert_ne!(row("1", "k\npayload 1 1").canonical(), row("1", "k").canonical());
    }
}
