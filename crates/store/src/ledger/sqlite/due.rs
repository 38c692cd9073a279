//! What timers have to look at, the longest due first. Every list of theirs runs on an index that holds only such rows.

use super::desk::Desk;
use super::rows::ms;
use rusqlite::params;
use sessile_core::Timestamp;
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::{Due, RecordKey};
use sessile_core::payment::{PaymentId, RefundId};

/// Rows that one call gives at most.
const DUE_MAX: usize = 1_000;

const CHECKOUTS: &str = "SELECT id FROM checkout_sessions c \
    WHERE status = 'active' AND coalesce(expires_at, created_at + 86400000) <= ?1 \
    AND NOT EXISTS (SELECT 1 FROM payment_sessions p WHERE p.checkout_id = c.id AND p.status = 'processing') \
    ORDER BY coalesce(expires_at, created_at + 86400000), id LIMIT ?2";
const PAYMENTS: &str = "SELECT id FROM payment_sessions \
    WHERE status = 'pending' AND coalesce(expires_at, created_at + 1800000) <= ?1 \
    ORDER BY coalesce(expires_at, created_at + 1800000), id LIMIT ?2";
/// An older application's row is asked about a minute after it changed last.
const ASKS: &str = "SELECT id FROM (SELECT id, ask_at AS at FROM payment_sessions WHERE ask_at <= ?1 \
    UNION ALL SELECT id, updated_at + 60000 FROM payment_sessions \
    WHERE status = 'processing' AND ask_at IS NULL AND updated_at + 60000 <= ?1) ORDER BY at, id LIMIT ?2";
/// The second condition is the index's own.
const REFUNDS: &str = "SELECT id FROM refunds \
    WHERE status = 'requested' AND status IN ('requested', 'submitted', 'needs_manual') AND created_at <= ?1 \
    ORDER BY created_at, id LIMIT ?2";
const WITHOUT_EMAIL: &str = "SELECT id FROM payment_sessions WHERE trim(user_email) = '' AND created_at <= ?1 \
    ORDER BY created_at, id LIMIT ?2";
/// Whatever money touched stays.
const PURGES: &str = "SELECT id FROM checkout_sessions c \
    WHERE status IN ('expired', 'invalidated') AND coalesce(left_at, updated_at) < ?1 \
    AND NOT EXISTS (SELECT 1 FROM payment_sessions p WHERE p.checkout_id = c.id AND \
    (p.status IN ('processing', 'completed') OR EXISTS (SELECT 1 FROM refunds r WHERE r.payment_id = p.id \
    AND r.status IN ('requested', 'submitted', 'needs_manual')))) \
    ORDER BY coalesce(left_at, updated_at), id LIMIT ?2";

/// The keys of what is due at `now`.
pub(super) fn due(
    desk: Desk<'_>,
    due: Due,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<RecordKey>> {
    let (sql, until) = match due {
        Due::Checkouts => (CHECKOUTS, now),
        Due::Payments => (PAYMENTS, now),
        Due::Asks => (ASKS, now),
        Due::Refunds => (REFUNDS, now),
        Due::WithoutEmail => (WITHOUT_EMAIL, now),
        Due::Purges { left_before } => (PURGES, left_before),
    };
    let key = |id: &str| match due {
        Due::Checkouts | Due::Purges { .. } => CheckoutId::parse(id).map(RecordKey::Checkout),
        Due::Payments | Due::Asks | Due::WithoutEmail => PaymentId::parse(id).map(RecordKey::Payment),
        Due::Refunds => RefundId::parse(id).map(RecordKey::Refund),
    };
    let mut select = desk.db.prepare_cached(sql)?;
    let mut rows = select.query(params![ms(until), limit.min(DUE_MAX) as i64])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.extend(key(&row.get::<_, String>(0)?));
    }
    Ok(keys)
}
