//! Whom the servers run as. Postgres and `PgBouncer` refuse to run as root, so a root test run lends them an
//! unprivileged account; anyone else's servers run as that person.

use std::{fs, path::Path};

use crate::servers::error::ServerError;

/// Accounts in order of preference; `nobody` exists on every Debian machine.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An account without privileges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// The account to switch to, or `None` when this process is not root and needs no switch.
    pub(crate) fn unprivileged() -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(ServerError::io("read /etc/passwd"))?;
        let found = CANDIDATES.iter().find_map(|name| Self::find(&passwd, name));
        let none = || ServerError::Setup(format!("running as root needs one of the accounts {CANDIDATES:?}"));
        found.ok_or_else(none).map(Some)
    }

    fn find(passwd: &str, name: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// Gives a file or folder to the account.
    pub(crate) fn own(self, path: &Path) -> Result<(), ServerError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(ServerError::io(format!(
            "give {} to uid {}",
            path.display(),
            self.uid
        )))
    }
}
