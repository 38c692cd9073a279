//! The tables: created where they are missing, and taken over in place where an older application has made them, in
//! one transaction under an advisory lock, so that sixteen processes may start on an empty database at once.
//!
//! Taking over only adds: columns with defaults, which rewrites no row, indexes and triggers. The schema's version is
//! a comment on `audit_head`. A table of another shape is refused, with the column and the remedy.

use crate::open::OpenError;
use crate::postgres::connect::Database;
use sessile_core::StoreError;
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

/// What this program writes as its schema's version.
const VERSION: u32 = 2;
const SCRIPT: &str = include_str!("tables.sql");
/// Longest schema name.
const NAME_BYTES_MAX: usize = 40;

const TEXT: &[&str] = &["text", "character varying"];
const INT: &[&str] = &["bigint", "integer", "smallint"];
const TIME: &[&str] = &["timestamp with time zone", "timestamp without time zone"];
const JSON: &[&str] = &["jsonb", "json"];
const FLAG: &[&str] = &["boolean"];

/// A column that an older application may have made: its table, its name, the types that it may have, and whether
/// a table is of our kind without it.
struct Expected(&'static str, &'static str, &'static [&'static str], Needed);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    Yes,
    No,
}

const EXPECTED: &[Expected] = &[
    Expected("checkout_sessions", "id", TEXT, Needed::Yes),
    Expected("checkout_sessions", "user_id", TEXT, Needed::Yes),
    Expected("checkout_sessions", "session_data", JSON, Needed::Yes),
    Expected("checkout_sessions", "status", TEXT, Needed::Yes),
    Expected("checkout_sessions", "is_used", FLAG, Needed::No),
    Expected("checkout_sessions", "created_at", TIME, Needed::No),
    Expected("checkout_sessions", "updated_at", TIME, Needed::No),
    Expected("payment_sessions", "id", TEXT, Needed::Yes),
    Expected("payment_sessions", "user_id", TEXT, Needed::No),
    Expected("payment_sessions", "user_email", TEXT, Needed::No),
    Expected("payment_sessions", "amount", INT, Needed::Yes),
    Expected("payment_sessions", "original_amount", INT, Needed::No),
    Expected("payment_sessions", "discount_amount", INT, Needed::No),
    Expected("payment_sessions", "coupon_id", TEXT, Needed::No),
    Expected("payment_sessions", "merchant_trans_id", TEXT, Needed::Yes),
    Expected("payment_sessions", "click_trans_id", TEXT, Needed::No),
    Expected("payment_sessions", "status", TEXT, Needed::Yes),
    Expected("payment_sessions", "payment_method", TEXT, Needed::No),
    Expected("payment_sessions", "idempotency_key", TEXT, Needed::Yes),
    Expected("payment_sessions", "created_at", TIME, Needed::No),
    Expected("payment_sessions", "updated_at", TIME, Needed::No),
    Expected("payment_sessions", "expires_at", TIME, Needed::No),
    Expected("coupons", "id", TEXT, Needed::Yes),
    Expected("coupons", "code", TEXT, Needed::Yes),
    Expected("coupons", "description", TEXT, Needed::No),
    Expected("coupons", "discount_type", TEXT, Needed::Yes),
    Expected("coupons", "discount_value", INT, Needed::Yes),
    Expected("coupons", "original_price", INT, Needed::No),
    Expected("coupons", "max_uses", INT, Needed::No),
    Expected("coupons", "used_count", INT, Needed::No),
    Expected("coupons", "valid_from", TIME, Needed::No),
    Expected("coupons", "valid_until", TIME, Needed::No),
    Expected("coupons", "is_active", FLAG, Needed::No),
    Expected("coupons", "created_by", TEXT, Needed::No),
    Expected("coupons", "created_at", TIME, Needed::No),
    Expected("coupon_usages", "coupon_id", TEXT, Needed::Yes),
    Expected("coupon_usages", "payment_session_id", TEXT, Needed::Yes),
    Expected("coupon_usages", "user_id", TEXT, Needed::No),
    Expected("coupon_usages", "used_at", TIME, Needed::No),
    // Names that are common enough for somebody else to have taken them.
    Expected("grants", "payment_id", TEXT, Needed::Yes),
    Expected("grants", "granted_at", TIME, Needed::Yes),
    Expected("refunds", "payment_id", TEXT, Needed::Yes),
    Expected("refunds", "amount_minor", INT, Needed::Yes),
    Expected("refunds", "version", INT, Needed::Yes),
    Expected("audit_log", "seq", INT, Needed::Yes),
    Expected("audit_log", "facts", TEXT, Needed::Yes),
    Expected("audit_log", "hash", TEXT, Needed::Yes),
    Expected("outbox", "kind", TEXT, Needed::Yes),
    Expected("outbox", "payload", JSON, Needed::Yes),
    Expected("outbox", "next_at", TIME, Needed::Yes),
];

/// Tables of which an older application may fill in columns of its own.
const TAKEN_OVER: [&str; 4] = ["checkout_sessions", "payment_sessions", "coupons", "coupon_usages"];

/// A schema's name in double quotes.
pub(super) fn quoted(schema: &str) -> Result<String, OpenError> {
    let odd = |c: char| c.is_control() || "'\"%{}$\\".contains(c);
    if schema.is_empty() || schema.len() > NAME_BYTES_MAX || schema.contains(odd) {
        let what = format!("a schema's name has 1 to {NAME_BYTES_MAX} bytes and none of ' \" % {{ }} $ \\");
        return Err(OpenError::Unusable { what });
    }
    Ok(format!("\"{schema}\""))
}

