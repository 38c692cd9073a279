//! Loading: everything that some [`Reads`] name, and what belongs to it, in one flight of set-based statements.
//!
//! The links are followed by one statement that leaves the names of all checkouts, payments, payers and coupons
//! concerned in settings of the transaction, which the statements behind it, sent in the same flight, read. Used under
//! the head's lock by `transact`, and without any lock by `look`.

use super::columns::{Line, Stored, read_list};
use super::keys::Keys;
use super::rows::Unreadable;
use crate::postgres::connect::{Query, Step, Value};
use sessile_core::StoreError;
use sessile_core::checkout::{Checkout, CheckoutId, RENEWALS_MAX};
use sessile_core::ledger::{AuditHead, Books, Inbound, LEFT_MAX, Record};
use sessile_core::login::UserId;
use sessile_core::payment::{Coupon, Grant, Payment, PaymentId, PrepareId, Refund, TransId};
use sessile_core::user::{TIER_FREE, UserUuid};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Active checkouts of one owner and slot that are looked at, the newest first. Older applications leave several.
const ACTIVE_MAX: usize = 100;
/// The only provider whose attempts have numbers of their own.
pub(super) const PROVIDER: &str = "click";
/// The names that [`links`] leaves behind. An unset setting is null, or empty after an earlier transaction.
const CHECKOUTS: &str = "nullif(current_setting('sessile.checkouts', true), '')::text[]";
const PAYMENTS: &str = "nullif(current_setting('sessile.payments', true), '')::text[]";
/// The users and the coupons of these payments.
const PAYERS: &str = "nullif(current_setting('sessile.payers', true), '')::text[]";
const COUPONS: &str = "nullif(current_setting('sessile.coupons', true), '')::text[]";
/// Whether `k` is a user id that the users' table can hold: a UUID. A regular expression says the same, slowly.
const IS_UUID: &str = "k like '________-____-____-____-____________' \
    and translate(lower(k), '0123456789abcdef', '') = '----'";

/// The statements.
#[derive(Debug)]
pub(super) struct Loads {
    head: Query,
    links: Query,
    locked: Tables,
    shown: Tables,
    refunds: Query,
    grants: Query,
    users: Query,
    memory: Query,
}

/// Those that may lock.
#[derive(Debug)]
struct Tables {
    checkouts: Query,
    payments: Query,
    coupons: Query,
}

/// Whether the rows stay as they are until the transaction's end. Only what other applications write needs a lock
/// of its own: the head's keeps every other process of ours out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locking {
    Locked,
    Shown,
}

/// What a step of a flight brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brings {
    Nothing,
    Head,
    Checkouts,
    Payments,
    Coupons,
    Refunds,
    Grants,
    Users,
    Memory,
}

/// A flight of loads: its steps, and what comes back in the same order.
pub(super) struct Flight<'a> {
    pub(super) steps: Vec<Step<'a>>,
    brings: Vec<Brings>,
    keys: &'a Keys,
}

impl Loads {
    pub(super) fn new(s: &str, users: &str) -> Self {
        let text = || Type::TEXT_ARRAY;
        Self {
            head: query(format!("select seq, hash from {s}.audit_head where id = 1 for update"), vec![]),
            links: links(s),
            locked: Tables::new(s, " for update"),
            shown: Tables::new(s, ""),
            refunds: query(
                format!(
                    "select {} from {s}.refunds where payment_id = any({PAYMENTS}) or id = any($1::text[])",
                    read_list::<Refund>()
                ),
                vec![text()],
            ),
            grants: query(
                format!(
                    "select {} from {s}.grants
                     where payment_id = any({PAYMENTS})
                        or (revoked_at is null and user_id = any($1::text[] || {PAYERS}))",
                    read_list::<Grant>()
                ),
                vec![text()],
            ),
            users: query(
                format!(
                    "select id::text, tier from {users}
                     where id = any(array(
                       select unnest($1::text[]::uuid[])
                       union
                       select case when {IS_UUID} then k::uuid end from unnest({PAYERS}) k))"
                ),
                vec![text()],
            ),
            memory: memory(s),
        }
    }

