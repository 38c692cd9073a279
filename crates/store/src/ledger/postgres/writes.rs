//! Writing: a whole [`Sheet`] as set-based statements in one flight, with the `commit` behind them. A statement that
//! does not change exactly the rows it should fails, and then that `commit` rolls back.

use super::columns::{GUARD, Stored, changed_rows, count, insert, new_rows, update};
use super::loads::{PROVIDER, query};
use crate::postgres::connect::{Query, Step, Value};
use crate::postgres::wire::Moment;
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutId};
use sessile_core::ledger::{Change, Record, Sheet};
use sessile_core::payment::{Coupon, Grant, Payment, PaymentId, PrepareId, Refund};
use sessile_core::user::{TIER_FREE, UserUuid};
use tokio_postgres::types::Type;

/// The statements.
#[derive(Debug)]
pub(super) struct Writes {
    checkouts: Pair,
    payments: Pair,
    coupons: Pair,
    grants: Pair,
    refunds: Pair,
    purge: Query,
    bind: Query,
    used: Query,
    tier: Query,
    vouch: Query,
    effect: Query,
    inbox: Query,
    audit: Query,
}

/// How rows of one kind are written.
#[derive(Debug)]
struct Pair {
    insert: Query,
    update: Query,
}

impl Pair {
    fn of<R: Stored>(s: &str) -> Self {
        Self { insert: insert::<R>(s), update: update::<R>(s) }
    }
}

impl Writes {
    pub(super) fn new(s: &str, users: &str) -> Self {
        Self {
            checkouts: Pair::of::<Checkout>(s),
            payments: Pair::of::<Payment>(s),
            coupons: Pair::of::<Coupon>(s),
            grants: Pair::of::<Grant>(s),
            refunds: Pair::of::<Refund>(s),
            purge: purge(s),
            bind: bind(s),
            used: used(s),
            tier: query(
                format!(
                    "update {users} u set tier = v.tier from unnest($1::text[], $2::text[]) as v(id, tier)
                     where u.id = any($1::text[]::uuid[]) and u.id = v.id::uuid"
                ),
                vec![Type::TEXT_ARRAY; 2],
            ),
            vouch: query(
                format!(
                    "insert into {users} (id, email, tier, created_at)
                     select v.id::uuid, v.email, '{TIER_FREE}', v.at
                     from unnest($1::text[], $2::text[], $3::timestamptz[]) as v(id, email, at)
                     on conflict do nothing"
                ),
                vec![Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TIMESTAMPTZ_ARRAY],
            ),
            effect: effect(s),
            inbox: inbox(s),
            audit: audit(s),
        }
    }

    /// Everything that the sheet says. Rows that give a unique name up come before those that take it.
    pub(super) fn steps<'a>(&'a self, sheet: &'a Sheet, now: Timestamp) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        self.updates(&sheet.updates, &mut steps);
        self.creates(&sheet.creates, &mut steps);
        if !sheet.purges.is_empty() {
            let ids: Vec<&str> = sheet.purges.iter().map(CheckoutId::as_str).collect();
            let values: Vec<Value<'_>> = vec![count(ids.len()), Box::new(ids), Box::new(Moment(now))];
            steps.push(Step::Ask(&self.purge, values));
        }
        if !sheet.binds.is_empty() {
            steps.push(Step::Ask(&self.bind, bind_values(sheet)));
        }
        if !sheet.uses.is_empty() {
            steps.push(Step::Ask(&self.used, used_values(sheet)));
        }
        self.users(sheet, &mut steps);
        if !sheet.effects.is_empty() {
            steps.push(Step::Ask(&self.effect, effect_values(sheet)));
        }
        if !sheet.inbox.is_empty() {
            steps.push(Step::Ask(&self.inbox, inbox_values(sheet)));
        }
        if !sheet.audit.is_empty() {
            steps.push(Step::Ask(&self.audit, audit_values(sheet)));
        }
        steps
    }

    fn updates<'a>(&'a self, rows: &'a [Change], steps: &mut Vec<Step<'a>>) {
        changed(rows, steps, &self.checkouts, checkout);
        changed(rows, steps, &self.payments, payment);
        changed(rows, steps, &self.coupons, coupon);
        changed(rows, steps, &self.grants, grant);
        changed(rows, steps, &self.refunds, refund);
    }

    /// Coupons first: older tables refer to them.
    fn creates<'a>(&'a self, rows: &'a [Record], steps: &mut Vec<Step<'a>>) {
        created(rows, steps, &self.coupons, coupon);
        created(rows, steps, &self.checkouts, checkout);
        created(rows, steps, &self.payments, payment);
        created(rows, steps, &self.grants, grant);
        created(rows, steps, &self.refunds, refund);
    }

    /// Only users whose id is a UUID have a row.
    fn users<'a>(&'a self, sheet: &'a Sheet, steps: &mut Vec<Step<'a>>) {
        let mut vouches = (Vec::new(), Vec::new(), Vec::new());
        for (user, email, at) in &sheet.vouches {
            if let Some(uuid) = UserUuid::of_user(user) {
                vouches.0.push(uuid.as_str().to_owned());
                vouches.1.push(email.as_deref());
                vouches.2.push(Moment(*at));
            }
        }
        if !vouches.0.is_empty() {
            let values: Vec<Value<'a>> = vec![Box::new(vouches.0), Box::new(vouches.1), Box::new(vouches.2)];
            steps.push(Step::Ask(&self.vouch, values));
        }
        let (ids, tiers): (Vec<String>, Vec<&str>) = sheet
            .tiers
            .iter()
            .filter_map(|(user, tier)| Some((UserUuid::of_user(user)?.as_str().to_owned(), tier.as_str())))
            .unzip();
        if !ids.is_empty() {
            steps.push(Step::Ask(&self.tier, vec![Box::new(ids), Box::new(tiers)]));
        }
    }
}

