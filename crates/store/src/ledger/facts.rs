//! What `doctor` and `migrate status` want to know of a ledger on Postgres. Reads only.

use super::LedgerOptions;
use crate::open::OpenError;
use crate::postgres::connect::Database;
use sessile_core::{StoreError, Timestamp};
use tokio_postgres::types::Type;

/// Every table of the ledger.
const TABLES: [&str; 12] = [
    "checkout_sessions",
    "payment_sessions",
    "payment_attempts",
    "provider_inbox",
    "coupons",
    "coupon_usages",
    "grants",
    "refunds",
    "audit_log",
    "audit_head",
    "outbox",
    "sessile_tombstones",
];

/// How a ledger's database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFacts {
    /// Host, port and database.
    pub place: String,
    /// Tables of ours that are there.
    pub tables: Vec<String>,
    /// Of these, the ones whose rows every role may reach that may reach the table.
    pub unguarded: Vec<String>,
    /// The database's clock.
    pub now: Timestamp,
}

impl LedgerFacts {
    /// Looks at the database without changing anything.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be reached.
    pub async fn of(url: &str, options: &LedgerOptions) -> Result<Self, OpenError> {
        let database = Database::new(url)?;
        let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
        let sql = "select c.relname::text, c.relrowsecurity from pg_catalog.pg_class c \
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
            where c.relkind in ('r', 'p') and n.nspname = coalesce($1, current_schema()) and c.relname = any($2) \
            order by c.relname";
        let names: Vec<&str> = TABLES.to_vec();
        let rows = database
            .query(sql, &[(&options.schema, Type::TEXT), (&names, Type::TEXT_ARRAY)])
            .await
            .map_err(unreachable)?;
        let clock = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
        let now = database.query(clock, &[]).await.map_err(unreachable)?;
        let now = now.first().map_or(Timestamp::EPOCH, |row| Timestamp::from_unix_ms(row.get(0)));
        let unguarded = rows.iter().filter(|row| !row.get::<_, bool>(1)).map(|row| row.get(0)).collect();
        let tables = rows.iter().map(|row| row.get(0)).collect();
        Ok(Self { place: database.place.clone(), tables, unguarded, now })
    }

    /// Tables that are not there yet.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        TABLES.into_iter().filter(|name| !self.tables.iter().any(|there| there == name)).collect()
    }
}
