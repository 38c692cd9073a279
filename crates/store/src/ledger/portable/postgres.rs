//! Postgres: keyset by each table's key; a batch that comes in is one update and one insert for each table, with its columns as
//! arrays of text that the statement casts. Each statement is its own transaction and may run again.

use super::{Place, another_chain, as_text, continues, or_usual};
use crate::ledger::PostgresLedger;
use crate::postgres::connect::Parameter;
use async_trait::async_trait;
use sessile_core::ledger::portable::{Changes, Column, Field, Holds, LedgerRow, Table};
use sessile_core::portable::{Batch, Landed, Mark, Porter};
use sessile_core::{StoreError, Timestamp};
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// A column as text, the same for all types of a family; moments and flags as numbers.
fn read(table: Table, Column { name, holds, .. }: &Column) -> String {
    let value = match (table, *name) {
        // Our own changes note their moment beside what an older application shows.
        (Table::Checkouts | Table::Payments, "updated_at") => {
            "coalesce(t.touched_at, t.updated_at)".to_owned()
        }
        _ => format!("t.{name}"),
    };
    match holds {
        Holds::Text | Holds::Json | Holds::Uuid => format!("{value}::text"),
        Holds::Whole => format!("{value}::int8::text"),
        Holds::Moment => format!("floor(extract(epoch from {value}) * 1000)::int8::text"),
        Holds::Flag => format!("{value}::int::text"),
    }
}

/// The value of a column from the text in `v`.
fn cast(Column { name, holds, .. }: &Column) -> String {
    match holds {
        Holds::Text => format!("v.{name}"),
        Holds::Whole => format!("v.{name}::int8"),
        Holds::Moment => format!("timestamptz 'epoch' + v.{name}::int8 * interval '1 millisecond'"),
        Holds::Flag => format!("v.{name} = '1'"),
        Holds::Json => format!("v.{name}::jsonb"),
        Holds::Uuid => format!("v.{name}::uuid"),
    }
}

/// What is spelled once for each table.
struct Sql {
    name: String,
    columns: String,
    /// `t.a = v.a and t.b = v.b`, for the columns that name a row.
    same: String,
    /// `unnest(…) as v(…)`.
    given: String,
    keys: usize,
    table: Table,
}

impl Sql {
    fn of(table: Table, schema: &str, users: &str) -> Self {
        let columns = table.columns();
        let keys = table.key_columns();
        let list: Vec<String> = columns.iter().map(|column| read(table, column)).collect();
        let same: Vec<String> =
            columns[..keys].iter().map(|column| format!("t.{} = {}", column.name, cast(column))).collect();
        // The users' tables lie on the search path, as elsewhere.
        let name = match table {
            Table::Users | Table::Identities => table.name(users),
            _ => format!("{schema}.{}", table.name(users)),
        };
        let arrays: Vec<String> = (1..=columns.len()).map(|at| format!("${at}::text[]")).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        Self {
            name,
            columns: list.join(", "),
            same: same.join(" and "),
            given: format!("unnest({}) as v({})", arrays.join(", "), names.join(", ")),
            keys,
            table,
        }
    }

    fn page(&self, after: Option<usize>, limit: usize) -> String {
        let columns = &self.table.columns()[..self.keys];
        let key = columns.iter().map(|column| format!("t.{}", column.name)).collect::<Vec<_>>().join(", ");
        let condition = after.map_or_else(String::new, |_| {
            let given: Vec<String> = columns
                .iter()
                .enumerate()
                .map(|(at, column)| {
                    let number = at + 1;
                    match column.holds {
                        Holds::Whole => format!("${number}::text::int8"),
                        Holds::Uuid => format!("${number}::text::uuid"),
                        _ => format!("${number}::text"),
                    }
                })
                .collect();
            format!("where ({key}) > ({})", given.join(", "))
        });
        format!("select {} from {} t {condition} order by {key} limit {limit}", self.columns, self.name)
    }

    /// What lies under the keys in `v`, which hold only the columns that name a row.
    fn held(&self) -> String {
        let columns = &self.table.columns()[..self.keys];
        let arrays: Vec<String> = (1..=self.keys).map(|at| format!("${at}::text[]")).collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        format!(
            "select {} from {} t join unnest({}) as v({}) on {}",
            self.columns,
            self.name,
            arrays.join(", "),
            names.join(", "),
            self.same
        )
    }

    fn update(&self) -> Option<String> {
        let columns = self.table.columns();
        let condition = match self.table.changes() {
            Changes::Counted(column) => format!("t.{column} < v.{column}::int8"),
            Changes::AsTold => "true".to_owned(),
            Changes::Never => return None,
        };
        let mut sets: Vec<String> =
            columns[self.keys..].iter().map(|column| format!("{} = {}", column.name, cast(column))).collect();
        sets.extend(self.touched().map(|(name, value)| format!("{name} = {value}")));
        Some(format!(
            "update {} t set {} from {} where {} and {condition} returning {}",
            self.name,
            sets.join(", "),
            self.given,
            self.same,
            self.returning()
        ))
    }

