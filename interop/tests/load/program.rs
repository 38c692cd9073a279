//! The program itself, `sessile serve` in development, as a process of its own.

use super::Outcome;
use reqwest::{StatusCode, header};
use serde_json::Value;
use sessile_interop::servers::eventually;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long the program may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// Longer than any timeout of the program.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

/// A running program; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    _child: Child,
    _folder: tempfile::TempDir,
    http: reqwest::Client,
    home: String,
}

impl Program {
    /// Serves with the sessions and users of `database`, and waits until it is ready.
    pub(crate) async fn start(database: &str, secret: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = log_file(folder.path())?;
        // Tied to this process by the kernel: a killed test run leaves no server behind.
        let child = Command::new("setpriv")
            .args(["--pdeathsig=KILL", "--"])
            .arg(binary().await?)
            .arg("serve")
            .envs([("SESSILE_ENV", "development"), ("HOST", "127.0.0.1"), ("SESSION_SECRET", secret)])
            .envs([("DATABASE_URL", database), ("PORT", &port.to_string())])
            .env("SESSILE_DATA_DIR", folder.path().join("data"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redirect = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().timeout(ANSWER_LIMIT).redirect(redirect).build()?;
        let program = Self { _child: child, _folder: folder, http, home: format!("http://127.0.0.1:{port}") };
        let ready = async || program.readiness().await.filter(|said| said["status"] == "ready").map(drop);
        let came_up = eventually("the program to be ready", READY_LIMIT, ready).await;
        came_up.map_err(|error| format!("{error}; {}", std::fs::read_to_string(&log).unwrap_or_default()))?;
        Ok(program)
    }

    /// What `/readyz` says, when it says that the program can serve.
    pub(crate) async fn readiness(&self) -> Option<Value> {
        let answer = self.http.get(format!("{}/readyz", self.home)).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// Signs somebody in; the answer is the cookie.
    pub(crate) async fn sign_in(&self, email: &str) -> Result<String, String> {
        let answer = self.http.get(format!("{}/auth/dev?email={email}", self.home)).send().await;
        let answer = answer.map_err(|error| format!("{email}: {error}"))?;
        let cookie = answer.headers().get(header::SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        match (answer.status(), cookie.and_then(|text| text.split(';').next())) {
            (StatusCode::FOUND, Some(cookie)) => Ok(cookie.to_owned()),
            (status, cookie) => Err(format!("{email}: a sign-in got {status}, cookie: {}", cookie.is_some())),
        }
    }

    /// Whom the cookie signs in, in the words of `/api/me`.
    pub(crate) async fn email_of(&self, cookie: &str) -> Result<Value, String> {
        let request = self.http.get(format!("{}/api/me", self.home)).header(header::COOKIE, cookie);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| error.to_string())?;
        let me: Value = answer.json().await.map_err(|error| error.to_string())?;
        Ok(me["email"].clone())
    }
}

/// The program as it is built beside the other binaries; built now when it is not.
async fn binary() -> Outcome<PathBuf> {
    let file = Path::new(env!("CARGO_BIN_EXE_peer")).with_file_name("sessile");
    if !file.is_file() {
        let build = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "sessile-server"]).status();
        if !build.await?.success() || !file.is_file() {
            return Err(format!("{} is missing: run `cargo build -p sessile-server`", file.display()).into());
        }
    }
    Ok(file)
}

/// Where the run's output is kept, or in the program's own folder.
fn log_file(folder: &Path) -> Outcome<PathBuf> {
    let Some(output) = std::env::var_os("SESSILE_TEST_OUTPUT") else { return Ok(folder.join("sessile.log")) };
    let logs = PathBuf::from(output).join("logs");
    std::fs::create_dir_all(&logs)?;
    Ok(logs.join(format!("outage-sessile-{}.log", std::process::id())))
}