    /// Everything that `keys` name. Statements that cannot find anything are left out.
    pub(super) fn flight<'a>(&'a self, keys: &'a Keys, begin: &'a str, locking: Locking) -> Flight<'a> {
        let mut flight = Flight { steps: vec![Step::Script(begin)], brings: vec![Brings::Nothing], keys };
        let tables = match locking {
            Locking::Locked => {
                // In a statement of its own: those behind it see what the last holder has committed.
                flight.ask(Brings::Head, &self.head, vec![]);
                &self.locked
            }
            Locking::Shown => &self.shown,
        };
        let linked = keys.have_links();
        if linked {
            flight.ask(Brings::Nothing, &self.links, keys.links());
            flight.ask(Brings::Checkouts, &tables.checkouts, vec![]);
            flight.ask(Brings::Payments, &tables.payments, vec![]);
        }
        if linked || keys.have_coupons() {
            flight.ask(Brings::Coupons, &tables.coupons, keys.coupons());
        }
        if linked {
            flight.ask(Brings::Refunds, &self.refunds, vec![Box::new(keys.refunds())]);
        }
        if linked || keys.have_users() {
            flight.ask(Brings::Grants, &self.grants, vec![Box::new(keys.users())]);
            flight.ask(Brings::Users, &self.users, vec![Box::new(keys.uuids())]);
        }
        if keys.have_memory() {
            flight.ask(Brings::Memory, &self.memory, keys.memory());
        }
        flight
    }
}

impl<'a> Flight<'a> {
    fn ask(&mut self, brings: Brings, query: &'a Query, values: Vec<Value<'a>>) {
        self.steps.push(Step::Ask(query, values));
        self.brings.push(brings);
    }

    /// Makes books of the answers.
    pub(super) fn books(
        &self,
        answers: &[Vec<Row>],
        unreadable: &Unreadable,
    ) -> Result<(AuditHead, Books), StoreError> {
        let (mut head, mut books) = (AuditHead::default(), Books::default());
        let mut tiers: BTreeMap<UserUuid, String> = BTreeMap::new();
        for (brings, rows) in self.brings.iter().zip(answers) {
            match brings {
                Brings::Nothing => {}
                Brings::Head => head = head_of(rows)?,
                Brings::Checkouts => load(rows, &mut books, Record::Checkout, unreadable),
                Brings::Payments => load(rows, &mut books, Record::Payment, unreadable),
                Brings::Coupons => load(rows, &mut books, Record::Coupon, unreadable),
                Brings::Refunds => load(rows, &mut books, Record::Refund, unreadable),
                Brings::Grants => load(rows, &mut books, Record::Grant, unreadable),
                Brings::Users => tiers.extend(rows.iter().filter_map(tier_of)),
                Brings::Memory => rows.iter().for_each(|row| self.remember(row, &mut books)),
            }
        }
        // Under every spelling of its id that is asked for.
        let payers: Vec<UserId> = books.payments().map(|payment| payment.user.clone()).collect();
        for user in self.keys.all_users().cloned().chain(payers) {
            if let Some(tier) = UserUuid::of_user(&user).and_then(|uuid| tiers.get(&uuid)) {
                books.load_user(user, tier.clone());
            }
        }
        Ok((head, books))
    }

    fn remember(&self, row: &Row, books: &mut Books) {
        let text = |at| row.try_get::<_, &str>(at).unwrap_or_default();
        let (name, value) = (text(1), text(2));
        match text(0) {
            "attempt" => {
                if let (Ok(trans), Some(payment)) = (name.parse(), PaymentId::parse(value)) {
                    books.load_attempt(TransId(trans), payment);
                }
            }
            "prepare" => {
                if let Some(prepare) = name.parse().ok().and_then(PrepareId::new) {
                    books.load_prepare(prepare);
                }
            }
            "seen" => {
                let is_it = |inbound: &&Inbound| inbound.provider == name && inbound.digest == value;
                if let Some(inbound) = self.keys.inbox().find(is_it) {
                    books.load_seen(inbound.clone());
                }
            }
            "purged" => {
                if let Some(id) = CheckoutId::parse(name) {
                    books.load_purged(id);
                }
            }
            _ => {}
        }
    }
}

