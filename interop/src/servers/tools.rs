//! Finding installed programs and running the one-off ones (`initdb`, `redis-cli`) to their end.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::servers::{account::Account, error::ServerError};

/// Where Debian keeps Postgres' programs, one folder per major version.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";
/// Debian puts some servers where an ordinary account's PATH does not look.
const MORE_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
/// A one-off command's limit: `initdb` on a busy two-core machine takes seconds.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// The path of `program`, or an error that names the Debian package.
pub(crate) fn find(program: &'static str, package: &'static str) -> Result<PathBuf, ServerError> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(MORE_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(ServerError::Missing { program, package })
}

/// The folder of the newest installed Postgres' programs.
pub(crate) fn postgres_programs() -> Result<PathBuf, ServerError> {
    let versions = fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, programs)| programs.join("initdb").is_file() && programs.join("postgres").is_file())
        .max();
    if let Some((_, programs)) = newest {
        return Ok(programs);
    }
    let initdb = find("initdb", "postgresql")?;
    initdb
        .parent()
        .map(Path::to_path_buf)
        .ok_or(ServerError::Missing { program: "initdb", package: "postgresql" })
}

/// `setpriv` arguments that switch to `account`.
pub(crate) fn switch_to(account: Option<Account>) -> Vec<String> {
    account.map_or_else(Vec::new, |Account { uid, gid }| {
        vec![format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]
    })
}

/// Runs a command to its end, as `account` when one is given, and answers what it printed.
pub(crate) async fn run(
    program: &Path,
    args: &[&str],
    dir: &Path,
    account: Option<Account>,
) -> Result<String, ServerError> {
    let name = program.display().to_string();
    let child = Command::new(find("setpriv", "util-linux")?)
        .args(switch_to(account))
        .args(["--pdeathsig=KILL", "--"])
        .arg(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(COMMAND_LIMIT, child)
        .await
        .map_err(|_| ServerError::TimedOut { what: name.clone(), limit: COMMAND_LIMIT, log: String::new() })?
        .map_err(ServerError::io(format!("run {name}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(ServerError::Command { command: name, output: text(&output.stdout) + &text(&output.stderr) })
}
