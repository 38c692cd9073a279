//! Exit codes, the same for every command, and the error that carries one to `main`.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: it could not be done: a store that does not answer, a failed check.
    Failed,
    /// 2: it was asked for wrongly: configuration, arguments, a port that is taken.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
        })
    }
}

/// Why a command stopped: sentences that say what to do, free of secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Stop {
    /// What happened and what to do.
    pub sentence: String,
    /// The exit code.
    pub exit: Exit,
}

impl Stop {
    /// The world does not play along.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), exit: Exit::Failed }
    }

    /// The command or its configuration is wrong.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), exit: Exit::Usage }
    }
}

impl From<crate::config::ConfigError> for Stop {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<sessile_store::OpenError> for Stop {
    fn from(error: sessile_store::OpenError) -> Self {
        use sessile_store::OpenError::{Schema, Unreachable, Unusable};
        match &error {
            Unusable { .. } => Self::usage(format!("session storage: {error}")),
            Unreachable { .. } | Schema { .. } => Self::failed(format!("session storage: {error}")),
        }
    }
}

impl From<crate::config::KeptError> for Stop {
    fn from(error: crate::config::KeptError) -> Self {
        Self::failed(error.to_string())
    }
}
