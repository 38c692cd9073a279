//! The same three steps as hand-written code does them on SQLite: one connection behind a lock, one transaction each, one
//! cached statement at a time, write-ahead log and `synchronous=FULL`.

use crate::buyers::Purchase;
use crate::ours::AMOUNT;
use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const SCHEMA: &str = "
create table users (id text primary key, email text, tier text not null default 'free', created_at integer) strict;
create table payment_sessions (
  id text primary key, user_id text not null, user_email text not null, amount integer not null, original_amount integer,
  discount_amount integer default 0, coupon_id text, merchant_trans_id text unique not null, click_trans_id text,
  click_paydoc_id integer, merchant_prepare_id integer unique, status text not null default 'pending',
  payment_method text not null, idempotency_key text unique not null, metadata text, created_at integer, updated_at integer,
  expires_at integer
) strict;
create index p1 on payment_sessions (user_id); create index p2 on payment_sessions (status);
create index p3 on payment_sessions (click_trans_id); create index p4 on payment_sessions (expires_at);
create index p5 on payment_sessions (created_at);
create table payment_attempts (provider text, click_trans_id integer, payment_id text, primary key (provider, click_trans_id)) strict;
create table provider_inbox (provider text, dedupe_key text, received_at integer, outcome text, primary key (provider, dedupe_key)) strict;
create table grants (payment_id text primary key, user_id text not null, tier text, granted_at integer) strict;
create index g1 on grants (user_id);
create table audit_log (seq integer primary key autoincrement, at integer, event text not null, payment_id text, facts text not null) strict;
create index a1 on audit_log (payment_id);
create table outbox (id text primary key, payload text not null, created_at integer, next_at integer) strict;
create index o1 on outbox (next_at);
";

/// One connection behind a lock.
pub(crate) struct Peer(Arc<Mutex<Connection>>);

impl Peer {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.set_prepared_statement_cache_capacity(64);
        db.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    pub(crate) async fn pay(&self, purchase: Purchase) -> Result<()> {
        let order = format!("o{}z", uuid::Uuid::new_v4().simple());
        let purchase = Arc::new(purchase);
        for step in [create, prepare, complete] {
            let (db, purchase, order) = (self.0.clone(), purchase.clone(), order.clone());
            tokio::task::spawn_blocking(move || {
                let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
                let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                step(&transaction, &purchase, &order)?;
                transaction.commit().map_err(anyhow::Error::from)
            })
            .await??;
        }
        Ok(())
    }
}

fn run(db: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<usize> {
    Ok(db.prepare_cached(sql)?.execute(values)?)
}

fn audit(db: &Connection, event: &str, payment: &str, purchase: &Purchase) -> Result<()> {
    let facts = format!(
        "{{\"payment\":\"{payment}\",\"user\":\"{}\",\"trans\":{},\"amount\":{AMOUNT}}}",
        purchase.user, purchase.trans
    );
    let sql = "insert into audit_log (at, event, payment_id, facts) values (1, ?1, ?2, ?3)";
    run(db, sql, params![event, payment, facts]).map(drop)
}

fn create(db: &Connection, purchase: &Purchase, order: &str) -> Result<()> {
    let known = "select id from payment_sessions where idempotency_key = ?1";
    ensure!(!db.prepare_cached(known)?.exists([&purchase.key])?, "a key was used twice");
    run(db, "insert into users (id, email) values (?1, 'buyer@example.com') on conflict do nothing", [&purchase.user])?;
    let tier: String =
        db.prepare_cached("select tier from users where id = ?1")?.query_row([&purchase.user], |row| row.get(0))?;
    ensure!(tier == "free", "already premium");
    let id = format!("pay_{}", purchase.trans);
    let sql = "insert into payment_sessions (id, user_id, user_email, amount, merchant_trans_id, payment_method, \
               idempotency_key, created_at, updated_at, expires_at) \
               values (?1, ?2, 'buyer@example.com', ?3, ?4, 'click', ?5, 1, 1, 2)";
    run(db, sql, params![id, purchase.user, AMOUNT, order, purchase.key])?;
    audit(db, "payment.created", &id, purchase)
}

fn found(db: &Connection, order: &str) -> Result<(String, String, i64, String)> {
    let sql = "select id, user_id, amount, status from payment_sessions where merchant_trans_id = ?1";
    let row = db
        .prepare_cached(sql)?
        .query_row([order], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    row.context("no such order")
}

fn inbox(db: &Connection, key: String, outcome: &str) -> Result<usize> {
    let sql = "insert into provider_inbox (provider, dedupe_key, received_at, outcome) values ('click', ?1, 1, ?2) \
               on conflict do nothing";
    run(db, sql, params![key, outcome])
}

fn prepare(db: &Connection, purchase: &Purchase, order: &str) -> Result<()> {
    let (id, _, amount, status) = found(db, order)?;
    ensure!(amount == AMOUNT && status == "pending", "not payable");
    inbox(db, format!("p-{order}"), "prepared")?;
    run(db, "insert into payment_attempts values ('click', ?1, ?2)", params![purchase.trans, id])?;
    let sql = "update payment_sessions set status = 'processing', click_trans_id = ?2, click_paydoc_id = ?3, \
               merchant_prepare_id = ?4, updated_at = 2 where id = ?1 and status = 'pending'";
    let number = 1_000_000_000 + purchase.trans;
    run(db, sql, params![id, purchase.trans.to_string(), purchase.trans, number])?;
    audit(db, "payment.prepared", &id, purchase)
}

fn complete(db: &Connection, purchase: &Purchase, order: &str) -> Result<()> {
    let (id, user, _, status) = found(db, order)?;
    ensure!(status == "processing", "not prepared");
    let granted = "select 1 from grants where payment_id = ?1";
    ensure!(!db.prepare_cached(granted)?.exists([&id])?, "granted twice");
    inbox(db, format!("c-{order}"), "confirmed")?;
    let sql = "update payment_sessions set status = 'completed', updated_at = 3 where id = ?1 and status = 'processing'";
    ensure!(run(db, sql, [&id])? == 1, "changed meanwhile");
    run(db, "insert into grants values (?1, ?2, 'premium', 3)", params![id, user])?;
    run(db, "update users set tier = 'premium' where id = ?1", [&user])?;
    let payload = format!("{{\"type\":\"payment.completed\",\"transactionId\":\"{id}\",\"userId\":\"{user}\"}}");
    run(db, "insert into outbox values (?1, ?2, 3, 3)", params![format!("evt_{id}"), payload])?;
    audit(db, "payment.completed", &id, purchase)
}
