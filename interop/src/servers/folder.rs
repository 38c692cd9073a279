//! A server's temporary folder, removed on drop, and removed as well when the whole test process is killed.
//!
//! A killed process runs no destructors, so each folder has a tiny shell that waits for the end of its standard
//! input, which only the death of this process can cause, and then removes the folder.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::servers::{account::Account, error::ServerError};

/// The servers die by signal at the same moment, so the first attempt may meet one that still writes.
const REMOVE_AFTER_DEATH: &str =
    r#"cat >/dev/null; for i in 1 2 3 4 5; do sleep 1; rm -rf -- "$0" && exit; done"#;

/// A temporary folder that belongs to one server.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: TempDir,
    owner: Option<Account>,
    remover: Child,
}

impl Folder {
    /// Creates the folder with mode 0700, owned by `owner` when one is given.
    pub(crate) fn create(server: &str, owner: Option<Account>) -> Result<Self, ServerError> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("sessile-{server}-"))
            .tempdir()
            .map_err(ServerError::io("create a temporary folder"))?;
        if let Some(account) = owner {
            account.own(dir.path())?;
        }
        // Its own process group: an interrupt from the terminal must not end it before its work.
        let remover = Command::new("sh")
            .args(["-c", REMOVE_AFTER_DEATH])
            .arg(dir.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(ServerError::io("start sh"))?;
        Ok(Self { dir, owner, remover })
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file that the server's account can read.
    pub(crate) fn write(&self, name: &str, contents: &str) -> Result<PathBuf, ServerError> {
        let path = self.path().join(name);
        fs::write(&path, contents).map_err(ServerError::io(format!("write {}", path.display())))?;
        if let Some(account) = self.owner {
            account.own(&path)?;
        }
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // `TempDir` removes the folder right after this; the shell and its `cat` are one process group.
        if let Some(group) = rustix::process::Pid::from_raw(self.remover.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.remover.wait();
    }
}