    fn insert(&self) -> String {
        let columns = self.table.columns();
        let mut into: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let mut values: Vec<String> = columns.iter().map(cast).collect();
        if let Some((name, value)) = self.touched() {
            into.push(name);
            values.push(value);
        }
        format!(
            "insert into {} as t ({}) select {} from {} on conflict do nothing returning {}",
            self.name,
            into.join(", "),
            values.join(", "),
            self.given,
            self.returning()
        )
    }

    fn touched(&self) -> Option<(&'static str, String)> {
        let is_touched = matches!(self.table, Table::Checkouts | Table::Payments);
        let updated = self.table.columns().iter().find(|column| column.name == "updated_at")?;
        is_touched.then(|| ("touched_at", cast(updated)))
    }

    fn returning(&self) -> String {
        self.table.columns()[..self.keys]
            .iter()
            .map(|column| read(self.table, column))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn row_of(row: &Row, table: Table) -> Option<LedgerRow> {
    let mut fields = Vec::with_capacity(table.columns().len());
    for (at, column) in table.columns().iter().enumerate() {
        let field = match row.try_get::<_, Option<&str>>(at).ok()? {
            None => Field::Empty,
            Some(text) if column.holds.is_number() => Field::Number(text.parse().ok()?),
            Some(text) => Field::Text(text.to_owned()),
        };
        fields.push(or_usual(column, field));
    }
    Some(LedgerRow { table, fields })
}

fn key_of(row: &LedgerRow) -> Vec<String> {
    row.key().iter().map(as_text).collect()
}

/// One column of all rows, as text.
fn arrays<'a>(rows: &[&'a LedgerRow], columns: usize) -> Vec<Vec<Option<std::borrow::Cow<'a, str>>>> {
    let text = |field: &'a Field| match field {
        Field::Empty => None,
        Field::Text(text) => Some(text.as_str().into()),
        Field::Number(number) => Some(number.to_string().into()),
    };
    (0..columns).map(|at| rows.iter().map(|row| row.fields.get(at).and_then(text)).collect()).collect()
}

impl PostgresLedger {
    fn statements(&self, table: Table) -> Sql {
        Sql::of(table, &self.schema, &self.users)
    }

    async fn with_arrays(
        &self,
        sql: &str,
        rows: &[&LedgerRow],
        columns: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let arrays = arrays(rows, columns);
        let parameters: Vec<Parameter<'_>> =
            arrays.iter().map(|array| (array as _, Type::TEXT_ARRAY)).collect();
        self.database().query(sql, &parameters).await
    }

    /// The keys that a statement says it has written.
    async fn written(
        &self,
        sql: &str,
        table: Table,
        rows: &[&LedgerRow],
    ) -> Result<HashSet<Vec<String>>, StoreError> {
        let keys = table.key_columns();
        let rows = self.with_arrays(sql, rows, table.columns().len()).await?;
        let key = |row: &Row| (0..keys).map(|at| row.get::<_, &str>(at).to_owned()).collect();
        Ok(rows.iter().map(key).collect())
    }

    async fn land(&self, table: Table, rows: &[&LedgerRow]) -> Result<Vec<Landed>, StoreError> {
        if table == Table::Audit {
            return self.land_audit(rows).await;
        }
        let sql = self.statements(table);
        let before = self.found(table, rows).await?;
        let is_told = |row: &&&LedgerRow| match before.get(&key_of(row)) {
            Some(before) => table.changes() != Changes::AsTold || before != **row,
            None => false,
        };
        let known: Vec<&LedgerRow> = rows.iter().filter(is_told).copied().collect();
        let renewed = match sql.update() {
            Some(update) if !known.is_empty() => self.written(&update, table, &known).await?,
            _ => HashSet::new(),
        };
        let fresh: Vec<&LedgerRow> =
            rows.iter().filter(|row| !before.contains_key(&key_of(row))).copied().collect();
        let made = if fresh.is_empty() {
            HashSet::new()
        } else {
            self.written(&sql.insert(), table, &fresh).await?
        };
        if table == Table::Tombstones && !fresh.is_empty() {
            // The checkouts that they name went with them.
            let purge = format!("delete from {}.checkout_sessions where id = any($1)", self.schema);
            self.with_arrays(&purge, &fresh, 1).await?;
        }
        let landed = |row: &&LedgerRow| match key_of(row) {
            key if made.contains(&key) => Landed::New,
            key if renewed.contains(&key) => Landed::Renewed,
            _ => Landed::Kept,
        };
        Ok(rows.iter().map(landed).collect())
    }

