//! The tables: created where they are missing, and taken over in place where an older application has made them, in one
//! transaction under an advisory lock that ends with it. Any number of processes may start at once.

use crate::open::OpenError;
use crate::options::Choice;
use crate::postgres::connect::Database;
use sessile_core::StoreError;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

/// Any number that nobody else uses: "sesswha1" as a big-endian integer.
const LOCK: i64 = 0x7365_7373_7768_6131;
/// The tables, to be pasted into an editor by somebody who owns the schema. Running it again is safe.
pub const TABLES: &str = include_str!("../tables.sql");
/// Columns of ours that came last: where they are, everything is.
const CURRENT: [(&str, &str); 3] =
    [("whatsapp_sessions", "size"), ("whatsapp_sessions", "previous_data"), ("whatsapp_keys", "version")];
/// What a table that an older application made has to have, and of which types.
const EXPECTED: [(&str, &[&str]); 3] =
    [("id", &["uuid"]), ("client_id", &["text", "character varying"]), ("session_data", &["jsonb"])];

/// How often the tables are looked at while another process makes them.
const ROUNDS_MAX: usize = 300;
const PAUSE: Duration = Duration::from_millis(200);

struct Column {
    table: String,
    name: String,
    ty: String,
}

/// Makes sure that the tables are there. Whoever finds another process at it waits here, not in the database: its
/// statement would be cut off before a busy server comes to it.
pub(super) async fn ensure(database: &Database, create: Choice) -> Result<(), OpenError> {
    let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
    let refused = |what: String| OpenError::Schema { place: database.place.clone(), what };
    for _ in 0..ROUNDS_MAX {
        let columns = look(database).await.map_err(unreachable)?;
        let has = |table: &str, name: &str| columns.iter().any(|c| c.table == table && c.name == name);
        if CURRENT.iter().all(|(table, name)| has(table, name)) {
            return Ok(());
        }
        check(&columns).map_err(refused)?;
        if create == Choice::No {
            return Err(refused(
                "the tables of WhatsApp devices are missing or old; run `sessile migrate`".to_owned(),
            ));
        }
        match database.script(&script()).await {
            Err(error) if is_busy(&error) => tokio::time::sleep(PAUSE).await,
            other => return other.map_err(unreachable),
        }
    }
    Err(refused("another process has been making the tables of WhatsApp devices for too long".to_owned()))
}

/// Everything in one transaction, unless another process is at it.
fn script() -> String {
    format!(
        "begin;\nset local lock_timeout = '10s';\nset local client_min_messages = 'warning';\n\
         do $sessile$ begin\n  if not pg_try_advisory_xact_lock({LOCK}) then\n    \
         raise exception 'another process makes these tables' using errcode = 'lock_not_available';\n  end if;\n\
         end $sessile$;\n{TABLES}commit;\n"
    )
}

fn is_busy(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// The columns that there are.
async fn look(database: &Database) -> Result<Vec<Column>, StoreError> {
    let sql = "select c.relname::text, a.attname::text, format_type(a.atttypid, null) from pg_attribute a \
               join pg_class c on c.oid = a.attrelid \
               where c.oid in (to_regclass('whatsapp_sessions'), to_regclass('whatsapp_keys')) \
               and a.attnum > 0 and not a.attisdropped";
    Ok(database.query(sql, &[]).await?.iter().map(column).collect())
}

fn column(row: &Row) -> Column {
    Column { table: row.get(0), name: row.get(1), ty: row.get(2) }
}

/// Refuses a table of another shape, with the remedy.
fn check(columns: &[Column]) -> Result<(), String> {
    let theirs: Vec<&Column> = columns.iter().filter(|column| column.table == "whatsapp_sessions").collect();
    if theirs.is_empty() {
        return Ok(());
    }
    for (name, types) in EXPECTED {
        match theirs.iter().find(|column| column.name == name) {
            Some(found) if types.contains(&found.ty.as_str()) => {}
            Some(found) => {
                return Err(format!(
                    "column {name} of whatsapp_sessions has type {}, needed is {}. Run: alter table whatsapp_sessions \
                     alter column {name} type {} using {name}::{}",
                    found.ty, types[0], types[0], types[0]
                ));
            }
            None => {
                return Err(format!(
                    "whatsapp_sessions has no column {name}, so it belongs to something else. Rename it: alter table \
                     whatsapp_sessions rename to whatsapp_sessions_old"
                ));
            }
        }
    }
    Ok(())
}
