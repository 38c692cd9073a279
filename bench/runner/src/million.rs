//! Fills our table up to a million rows by copying one that the server wrote, straight in SQL.
//!
//! Called once, after seeding. It reads the columns from the catalogue, so that the table may grow some.

use anyhow::{Context, Result, bail};

use crate::plan::SESSIONS;
use bench_runner::postgres::Postgres;

const STORED: u32 = 1_000_000;

pub(crate) fn fill(postgres: &Postgres, database: &str) -> Result<()> {
    let columns = postgres.sql(
        database,
        "select quote_ident(column_name) from information_schema.columns
         where table_schema = current_schema() and table_name = 'session' and column_name <> 'sid'
           and is_generated = 'NEVER' and is_identity = 'NO' order by ordinal_position",
    )?;
    let columns: Vec<&str> = columns.lines().collect();
    if columns.is_empty() {
        bail!("our table `session` with a column `sid` was not found in {database}");
    }
    let columns = columns.join(", ");
    postgres
        .sql(
            database,
            &format!(
                "insert into session (sid, {columns}) select md5(i::text), {columns}
                 from (select * from session limit 1) one, generate_series(1, {STORED} - {SESSIONS}) i"
            ),
        )
        .context("our table could not be filled up to a million rows")?;
    postgres.sql(database, "vacuum analyze session")?;
    // Its writing must not go on during the measurements.
    postgres.sql(database, "checkpoint").map(drop)
}
