//! Python with the package, and what we ask it.

use crate::load::Outcome;
use crate::venv::{Venv, ours};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;

/// The folder of what is ours, and of what is to be installed.
const FOLDER: &str = "paytechuz";
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
    venv: Venv,
}

impl Python {
    /// Installs what `requirements.txt` names, once for all tests that run side by side.
    pub(crate) async fn with_packages() -> Outcome<Arc<Self>> {
        static INSTALLED: Mutex<Weak<Python>> = Mutex::const_new(Weak::new());
        let mut installed = INSTALLED.lock().await;
        if let Some(python) = installed.upgrade() {
            return Ok(python);
        }
        let python = Arc::new(Self { venv: Venv::of(FOLDER).await? });
        *installed = Arc::downgrade(&python);
        Ok(python)
    }

    /// Asks the package.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Outcome<Answer> {
        let mut child = Command::new(self.venv.program("python"))
            .arg(ours(FOLDER, "click.py"))
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
