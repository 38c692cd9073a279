//! Connections: the URL, TLS as libpq means it, a pool, timeouts, and what an error means to us.
//!
//! Behind PgBouncer or Supavisor in transaction mode a prepared statement may be looked for on a server connection
//! that never saw it, so there statements are unnamed and typed (`query_typed`). Only where the server itself says
//! that it listens on the very address we dialled are they prepared once and kept, which saves planning each time.
//! No other session state is set.

pub(crate) use super::link::Link;
use super::link::{CONNECT_TIMEOUT, Links};
use super::route::Route;
use super::tls;
use crate::open::OpenError;
use futures_util::future::{BoxFuture, join_all};
use sessile_core::StoreError;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Error, Row, Statement};
use url::Url;

/// Query parameters of other clients (Prisma, node-postgres, Supabase) that mean nothing here.
const FOREIGN_PARAMETERS: [&str; 8] = [
    "pgbouncer",
    "connection_limit",
    "pool_timeout",
    "schema",
    "supa",
    "uselibpqcompat",
    "statement_cache_size",
    "workaround",
];

/// The connections to one database, and its address without credentials.
#[derive(Clone)]
pub(crate) struct Database {
    links: Arc<Links>,
    route: Arc<Route>,
    pub(crate) place: String,
}

/// A typed parameter.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A parameter that its step owns.
pub(crate) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// A statement and the types of its parameters.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) types: Vec<Type>,
}

/// One step of a flight: statements that are all sent before the first answer comes.
pub(crate) enum Step<'a> {
    /// Statements without parameters and without an answer, separated by semicolons.
    Script(&'a str),
    /// One statement; its rows are the answer.
    Ask(&'a Query, Vec<Value<'a>>),
}

impl Database {
    /// Reads the URL; connects only when asked.
    pub(crate) fn new(url: &str) -> Result<Self, OpenError> {
        let (config, tls) = parse(url)?;
        let place = place_of(&config);
        let route = Arc::new(Route::new(&config, url));
        Ok(Self { links: Arc::new(Links::new(config, tls, route.clone())), route, place })
    }

    /// Whether the server is known to listen where we dial.
    pub(super) fn is_direct(&self) -> bool {
        self.route.is_direct()
    }

    /// Runs one statement, prepared where that is safe.
    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        self.run(|mut link| async move {
            let rows = if self.route.is_direct() {
                prepared(&mut link, sql, parameters).await
            } else {
                link.client.query_typed(sql, parameters).await
            };
            if rows.as_ref().is_err_and(lost_its_statement) {
                // A pooler after all, or the server has forgotten: from now on without names.
                self.route.forget();
            }
            (link, rows)
        })
        .await
    }

    /// Sends every step at once and answers with the rows of each. Where a step fails, those after it fail too as
    /// long as they are in one transaction, and a `commit` among them rolls back: the first error is the cause.
    pub(crate) async fn flight(&self, link: &mut Link, steps: &[Step<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        let named = self.route.is_direct();
        if named {
            let wanted = steps.iter().filter_map(|step| match step {
                Step::Ask(query, _) => Some((query.sql.as_str(), query.types.as_slice())),
                Step::Script(_) => None,
            });
            link.prepare_all(wanted).await?;
        }
        let link: &Link = link;
        let statement = |step: &Step<'_>| match step {
            Step::Ask(query, _) if named => link.known(&query.sql),
            _ => None,
        };
        // Each is sent when it is polled for the first time, which happens in this order.
        let answers = join_all(steps.iter().map(|step| send(link, step, statement(step)))).await;
        let rows: Result<Vec<Vec<Row>>, Error> = answers.into_iter().collect();
        if rows.as_ref().is_err_and(lost_its_statement) {
            self.route.forget();
        }
        rows
    }

    /// Runs a script that is one transaction of its own.
    pub(crate) async fn script(&self, sql: &str) -> Result<(), StoreError> {
        self.run(|link| async move {
            let done = link.client.batch_execute(sql).await;
            if done.is_err() {
                // The transaction of the script is still open on this connection.
                let _ = link.client.batch_execute("rollback").await;
            }
            (link, done)
        })
        .await
    }

    /// Runs one piece of work on one connection.
    pub(crate) async fn run<T, F, Fut>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(Link) -> Fut,
        Fut: Future<Output = (Link, Result<T, Error>)>,
    {
        self.links.run(work).await?.map_err(classify)
    }
}

