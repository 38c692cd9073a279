//! The same three steps as hand-written payment code does them: one transaction each, one prepared statement at a time
//! on a pooled connection, the row locked while it is decided on. Same driver, same columns, same indexes, same durability,
//! an audit row without a chain.

use crate::buyers::Purchase;
use crate::ours::AMOUNT;
use anyhow::{Context, Result, ensure};
use tokio::sync::{Mutex, Semaphore};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

/// Connections of the pool. Of 8, 16, 32 and 64, this one was the fastest.
const POOL: usize = 16;

const SCHEMA: &str = "
drop schema if exists peer cascade; create schema peer; set search_path = peer;
create table users (id uuid primary key, email text, tier text not null default 'free', created_at timestamptz not null default now());
create table payment_sessions (
  id text primary key, user_id text not null, user_email text not null, amount integer not null, original_amount integer,
  discount_amount integer default 0, coupon_id text, merchant_trans_id text unique not null, click_trans_id text,
  click_paydoc_id bigint, merchant_prepare_id bigint unique, status text not null default 'pending',
  payment_method text not null, idempotency_key text unique not null, metadata jsonb,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(), expires_at timestamptz
);
create index on payment_sessions (user_id); create index on payment_sessions (status);
create index on payment_sessions (click_trans_id); create index on payment_sessions (expires_at);
create index on payment_sessions (created_at);
create table payment_attempts (provider text, click_trans_id bigint, payment_id text, primary key (provider, click_trans_id));
create table provider_inbox (provider text, dedupe_key text, received_at timestamptz not null default now(), outcome text, primary key (provider, dedupe_key));
create table grants (payment_id text primary key, user_id text not null, tier text, granted_at timestamptz not null default now());
create index on grants (user_id);
create table audit_log (seq bigserial primary key, at timestamptz not null default now(), event text not null, payment_id text, facts text not null);
create index on audit_log (payment_id);
create table outbox (id text primary key, payload jsonb not null, created_at timestamptz not null default now(), next_at timestamptz not null default now());
create index on outbox (next_at);
";

const STATEMENTS: [&str; 16] = [
    "select id from peer.payment_sessions where idempotency_key = $1",
    "insert into peer.users (id, email) values ($1::text::uuid, $2) on conflict do nothing",
    "select tier from peer.users where id = $1::text::uuid",
    "insert into peer.payment_sessions (id, user_id, user_email, amount, merchant_trans_id, payment_method, idempotency_key, expires_at) \
     values ($1, $2, $3, $4, $5, 'click', $6, now() + interval '30 minutes')",
    "insert into peer.audit_log (event, payment_id, facts) values ($1, $2, $3)",
    "select id, user_id, amount, status, click_trans_id, merchant_prepare_id, click_paydoc_id from peer.payment_sessions \
     where merchant_trans_id = $1 for update",
    "insert into peer.provider_inbox (provider, dedupe_key, outcome) values ('click', $1, $2) on conflict do nothing",
    "insert into peer.payment_attempts (provider, click_trans_id, payment_id) values ('click', $1, $2)",
    "update peer.payment_sessions set status = 'processing', click_trans_id = $2, click_paydoc_id = $3, merchant_prepare_id = $4, \
     updated_at = now() where id = $1 and status = 'pending'",
    "select 1 from peer.grants where payment_id = $1",
    "update peer.payment_sessions set status = 'completed', updated_at = now() where id = $1 and status = 'processing'",
    "insert into peer.grants (payment_id, user_id, tier) values ($1, $2, 'premium')",
    "update peer.users set tier = 'premium' where id = $1::text::uuid",
    "insert into peer.outbox (id, payload) values ($1, $2::text::jsonb)",
    "begin",
    "commit",
];

struct Connection {
    client: Client,
    statements: Vec<Statement>,
}

/// A pool of connections.
pub(crate) struct Peer {
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Peer {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let mut idle = Vec::new();
        for place in 0..POOL {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            if place == 0 {
                client.batch_execute(SCHEMA).await?;
            }
            let mut statements = Vec::new();
            for sql in STATEMENTS {
                statements.push(client.prepare(sql).await.with_context(|| sql.to_owned())?);
            }
            idle.push(Connection { client, statements });
        }
        Ok(Self { permits: Semaphore::new(POOL), idle: Mutex::new(idle) })
    }