const fn checkout(record: &Record) -> Option<&Checkout> {
    if let Record::Checkout(row) = record { Some(row) } else { None }
}

const fn payment(record: &Record) -> Option<&Payment> {
    if let Record::Payment(row) = record { Some(row) } else { None }
}

const fn coupon(record: &Record) -> Option<&Coupon> {
    if let Record::Coupon(row) = record { Some(row) } else { None }
}

const fn grant(record: &Record) -> Option<&Grant> {
    if let Record::Grant(row) = record { Some(row) } else { None }
}

const fn refund(record: &Record) -> Option<&Refund> {
    if let Record::Refund(row) = record { Some(row) } else { None }
}

fn created<'a, R: Stored>(
    records: &'a [Record],
    steps: &mut Vec<Step<'a>>,
    pair: &'a Pair,
    kind: fn(&Record) -> Option<&R>,
) {
    let rows: Vec<&R> = records.iter().filter_map(kind).collect();
    if !rows.is_empty() {
        steps.push(Step::Ask(&pair.insert, new_rows(&rows)));
    }
}

fn changed<'a, R: Stored>(
    changes: &'a [Change],
    steps: &mut Vec<Step<'a>>,
    pair: &'a Pair,
    kind: fn(&Record) -> Option<&R>,
) {
    let rows: Vec<(&R, i64)> =
        changes.iter().filter_map(|change| Some((kind(&change.after)?, change.before.version()))).collect();
    if !rows.is_empty() {
        steps.push(Step::Ask(&pair.update, changed_rows(&rows)));
    }
}

fn purge(s: &str) -> Query {
    let sql = format!(
        "with done as (
           delete from {s}.checkout_sessions where id = any($2::text[]) returning id
         ), kept as (
           insert into {s}.sessile_tombstones (id, at) select id, $3 from done on conflict do nothing
         ) {GUARD}"
    );
    query(sql, vec![Type::INT8, Type::TEXT_ARRAY, Type::TIMESTAMPTZ])
}

/// The same attempt may be bound to the same payment again, and to nothing else ever.
fn bind(s: &str) -> Query {
    let sql = format!(
        "with done as (
           insert into {s}.payment_attempts as t
             (provider, click_trans_id, click_paydoc_id, merchant_prepare_id, payment_id, created_at)
           select '{PROVIDER}', v.*
           from unnest($2::int8[], $3::int8[], $4::int8[], $5::text[], $6::timestamptz[]) as v
           on conflict (provider, click_trans_id) do update set payment_id = excluded.payment_id
           where t.payment_id = excluded.payment_id and t.click_paydoc_id = excluded.click_paydoc_id
             and t.merchant_prepare_id is not distinct from excluded.merchant_prepare_id
           returning 1
         ) {GUARD}"
    );
    let mut types = vec![Type::INT8, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY];
    types.extend([Type::TEXT_ARRAY, Type::TIMESTAMPTZ_ARRAY]);
    query(sql, types)
}

fn bind_values(sheet: &Sheet) -> Vec<Value<'_>> {
    let binds = || sheet.binds.iter();
    vec![
        count(sheet.binds.len()),
        Box::new(binds().map(|(_, attempt, _)| attempt.trans.0).collect::<Vec<_>>()),
        Box::new(binds().map(|(_, attempt, _)| attempt.paydoc.0).collect::<Vec<_>>()),
        Box::new(binds().map(|(_, attempt, _)| attempt.prepare.map(PrepareId::get)).collect::<Vec<_>>()),
        Box::new(binds().map(|(payment, _, _)| payment.as_str()).collect::<Vec<_>>()),
        Box::new(binds().map(|(_, _, at)| Moment(*at)).collect::<Vec<_>>()),
    ]
}