fn send<'a>(
    link: &'a Link,
    step: &'a Step<'a>,
    statement: Option<&'a Statement>,
) -> BoxFuture<'a, Result<Vec<Row>, Error>> {
    Box::pin(async move {
        let (query, values) = match step {
            Step::Script(sql) => return link.client.batch_execute(sql).await.map(|()| Vec::new()),
            Step::Ask(query, values) => (query, values),
        };
        let values = values.iter().map(|value| &**value as &(dyn ToSql + Sync));
        match statement {
            Some(statement) => {
                let values: Vec<&(dyn ToSql + Sync)> = values.collect();
                link.client.query(statement, &values).await
            }
            None => {
                let parameters: Vec<Parameter<'_>> = values.zip(query.types.iter().cloned()).collect();
                link.client.query_typed(&query.sql, &parameters).await
            }
        }
    })
}

async fn prepared(link: &mut Link, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Error> {
    let types: Vec<Type> = parameters.iter().map(|(_, ty)| ty.clone()).collect();
    let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| *value).collect();
    let statement = link.prepared(sql, &types).await?;
    link.client.query(&statement, &values).await
}

fn lost_its_statement(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::INVALID_SQL_STATEMENT_NAME || *code == SqlState::DUPLICATE_PSTATEMENT
    })
}

/// What an error of the driver means: refused for good, or unknown.
fn classify(error: Error) -> StoreError {
    let refused = error.code().is_some_and(|code| {
        // Data exceptions, and values beyond an engine limit: repeating the same value does not help.
        code.code().starts_with("22")
            || *code == SqlState::STATEMENT_TOO_COMPLEX
            || code.code().starts_with("54")
    });
    if refused { StoreError::Refused(Box::new(error)) } else { StoreError::unavailable(error) }
}

/// Whether the statement was rolled back only because of its timing, so that running it again is right.
pub(crate) fn lost_a_race(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    cause.downcast_ref::<Error>().and_then(Error::code).is_some_and(|code| {
        *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE
    })
}

fn parse(url: &str) -> Result<(Config, tls::Connector), OpenError> {
    // The parse error may quote the URL, and the URL holds the password.
    let unusable = |what: &str| OpenError::Unusable { what: what.to_owned() };
    let mut parsed = Url::parse(url).map_err(|_| unusable("DATABASE_URL is not a URL"))?;
    let (mut mode, mut root) = (None, None);
    let mut kept: Vec<(String, String)> = Vec::new();
    for (key, value) in parsed.query_pairs() {
        match &*key {
            "sslmode" => mode = Some(value.into_owned()),
            "sslrootcert" => root = Some(value.into_owned()),
            known if FOREIGN_PARAMETERS.contains(&known) => {}
            _ => kept.push((key.into_owned(), value.into_owned())),
        }
    }
    parsed.set_query(None);
    if !kept.is_empty() {
        parsed.query_pairs_mut().extend_pairs(&kept);
        // A form spells a space `+`, the driver as libpq reads `%20` only.
        let query = parsed.query().map(|query| query.replace('+', "%20"));
        parsed.set_query(query.as_deref());
    }
    let mut config = Config::from_str(parsed.as_str()).map_err(|_| {
        unusable("DATABASE_URL is not understood; it looks like postgresql://user:password@host:5432/dbname")
    })?;
    if config.get_dbname().is_none() && config.get_user().is_none() {
        return Err(unusable(
            "DATABASE_URL names no database; it looks like postgresql://user:password@host:5432/dbname",
        ));
    }
    config.application_name("sessile");
    config.connect_timeout(CONNECT_TIMEOUT);
    let tls = tls::connector(mode.as_deref(), root.as_deref(), &mut config)?;
    Ok((config, tls))
}

fn place_of(config: &Config) -> String {
    use tokio_postgres::config::Host;
    let name = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(name).collect();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{}:{port}/{}", hosts.join(","), config.get_dbname().unwrap_or("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_other_clients_are_understood_and_never_shown() {
        let url =
            "postgres://u:hunter2@db.example:6543/app?pgbouncer=true&connection_limit=1&sslmode=require";
        let (config, _) = parse(url).unwrap();
        assert_eq!(place_of(&config), "db.example:6543/app");
        let (config, _) = parse("postgres://u@h/d?options=-c%20a%3Db+c&sslmode=disable").unwrap();
        assert_eq!(config.get_options(), Some("-c a=b c"));
        for bad in ["postgres://u:hunter2@h/d?sslmode=maybe", "postgres://u:hunter2@h:99999/d", "nonsense"] {
            let error = parse(bad).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
