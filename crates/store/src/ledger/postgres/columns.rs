//! The one mapping between a record and its columns. A table is a list of columns, each with the way to its value in
//! a record; the statements that insert, update and read rows are spelled from that list, and so are the typed arrays
//! that carry a whole batch of rows in one statement.

use crate::postgres::connect::{Query, Value};
use crate::postgres::wire::Moment;
use sessile_core::Timestamp;
use std::borrow::Cow;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// The way to a column's value in a record.
enum Get<R> {
    Text(for<'a> fn(&'a R) -> Option<Cow<'a, str>>),
    Json(for<'a> fn(&'a R) -> &'a str),
    Int(fn(&R) -> Option<i64>),
    Time(fn(&R) -> Option<Timestamp>),
    Flag(fn(&R) -> bool),
}

/// When a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// With every change of the row.
    Always,
    /// With the row only: it never changes.
    Once,
    /// With every change, as this expression over the row `t` and its change `v` says: what an older application
    /// wrote stays where we have no other word for it.
    As(&'static str),
}

/// One column.
pub(super) struct Column<R> {
    name: &'static str,
    get: Get<R>,
    written: Written,
}

impl<R> Column<R> {
    pub(super) const fn text(name: &'static str, get: for<'a> fn(&'a R) -> Option<Cow<'a, str>>) -> Self {
        Self { name, get: Get::Text(get), written: Written::Always }
    }

    pub(super) const fn json(name: &'static str, get: for<'a> fn(&'a R) -> &'a str) -> Self {
        Self { name, get: Get::Json(get), written: Written::Always }
    }

    pub(super) const fn int(name: &'static str, get: fn(&R) -> Option<i64>) -> Self {
        Self { name, get: Get::Int(get), written: Written::Always }
    }

    pub(super) const fn time(name: &'static str, get: fn(&R) -> Option<Timestamp>) -> Self {
        Self { name, get: Get::Time(get), written: Written::Always }
    }

    pub(super) const fn flag(name: &'static str, get: fn(&R) -> bool) -> Self {
        Self { name, get: Get::Flag(get), written: Written::Always }
    }

    /// Written with the row only.
    pub(super) const fn once(mut self) -> Self {
        self.written = Written::Once;
        self
    }

    /// Written by an update as `expression` says.
    pub(super) const fn kept(mut self, expression: &'static str) -> Self {
        self.written = Written::As(expression);
        self
    }

    /// The type of an array of it.
    const fn array_type(&self) -> Type {
        match self.get {
            Get::Text(_) | Get::Json(_) => Type::TEXT_ARRAY,
            Get::Int(_) => Type::INT8_ARRAY,
            Get::Time(_) => Type::TIMESTAMPTZ_ARRAY,
            Get::Flag(_) => Type::BOOL_ARRAY,
        }
    }

    /// As it goes into the table.
    fn put(&self) -> String {
        let cast = if matches!(self.get, Get::Json(_)) { "::jsonb" } else { "" };
        format!("v.{}{cast}", self.name)
    }

    /// As a change of the row sets it.
    fn set(&self) -> String {
        match self.written {
            Written::As(expression) => expression.to_owned(),
            Written::Always | Written::Once => self.put(),
        }
    }

    /// As it comes out of it: an older table has other types of the same family.
    fn read(&self) -> String {
        let name = self.name;
        match self.get {
            Get::Text(_) | Get::Json(_) => format!("{name}::text as {name}"),
            Get::Int(_) => format!("{name}::int8 as {name}"),
            Get::Time(_) | Get::Flag(_) => name.to_owned(),
        }
    }

    /// This column of all rows.
    fn array<'a>(&self, rows: &[&'a R]) -> Value<'a> {
        match self.get {
            Get::Text(get) => Box::new(rows.iter().map(|row| get(row)).collect::<Vec<_>>()),
            Get::Json(get) => Box::new(rows.iter().map(|row| get(row)).collect::<Vec<_>>()),
            Get::Int(get) => Box::new(rows.iter().map(|row| get(row)).collect::<Vec<_>>()),
            Get::Time(get) => Box::new(rows.iter().map(|row| get(row).map(Moment)).collect::<Vec<_>>()),
            Get::Flag(get) => Box::new(rows.iter().map(|row| get(row)).collect::<Vec<_>>()),
        }
    }
}

/// A record that has a table.
pub(super) trait Stored: Sized + 'static {
    /// The table's name.
    const TABLE: &'static str;
    /// The column that names a row; the first of [`Stored::COLUMNS`].
    const KEY: &'static str;
    /// The table that remembers the names of rows that are gone, if any ever go.
    const GONE: Option<&'static str> = None;
    /// A column of new rows that no record holds, and the expression over the row `v` and the schema `{s}` for it.
    const DERIVED: Option<(&'static str, &'static str)> = None;
    /// All of them.
    const COLUMNS: &'static [Column<Self>];

    /// A row as a record; `None` when it cannot be one of ours.
    fn read(line: &Line<'_>) -> Option<Self>;
}