fn used(s: &str) -> Query {
    let sql = format!(
        "insert into {s}.coupon_usages (coupon_id, payment_session_id, user_id, used_at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) on conflict do nothing"
    );
    query(sql, vec![Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TIMESTAMPTZ_ARRAY])
}

fn used_values(sheet: &Sheet) -> Vec<Value<'_>> {
    let uses = || sheet.uses.iter();
    vec![
        Box::new(uses().map(|(coupon, _, _, _)| coupon.as_str()).collect::<Vec<_>>()),
        Box::new(uses().map(|(_, payment, _, _)| payment.as_str()).collect::<Vec<_>>()),
        Box::new(uses().map(|(_, _, user, _)| user.as_str()).collect::<Vec<_>>()),
        Box::new(uses().map(|(_, _, _, at)| Moment(*at)).collect::<Vec<_>>()),
    ]
}

fn effect(s: &str) -> Query {
    let sql = format!(
        "insert into {s}.outbox (id, kind, payload, created_at, attempts, state, next_at)
         select v.id, v.kind, v.payload::jsonb, v.at, 0, 'pending', v.at
         from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) as v(id, kind, payload, at)
         on conflict do nothing"
    );
    query(sql, vec![Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TIMESTAMPTZ_ARRAY])
}

fn effect_values(sheet: &Sheet) -> Vec<Value<'_>> {
    let effects = || sheet.effects.iter();
    // Text that is no JSON is refused by the database; an effect always is JSON.
    let json = |effect: &_| serde_json::to_string(effect).unwrap_or_default();
    vec![
        Box::new(effects().map(|(new, _)| new.id.as_str()).collect::<Vec<_>>()),
        Box::new(effects().map(|(new, _)| new.effect.kind().name()).collect::<Vec<_>>()),
        Box::new(effects().map(|(new, _)| json(&new.effect)).collect::<Vec<_>>()),
        Box::new(effects().map(|(_, at)| Moment(*at)).collect::<Vec<_>>()),
    ]
}

fn inbox(s: &str) -> Query {
    let sql = format!(
        "insert into {s}.provider_inbox (provider, dedupe_key, outcome, received_at, applied_at)
         select v.provider, v.dedupe_key, v.outcome, v.at, v.at
         from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
              as v(provider, dedupe_key, outcome, at)
         on conflict do nothing"
    );
    query(sql, vec![Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TIMESTAMPTZ_ARRAY])
}

fn inbox_values(sheet: &Sheet) -> Vec<Value<'_>> {
    let inbox = || sheet.inbox.iter();
    vec![
        Box::new(inbox().map(|(inbound, _, _)| inbound.provider).collect::<Vec<_>>()),
        Box::new(inbox().map(|(inbound, _, _)| inbound.digest.as_str()).collect::<Vec<_>>()),
        Box::new(inbox().map(|(_, outcome, _)| outcome.as_str()).collect::<Vec<_>>()),
        Box::new(inbox().map(|(_, _, at)| Moment(*at)).collect::<Vec<_>>()),
    ]
}

/// The audit's new rows and its new end.
fn audit(s: &str) -> Query {
    let sql = format!(
        "with told as (
           insert into {s}.audit_log
             (seq, at, event, actor, payment_id, checkout_id, facts, previous, hash)
           select * from unnest($1::int8[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
                                $7::text[], $8::text[], $9::text[])
         )
         update {s}.audit_head set seq = $10, hash = $11 where id = 1"
    );
    let mut types = vec![Type::INT8_ARRAY, Type::TIMESTAMPTZ_ARRAY];
    types.extend(vec![Type::TEXT_ARRAY; 7]);
    types.extend([Type::INT8, Type::TEXT]);
    query(sql, types)
}

fn audit_values(sheet: &Sheet) -> Vec<Value<'_>> {
    let rows = || sheet.audit.iter();
    let end = sheet.audit.last();
    vec![
        Box::new(rows().map(|row| row.seq).collect::<Vec<_>>()),
        Box::new(rows().map(|row| Moment(row.at)).collect::<Vec<_>>()),
        Box::new(rows().map(|row| row.event.as_str()).collect::<Vec<_>>()),
        Box::new(rows().map(|row| row.actor.as_str()).collect::<Vec<_>>()),
        Box::new(rows().map(|row| row.payment.as_ref().map(PaymentId::as_str)).collect::<Vec<_>>()),
        Box::new(rows().map(|row| row.checkout.as_ref().map(CheckoutId::as_str)).collect::<Vec<_>>()),
        Box::new(rows().map(|row| row.facts.as_str()).collect::<Vec<_>>()),
        Box::new(rows().map(|row| row.previous.as_str()).collect::<Vec<_>>()),
        Box::new(rows().map(|row| row.hash.as_str()).collect::<Vec<_>>()),
        Box::new(end.map_or(0, |row| row.seq)),
        Box::new(end.map_or("", |row| row.hash.as_str())),
    ]
}
