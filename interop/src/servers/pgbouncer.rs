//! `PgBouncer` in transaction mode in front of a private Postgres: what hosted databases put between.
//!
//! It runs with no support for prepared statements and hands server connections out in turn, so that a client
//! which relies on session state fails here soon, not in production later.

use rustix::process::Signal;

use crate::servers::{
    account::Account,
    error::{START_ATTEMPTS_MAX, ServerError},
    folder::Folder,
    ports,
    postgres::{self, Postgres},
    process::{End, Launch, Process, log_end},
    tools,
};

/// The first version that knows `max_prepared_statements`; earlier ones refuse the word and have no support.
const PREPARED_STATEMENTS_SINCE: (u32, u32) = (1, 21);

/// A running `PgBouncer`.
#[derive(Debug)]
pub struct PgBouncer {
    process: Option<Process>,
    launch: Launch,
    port: u16,
    url: String,
    _folder: Folder,
}

impl PgBouncer {
    /// Starts one in front of `postgres`. It finds the server again after a restart, whose port stays the same.
    ///
    /// # Errors
    /// When it is not installed or does not come up; the error says which package or shows the log.
    pub async fn start(postgres: &Postgres) -> Result<Self, ServerError> {
        let program = tools::find("pgbouncer", "pgbouncer")?;
        let account = Account::unprivileged()?;
        let folder = Folder::create("pgbouncer", account)?;
        let version = tools::run(&program, &["--version"], folder.path(), account).await?;
        let users = folder.write("users.txt", &format!("\"sessile\" \"{}\"\n", postgres.password()))?;
        let mut attempt = 1;
        loop {
            let port = ports::free_port()?;
            let settings = settings(&version, postgres.port(), port, &users.display().to_string());
            let file = folder.write("pgbouncer.ini", &settings)?;
            let launch = Launch {
                server: "pgbouncer",
                program: program.clone(),
                args: vec![file.into()],
                env: Vec::new(),
                dir: folder.path().to_path_buf(),
                account,
                end: End::Kill,
                log: folder.path().join("pgbouncer.log"),
            };
            let url = postgres::url("sessile", postgres.password(), port, "postgres");
            match started(&launch, &url).await {
                Ok(process) => {
                    return Ok(Self { process: Some(process), launch, port, url, _folder: folder });
                }
                Err(error) if error.is_port_taken() && attempt < START_ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The superuser's URL through the pooler.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The URL of `database` through the pooler for a role that a test created.
    pub fn url_for_role(&self, role: &str, password: &str, database: &str) -> String {
        postgres::url(role, password, self.port, database)
    }

    /// Where it listens, always on 127.0.0.1. The port stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        log_end(&self.launch.log)
    }

    /// Stops it and starts it again on the same port; every client connection is dropped.
    ///
    /// # Errors
    /// When it does not come up again; the error shows the log.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await?;
        self.process = Some(started(&self.launch, &self.url).await?);
        Ok(())
    }

    /// Stops it at once.
    ///
    /// # Errors
    /// When the operating system refuses to tell how it is doing.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        match self.process.take() {
            Some(process) => process.stop(Signal::KILL).await,
            None => Ok(()),
        }
    }
}

async fn started(launch: &Launch, url: &str) -> Result<Process, ServerError> {
    let mut process = launch.start()?;
    let answers = async || match postgres::connect(url).await {
        Ok(client) => client.simple_query("select 1").await.is_ok(),
        Err(_) => false,
    };
    process.ready(answers).await?;
    Ok(process)
}

fn settings(version: &str, postgres_port: u16, port: u16, users: &str) -> String {
    let prepared = if knows_prepared_statements(version) { "max_prepared_statements = 0\n" } else { "" };
    // Roles that tests create are looked up in Postgres (`auth_user`), so they need no entry in the file.
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={postgres_port}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {users}\n\
         auth_user = sessile\n\
         pool_mode = transaction\n\
         default_pool_size = 20\n\
         max_client_conn = 1000\n\
         server_round_robin = 1\n\
         server_login_retry = 1\n\
         ignore_startup_parameters = extra_float_digits,options\n\
         {prepared}"
    )
}

/// Reads `PgBouncer 1.18.0`; an unreadable version counts as old.
fn knows_prepared_statements(version: &str) -> bool {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let mut parts = number.split('.').map_while(|part| part.parse::<u32>().ok());
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= PREPARED_STATEMENTS_SINCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_know_the_setting_get_it() {
        for (version, knows) in
            [("PgBouncer 1.18.0", false), ("PgBouncer 1.21.0", true), ("PgBouncer 2.0", true), ("?", false)]
        {
            assert_eq!(knows_prepared_statements(version), knows, "{version}");
        }
    }
}
