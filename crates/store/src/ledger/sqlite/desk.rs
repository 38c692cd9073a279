//! One connection and what is needed to read the ledger on it; the reads that everything else is made of.

use super::rows::{Reported, Table};
use crate::open::OpenError;
use crate::users::check_table;
use rusqlite::{Connection, OptionalExtension, Params};
use sessile_core::ledger::{AuditHead, Change, Record};
use sessile_core::login::UserId;
use sessile_core::user::UserUuid;

/// What stays the same for all calls.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) reported: Reported,
    pub(super) tier_of: String,
    pub(super) set_tier: String,
    pub(super) vouch: String,
}

impl Setup {
    pub(super) fn new(users: &str) -> Result<Self, OpenError> {
        check_table(users)?;
        Ok(Self {
            reported: Reported::default(),
            tier_of: format!("SELECT tier FROM {users} WHERE id = ?1"),
            set_tier: format!("UPDATE {users} SET tier = ?2 WHERE id = ?1"),
            vouch: format!(
                "INSERT INTO {users} (id, email, tier, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"
            ),
        })
    }
}

/// One connection, with what is needed to work on it.
#[derive(Clone, Copy)]
pub(super) struct Desk<'c> {
    pub(super) db: &'c Connection,
    pub(super) setup: &'c Setup,
}

impl Desk<'_> {
    /// The rows of a kind where `condition` holds, in its order; those that cannot be read are left out.
    pub(super) fn rows<T: Table>(
        &self,
        condition: &'static str,
        values: impl Params,
    ) -> rusqlite::Result<Vec<T::Entry>> {
        let mut select =
            self.db.prepare_cached(&format!("SELECT {} FROM {} WHERE {condition}", T::COLUMNS, T::NAME))?;
        let mut rows = select.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(self.setup.reported.read::<T>(row)?);
        }
        Ok(found)
    }

    /// The first of them.
    pub(super) fn row<T: Table>(
        &self,
        condition: &'static str,
        values: impl Params,
    ) -> rusqlite::Result<Option<T::Entry>> {
        Ok(self.rows::<T>(condition, values)?.into_iter().next())
    }

    pub(super) fn exists(&self, sql: &str, values: impl Params) -> rusqlite::Result<bool> {
        self.db.prepare_cached(sql)?.exists(values)
    }

    /// The tier of a user whom the table knows. Its ids are UUIDs; nobody else is in it.
    pub(super) fn tier(&self, user: &UserId) -> rusqlite::Result<Option<String>> {
        let Some(id) = UserUuid::of_user(user) else { return Ok(None) };
        let mut select = self.db.prepare_cached(&self.setup.tier_of)?;
        select.query_row([id.as_str()], |row| row.get(0)).optional()
    }

    pub(super) fn audit_head(&self) -> rusqlite::Result<AuditHead> {
        let mut select = self.db.prepare_cached("SELECT seq, hash FROM audit_head WHERE id = 1")?;
        select.query_row([], |row| Ok(AuditHead { seq: row.get(0)?, hash: row.get(1)? }))
    }

    /// Writes a new row.
    pub(super) fn create(&self, record: &Record) -> rusqlite::Result<()> {
        use super::rows::{Checkouts, Coupons, Grants, Payments, Refunds};
        one(match record {
            Record::Checkout(entry) => Checkouts::insert(self.db, entry),
            Record::Payment(entry) => Payments::insert(self.db, entry),
            Record::Coupon(entry) => Coupons::insert(self.db, entry),
            Record::Grant(entry) => Grants::insert(self.db, entry),
            Record::Refund(entry) => Refunds::insert(self.db, entry),
        }?)
    }

    /// Writes the next version of a row that is as it was before.
    pub(super) fn update(&self, change: &Change) -> rusqlite::Result<()> {
        use super::rows::{Checkouts, Coupons, Grants, Payments, Refunds};
        one(match (&change.before, &change.after) {
            (Record::Checkout(before), Record::Checkout(after)) => Checkouts::update(self.db, before, after),
            (Record::Payment(before), Record::Payment(after)) => Payments::update(self.db, before, after),
            (Record::Coupon(before), Record::Coupon(after)) => Coupons::update(self.db, before, after),
            (Record::Grant(before), Record::Grant(after)) => Grants::update(self.db, before, after),
            (Record::Refund(before), Record::Refund(after)) => Refunds::update(self.db, before, after),
            // One key names both, so both are of one kind.
            _ => Ok(0),
        }?)
    }
}

/// A write that has to meet exactly one row.
pub(super) const fn one(rows: usize) -> rusqlite::Result<()> {
    if rows == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(rows)) }
}
