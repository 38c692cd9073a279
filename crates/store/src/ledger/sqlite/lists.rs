//! What operators and the dashboard see: pages of rows, newest first, and how many of what there are.

use super::desk::Desk;
use super::rows::{Checkouts, Coupons, Grants, Payments, Refunds, Table, ms, time};
use crate::ledger::derived::contradiction;
use rusqlite::{Row, params};
use sessile_core::Timestamp;
use sessile_core::ledger::{Census, Cursor, Kind, PAGE_MAX, Page, PaymentFilter, Record};
use sessile_core::login::UserId;
use std::time::Duration;

/// A payment that has been processing for longer than this is stale.
const STALE_AFTER: Duration = Duration::from_secs(60 * 60);

/// Where a kind's list finds what it sorts and filters by.
struct Listing {
    key: &'static str,
    created_at: &'static str,
    /// The state's name, an expression.
    status: &'static str,
    /// Whether a row is of user `?2`.
    of_user: &'static str,
}

const fn listing(kind: Kind) -> Listing {
    let usual = Listing { key: "id", created_at: "created_at", status: "status", of_user: "user_id = ?2" };
    match kind {
        Kind::Checkout | Kind::Payment => usual,
        // A coupon is nobody's.
        Kind::Coupon => {
            Listing { status: "iif(is_active, 'active', 'inactive')", of_user: "?2 = ''", ..usual }
        }
        Kind::Grant => Listing {
            key: "payment_id",
            created_at: "granted_at",
            status: "iif(revoked_at IS NULL, 'granted', 'revoked')",
            ..usual
        },
        Kind::Refund => {
            Listing { of_user: "payment_id IN (SELECT id FROM payment_sessions WHERE user_id = ?2)", ..usual }
        }
    }
}

/// One page of a kind.
pub(super) fn page(
    desk: Desk<'_>,
    kind: Kind,
    filter: &PaymentFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<Page<Record>> {
    match kind {
        Kind::Checkout => page_of::<Checkouts>(desk, kind, filter, after, limit),
        Kind::Payment => page_of::<Payments>(desk, kind, filter, after, limit),
        Kind::Coupon => page_of::<Coupons>(desk, kind, filter, after, limit),
        Kind::Grant => page_of::<Grants>(desk, kind, filter, after, limit),
        Kind::Refund => page_of::<Refunds>(desk, kind, filter, after, limit),
    }
}

fn page_of<T: Table>(
    desk: Desk<'_>,
    kind: Kind,
    filter: &PaymentFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<Page<Record>> {
    let Listing { key, created_at, status, of_user } = listing(kind);
    let limit = limit.clamp(1, PAGE_MAX);
    // Every value has its place, also where nothing is filtered by it.
    let mut conditions = Vec::from(["?1 IS ?1", "?2 IS ?2", "?3 IS ?3", "?4 IS ?4"].map(str::to_owned));
    conditions.extend(filter.status.is_some().then(|| format!("{status} = ?1")));
    conditions.extend(filter.user.is_some().then(|| of_user.to_owned()));
    conditions.extend(after.is_some().then(|| format!("({created_at}, {key}) < (?3, ?4)")));
    let sql = format!(
        "SELECT {columns}, {contradiction}, {created_at} AS listed_at FROM {table} WHERE {conditions} \
         ORDER BY {created_at} DESC, {key} DESC LIMIT ?5",
        columns = T::COLUMNS,
        contradiction = contradiction(kind).replace("{s}", ""),
        table = T::NAME,
        conditions = conditions.join(" AND "),
    );
    let mut select = desk.db.prepare_cached(&sql)?;
    let listed_at = select.column_count() - 1;
    let mut rows = select.query(params![
        filter.status,
        filter.user.as_ref().map(UserId::as_str),
        after.map(|cursor| ms(cursor.created_at)),
        after.map(|cursor| cursor.id.as_str()),
        limit as i64 + 1,
    ])?;
    let mut page = Page { rows: Vec::new(), contradicting: Vec::new(), next: None };
    let mut last = None;
    for seen in 0.. {
        let Some(row) = rows.next()? else { break };
        if seen == limit {
            page.next = last;
            break;
        }
        if let Some(record) = desk.setup.reported.read::<T>(row)?.map(T::record) {
            page.contradicting.extend(row.get::<_, bool>(listed_at - 1)?.then(|| record.key()));
            page.rows.push(record);
        }
        // Of every row, also of one that cannot be read: the list goes on behind it.
        last = Some(cursor(row, listed_at)?);
    }
    Ok(page)
}

fn cursor(row: &Row<'_>, listed_at: usize) -> rusqlite::Result<Cursor> {
    Ok(Cursor { created_at: time(row, listed_at)?, id: row.get(0)? })
}

/// How many of what there are at `now`.
pub(super) fn census(desk: Desk<'_>, now: Timestamp) -> rusqlite::Result<Census> {
    let tables = [
        (Kind::Checkout, Checkouts::NAME),
        (Kind::Payment, Payments::NAME),
        (Kind::Coupon, Coupons::NAME),
        (Kind::Grant, Grants::NAME),
        (Kind::Refund, Refunds::NAME),
    ];
    let mut counts = Vec::new();
    for (kind, table) in tables {
        let status = listing(kind).status;
        let sql = format!("SELECT {status}, count(*) FROM {table} GROUP BY 1 ORDER BY 1");
        let mut select = desk.db.prepare_cached(&sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            counts.push((kind, row.get(0)?, row.get(1)?));
        }
    }
    let count = |sql: &str, at: Timestamp| {
        desk.db.prepare_cached(sql)?.query_row([ms(at)], |row| row.get::<_, i64>(0))
    };
    Ok(Census {
        counts,
        overdue_payments: count(
            "SELECT count(*) FROM payment_sessions \
             WHERE status = 'pending' AND coalesce(expires_at, created_at + 1800000) <= ?1",
            now,
        )?,
        stale_payments: count(
            "SELECT count(*) FROM payment_sessions \
             WHERE status = 'processing' AND coalesce(state_at, updated_at) < ?1",
            now.minus(STALE_AFTER),
        )?,
        without_email: count(
            "SELECT count(*) FROM payment_sessions WHERE ?1 IS ?1 AND trim(user_email) = ''",
            now,
        )?,
        manual_refunds: count(
            "SELECT count(*) FROM refunds WHERE ?1 IS ?1 AND status = 'needs_manual'",
            now,
        )?,
        effects_pending: count("SELECT count(*) FROM outbox WHERE ?1 IS ?1 AND state = 'pending'", now)?,
        effects_dead: count("SELECT count(*) FROM outbox WHERE ?1 IS ?1 AND state = 'dead'", now)?,
    })
}
