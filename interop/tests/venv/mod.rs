//! Python with packages of PyPI, in a temporary folder that goes with the test. Nothing of the packages is kept.

use crate::load::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// How long the packages may take to come.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);

/// A virtual environment.
#[derive(Debug)]
pub(crate) struct Venv {
    folder: TempDir,
}

impl Venv {
    /// Installs what `FOLDER/requirements.txt` in `interop/` names.
    pub(crate) async fn of(folder: &str) -> Outcome<Self> {
        let wanted = ours(folder, "requirements.txt");
        let place = tempfile::Builder::new().prefix(&format!("sessile-{folder}-")).tempdir()?;
        let home = place.path().join("venv");
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&home)).await;
        check(made, "Python 3 with venv is needed: run `apt-get install python3-venv`")?;
        let mut pip = Command::new(home.join("bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]);
        let installed = run(pip.arg("--requirement").arg(&wanted)).await;
        let advice =
            format!("{folder} could not be installed: this test needs the network and https://pypi.org");
        check(installed, &advice)?;
        Ok(Self { folder: place })
    }

    /// One of its programs, such as `python`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.path().join("venv/bin").join(name)
    }
}

/// A file of ours for one of the packages.
pub(crate) fn ours(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
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
