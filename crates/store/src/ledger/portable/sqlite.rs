//! SQLite: keyset by each table's key, one transaction for each batch that comes in.

use super::{Place, another_chain, as_text, continues, or_usual};
use crate::ledger::SqliteLedger;
use crate::sqlite::file::Manners;
use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter};
use sessile_core::ledger::portable::{Changes, Field, Holds, LedgerRow, Table};
use sessile_core::portable::{Batch, Landed, Mark, Portable as _, Porter};
use sessile_core::{StoreError, Timestamp};

/// A field as a parameter.
struct Given<'a>(&'a Field);

impl ToSql for Given<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Field::Empty => ToSqlOutput::Owned(Value::Null),
            Field::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Field::Number(number) => ToSqlOutput::Owned(Value::Integer(*number)),
        })
    }
}

fn names(table: Table) -> Vec<&'static str> {
    table.columns().iter().map(|column| column.name).collect()
}

fn places(from: usize, count: usize) -> String {
    (from..from + count).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ")
}

/// Reads a row; `None` when it holds what no column of it may.
fn row_of(row: &Row<'_>, table: Table) -> rusqlite::Result<Option<LedgerRow>> {
    let mut fields = Vec::with_capacity(table.columns().len());
    for (at, column) in table.columns().iter().enumerate() {
        let field = match row.get_ref(at)? {
            ValueRef::Null => Field::Empty,
            ValueRef::Integer(number) if column.holds.is_number() => Field::Number(number),
            ValueRef::Text(text) if !column.holds.is_number() => match std::str::from_utf8(text) {
                Ok(text) => Field::Text(text.to_owned()),
                Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        fields.push(or_usual(column, field));
    }
    Ok(Some(LedgerRow { table, fields }))
}

/// A key as it was in a mark, as the parameters of its columns.
fn key_of(table: Table, key: &[String]) -> Vec<Value> {
    let value = |(text, column): (&String, &sessile_core::ledger::portable::Column)| match column.holds {
        Holds::Whole | Holds::Moment | Holds::Flag => Value::Integer(text.parse().unwrap_or_default()),
        Holds::Text | Holds::Json | Holds::Uuid => Value::Text(text.clone()),
    };
    key.iter().zip(table.columns()).map(value).collect()
}

/// A page; `None` for each row that cannot be read.
fn page(
    db: &Connection,
    users: &str,
    place: &Place,
    limit: usize,
) -> rusqlite::Result<Vec<Option<LedgerRow>>> {
    let table = place.table();
    let (name, columns) = (table.name(users), names(table));
    let key = columns[..table.key_columns()].join(", ");
    let after = key_of(table, place.after.as_deref().unwrap_or_default());
    let condition = match after.len() {
        0 => String::new(),
        count => format!("WHERE ({key}) > ({})", places(1, count)),
    };
    let sql = format!(
        "SELECT {} FROM {name} {condition} ORDER BY {key} LIMIT {}",
        columns.join(", "),
        i64::try_from(limit).unwrap_or(i64::MAX)
    );
    let mut select = db.prepare_cached(&sql)?;
    select.query_map(params_from_iter(after), |row| row_of(row, table))?.collect()
}

fn held(db: &Connection, users: &str, like: &LedgerRow) -> rusqlite::Result<Option<LedgerRow>> {
    let (table, columns) = (like.table, names(like.table));
    let sql = format!(
        "SELECT {} FROM {} WHERE ({}) = ({})",
        columns.join(", "),
        table.name(users),
        columns[..table.key_columns()].join(", "),
        places(1, table.key_columns())
    );
    let key = like.key().iter().map(Given);
    let found =
        db.prepare_cached(&sql)?.query_row(params_from_iter(key), |row| row_of(row, table)).optional()?;
    Ok(found.flatten())
}

/// Updates come before inserts: a row that comes in may take over what another one gives up. A row whose unique name is
/// another's stays out, and the comparison afterwards says so.
fn land(db: &Connection, users: &str, row: &LedgerRow) -> rusqlite::Result<Landed> {
    let table = row.table;
    let before = held(db, users, row)?;
    if let Some(before) = before {
        let is_later = match table.changes() {
            Changes::Counted(_) => row.is_newer_than(&before),
            Changes::AsTold => *row != before,
            Changes::Never => false,
        };
        if !is_later {
            return Ok(Landed::Kept);
        }
        let (columns, keys) = (names(table), table.key_columns());
        let sets: Vec<String> =
            columns.iter().enumerate().skip(keys).map(|(at, name)| format!("{name} = ?{}", at + 1)).collect();
        let sql = format!(
            "UPDATE OR IGNORE {} SET {} WHERE ({}) = ({})",
            table.name(users),
            sets.join(", "),
            columns[..keys].join(", "),
            places(1, keys)
        );
        let changed = db.prepare_cached(&sql)?.execute(params_from_iter(row.fields.iter().map(Given)))?;
        return Ok(if changed == 1 { Landed::Renewed } else { Landed::Kept });
    }
    let columns = names(table);
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
        table.name(users),
        columns.join(", "),
        places(1, columns.len())
    );
    let made = db.prepare_cached(&sql)?.execute(params_from_iter(row.fields.iter().map(Given)))?;
    if table == Table::Tombstones {
        // The checkout that it names went with it.
        let purge = "DELETE FROM checkout_sessions WHERE id = ?1";
        db.prepare_cached(purge)?.execute(params_from_iter(row.key().iter().map(Given)))?;
    }
    Ok(if made == 1 { Landed::New } else { Landed::Kept })
}

/// Continues the audit log. `None`: these rows do not fit behind what is there.
fn land_audit(db: &Connection, rows: &[LedgerRow]) -> rusqlite::Result<Option<Vec<Landed>>> {
    let head = "SELECT seq, hash FROM audit_head WHERE id = 1";
    let (seq, hash): (i64, String) = db.query_row(head, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (mut landed, mut fresh) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let Some(Field::Number(number)) = row.field("seq") else { return Ok(None) };
        if *number > seq {
            fresh.push(row);
            landed.push(Landed::New);
        } else if held(db, "", row)?.as_ref() == Some(row) {
            landed.push(Landed::Kept);
        } else {
            return Ok(None);
        }
    }
    if !continues(seq, hash, &fresh) {
        return Ok(None);
    }
    for row in &fresh {
        land(db, "", row)?;
    }
    if let Some(last) = fresh.last() {
        let (seq, hash) = (as_text(&last.fields[0]), last.field("hash").map(as_text));
        let sql = "UPDATE audit_head SET seq = ?1, hash = ?2 WHERE id = 1";
        db.execute(sql, params![seq.parse::<i64>().unwrap_or_default(), hash])?;
    }
    Ok(Some(landed))
}

/// Tables in their order, and in each the rows that are there before those that are not.
fn import(db: &Connection, users: &str, rows: &[LedgerRow]) -> rusqlite::Result<Option<Vec<Landed>>> {
    if rows.iter().all(|row| row.table == Table::Audit) {
        return land_audit(db, rows);
    }
    let mut landed = vec![Landed::Kept; rows.len()];
    let mut order = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        order.push((held(db, users, row)?.is_none(), at));
    }
    order.sort_unstable();
    for (_, at) in order {
        landed[at] = land(db, users, &rows[at])?;
    }
    Ok(Some(landed))
}

#[async_trait]
impl Porter<LedgerRow> for SqliteLedger {
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        let users = self.users.clone();
        self.file
            .read_much(move |db| {
                let mut size = 0;
                for table in Table::ALL {
                    let sql = format!("SELECT count(*) FROM {}", table.name(&users));
                    size += db.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs();
                }
                Ok(size)
            })
            .await
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        _now: Timestamp,
    ) -> Result<Batch<LedgerRow>, StoreError> {
        let users = self.users.clone();
        let (place, here) = (Place::of(from), Place::of(from));
        here.batch(self.file.read_much(move |db| page(db, &users, &place, limit)).await?, limit)
    }

    async fn import(&self, rows: &[LedgerRow], _now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let (rows, users) = (rows.to_vec(), self.users.clone());
        let work = move |db: &Connection| Ok(import(db, &users, &rows)?.ok_or_else(another_chain));
        self.file.write(Manners::GoOn, work).await
    }

    async fn held(&self, like: &[LedgerRow], _now: Timestamp) -> Result<Vec<Option<LedgerRow>>, StoreError> {
        let (like, users) = (like.to_vec(), self.users.clone());
        self.file.read_much(move |db| like.iter().map(|row| held(db, &users, row)).collect()).await
    }
}
