//! The ledger on Postgres: plain, Supabase, behind PgBouncer or Supavisor in transaction mode, a failover pair.
//!
//! Decisions of many requests share one transaction of two round trips (`engine`): one lock makes a line of all
//! processes, set-based statements load and write whole batches (`loads`, `writes`), and records meet their columns
//! in one place (`columns`, `tables`). Opened by [`super::open_ledger`]; nobody above sees SQL.

mod columns;
mod engine;
mod journal;
mod keys;
mod lists;
mod loads;
mod outbox;
mod rows;
mod schema;
mod tables;
mod writes;

use super::LedgerOptions;
use crate::group::{Batcher, Shape};
use crate::open::OpenError;
use crate::options::Choice;
use crate::postgres::connect::Database;
use crate::users::PostgresUsers;
use async_trait::async_trait;
use engine::Engine;
use journal::Journal;
use lists::Lists;
use outbox::Outbox;
use sessile_core::checkout::{CheckoutId, Owner};
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Census, Cursor, Due, EffectRow, EffectState, Kind, LedgerStore, Page,
    PaymentFilter, PaymentKey, Reads, Record, RecordKey, Retry, Work,
};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;

/// One batch at a time: the head's lock admits no second one, and the larger a batch the less each decision costs.
const TRANSACTIONS: Shape = Shape { batch_max: 128, lanes: 1 };
/// Askers of one batch share its books.
const LOOKS: Shape = Shape { batch_max: 32, lanes: 2 };

/// The ledger in a Postgres database.
pub struct PostgresLedger {
    engine: Arc<Engine>,
    /// The schema, quoted, and the users' table.
    pub(super) schema: String,
    pub(super) users: String,
    works: Batcher<Work, ()>,
    looks: Batcher<Reads, Arc<Books>>,
    lists: Lists,
    outbox: Outbox,
    journal: Journal,
}

impl PostgresLedger {
    pub(super) fn database(&self) -> &Database {
        &self.engine.database
    }

    /// Connects, checks the tables and, unless told otherwise, creates what is missing and takes over what an older
    /// application left.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(url: &str, options: &LedgerOptions) -> Result<Self, OpenError> {
        let database = Database::new(url)?;
        let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
        let schema = match &options.schema {
            Some(schema) => schema.clone(),
            None => schema::current_schema(&database).await.map_err(unreachable)?,
        };
        let s = schema::quoted(&schema)?;
        // Checks the name too: it needs no quoting.
        drop(PostgresUsers::open(url, &options.users_table, options.create).await?);
        let found = schema::look(&database, &schema).await.map_err(unreachable)?;
        found.check(&schema, &database.place)?;
        if !found.is_current() {
            if options.create == Choice::No {
                let what = "the ledger's tables are missing or old; run `sessile migrate`".to_owned();
                return Err(OpenError::Schema { place: database.place.clone(), what });
            }
            create(&database, &s).await?;
        }
        let engine = Arc::new(Engine::new(database, &s, &options.users_table));
        let (writer, reader) = (engine.clone(), engine.clone());
        let transact = move |works| {
            let engine = writer.clone();
            async move { engine.transact(works).await }
        };
        let look = move |reads| {
            let engine = reader.clone();
            async move { engine.look(reads).await }
        };
        Ok(Self {
            engine,
            works: Batcher::new(TRANSACTIONS, transact),
            looks: Batcher::new(LOOKS, look),
            lists: Lists::new(&s),
            outbox: Outbox::new(&s),
            journal: Journal::new(&s),
            schema: s,
            users: options.users_table.clone(),
        })
    }

    /// The SQL that `open` runs, to be pasted into an editor by somebody who owns the tables.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] for impossible names.
    pub fn sql(options: &LedgerOptions) -> Result<String, OpenError> {
        let s = schema::quoted(options.schema.as_deref().unwrap_or("public"))?;
        Ok(PostgresUsers::sql(&options.users_table)? + &schema::script(&s))
    }
}

async fn create(database: &Database, s: &str) -> Result<(), OpenError> {
    database.script(&schema::script(s)).await.map_err(|error| {
        let reason = OpenError::unreachable(&database.place, &error).to_string();
        OpenError::Schema {
            place: database.place.clone(),
            what: format!(
                "the ledger's tables could not be made ({reason}). Run `sessile migrate --print-sql` and let the \
                 owner of the database execute what it prints"
            ),
        }
    })
}

#[async_trait]
impl LedgerStore for PostgresLedger {
    async fn transact(&self, work: Work) -> Result<(), StoreError> {
        self.works.ask(work).await
    }

    async fn look(&self, reads: &Reads) -> Result<Books, StoreError> {
        self.looks.ask(reads.clone()).await.map(Arc::unwrap_or_clone)
    }

    async fn owner_of(&self, checkout: &CheckoutId) -> Result<Option<Owner>, StoreError> {
        self.lists.owner_of(&self.engine, checkout).await
    }

    async fn payer_of(&self, payment: &PaymentKey) -> Result<Option<Owner>, StoreError> {
        self.lists.payer_of(&self.engine, payment).await
    }

    async fn due(&self, due: Due, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError> {
        self.lists.due(&self.engine, due, now, limit).await
    }

    async fn page(
        &self,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        self.lists.page(&self.engine, kind, filter, after, limit).await
    }

    async fn census(&self, now: Timestamp) -> Result<Census, StoreError> {
        self.lists.census(&self.engine, now).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        self.outbox.claim(&self.engine, now, lease_until, limit).await
    }

    async fn done(&self, id: &str) -> Result<(), StoreError> {
        self.outbox.done(&self.engine, id).await
    }

    async fn undone(&self, id: &str, retry: Retry, error: &str) -> Result<(), StoreError> {
        self.outbox.undone(&self.engine, id, retry, error).await
    }

    async fn effects(&self, state: EffectState, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.outbox.effects(&self.engine, state, limit).await
    }

    async fn requeue(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.outbox.requeue(&self.engine, id, now).await
    }

    async fn audit(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.journal.after(&self.engine, after, limit).await
    }

    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        self.journal.head(&self.engine).await
    }

    async fn history(&self, about: &RecordKey, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.journal.about(&self.engine, about, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.engine.database.query("select 1", &[]).await.map(drop)
    }
}