/// Everything in one transaction, one process at a time.
pub(super) fn script(s: &str) -> String {
    let digest = Sha256::digest(format!("sessile ledger {s}").as_bytes());
    let mut lock = [0_u8; 8];
    lock.copy_from_slice(&digest[..8]);
    format!(
        "begin;\nset local lock_timeout = '10s';\nset local client_min_messages = 'warning';\n\
         select pg_advisory_xact_lock({});\n{}\
         comment on table {s}.audit_head is 'sessile ledger schema {VERSION}';\ncommit;\n",
        i64::from_be_bytes(lock),
        SCRIPT.replace("{s}", s),
    )
}

/// What the database has of our tables.
#[derive(Debug)]
pub(super) struct Found {
    version: Option<u32>,
    columns: Vec<FoundColumn>,
}

#[derive(Debug)]
struct FoundColumn {
    table: String,
    name: String,
    ty: String,
    filling: Filling,
}

/// Who fills a column of a new row in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// Nobody has to.
    Optional,
    /// Whoever inserts the row.
    Compulsory,
}

/// Looks, without taking any lock.
pub(super) async fn look(database: &Database, schema: &str) -> Result<Found, StoreError> {
    let sql = "select c.relname::text, a.attname::text, format_type(a.atttypid, null),
                      a.attnotnull and not a.atthasdef and a.attidentity = '' and a.attgenerated = '',
                      obj_description(to_regclass(quote_ident($1) || '.audit_head'), 'pg_class')
               from pg_class c
               join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
               where c.relnamespace = to_regnamespace(quote_ident($1)) and c.relkind in ('r', 'p')
                 and c.relname = any($2)
               order by c.relname, a.attnum";
    let mut tables: Vec<&str> = EXPECTED.iter().map(|column| column.0).collect();
    tables.push("audit_head");
    tables.dedup();
    let rows = database.query(sql, &[(&schema, Type::TEXT), (&tables, Type::TEXT_ARRAY)]).await?;
    let comment: Option<String> = rows.first().and_then(|row| row.get(4));
    let column = |row: &tokio_postgres::Row| FoundColumn {
        table: row.get(0),
        name: row.get(1),
        ty: row.get(2),
        filling: if row.get(3) { Filling::Compulsory } else { Filling::Optional },
    };
    Ok(Found {
        version: comment.and_then(|text| text.strip_prefix("sessile ledger schema ")?.parse().ok()),
        columns: rows.iter().map(column).collect(),
    })
}

impl Found {
    /// Whether nothing is left to be done.
    pub(super) fn is_current(&self) -> bool {
        self.version == Some(VERSION)
    }

    /// Refuses tables of another shape.
    pub(super) fn check(&self, schema: &str, place: &str) -> Result<(), OpenError> {
        let refuse = |what: String| Err(OpenError::Schema { place: place.to_owned(), what });
        if let Some(version) = self.version.filter(|version| *version > VERSION) {
            return refuse(format!(
                "its ledger has schema version {version}, this program knows {VERSION}; start the newer program"
            ));
        }
        for Expected(table, name, types, needed) in EXPECTED {
            let mut of_table = self.columns.iter().filter(|column| column.table == *table).peekable();
            if of_table.peek().is_none() {
                continue;
            }
            match of_table.find(|column| column.name == *name) {
                Some(found) if types.contains(&found.ty.as_str()) => {}
                Some(found) => {
                    return refuse(format!(
                        "column {name} of {schema}.{table} has type {ty}, needed is {need}. Run: alter table \
                         {schema}.{table} alter column {name} type {need} using {name}::{need}; or rename that \
                         table if it belongs to something else",
                        ty = found.ty,
                        need = types[0],
                    ));
                }
                None if *needed == Needed::Yes => {
                    return refuse(format!(
                        "{schema}.{table} has no column {name}, so it belongs to something else. Rename it (alter \
                         table {schema}.{table} rename to {table}_old), or give Sessile a schema of its own"
                    ));
                }
                None => {}
            }
        }
        self.check_compulsory(schema).map_or(Ok(()), refuse)
    }

    /// A column that we do not know and that has to be filled in would refuse every row of ours.
    fn check_compulsory(&self, schema: &str) -> Option<String> {
        let known = |column: &FoundColumn| {
            EXPECTED.iter().any(|Expected(table, name, ..)| *table == column.table && *name == column.name)
        };
        let odd = self.columns.iter().find(|column| {
            TAKEN_OVER.contains(&column.table.as_str())
                && column.filling == Filling::Compulsory
                && self.version.is_none()
                && !known(column)
        })?;
        let FoundColumn { table, name, .. } = odd;
        Some(format!(
            "column {name} of {schema}.{table} must be filled in and Sessile does not know with what. Run: alter \
             table {schema}.{table} alter column {name} drop not null, or give it a default"
        ))
    }
}

/// The schema that unqualified names go to.
pub(super) async fn current_schema(database: &Database) -> Result<String, StoreError> {
    let rows = database.query("select coalesce(current_schema()::text, 'public')", &[]).await?;
    Ok(rows.first().map_or_else(|| "public".to_owned(), |row| row.get(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schemas_name_cannot_end_a_statement() {
        assert_eq!(quoted("public").unwrap(), "\"public\"");
        for bad in ["", "a\"b", "a'b", "a%b", "{s}", "a$b", &"x".repeat(41)] {
            assert!(quoted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_script_is_whole() {
        let script = script("\"shop\"");
        assert!(!script.contains("{s}") && script.starts_with("begin;") && script.ends_with("commit;\n"));
        for Expected(table, ..) in EXPECTED {
            assert!(script.contains(&format!("\"shop\".{table}")), "{table}");
        }
    }
}