impl Tables {
    fn new(s: &str, lock: &str) -> Self {
        let checkouts = format!(
            "select {} from {s}.checkout_sessions where id = any({CHECKOUTS}){lock}",
            read_list::<Checkout>()
        );
        let payments = format!(
            "select {} from {s}.payment_sessions where id = any({PAYMENTS}){lock}",
            read_list::<Payment>()
        );
        let coupons = format!(
            "select {} from {s}.coupons
             where id = any($1::text[] || {COUPONS}) or upper(code) = any($2::text[]){lock}",
            read_list::<Coupon>()
        );
        Self {
            checkouts: query(checkouts, vec![]),
            payments: query(payments, vec![]),
            coupons: query(coupons, vec![Type::TEXT_ARRAY, Type::TEXT_ARRAY]),
        }
    }
}

/// Ids of the checkouts in `state` of the owners in `k (user_id, guest_hash, slot)`: theirs, and those of the guest
/// they were, unless these belong to a user by now.
///
/// Here and below only one condition of each look-up can use an index, the one that finds few rows; the others are
/// hidden in `(…) is true`. A plan that was made while the tables were empty could choose any of them, and stays.
fn owned(s: &str, state: &str, order: &str, limit: usize) -> String {
    let of = |whose: &str| {
        format!(
            "(select id, coalesce(c.created_at, 'epoch') as made_at, {LEFT} as gone_at from {s}.checkout_sessions c
              where {whose} and c.slot = k.slot and {state}) is true order by {order} limit {limit})"
        )
    };
    format!(
        "cross join lateral (
           select id::text from ({} union all {}) c order by {order} limit {limit}
         ) c",
        of("c.user_id = k.user_id and (true"),
        of("c.guest_hash = k.guest_hash and (c.user_id is null"),
    )
}

const LEFT: &str = "coalesce(c.left_at, c.touched_at, c.updated_at)";

/// Follows the links and leaves the names behind.
fn links(s: &str) -> Query {
    let active = owned(s, "c.status = 'active'", "made_at desc, id desc", ACTIVE_MAX);
    let latest = owned(s, "c.status <> 'active'", "gone_at desc, id desc", 1);
    let left = owned(s, "c.status <> 'active'", "gone_at desc, id desc", LEFT_MAX);
    let sql = format!(
        "with recursive p as materialized (
           select id::text, checkout_id, user_id::text, coupon_id::text from {s}.payment_sessions
           where id = any($1::text[]) or merchant_trans_id = any($2::text[]) or idempotency_key = any($3::text[])
              or id = any(array(select payment_id from {s}.refunds where id = any($4::text[])))
         ), asked as materialized (
           select id::text, user_id::text, guest_hash, slot, superseded_by from {s}.checkout_sessions
           where id = any($5::text[]) or id = any(array(select checkout_id from p)) or id = any(array(
             select c.id from unnest($6::text[], $7::text[], $8::text[]) k (user_id, guest_hash, slot) {active}
             union
             select c.id from unnest($9::text[], $10::text[], $11::text[]) k (user_id, guest_hash, slot) {latest}
             union
             select c.id from unnest($12::text[], $13::text[], $14::text[]) k (user_id, guest_hash, slot) {left}))
         ), linked as materialized (
           select id from asked
           union
           select c.id from (select distinct user_id, guest_hash, slot from asked) k {active}
           union
           select superseded_by from asked where superseded_by is not null
         ), before (id, step) as (
           select id, 0 from linked
           union all
           select c.renewed_from, step + 1 from before k cross join lateral (
             select renewed_from::text from {s}.checkout_sessions where id = k.id and renewed_from is not null limit 1
           ) c where step < {RENEWALS_MAX}
         ), after (id, step) as (
           select id, 0 from linked
           union all
           select c.id, step + 1 from after k cross join lateral (
             select id::text from {s}.checkout_sessions where renewed_from = k.id limit 1
           ) c where step < {RENEWALS_MAX}
         ), near as materialized (
           select id from before
           union
           select id from after
         ), paying as materialized (
           select id, user_id, coupon_id from p
           union
           select id::text, user_id::text, coupon_id::text from {s}.payment_sessions
           where checkout_id = any(array(select id from near))
             and (status in ('pending', 'processing', 'completed')) is true
           union
           select id::text, user_id::text, coupon_id::text from {s}.payment_sessions
           where id = any(array(
             select completed_payment_id::text from {s}.checkout_sessions
             where id = any(array(select id from near)) and completed_payment_id is not null))
         ), coupons as (
           select coupon_id from paying where coupon_id is not null
           union
           select coupon_id::text from {s}.checkout_sessions
           where id = any(array(select id from near)) and coupon_id is not null
         )
         select set_config('sessile.checkouts', array(select id from near)::text, true) is not null,
                set_config('sessile.payments', array(select id from paying)::text, true) is not null,
                set_config('sessile.payers', array(select distinct user_id from paying)::text, true) is not null,
                set_config('sessile.coupons', array(select coupon_id from coupons)::text, true) is not null"
    );
    query(sql, vec![Type::TEXT_ARRAY; 14])
}