    pub(crate) async fn pay(&self, purchase: Purchase) -> Result<()> {
        let order = format!("o{}z", uuid::Uuid::new_v4().simple());
        for step in [Step::Create, Step::Prepare, Step::Complete] {
            self.take(step, &purchase, &order).await?;
        }
        Ok(())
    }

    async fn take(&self, step: Step, purchase: &Purchase, order: &str) -> Result<()> {
        let _permit = self.permits.acquire().await?;
        let db = self.idle.lock().await.pop().context("a permit without a connection")?;
        let done = async {
            db.run(14, &[]).await?;
            match step {
                Step::Create => create(&db, purchase, order).await?,
                Step::Prepare => prepare(&db, purchase, order).await?,
                Step::Complete => complete(&db, purchase, order).await?,
            }
            db.run(15, &[]).await
        };
        let done = done.await.map(drop);
        self.idle.lock().await.push(db);
        done
    }
}

/// One of the three transactions.
#[derive(Clone, Copy)]
enum Step {
    Create,
    Prepare,
    Complete,
}

impl Connection {
    async fn run(&self, statement: usize, values: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        Ok(self.client.execute(&self.statements[statement], values).await?)
    }

    async fn rows(
        &self,
        statement: usize,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>> {
        Ok(self.client.query(&self.statements[statement], values).await?)
    }

    async fn audit(&self, event: &str, payment: &str, purchase: &Purchase) -> Result<u64> {
        let facts = format!(
            "{{\"payment\":\"{payment}\",\"user\":\"{}\",\"trans\":{},\"amount\":{AMOUNT}}}",
            purchase.user, purchase.trans
        );
        self.run(4, &[&event, &payment, &facts]).await
    }
}

async fn create(db: &Connection, purchase: &Purchase, order: &str) -> Result<()> {
    ensure!(db.rows(0, &[&purchase.key]).await?.is_empty(), "a key was used twice");
    let email = "buyer@example.com";
    db.run(1, &[&purchase.user, &email]).await?;
    let tier: String = db.rows(2, &[&purchase.user]).await?.first().context("no user")?.get(0);
    ensure!(tier == "free", "already premium");
    let id = format!("pay_{}", purchase.trans);
    let amount = i32::try_from(AMOUNT)?;
    db.run(3, &[&id, &purchase.user, &email, &amount, &order, &purchase.key]).await?;
    db.audit("payment.created", &id, purchase).await.map(drop)
}

async fn prepare(db: &Connection, purchase: &Purchase, order: &str) -> Result<()> {
    let rows = db.rows(5, &[&order]).await?;
    let row = rows.first().context("no such order")?;
    let (id, amount, status): (String, i32, String) = (row.get(0), row.get(2), row.get(3));
    ensure!(i64::from(amount) == AMOUNT && status == "pending", "not payable");
    db.run(6, &[&format!("p-{order}"), &"prepared"]).await?;
    db.run(7, &[&purchase.trans, &id]).await?;
    let number = 1_000_000_000 + purchase.trans;
    db.run(8, &[&id, &purchase.trans.to_string(), &purchase.trans, &number]).await?;
    db.audit("payment.prepared", &id, purchase).await.map(drop)
}

async fn complete(db: &Connection, purchase: &Purchase, order: &str) -> Result<()> {
    let rows = db.rows(5, &[&order]).await?;
    let row = rows.first().context("no such order")?;
    let (id, user, status): (String, String, String) = (row.get(0), row.get(1), row.get(3));
    ensure!(status == "processing", "not prepared");
    ensure!(db.rows(9, &[&id]).await?.is_empty(), "granted twice");
    db.run(6, &[&format!("c-{order}"), &"confirmed"]).await?;
    ensure!(db.run(10, &[&id]).await? == 1, "changed meanwhile");
    db.run(11, &[&id, &user]).await?;
    db.run(12, &[&user]).await?;
    let payload = format!("{{\"type\":\"payment.completed\",\"transactionId\":\"{id}\",\"userId\":\"{user}\"}}");
    db.run(13, &[&format!("evt_{id}"), &payload]).await?;
    db.audit("payment.completed", &id, purchase).await.map(drop)
}
