//! The store behind both applications, looked at and changed directly: a database or a Redis of the test's own.

use redis::{aio::MultiplexedConnection, cluster::ClusterClient, cluster_async::ClusterConnection};
use sessile::{Clock as _, SystemClock};
use sessile_interop::servers::Redis;
use tokio_postgres::{Client, NoTls};

use super::Outcome;

/// Where sessions live in one test.
pub(crate) enum Place {
    Postgres { url: String, pooled: Option<String>, table: &'static str, client: Client },
    Redis { server: Redis, connection: MultiplexedConnection },
    Cluster { url: String, connection: ClusterConnection },
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredSession {
    pub(crate) json: String,
    /// Seconds since 1970, read as UTC.
    pub(crate) expires_at: f64,
}

fn required(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run ./test, or `servers exec -- cargo test …`"))
}

/// Seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
pub(crate) fn now() -> f64 {
    SystemClock.now().unix_ms() as f64 / 1000.0
}

/// Runs a connection of its own; the task ends with the client.
pub(crate) async fn connect(url: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// `url` with another database, role or password.
pub(crate) fn database_url(url: &str, database: &str, role: Option<&str>) -> Outcome<String> {
    let mut url = url::Url::parse(url)?;
    url.set_path(database);
    if let Some(role) = role {
        url.set_username(role).map_err(|()| "a URL without a user")?;
    }
    Ok(url.to_string())
}

/// A name that no other test has.
pub(crate) fn fresh_name(what: &str) -> Outcome<String> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{what}_{digits}"))
}

impl Place {
    /// An empty database of its own, and its name.
    pub(crate) async fn postgres() -> Outcome<Self> {
        let server = required("SESSILE_TEST_POSTGRES_URL");
        let name = fresh_name("express")?;
        connect(&server).await?.batch_execute(&format!("create database \"{name}\"")).await?;
        let url = database_url(&server, &name, None)?;
        let client = connect(&url).await?;
        Ok(Self::Postgres { url, pooled: None, table: "web_session", client })
    }

    /// The same, with both applications behind the pooler.
    pub(crate) async fn pgbouncer() -> Outcome<Self> {
        let pooler = required("SESSILE_TEST_PGBOUNCER_URL");
        let Self::Postgres { url, table, client, .. } = Self::postgres().await? else {
            return Err("not a database".into());
        };
        let name = url::Url::parse(&url)?.path().trim_start_matches('/').to_owned();
        let pooled = Some(database_url(&pooler, &name, None)?);
        Ok(Self::Postgres { url, pooled, table, client })
    }

    pub(crate) async fn redis() -> Outcome<Self> {
        let server = Redis::start().await?;
        let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
        Ok(Self::Redis { server, connection })
    }

    pub(crate) async fn cluster() -> Outcome<Self> {
        let url = required("SESSILE_TEST_REDIS_CLUSTER_URL");
        let connection =
            ClusterClient::new(url.split(',').collect::<Vec<_>>())?.get_async_connection().await?;
        Ok(Self::Cluster { url, connection })
    }

    /// What both applications are given.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Postgres { url, pooled, .. } => pooled.as_ref().unwrap_or(url).clone(),
            Self::Redis { server, .. } => server.url(),
            Self::Cluster { url, .. } => url.clone(),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "postgres",
            Self::Redis { .. } | Self::Cluster { .. } => "redis",
        }
    }

    pub(crate) fn table(&self) -> &'static str {
        match self {
            Self::Postgres { table, .. } => table,
            // Empty means unset to both applications.
            Self::Redis { .. } | Self::Cluster { .. } => "",
        }
    }

    /// The database, for what only SQL can ask.
    pub(crate) fn sql(&self) -> Outcome<&Client> {
        match self {
            Self::Postgres { client, .. } => Ok(client),
            Self::Redis { .. } | Self::Cluster { .. } => Err("not a database".into()),
        }
    }

    async fn redis_command<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Outcome<T> {
        Ok(match self {
            Self::Redis { connection, .. } => command.query_async(&mut connection.clone()).await?,
            Self::Cluster { connection, .. } => command.query_async(&mut connection.clone()).await?,
            Self::Postgres { .. } => return Err("not a Redis".into()),
        })
    }

    /// What is stored under an id.
    pub(crate) async fn stored(&self, sid: &str) -> Outcome<Option<StoredSession>> {
        if let Self::Postgres { client, table, .. } = self {
            let sql =
                format!("select sess::text, extract(epoch from expire)::float8 from {table} where sid = $1");
            let row = client.query_opt(&sql, &[&sid]).await?;
            return Ok(row.map(|row| StoredSession { json: row.get(0), expires_at: row.get(1) }));
        }
        let key = format!("sess:{sid}");
        let json: Option<String> = self.redis_command(redis::cmd("GET").arg(&key)).await?;
        let expires_at: i64 = self.redis_command(redis::cmd("PEXPIRETIME").arg(&key)).await?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
        Ok(json.map(|json| StoredSession { json, expires_at: expires_at as f64 / 1000.0 }))
    }

    /// Stores a value as neither application would, for an hour.
    pub(crate) async fn put(&self, sid: &str, json: &str) -> Outcome {
        if let Self::Postgres { client, table, .. } = self {
            let sql = format!(
                "insert into {table} (sid, sess, expire)
                 values ($1, $2::text::json, (now() at time zone 'UTC') + interval '1 hour')
                 on conflict (sid) do update set sess = excluded.sess"
            );
            client.execute(&sql, &[&sid, &json]).await?;
            return Ok(());
        }
        let key = format!("sess:{sid}");
        self.redis_command(redis::cmd("SET").arg(key).arg(json).arg("EX").arg(3600)).await
    }

    /// Lets a session end in so many seconds, whatever it was promised.
    pub(crate) async fn expire_in(&self, sid: &str, seconds: f64) -> Outcome {
        if let Self::Postgres { client, table, .. } = self {
            let sql = format!(
                "update {table} set expire = (now() at time zone 'UTC') + $2 * interval '1 second' where sid = $1"
            );
            client.execute(&sql, &[&sid, &seconds]).await?;
            return Ok(());
        }
        #[expect(clippy::cast_possible_truncation, reason = "a few seconds fit")]
        let milliseconds = (seconds * 1000.0) as i64;
        self.redis_command(redis::cmd("PEXPIRE").arg(format!("sess:{sid}")).arg(milliseconds)).await
    }
}
