//! Whether a table that is in the file already is one of the shape we need, and what it lacks.
//!
//! An older application's `checkout_sessions`, `payment_sessions` and `coupons` get our columns beside their own, with
//! their rows in place. A table that cannot be understood is refused with the column's name and the remedy, before
//! anything is changed. SQLite adds no CHECK to a column that is there: what foreign SQL writes into such a table
//! is checked when it is read.

use super::tables::{Column, Holds, TABLES};
use crate::open::OpenError;
use crate::sqlite::file::Unanswered;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// A column as the file has it.
struct Found {
    name: String,
    declared: String,
    /// It must have a value, and nobody but the writer gives it one.
    demands: bool,
    refuses_null: bool,
}

/// Checks every table that is there already, and adds what is missing of our columns.
pub(super) fn take_over(db: &Connection, path: &Path) -> Result<(), OpenError> {
    for (table, columns) in TABLES {
        let found = columns_of(db, table).unopened(path)?;
        if found.is_empty() {
            continue;
        }
        let refuse = |what: String| OpenError::Schema { place: path.display().to_string(), what };
        check(db, table, columns, &found, path)?.map_or(Ok(()), |what| Err(refuse(what)))?;
        for column in *columns {
            if let Some(definition) = column.ours
                && !found.iter().any(|found| found.name == column.name)
            {
                let add = format!("ALTER TABLE {table} ADD COLUMN {} {definition}", column.name);
                db.execute_batch(&add).unopened(path)?;
            }
        }
    }
    Ok(())
}

/// What is wrong with a table, and the remedy.
fn check(
    db: &Connection,
    table: &str,
    columns: &[Column],
    found: &[Found],
    path: &Path,
) -> Result<Option<String>, OpenError> {
    for column in columns {
        let name = column.name;
        let Some(found) = found.iter().find(|found| found.name == name) else {
            if column.ours.is_some() {
                continue;
            }
            let what = format!(
                "table {table} has no column {name}, so it is not the table we know; rename it, add the column, \
                 or name another file"
            );
            return Ok(Some(what));
        };
        if !fits(&found.declared, column.holds) {
            return Ok(Some(wrong_type(table, column, &format!("is declared {}", found.declared))));
        }
        if column.empties && found.refuses_null {
            let what = format!(
                "column {name} of table {table} refuses NULL, and we have rows without a value there; \
                 make the column nullable, or name another file"
            );
            return Ok(Some(what));
        }
        if column.holds == Holds::Whole
            && let Some(other) = other_than_whole(db, table, name).unopened(path)?
        {
            return Ok(Some(wrong_type(table, column, &format!("holds {other}"))));
        }
    }
    let unknown = |found: &&Found| found.demands && !columns.iter().any(|column| column.name == found.name);
    Ok(found.iter().find(unknown).map(|found| {
        format!(
            "column {} of table {table} demands a value that we do not know; give it a default, or name another file",
            found.name
        )
    }))
}

fn wrong_type(table: &str, column: &Column, is: &str) -> String {
    let name = column.name;
    let (needed, remedy) = match column.holds {
        Holds::Text => ("text", String::new()),
        Holds::Whole if name.ends_with("_at") || name.starts_with("valid_") => (
            "unix milliseconds as integers",
            format!(" (as UPDATE {table} SET {name} = unixepoch({name}) * 1000 does in an INTEGER column)"),
        ),
        Holds::Whole => ("integers", String::new()),
    };
    format!(
        "column {name} of table {table} {is}, and {needed} are needed; convert it{remedy}, or name another file"
    )
}

/// By SQLite's own rules of affinity: whether what we write into the column stays what it is.
fn fits(declared: &str, holds: Holds) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    let (whole, text) = (has(&["INT"]), has(&["CHAR", "CLOB", "TEXT"]));
    let real = has(&["REAL", "FLOA", "DOUB"]);
    match holds {
        Holds::Text => !whole && (text || !real),
        Holds::Whole => whole || (!text && !real),
    }
}

/// A value that is no integer, by the name of its type.
fn other_than_whole(db: &Connection, table: &str, column: &str) -> rusqlite::Result<Option<String>> {
    let sql = format!(
        "SELECT typeof({column}) FROM {table} WHERE typeof({column}) NOT IN ('integer', 'null') LIMIT 1"
    );
    db.query_row(&sql, [], |row| row.get(0)).optional()
}

fn columns_of(db: &Connection, table: &str) -> rusqlite::Result<Vec<Found>> {
    let mut columns =
        db.prepare("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)")?;
    let found = columns.query_map([table], |row| {
        let refuses_null = row.get::<_, bool>(2)?;
        let given = row.get::<_, Option<String>>(3)?.is_some() || row.get::<_, i64>(4)? > 0;
        Ok(Found { name: row.get(0)?, declared: row.get(1)?, demands: refuses_null && !given, refuses_null })
    })?;
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_columns_is_the_schema() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(super::super::schema::SCHEMA).unwrap();
        for (table, columns) in TABLES {
            let found: Vec<String> = columns_of(&db, table).unwrap().into_iter().map(|c| c.name).collect();
            let listed: Vec<&str> = columns.iter().map(|column| column.name).collect();
            assert_eq!(found, listed, "{table}");
            for (column, found) in columns.iter().zip(columns_of(&db, table).unwrap()) {
                assert!(fits(&found.declared, column.holds), "{table}.{}", column.name);
                assert!(!(column.empties && found.refuses_null), "{table}.{}", column.name);
            }
        }
        let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
        let count: i64 = db.query_row(tables, [], |row| row.get(0)).unwrap();
        assert_eq!(count, TABLES.len() as i64);
    }
}
