//! One piece of work inside the writer's transaction: load, decide, write. Every write has to meet exactly the row
//! that the decision was made on; if one does not, nothing of the work is kept.

use super::desk::{Desk, one};
use super::load::{PROVIDER, load};
use super::rows::ms;
use rusqlite::params;
use sessile_core::StoreError;
use sessile_core::Timestamp;
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::{AuditHead, AuditRow, NewEffect, Sheet, Work, settle};
use sessile_core::login::UserId;
use sessile_core::payment::{Attempt, PaymentId, PrepareId};
use sessile_core::user::{TIER_FREE, UserUuid};

/// Carries out one piece of work.
pub(super) fn carry_out(desk: Desk<'_>, work: &Work) -> rusqlite::Result<Result<(), StoreError>> {
    let mut books = load(desk, work.reads())?;
    let head = desk.audit_head()?;
    let mut sheet = settle(&mut books, &head, std::slice::from_ref(work));
    match sheet.outcomes.pop() {
        Some(Ok(())) => write(desk, &sheet, &head, work.now()).map(Ok),
        Some(Err(refused)) => Ok(Err(refused)),
        None => Ok(Err(StoreError::unavailable("the work was not decided"))),
    }
}

/// Writes everything. Updates come first: a row that is created may take over what another one gives up in the same
/// step, such as the one open payment of a checkout.
pub(super) fn write(desk: Desk<'_>, sheet: &Sheet, head: &AuditHead, now: Timestamp) -> rusqlite::Result<()> {
    sheet.updates.iter().try_for_each(|change| desk.update(change))?;
    sheet.purges.iter().try_for_each(|id| purge(desk, id, now))?;
    sheet.creates.iter().try_for_each(|record| desk.create(record))?;
    sheet.binds.iter().try_for_each(|(payment, attempt, at)| bind(desk, payment, attempt, *at))?;
    for (coupon, payment, user, at) in &sheet.uses {
        let sql = "INSERT INTO coupon_usages (coupon_id, payment_session_id, user_id, used_at) \
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let values = params![coupon.as_str(), payment.as_str(), user.as_str(), ms(*at)];
        desk.db.prepare_cached(sql)?.execute(values)?;
    }
    users(desk, sheet)?;
    for (inbound, outcome, at) in &sheet.inbox {
        let sql = "INSERT INTO provider_inbox (provider, dedupe_key, received_at, applied_at, outcome) \
                   VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT DO NOTHING";
        desk.db.prepare_cached(sql)?.execute(params![inbound.provider, inbound.digest, ms(*at), outcome])?;
    }
    sheet.effects.iter().try_for_each(|(effect, at)| tell(desk, effect, *at))?;
    sheet.audit.iter().try_for_each(|row| record(desk, row))?;
    if let Some(last) = sheet.audit.last() {
        let sql = "UPDATE audit_head SET seq = ?1, hash = ?2 WHERE id = 1 AND seq = ?3";
        one(desk.db.prepare_cached(sql)?.execute(params![last.seq, last.hash, head.seq])?)?;
    }
    Ok(())
}

fn purge(desk: Desk<'_>, id: &CheckoutId, at: Timestamp) -> rusqlite::Result<()> {
    let gone =
        desk.db.prepare_cached("DELETE FROM checkout_sessions WHERE id = ?1")?.execute([id.as_str()])?;
    one(gone)?;
    let keep = "INSERT INTO sessile_tombstones (id, at) VALUES (?1, ?2)";
    one(desk.db.prepare_cached(keep)?.execute(params![id.as_str(), ms(at)])?)
}

/// The same attempt may be bound to the same payment again, and to nothing else ever.
fn bind(desk: Desk<'_>, payment: &PaymentId, attempt: &Attempt, at: Timestamp) -> rusqlite::Result<()> {
    let sql = "INSERT INTO payment_attempts \
               (provider, click_trans_id, click_paydoc_id, merchant_prepare_id, payment_id, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
               ON CONFLICT (provider, click_trans_id) DO UPDATE SET payment_id = excluded.payment_id \
               WHERE payment_id = excluded.payment_id AND click_paydoc_id = excluded.click_paydoc_id \
               AND merchant_prepare_id IS excluded.merchant_prepare_id";
    one(desk.db.prepare_cached(sql)?.execute(params![
        PROVIDER,
        attempt.trans.0,
        attempt.paydoc.0,
        attempt.prepare.map(PrepareId::get),
        payment.as_str(),
        ms(at),
    ])?)
}

/// Only who has a UUID can be in the users' table.
fn users(desk: Desk<'_>, sheet: &Sheet) -> rusqlite::Result<()> {
    for (user, email, at) in &sheet.vouches {
        if let Some(id) = UserUuid::of_user(user) {
            let values = params![id.as_str(), email, TIER_FREE, ms(*at)];
            desk.db.prepare_cached(&desk.setup.vouch)?.execute(values)?;
        }
    }
    for (id, tier) in sheet.tiers.iter().filter_map(with_uuid) {
        desk.db.prepare_cached(&desk.setup.set_tier)?.execute([id.as_str(), tier])?;
    }
    Ok(())
}

fn with_uuid<'a>((user, tier): (&UserId, &'a String)) -> Option<(UserUuid, &'a str)> {
    Some((UserUuid::of_user(user)?, tier))
}

fn tell(desk: Desk<'_>, new: &NewEffect, at: Timestamp) -> rusqlite::Result<()> {
    // The same change decided twice has the same id.
    let sql = "INSERT INTO outbox (id, kind, payload, created_at, next_at) VALUES (?1, ?2, ?3, ?4, ?4) \
               ON CONFLICT DO NOTHING";
    let payload = serde_json::to_string(&new.effect)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let kind = new.effect.kind().name();
    desk.db.prepare_cached(sql)?.execute(params![new.id, kind, payload, ms(at)]).map(drop)
}

fn record(desk: Desk<'_>, row: &AuditRow) -> rusqlite::Result<()> {
    let sql = "INSERT INTO audit_log (seq, at, event, actor, payment_id, checkout_id, facts, previous, hash) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    one(desk.db.prepare_cached(sql)?.execute(params![
        row.seq,
        ms(row.at),
        row.event,
        row.actor,
        row.payment.as_ref().map(PaymentId::as_str),
        row.checkout.as_ref().map(CheckoutId::as_str),
        row.facts,
        row.previous,
        row.hash,
    ])?)
}
