//! Why a server did not start or did not obey, with the end of its log and what to do about it.

use std::{process::ExitStatus, time::Duration};

/// Start attempts before a taken port is reported; each attempt picks another port.
pub(crate) const START_ATTEMPTS_MAX: usize = 4;

/// A test server that could not be started, reached or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The program is not installed.
    #[error("`{program}` is not installed: run `apt-get install {package}`")]
    Missing {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// The process ended while we waited for it to answer.
    #[error("{server} ended before it answered ({status}); its log ends with:\n{log}")]
    Exited {
        /// Which server.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A wait reached its limit.
    #[error("waited {limit:?} for {what}; the log ends with:\n{log}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// The last lines of the log, when there is one.
        log: String,
    },
    /// A one-off command (`initdb`, `redis-cli`) failed.
    #[error("`{command}` failed:\n{output}")]
    Command {
        /// The program that was run.
        command: String,
        /// What it printed.
        output: String,
    },
    /// The operating system refused.
    #[error("cannot {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Postgres or `PgBouncer` answered with an error.
    #[error("postgres refused to {what}")]
    Postgres {
        /// What was attempted.
        what: String,
        /// The driver's reason.
        #[source]
        source: tokio_postgres::Error,
    },
    /// Something about this machine or this call does not fit; the text says what to change.
    #[error("{0}")]
    Setup(String),
}

impl ServerError {
    /// For `map_err`: names what was attempted.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Another process took the port between our look and the server's bind: worth another attempt.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Exited { log, .. } if log.to_lowercase().contains("already in use"))
    }
}