    /// What lies under the names of these rows.
    async fn found(
        &self,
        table: Table,
        rows: &[&LedgerRow],
    ) -> Result<HashMap<Vec<String>, LedgerRow>, StoreError> {
        let found = self.with_arrays(&self.statements(table).held(), rows, table.key_columns()).await?;
        Ok(found.iter().filter_map(|row| row_of(row, table)).map(|row| (key_of(&row), row)).collect())
    }

    /// Continues the audit log in one statement, under its head's lock; says so when the rows do not fit behind it.
    async fn land_audit(&self, rows: &[&LedgerRow]) -> Result<Vec<Landed>, StoreError> {
        use sessile_core::ledger::LedgerStore as _;
        let head = self.audit_head().await?;
        let number = |row: &LedgerRow| match row.field("seq") {
            Some(Field::Number(number)) => *number,
            _ => i64::MAX,
        };
        let (old, fresh): (Vec<&LedgerRow>, Vec<&LedgerRow>) =
            rows.iter().copied().partition(|row| number(row) <= head.seq);
        let found = self.found(Table::Audit, &old).await?;
        if old.iter().any(|row| found.get(&key_of(row)) != Some(*row))
            || !continues(head.seq, head.hash.clone(), &fresh)
        {
            return Err(another_chain());
        }
        if let Some(last) = fresh.last() {
            let sql = self.statements(Table::Audit);
            let columns = Table::Audit.columns();
            let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
            let values: Vec<String> = columns.iter().map(cast).collect();
            let next = columns.len() + 1;
            let statement = format!(
                "with head as (
                   update {s}.audit_head set seq = ${seq}, hash = ${hash}
                   where id = 1 and seq = ${before} and hash = ${was} returning 1
                 )
                 insert into {s}.audit_log ({names}) select {values} from {given} where exists (select from head)
                 returning seq::text",
                s = self.schema,
                seq = next,
                hash = next + 1,
                before = next + 2,
                was = next + 3,
                names = names.join(", "),
                values = values.join(", "),
                given = sql.given,
            );
            let arrays = arrays(&fresh, columns.len());
            let mut parameters: Vec<Parameter<'_>> =
                arrays.iter().map(|array| (array as _, Type::TEXT_ARRAY)).collect();
            let (seq, hash) = (number(last), last.field("hash").map(as_text));
            parameters.extend([
                (&seq as _, Type::INT8),
                (&hash as _, Type::TEXT),
                (&head.seq as _, Type::INT8),
                (&head.hash as _, Type::TEXT),
            ]);
            let written = self.database().query(&statement, &parameters).await?;
            if written.len() != fresh.len() {
                return Err(another_chain());
            }
        }
        let landed = |row: &&LedgerRow| if number(row) > head.seq { Landed::New } else { Landed::Kept };
        Ok(rows.iter().map(landed).collect())
    }
}

/// The rows of each table with their places, in the order of the tables.
fn by_table(rows: &[LedgerRow]) -> Vec<(Table, Vec<usize>)> {
    let of = |table: Table| {
        let places: Vec<usize> =
            rows.iter().enumerate().filter(|(_, row)| row.table == table).map(|(at, _)| at).collect();
        (table, places)
    };
    Table::ALL.into_iter().map(of).filter(|(_, places)| !places.is_empty()).collect()
}

#[async_trait]
impl Porter<LedgerRow> for PostgresLedger {
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        let mut size = 0;
        for table in Table::ALL {
            let count = format!("select count(*) from {}", self.statements(table).name);
            let rows = self.database().query(&count, &[]).await?;
            size += rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs());
        }
        Ok(size)
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        _now: Timestamp,
    ) -> Result<Batch<LedgerRow>, StoreError> {
        let place = Place::of(from);
        let table = place.table();
        let sql = self.statements(table).page(place.after.as_ref().map(Vec::len), limit);
        let after = place.after.as_deref().unwrap_or_default();
        let parameters: Vec<Parameter<'_>> = after.iter().map(|key| (key as _, Type::TEXT)).collect();
        let met = self.database().query(&sql, &parameters).await?;
        place.batch(met.iter().map(|row| row_of(row, table)).collect(), limit)
    }

    async fn import(&self, rows: &[LedgerRow], _now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let mut landed = vec![Landed::Kept; rows.len()];
        for (table, places) in by_table(rows) {
            let some: Vec<&LedgerRow> = places.iter().map(|at| &rows[*at]).collect();
            for (at, one) in places.iter().zip(self.land(table, &some).await?) {
                landed[*at] = one;
            }
        }
        Ok(landed)
    }

    async fn held(&self, like: &[LedgerRow], _now: Timestamp) -> Result<Vec<Option<LedgerRow>>, StoreError> {
        let mut held: Vec<Option<LedgerRow>> = vec![None; like.len()];
        for (table, places) in by_table(like) {
            let some: Vec<&LedgerRow> = places.iter().map(|at| &like[*at]).collect();
            let mut found = self.found(table, &some).await?;
            for at in places {
                held[at] = found.remove(&key_of(&like[at]));
            }
        }
        Ok(held)
    }
}
