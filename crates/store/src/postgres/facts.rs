//! What `doctor` and `migrate status` want to know of a database. Reads only, and takes no lock.

use super::connect::{Database, Link};
use super::schema::{self, Exists, Names};
use super::{LoginOptions, OpenError, connect};
use crate::options::Layout;
use sessile_core::StoreError;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

/// How often two connections are compared before a pooler counts as one that keeps them apart.
const POOLER_LOOKS: usize = 5;

/// What `doctor` wants to know of login sessions' tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresFacts {
    /// Host, port and database.
    pub place: String,
    /// The table in use, with its schema.
    pub table: String,
    /// Its schema, and its name and those of the tables beside it.
    pub schema: String,
    /// The session table, the ended ids, the outbox.
    pub tables: [String; 3],
    /// Whether it exists.
    pub table_exists: bool,
    /// Which schema version of ours it has; `None` before the first `migrate`.
    pub schema_version: Option<u32>,
    /// Why the table is not one that we can use, with the remedy.
    pub wrong_shape: Option<String>,
    /// The role's or database's time zone: an Express peer writes local times in it.
    pub time_zone: String,
    /// What stands between us and the server.
    pub pooler: Pooler,
}

/// What stands between us and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing: the server listens where we dial.
    None,
    /// A pooler that gives a connection a server for one transaction only.
    Transaction,
    /// A pooler in session mode, a proxy, or a port that is mapped to another one.
    Other,
}

pub(super) async fn inspect(url: &str, options: &LoginOptions) -> Result<PostgresFacts, OpenError> {
    let (database, names) = connect(url, options).await?;
    let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
    let found = schema::look(&database, &names).await.map_err(unreachable)?;
    let wrong_shape = match schema::check_shape(&found, &names, &database.place) {
        Err(OpenError::Schema { what, .. }) => Some(what),
        _ => None,
    };
    let pooler = pooler(&database).await.map_err(unreachable)?;
    let Names { schema, table, sessions, .. } = &names;
    Ok(PostgresFacts {
        tables: [table.clone(), format!("{table}_ended"), format!("{table}_outbox")],
        schema: schema.clone(),
        table: sessions.clone(),
        table_exists: found.exists == Exists::Yes,
        schema_version: found.version,
        wrong_shape,
        time_zone: found.time_zone,
        pooler,
        place: database.place,
    })
}

impl PostgresFacts {
    /// Indexes that login sessions are found by: table, column.
    #[must_use]
    pub fn indexes(&self) -> Vec<(&str, &'static str)> {
        let [sessions, ended, _] = &self.tables;
        vec![(sessions, "sid"), (sessions, "expire"), (sessions, "sessile_user"), (ended, "forget_at")]
    }

    /// Tables whose rows nobody but their owner should reach: of a table that Express shares, its owner decides.
    #[must_use]
    pub fn guarded(&self, layout: Layout) -> Vec<&str> {
        let [sessions, ended, outbox] = &self.tables;
        match layout {
            Layout::Shared => vec![ended, outbox],
            Layout::StandAlone => vec![sessions, ended, outbox],
        }
    }
}

/// Two connections that are open at once have two servers of their own, unless a pooler lends each of them one for a
/// transaction only: then both meet the same one sooner or later.
async fn pooler(database: &Database) -> Result<Pooler, StoreError> {
    for _ in 0..POOLER_LOOKS {
        let both = database.run(|first| async move {
            let one = backend(&first).await;
            let other = database
                .run(|second| async move {
                    let other = backend(&second).await;
                    (second, other)
                })
                .await;
            (first, one.map(|one| (one, other)))
        });
        let (one, other) = both.await?;
        if one == other? {
            return Ok(Pooler::Transaction);
        }
    }
    Ok(if database.is_direct() { Pooler::None } else { Pooler::Other })
}

async fn backend(link: &Link) -> Result<i32, Error> {
    let rows = link.client.query_typed("select pg_backend_pid()", &[]).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0))
}

/// What a look at some tables found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// Tables that are there without row-level security.
    pub unguarded: Vec<String>,
    /// Columns of tables that are there, and that no index begins with: table, column.
    pub unindexed: Vec<(String, String)>,
    /// Whether the database has Supabase's roles for everybody on the web.
    pub has_web_roles: bool,
}

impl Survey {
    /// Looks at tables by name, in a schema or on the search path.
    ///
    /// # Errors
    /// [`OpenError`] when the database cannot be reached.
    pub async fn of(
        url: &str,
        schema: Option<&str>,
        guarded: &[&str],
        indexed: &[(&str, &str)],
    ) -> Result<Self, OpenError> {
        let database = Database::new(url)?;
        let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
        let sql = "select c.relname::text from pg_catalog.pg_class c \
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
            where c.relkind in ('r', 'p') and n.nspname = coalesce($1, current_schema()) and c.relname = any($2) \
            and not c.relrowsecurity order by c.relname";
        let rows = database
            .query(sql, &[(&schema, Type::TEXT), (&guarded, Type::TEXT_ARRAY)])
            .await
            .map_err(unreachable)?;
        let unguarded = rows.iter().map(|row| row.get(0)).collect();
        let (tables, columns): (Vec<&str>, Vec<&str>) = indexed.iter().copied().unzip();
        let sql = "select v.tab, v.col from unnest($2::text[], $3::text[]) as v(tab, col) \
            join pg_catalog.pg_class c on c.relname = v.tab \
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = coalesce($1, current_schema()) \
            join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = v.col and not a.attisdropped \
            where c.relkind in ('r', 'p') and not exists (select from pg_catalog.pg_index i \
              where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid)";
        let rows = database
            .query(sql, &[(&schema, Type::TEXT), (&tables, Type::TEXT_ARRAY), (&columns, Type::TEXT_ARRAY)])
            .await
            .map_err(unreachable)?;
        let unindexed = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let roles = "select exists (select from pg_catalog.pg_roles where rolname = 'anon')";
        let rows = database.query(roles, &[]).await.map_err(unreachable)?;
        let has_web_roles = rows.first().is_some_and(|row| row.get(0));
        Ok(Self { unguarded, unindexed, has_web_roles })
    }
}
