//! Python with the package, in a temporary folder that goes with the test. Nothing of the package is kept.

use crate::load::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;

/// How long the packages may take to come.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// The interpreter, in its folder.
const PROGRAM: &str = "venv/bin/python";
/// How long one question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// What the package is asked.
#[derive(Debug, Serialize)]
pub(crate) struct Question<'a> {
    pub(crate) service_id: &'a str,
    pub(crate) merchant_id: &'a str,
    pub(crate) secret_key: &'a str,
    pub(crate) order: &'a str,
    pub(crate) amount: i64,
    pub(crate) return_url: &'a str,
    pub(crate) messages: &'a [BTreeMap<String, String>],
}

/// What it says.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) link: String,
    pub(crate) heard: Vec<Heard>,
}

/// What its webhook handler made of one message.
#[derive(Debug, Deserialize)]
pub(crate) struct Heard {
    /// The fields that it looked at.
    pub(crate) asked: Vec<String>,
    pub(crate) answer: Value,
}

impl Heard {
    pub(crate) fn error(&self) -> i64 {
        self.answer["error"].as_i64().unwrap_or(i64::MIN)
    }
}

/// An interpreter with the packages; its folder goes with the last test that uses it.
#[derive(Debug)]
pub(crate) struct Python {
    folder: TempDir,
}

impl Python {
    /// Installs what `requirements.txt` names, once for all tests that run side by side.
    pub(crate) async fn with_packages() -> Outcome<Arc<Self>> {
        static INSTALLED: Mutex<Weak<Python>> = Mutex::const_new(Weak::new());
        let mut installed = INSTALLED.lock().await;
        if let Some(python) = installed.upgrade() {
            return Ok(python);
        }
        let python = Arc::new(install().await?);
        *installed = Arc::downgrade(&python);
        Ok(python)
    }

    /// Asks the package.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Outcome<Answer> {
        let mut child = Command::new(self.folder.path().join(PROGRAM))
            .arg(ours("click.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no standard input")?;
        input.write_all(&serde_json::to_vec(question)?).await?;
        drop(input);
        let output = tokio::time::timeout(ANSWER_LIMIT, child.wait_with_output()).await??;
        if !output.status.success() {
            return Err(format!("click.py failed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("paytechuz").join(name)
}

async fn install() -> Outcome<Python> {
    let folder = tempfile::Builder::new().prefix("sessile-paytechuz-").tempdir()?;
    let home = folder.path().join("venv");
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&home)).await;
    let advice = "Python 3 with venv is needed: run `apt-get install python3-venv`";
    check(made, advice)?;
    let mut pip = Command::new(home.join("bin/pip"));
    pip.args(["install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"]);
    let installed = run(pip.arg("--requirement").arg(ours("requirements.txt"))).await;
    check(installed, "paytechuz could not be installed: this test needs the network and https://pypi.org")?;
    Ok(Python { folder })
}

async fn run(command: &mut Command) -> Outcome<Output> {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    Ok(tokio::time::timeout(INSTALL_LIMIT, run).await??)
}

fn check(ran: Outcome<Output>, advice: &str) -> Outcome {
    match ran {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Err(format!("{advice}. It said:\n{}", String::from_utf8_lossy(&said)).into())
        }
        Err(error) => Err(format!("{advice} ({error})").into()),
    }
}
