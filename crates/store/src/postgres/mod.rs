//! Login sessions on Postgres: plain, Supabase, behind PgBouncer or Supavisor in transaction mode, a failover pair.
//!
//! Statements work on whole batches (`= any($1)`, `unnest`), each is its own transaction, and the condition lives
//! in the statement. A row's version is its `xmin`: every write changes it, also one by Express, so that no column
//! of ours is needed to notice it.
//!
//! `shared` is connect-pg-simple's table with plain ids; `stand-alone` has the same columns under another name and
//! holds `SHA-256(id)` instead.

pub(crate) mod connect;
mod engine;
mod facts;
mod link;
mod people;
mod portable;
mod route;
mod schema;
mod statements;
mod tls;
pub(crate) mod wire;

pub use facts::{Pooler, PostgresFacts, Survey};

use crate::group::{Grouped, Shape, Shapes, through_group};
use crate::open::OpenError;
use crate::options::{Choice, Layout, LoginOptions};
use connect::Database;
use engine::PostgresEngine;
use schema::{Exists, Names};
use sessile_core::StoreError;
use tokio_postgres::types::Type;

/// One batch in flight at a time: the larger the next one grows, the less each session costs both ends.
const SHAPES: Shapes =
    Shapes { reads: Shape { batch_max: 256, lanes: 1 }, writes: Shape { batch_max: 128, lanes: 1 } };

/// Rows that one step of taking over an existing table locks.
const TAKE_OVER_BATCH: i64 = 1000;

/// Login sessions in a Postgres database.
pub struct PostgresLogins(Grouped<PostgresEngine>);

impl PostgresLogins {
    /// Connects, checks the table and, unless told otherwise, creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(url: &str, options: &LoginOptions) -> Result<Self, OpenError> {
        let (database, names) = connect(url, options).await?;
        let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
        let found = schema::look(&database, &names).await.map_err(unreachable)?;
        schema::check_shape(&found, &names, &database.place)?;
        if found.version != Some(schema::VERSION) {
            match options.create {
                Choice::Yes => create(&database, &names, options, found.exists).await?,
                Choice::No => {
                    return Err(OpenError::Schema {
                        place: database.place.clone(),
                        what: "the login tables are missing or old; run `sessile migrate`".to_owned(),
                    });
                }
            }
        }
        if found.exists == Exists::Yes && found.version.is_none() && options.guard == Choice::Yes {
            take_over(&database, &names).await?;
        }
        if options.layout == Layout::Shared && !is_utc(&found.time_zone) {
            tracing::warn!(
                time_zone = found.time_zone,
                "the role's TimeZone is not UTC: Sessile is not affected, but an Express application that connects \
                 with it writes `expire` in local time and sees sessions expire early or late. Run: \
                 alter role <role> set TimeZone to 'UTC'"
            );
        }
        Ok(Self(Grouped::start(PostgresEngine::new(database, names, options), SHAPES)))
    }

    /// Looks at the database without changing anything.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be reached.
    pub async fn inspect(url: &str, options: &LoginOptions) -> Result<PostgresFacts, OpenError> {
        facts::inspect(url, options).await
    }

    /// The SQL that `open` runs, to be pasted into an editor by somebody who owns the tables.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] for impossible names.
    pub fn sql(options: &LoginOptions) -> Result<String, OpenError> {
        let names = Names::new(options.schema.as_deref().unwrap_or("public"), options)?;
        Ok(schema::script(&names, options, Exists::No))
    }
}

async fn connect(url: &str, options: &LoginOptions) -> Result<(Database, Names), OpenError> {
    let database = Database::new(url)?;
    let schema = match &options.schema {
        Some(schema) => schema.clone(),
        None => schema::current_schema(&database)
            .await
            .map_err(|error| OpenError::unreachable(&database.place, &error))?,
    };
    let names = Names::new(&schema, options)?;
    Ok((database, names))
}

async fn create(
    database: &Database,
    names: &Names,
    options: &LoginOptions,
    exists: Exists,
) -> Result<(), OpenError> {
    let script = schema::script(names, options, exists);
    let done = database
        .run(|link| async move {
            let done = link.client.batch_execute(&script).await;
            if done.is_err() {
                // The transaction of the script is still open on this connection.
                let _ = link.client.batch_execute("rollback").await;
            }
            (link, done)
        })
        .await;
    done.map_err(|error| {
        let reason = OpenError::unreachable(&database.place, &error).to_string();
        OpenError::Schema {
            place: database.place.clone(),
            what: format!(
                "the login tables could not be created ({reason}). Run `sessile migrate --print-sql` and let the \
                 owner of the database execute what it prints"
            ),
        }
    })
}

/// Gives the rows of a table that Express has filled their place in the device list.
async fn take_over(database: &Database, names: &Names) -> Result<(), OpenError> {
    let sql = schema::backfill(names);
    let mut last = Some(String::new());
    while let Some(after) = last {
        let sql = &sql;
        let rows = database
            .run(|link| async move {
                let rows = link
                    .client
                    .query_typed(sql, &[(&after, Type::TEXT), (&TAKE_OVER_BATCH, Type::INT8)])
                    .await;
                (link, rows)
            })
            .await
            .map_err(|error| OpenError::unreachable(&database.place, &error))?;
        last = rows.first().and_then(|row| row.get(0));
    }
    Ok(())
}

fn is_utc(zone: &str) -> bool {
    ["UTC", "ETC/UTC", "GMT", "ETC/GMT", "UCT", "ZULU", "UNIVERSAL"]
        .contains(&zone.to_ascii_uppercase().as_str())
}

through_group!(PostgresLogins);