/// The select list of a table.
pub(super) fn read_list<R: Stored>() -> String {
    R::COLUMNS.iter().map(Column::read).collect::<Vec<_>>().join(", ")
}

/// `insert into …` for a batch of rows; fails when one is there, or was. Its parameters are the number of rows and all
/// columns.
pub(super) fn insert<R: Stored>(schema: &str) -> Query {
    let columns: Vec<&Column<R>> = R::COLUMNS.iter().collect();
    let (arrays, mut types) = unnest(&columns, 1);
    let names = names(&columns);
    let mut puts: Vec<String> = columns.iter().map(|column| column.put()).collect();
    let mut into = names.clone();
    if let Some((name, expression)) = R::DERIVED {
        into.push_str(&format!(", {name}"));
        puts.push(expression.replace("{s}", schema));
    }
    let unless = R::GONE.map_or_else(String::new, |gone| {
        format!(
            "where v.{} <> all(array(select g.id from {schema}.{gone} g where g.id = any($2::text[])))",
            R::KEY
        )
    });
    let sql = format!(
        "with done as (
           insert into {schema}.{table} ({into}) select {puts} from unnest({arrays}) as v({names}) {unless}
           returning 1
         ) {GUARD}",
        table = R::TABLE,
        puts = puts.join(", "),
    );
    types.insert(0, Type::INT8);
    Query { sql, types }
}

/// `update …` for a batch of rows, each at the version it had; fails when one is not there. The rows are found by
/// the array of their keys, so that no plan ever reads the whole table to join it. Its parameters are the
/// number of rows, their versions, and the columns that change.
pub(super) fn update<R: Stored>(schema: &str) -> Query {
    let columns = changed::<R>();
    let (arrays, mut types) = unnest(&columns, 2);
    let sets: Vec<String> =
        columns.iter().skip(1).map(|column| format!("{} = {}", column.name, column.set())).collect();
    let sql = format!(
        "with done as (
           update {schema}.{table} t set {sets}
           from unnest($2::int8[], {arrays}) as v(base, {names})
           where t.{key} = any($3::text[]) and t.{key} = v.{key} and t.version = v.base returning 1
         ) {GUARD}",
        table = R::TABLE,
        sets = sets.join(", "),
        names = names(&columns),
        key = R::KEY,
    );
    types.splice(0..0, [Type::INT8, Type::INT8_ARRAY]);
    Query { sql, types }
}

/// Ends a statement whose `done` must have as many rows as `$1` says: a division by zero otherwise, so that the
/// `commit` behind it, already on its way, rolls back.
pub(super) const GUARD: &str = "select 1 / (count(*) = $1)::int from done";

/// The parameters of [`insert`].
pub(super) fn new_rows<'a, R: Stored>(rows: &[&'a R]) -> Vec<Value<'a>> {
    let columns = R::COLUMNS.iter().map(|column| column.array(rows));
    std::iter::once(count(rows.len())).chain(columns).collect()
}

/// The parameters of [`update`].
pub(super) fn changed_rows<'a, R: Stored>(rows: &[(&'a R, i64)]) -> Vec<Value<'a>> {
    let bases: Vec<i64> = rows.iter().map(|(_, base)| *base).collect();
    let rows: Vec<&'a R> = rows.iter().map(|(row, _)| *row).collect();
    let columns = changed::<R>().into_iter().map(|column| column.array(&rows));
    let first: [Value<'a>; 2] = [count(rows.len()), Box::new(bases)];
    first.into_iter().chain(columns).collect()
}

/// A number of rows as a parameter.
pub(super) fn count<'a>(rows: usize) -> Value<'a> {
    Box::new(i64::try_from(rows).unwrap_or(i64::MAX))
}

fn changed<R: Stored>() -> Vec<&'static Column<R>> {
    let written = |(at, column): &(usize, &Column<R>)| *at == 0 || column.written != Written::Once;
    R::COLUMNS.iter().enumerate().filter(written).map(|(_, column)| column).collect()
}

fn names<R>(columns: &[&Column<R>]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// The arguments of `unnest`, numbered from `before + 1`, and their types.
fn unnest<R>(columns: &[&Column<R>], before: usize) -> (String, Vec<Type>) {
    let types: Vec<Type> = columns.iter().map(|column| column.array_type()).collect();
    let arrays: Vec<String> = types
        .iter()
        .enumerate()
        // A Postgres array type's name begins with an underscore.
        .map(|(at, ty)| format!("${}::{}[]", at + before + 1, ty.name().trim_start_matches('_')))
        .collect();
    (arrays.join(", "), types)
}

/// A row that is being read, column by column. A column that is missing or of another family is `None`, and with it
/// the row, which the caller reports.
pub(super) struct Line<'a>(pub(super) &'a Row);

impl<'a> Line<'a> {
    fn get<T: FromSql<'a>>(&self, name: &str) -> Option<T> {
        self.0.try_get::<_, Option<T>>(name).ok().flatten()
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.get(name)
    }

    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.get::<Moment>(name).map(|moment| moment.0)
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)
    }
}