/// What is remembered for ever. Numbers of attempts that an older application took stand only in its payments. A key of
/// two columns is looked up one by one: with `= any` a plan may use its first column alone, which is always the same.
fn memory(s: &str) -> Query {
    let sql = format!(
        "select 'attempt', click_trans_id::text, id::text from {s}.payment_sessions
         where click_trans_id = any($1::text[]) and click_paydoc_id is null
         union all
         select 'attempt', a.click_trans_id::text, a.payment_id
         from unnest($1::text[]::int8[]) k (number) cross join lateral (
           select click_trans_id, payment_id from {s}.payment_attempts
           where provider = '{PROVIDER}' and click_trans_id = k.number limit 1
         ) a
         union all
         select 'prepare', merchant_prepare_id::text, '' from {s}.payment_attempts
         where merchant_prepare_id = any($2::int8[])
         union all
         select 'seen', i.provider, i.dedupe_key
         from unnest($3::text[], $4::text[]) k (provider, dedupe_key) cross join lateral (
           select provider, dedupe_key from {s}.provider_inbox
           where provider = k.provider and dedupe_key = k.dedupe_key limit 1
         ) i
         union all
         select 'purged', id, '' from {s}.sessile_tombstones where id = any($5::text[])"
    );
    let types = [Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY];
    query(sql, types.to_vec())
}

pub(super) const fn query(sql: String, types: Vec<Type>) -> Query {
    Query { sql, types }
}

fn load<R: Stored>(rows: &[Row], books: &mut Books, record: fn(R) -> Record, unreadable: &Unreadable) {
    for row in rows {
        if let Some(found) = unreadable.read::<R>(&Line(row)) {
            books.load(record(found));
        }
    }
}

pub(super) fn head_of(rows: &[Row]) -> Result<AuditHead, StoreError> {
    let row = rows
        .first()
        .ok_or_else(|| StoreError::unavailable("audit_head has no row; run `sessile migrate`"))?;
    let seq = row.try_get(0).map_err(StoreError::unavailable)?;
    Ok(AuditHead { seq, hash: row.try_get(1).map_err(StoreError::unavailable)? })
}

fn tier_of(row: &Row) -> Option<(UserUuid, String)> {
    let tier = row.try_get::<_, Option<String>>(1).ok()?.unwrap_or_else(|| TIER_FREE.to_owned());
    Some((UserUuid::parse(row.try_get(0).ok()?)?, tier))
}
