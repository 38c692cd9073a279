//! The binary as a process: what it says and how it ends when something is wrong, and that a stop breaks no promise.

use crate::world::{SECRET, client};
use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may take to do what a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    log: PathBuf,
}

impl Process {
    /// Starts the binary in a clean environment; its standard error goes to a file.
    pub(crate) fn start(name: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = match std::env::var_os("SESSILE_TEST_OUTPUT") {
            Some(output) => {
                let logs = PathBuf::from(&output).join("logs");
                std::fs::create_dir_all(&logs).unwrap();
                let used = env.iter().filter(|(name, _)| name.contains("SECRET")).map(|(_, value)| *value);
                used.chain(["hunter2-of-the-database"]).for_each(remember);
                logs.join(format!("server-{name}.log"))
            }
            None => folder.path().join("stderr.log"),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
        command.args(args).env_clear().current_dir(folder.path()).stdin(Stdio::null());
        command.env("SESSILE_DATA_DIR", folder.path().join("data")).envs(env.iter().copied());
        command
            .stdout(File::create(folder.path().join("stdout.log")).unwrap())
            .stderr(File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), folder, log }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stdout.log")).unwrap()
    }

    pub(crate) fn wait_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < PATIENCE, "{what} did not happen; it said:\n{}", self.said());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn code(&mut self) -> i32 {
        self.wait_until("the end", |this| this.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code().expect("it ended by itself")
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Notes a secret that no log may hold; checked over the whole run.
fn remember(secret: &str) {
    let Some(output) = std::env::var_os("SESSILE_TEST_OUTPUT") else { return };
    let list = PathBuf::from(output).join("secrets.txt");
    let mut list = File::options().append(true).create(true).open(list).unwrap();
    list.write_all(format!("{secret}\n").as_bytes()).unwrap();
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn refused(name: &str, code: i32, env: &[(&str, &str)], parts: &[&str]) {
    let mut process = Process::start(name, &["serve"], env);
    assert_eq!(process.code(), code, "{}", process.said());
    let said = process.said();
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in: {said}");
    }
    assert!(!said.contains("hunter2") && !said.contains("panicked"), "{said}");
}

#[test]
fn bad_configuration_is_a_sentence_and_code_2() {
    refused("no-secret", 2, &[], &["SESSION_SECRET", "openssl rand -base64 48"]);
    refused(
        "weak-secret",
        2,
        &[("SESSION_SECRET", "short-one")],
        &["SESSION_SECRET", "too weak", "openssl rand"],
    );
    let mysql = [("SESSION_SECRET", SECRET), ("DATABASE_URL", "mysql://u:hunter2-of-the-database@h/d")];
    refused(
        "mysql",
        2,
        &mysql,
        &["DATABASE_URL", "postgresql://user:password@host:port/dbname", "NOT persist"],
    );
    let lambda = [("SESSION_SECRET", SECRET), ("VERCEL", "1")];
    refused(
        "vercel",
        2,
        &lambda,
        &["VERCEL", "NOT persist", "Set DATABASE_URL=", "SESSILE_ALLOW_EPHEMERAL=1"],
    );
    refused("bad-port", 2, &[("SESSION_SECRET", SECRET), ("PORT", "http")], &["PORT", "from 1 to 65535"]);
}

#[test]
fn an_unreachable_database_is_a_sentence_and_code_1() {
    let url = format!("postgresql://u:hunter2-of-the-database@127.0.0.1:{}/d", free_port());
    let port = free_port().to_string();
    let env =
        [("SESSION_SECRET", SECRET), ("DATABASE_URL", url.as_str()), ("PORT", &port), ("HOST", "127.0.0.1")];
    refused("unreachable", 1, &env, &["127.0.0.1", "does not answer"]);
}

#[test]
fn a_port_in_use_is_a_sentence_and_code_2() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let env = [("SESSION_SECRET", SECRET), ("HOST", "127.0.0.1"), ("PORT", &port)];
    refused("port-in-use", 2, &env, &[&port, "in use", "set PORT"]);
}

#[test]
fn a_configuration_file_with_an_unknown_key_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessile.toml");
    std::fs::write(&file, "port = 3000\nsesion_secret = \"hunter2-of-the-database\"\n").unwrap();
    let mut process = Process::start("unknown-key", &["--config", file.to_str().unwrap(), "serve"], &[]);
    assert_eq!(process.code(), 2);
    let said = process.said();
    assert!(
        said.contains("`sesion_secret`") && said.contains("`session_secret`") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_a_request_in_flight() {
    // A provider that takes its time: while it is being asked, a request is under way for certain.
    let provider = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", provider.local_addr().unwrap());
    let (port, text) = {
        let port = free_port();
        (port, port.to_string())
    };
    let env = [
        ("SESSION_SECRET", SECRET),
        ("HOST", "127.0.0.1"),
        ("PORT", &text),
        ("SESSILE_ENV", "development"),
        ("SESSILE_OIDC_ISSUER", &issuer),
        ("SESSILE_OIDC_CLIENT_ID", "app"),
    ];
    let mut process = Process::start("sigterm", &["serve"], &env);
    process.wait_until("listening", |this| this.said().contains("listening"));
    let home = format!("http://127.0.0.1:{port}");
    let under_way = tokio::spawn(client().get(format!("{home}/auth/oidc")).send());
    let (asked, _) = tokio::time::timeout(PATIENCE, provider.accept()).await.unwrap().unwrap();
    process.terminate();
    process.wait_until("the stop", |this| this.said().contains("stopping"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nothing new is accepted");
    assert!(process.child.try_wait().unwrap().is_none(), "it waits for the request under way");
    drop((asked, provider));
    let answer = under_way.await.unwrap().expect("the request under way is answered");
    let status = answer.status();
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((status.as_u16(), &body["error"]), (500, &"oauth_failed".into()));
    assert_eq!(process.code(), 0, "{}", process.said());
    assert!(process.said().contains("stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_made_once_kept_private_and_sessions_outlive_a_restart() {
    let port = free_port().to_string();
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let env = [
        ("SESSILE_DATA_DIR", folder),
        ("HOST", "127.0.0.1"),
        ("PORT", &port),
        ("SESSILE_ENV", "development"),
    ];
    let mut first = Process::start("restart-1", &["serve"], &env);
    first.wait_until("listening", |this| this.said().contains("listening"));
    let home = format!("http://127.0.0.1:{port}");
    let answer = client().get(format!("{home}/auth/dev")).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = std::fs::read_to_string(data.path().join("admin-token")).unwrap();
    remember(&token);
    remember(&std::fs::read_to_string(data.path().join("session-secret")).unwrap());
    remember(cookie.split_once('=').unwrap().1);
    assert!(
        first.printed().contains(&token) && !first.said().contains(&token),
        "shown once, and not in the log"
    );
    use std::os::unix::fs::PermissionsExt as _;
    for name in ["admin-token", "session-secret", "sessile.db"] {
        let mode = std::fs::metadata(data.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    first.terminate();
    assert_eq!(first.code(), 0);

    let mut second = Process::start("restart-2", &["serve"], &env);
    second.wait_until("listening", |this| this.said().contains("listening"));
    assert!(!second.printed().contains(&token), "shown once only");
    let me = client().get(format!("{home}/api/me")).header("cookie", cookie).send().await.unwrap();
    assert_eq!(me.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_brings_its_own_provider_and_doctor_sweep_and_migrate_answer() {
    let port = free_port().to_string();
    let mut dev = Process::start("dev", &["dev"], &[("PORT", &port)]);
    dev.wait_until("listening", |this| this.said().contains("listening"));
    let banner = dev.printed();
    assert!(banner.contains(&format!("http://127.0.0.1:{port}")) && banner.contains("Ctrl-C"), "{banner}");
    let begin = client().get(format!("http://127.0.0.1:{port}/auth/whop")).send().await.unwrap();
    let consent = client().get(begin.headers()["location"].to_str().unwrap()).send().await.unwrap();
    assert!(consent.text().await.unwrap().contains("Continue as Ada Lovelace"));

    let env = [("SESSION_SECRET", SECRET), ("APP_URL", "https://app.example")];
    let mut doctor = Process::start("doctor", &["doctor", "--json"], &env);
    assert_eq!(doctor.code(), 0, "{}", doctor.said());
    let report: serde_json::Value = serde_json::from_str(&doctor.printed()).unwrap();
    let check = |name: &str| {
        report["findings"].as_array().unwrap().iter().find(|f| f["check"] == name).unwrap().clone()
    };
    assert_eq!((&check("secret")["verdict"], &check("sign-in")["verdict"]), (&"ok".into(), &"warn".into()));
    assert_eq!((&check("ledger")["verdict"], &check("click")["verdict"]), (&"ok".into(), &"ok".into()));
    assert!(!doctor.printed().contains(SECRET));
    let half =
        [env[0], env[1], ("CLICK_SERVICE_ID", "12345"), ("SESSILE_WEBHOOK_URL", "http://app.example/")];
    let half = [&half[..], &[("SESSILE_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]].concat();
    let mut doctor = Process::start("doctor-half", &["doctor"], &half);
    assert_eq!(doctor.code(), 1, "a webhook in the clear is refused");
    let said = doctor.printed();
    assert!(
        said.contains("by half") && said.contains("CLICK_SECRET_KEY") && said.contains("https://"),
        "{said}"
    );
    assert!(!said.contains("MfKQ9r8GKYqr"), "{said}");
    let mut broken = Process::start("doctor-broken", &["doctor"], &[]);
    assert_eq!(broken.code(), 1);
    assert!(broken.printed().contains("FAIL") && broken.printed().contains("SESSION_SECRET"));

    let mut sweep = Process::start("sweep", &["sweep", "--once"], &env);
    let nothing = "removed 0 expired sessions\nexpired 0 checkouts and 0 payments, removed 0 checkouts\n";
    assert_eq!((sweep.code(), sweep.printed().as_str()), (0, nothing));
    let mut sql = Process::start("sql", &["migrate", "--print-sql"], &env);
    assert_eq!(sql.code(), 0);
    assert!(sql.printed().contains("CREATE TABLE IF NOT EXISTS users"));
    let mut usage = Process::start("usage", &["bogus"], &[]);
    assert_eq!(usage.code(), 2);
}

#[test]
fn a_worker_works_without_listening_and_stops_when_it_is_asked() {
    let port = free_port();
    let text = port.to_string();
    let env = [("SESSION_SECRET", SECRET), ("HOST", "127.0.0.1"), ("PORT", text.as_str())];
    let mut worker = Process::start("worker", &["worker"], &env);
    worker.wait_until("working", |this| this.said().contains("working"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it does not listen");
    worker.terminate();
    assert_eq!(worker.code(), 0, "{}", worker.said());
    assert!(worker.said().contains("stopped"));
    let bad = [("SESSILE_WEBHOOK_URL", "https://app.example/"), ("SESSILE_WEBHOOK_SECRET", "hunter2")];
    let mut refused = Process::start("worker-refused", &["worker"], &[&env[..], &bad].concat());
    assert_eq!(refused.code(), 2, "{}", refused.said());
    assert!(refused.said().contains("SESSILE_WEBHOOK_SECRET") && !refused.said().contains("hunter2"));
}
