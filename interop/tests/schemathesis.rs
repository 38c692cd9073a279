//! A tester that we did not write, PyPI's `schemathesis`, reads the description at `/openapi.json` and asks every route
//! with what fits it and with what does not: as a stranger, as somebody signed in, as a trusted backend and as the
//! operator. No answer is a mistake of the server, and none is one that is not described.
//!
//! Which checks run, and what is left to other tests, stands in `interop/schemathesis/schemathesis.toml`.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[expect(dead_code, reason = "each test uses its part of the shared shop")]
#[path = "shop/server.rs"]
mod server;
mod venv;
#[expect(dead_code, reason = "each test uses its part of the shared world")]
mod whole;

use load::Outcome;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use venv::{Venv, ours};
use whole::Whole;

/// The folder of what is ours, and of what is to be installed.
const FOLDER: &str = "schemathesis";
/// Every run asks the same.
const SEED: &str = "20261127";
/// Made-up requests for each route, beside those that try each bound of what is described.
const EXAMPLES_MAX: &str = "2";
/// How long one caller's run may take on a machine that does other things too; alone it takes half a minute.
const RUN_LIMIT: Duration = Duration::from_secs(300);
/// For whoever is known by a cookie.
const COOKIE: &[&str] = &["negative_data_rejection,ignored_auth"];
/// Lines of its report that are shown when it found something.
const LINES_SHOWN: usize = 150;

/// Who asks.
struct Caller {
    name: &'static str,
    header: Option<String>,
    /// Routes that would end what the caller is.
    spared: &'static [&'static str],
    /// Checks that send a request without what names the caller, which is put back into every request here.
    unchecked: &'static [&'static str],
}

async fn callers(whole: &Whole) -> Outcome<[Caller; 4]> {
    let bearer = |token: &str| Some(format!("Authorization: Bearer {token}"));
    let signed_in = format!("Cookie: {}", whole.sign_in().await?);
    Ok([
        Caller { name: "a stranger", header: None, spared: &[], unchecked: &[] },
        Caller {
            name: "somebody signed in",
            header: Some(signed_in),
            spared: &["/logout"],
            unchecked: COOKIE,
        },
        Caller { name: "a backend", header: bearer(&whole.api_key), spared: &[], unchecked: &[] },
        Caller { name: "the operator", header: bearer(&whole.admin_token), spared: &[], unchecked: &[] },
    ])
}

/// Asks everything as one of them; what it found, if it found something.
async fn asked_by(caller: &Caller, whole: &Whole, venv: &Venv) -> Outcome<Option<String>> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(venv.program("schemathesis"));
    command.arg("--config-file").arg(ours(FOLDER, "schemathesis.toml")).arg("run");
    command.arg(format!("{}/openapi.json", whole.home));
    command.args(["--seed", SEED, "--max-examples", EXAMPLES_MAX, "--workers", "1", "--no-color"]);
    command.args(caller.header.iter().flat_map(|header| ["--header", header.as_str()]));
    command.args(caller.spared.iter().flat_map(|path| ["--exclude-path", *path]));
    command.args(caller.unchecked.iter().flat_map(|check| ["--exclude-checks", *check]));
    command.current_dir(folder.path()).env("HOME", folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(RUN_LIMIT, command.output())
        .await
        .map_err(|_| format!("the run as {} took longer than {RUN_LIMIT:?}", caller.name))??;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    keep(caller.name, &said)?;
    let lines: Vec<&str> = said.lines().collect();
    let summary = lines.iter().filter(|line| line.contains("generated") || line.contains("Operations:"));
    println!("as {}: {}", caller.name, summary.map(|line| line.trim()).collect::<Vec<_>>().join("; "));
    let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
    Ok((!output.status.success()).then(|| format!("as {}:\n{shown}", caller.name)))
}

/// The whole report stays with the run's output.
fn keep(name: &str, said: &str) -> Outcome {
    let Some(output) = std::env::var_os("SESSILE_TEST_OUTPUT") else { return Ok(()) };
    let name = format!("schemathesis-{}.txt", name.replace(' ', "-"));
    Ok(std::fs::write(PathBuf::from(output).join(name), said)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_is_described() -> Outcome {
    let (whole, venv) = tokio::try_join!(Whole::open("schemathesis"), Venv::of(FOLDER))?;
    let began = Instant::now();
    let mut found = Vec::new();
    let long = std::env::var_os("SESSILE_TEST_LONG").is_some();
    for caller in callers(&whole).await? {
        // Those who may the least and the most, in the usual run.
        if !long && !matches!(caller.name, "a stranger" | "the operator") {
            continue;
        }
        found.extend(asked_by(&caller, &whole, &venv).await?);
    }
    println!("they asked for {:?}", began.elapsed());
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    Ok(())
}
