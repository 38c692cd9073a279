//! A few connections, each lent to one piece of work at a time, and driven by the task that does the work.
//!
//! The usual pool keeps a second task per connection and hands every statement and every answer across; here the
//! asker's own task writes the statement and reads the answer, which halves the time of a lone load. A connection
//! that idles is nobody's task: whether it is still open is looked at when it is lent.

use crate::postgres::route::Route;
use crate::postgres::tls::Connector;
use futures_util::future::join_all;
use parking_lot::Mutex;
use sessile_core::StoreError;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, NoTls, Statement};

/// Connections that one process holds at most.
const CONNECTIONS_MAX: usize = 8;
/// How long a new connection may take, and how long one may wait for a free one.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one statement may take before its outcome is called unknown.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

type Socket = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A statement of a flight is planned anew after this many runs, and then each time it has run four times as often: a
/// plan that was made while a table was small must not stay when it has grown.
const PLANNED_ANEW_AFTER: u64 = 16;
const PLANNED_ANEW_FACTOR: u64 = 4;

/// A connection and the statements that are prepared on it.
pub(crate) struct Link {
    pub(crate) client: Client,
    statements: HashMap<Arc<str>, Prepared>,
}

struct Prepared {
    statement: Statement,
    runs: u64,
    anew_at: u64,
}

impl Prepared {
    const fn new(statement: Statement) -> Self {
        Self { statement, runs: 0, anew_at: PLANNED_ANEW_AFTER }
    }

    /// Counts a run; whether it has to be planned anew before.
    const fn is_worn(&mut self) -> bool {
        self.runs += 1;
        self.runs > self.anew_at
    }

    fn renew(&mut self, statement: Statement) {
        self.statement = statement;
        self.anew_at *= PLANNED_ANEW_FACTOR;
    }
}

impl Link {
    /// A statement prepared on this connection.
    pub(super) async fn prepared(&mut self, sql: &str, types: &[Type]) -> Result<Statement, Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.statement.clone());
        }
        let statement = self.client.prepare_typed(sql, types).await?;
        self.statements.insert(sql.into(), Prepared::new(statement.clone()));
        Ok(statement)
    }

    /// Prepares at once whatever of these is not prepared yet, or was too long ago.
    pub(super) async fn prepare_all(
        &mut self,
        wanted: impl Iterator<Item = (&str, &[Type])>,
    ) -> Result<(), Error> {
        let known = &mut self.statements;
        let missing: Vec<(&str, &[Type])> =
            wanted.filter(|(sql, _)| known.get_mut(*sql).is_none_or(Prepared::is_worn)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let client = &self.client;
        let made = join_all(missing.iter().map(|(sql, types)| client.prepare_typed(sql, types))).await;
        for ((sql, _), statement) in missing.into_iter().zip(made) {
            let statement = statement?;
            match self.statements.get_mut(sql) {
                Some(known) => known.renew(statement),
                None => drop(self.statements.insert(sql.into(), Prepared::new(statement))),
            }
        }
        Ok(())
    }

    /// A statement that [`Link::prepare_all`] has prepared.
    pub(super) fn known(&self, sql: &str) -> Option<&Statement> {
        self.statements.get(sql).map(|known| &known.statement)
    }
}

struct Idle {
    link: Link,
    socket: Socket,
}

/// The connections to one database.
pub(super) struct Links {
    config: Config,
    tls: Connector,
    route: Arc<Route>,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

impl Links {
    pub(super) fn new(config: Config, tls: Connector, route: Arc<Route>) -> Self {
        Self { config, tls, route, permits: Semaphore::new(CONNECTIONS_MAX), idle: Mutex::new(Vec::new()) }
    }

    /// Runs one piece of work on one connection, within the statement timeout. A connection whose work was cut
    /// short, or that broke, is closed, so that no late answer meets the next statement.
    pub(super) async fn run<T, F, Fut>(&self, work: F) -> Result<Result<T, Error>, StoreError>
    where
        F: FnOnce(Link) -> Fut,
        Fut: Future<Output = (Link, Result<T, Error>)>,
    {
        let _permit = self.permit().await?;
        let Idle { link, mut socket } = match self.take_idle() {
            Some(idle) => idle,
            None => self.connect().await?,
        };
        let work = drive(&mut socket, work(link));
        let (link, answer) =
            tokio::time::timeout(STATEMENT_TIMEOUT, work).await.map_err(StoreError::unavailable)?;
        let broken =
            link.client.is_closed() || answer.as_ref().is_err_and(|error| error.as_db_error().is_none());
        if !broken {
            self.idle.lock().push(Idle { link, socket });
        }
        Ok(answer)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let permit = tokio::time::timeout(STATEMENT_TIMEOUT, self.permits.acquire()).await;
        permit.map_err(StoreError::unavailable)?.map_err(StoreError::unavailable)
    }

    /// The connection used last, if the server has not closed it meanwhile.
    fn take_idle(&self) -> Option<Idle> {
        loop {
            let mut idle = self.idle.lock().pop()?;
            let mut nobody = Context::from_waker(Waker::noop());
            if idle.socket.as_mut().poll(&mut nobody).is_pending() && !idle.link.client.is_closed() {
                return Some(idle);
            }
        }
    }

    async fn connect(&self) -> Result<Idle, StoreError> {
        let connect = async {
            let (client, mut socket): (Client, Socket) =
                if self.config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    (client, Box::pin(connection))
                } else {
                    let (client, connection) = self.config.connect(self.tls.clone()).await?;
                    (client, Box::pin(connection))
                };
            drive(&mut socket, self.route.check(&client)).await;
            Ok(Idle { link: Link { client, statements: HashMap::new() }, socket })
        };
        let connected: Result<Idle, Error> =
            tokio::time::timeout(CONNECT_TIMEOUT, connect).await.map_err(StoreError::unavailable)?;
        connected.map_err(StoreError::unavailable)
    }
}

/// Does the work and moves the connection's bytes on the same task.
async fn drive<T>(socket: &mut Socket, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut open = true;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if open {
            // Writes what the work has asked and reads what has come.
            open = socket.as_mut().poll(cx).is_pending();
            if !open {
                // The driver holds on to whoever waits for an answer until it is dropped: only that fails the work below,
                // and closes the client.
                *socket = Box::pin(std::future::pending());
            }
        }
        work.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Lets everybody in, and hangs up at the first statement.
    async fn hangs_up() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut said = [0_u8; 1024];
                let _ = client.read(&mut said).await;
                // AuthenticationOk and ReadyForQuery.
                let _ = client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await;
                let _ = client.read(&mut said).await;
            }
        });
        port
    }

    /// The asker of a statement that was under way must not wait for the timeout: until it is told, nobody knows that
    /// the server is gone.
    #[tokio::test]
    async fn a_server_that_hangs_up_in_the_middle_of_a_statement_is_noticed_at_once() {
        let port = hangs_up().await;
        for pooled in ["?pgbouncer=true", ""] {
            let url = format!("postgres://u@127.0.0.1:{port}/d{pooled}");
            let config: Config = format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable").parse().unwrap();
            let tls = crate::postgres::tls::connector(Some("disable"), None, &mut config.clone()).unwrap();
            let links = Links::new(config.clone(), tls, Arc::new(Route::new(&config, &url)));
            let work = links.run(|link| async move {
                let answer = link.client.query_typed("select 1", &[]).await;
                (link, answer)
            });
            let answer = tokio::time::timeout(Duration::from_secs(2), work).await;
            assert!(answer.is_ok_and(|answer| answer.is_err() || answer.is_ok_and(|answer| answer.is_err())));
        }
    }
}
