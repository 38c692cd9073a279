//! A process that writes is killed: at every commit point one after the other, and at random moments. What it had been told
//! is durable is there, and nothing is half there.
//!
//! The writer is this test program again, told to run one test that is ignored otherwise.

use crate::given::{device, key, owner, step};
use sessile_core::SystemClock;
use sessile_core::whatsapp::{DeviceStore as _, LEASE_TTL, Wanted};
use sessile_store::whatsapp::FileDevices;
use sessile_store::whatsapp::file::Keep;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const FOLDER: &str = "SESSILE_TEST_WRITER_FOLDER";
const STEPS: &str = "SESSILE_TEST_WRITER_STEPS";
const ABORT_AT: &str = "SESSILE_TEST_ABORT_AT";
/// More commit points than the writer has.
const POINTS_MAX: u64 = 500;
const KILLS: u64 = 25;
const KILLS_LONG: u64 = 200;

fn store(folder: &Path) -> FileDevices {
    FileDevices::open(folder, Arc::new(SystemClock), Keep::State).unwrap()
}

/// Takes steps, and says each time what it was told.
#[tokio::test]
#[ignore = "the writer that the tests here start and kill"]
async fn writer() {
    let folder = std::env::var(FOLDER).unwrap();
    let count: u64 = std::env::var(STEPS).unwrap().parse().unwrap();
    let store = store(folder.as_ref());
    let acquired = store.acquire(&device(), &owner("writer"), LEASE_TTL).await.unwrap();
    let first = acquired.head.version.0 + 1;
    for version in first..first + count {
        let mut next = step(acquired.epoch.0, version);
        // Large enough that a longer run folds the journal.
        next.puts[1].value = vec![u8::try_from(version % 256).unwrap(); 20_000].into();
        store.commit_step(&device(), &next).await.unwrap();
        println!("\ntold {version}");
    }
    store.want(&device(), Wanted::Stopped).await.unwrap();
    println!("\nstopped");
    store.renew(&device(), acquired.epoch, LEASE_TTL).await.unwrap();
    store.release(&device(), acquired.epoch).await.unwrap();
}

fn start(folder: &Path, steps: u64, abort_at: Option<u64>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::writer", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env(STEPS, steps.to_string());
    if let Some(point) = abort_at {
        command.env(ABORT_AT, point.to_string());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What the writer was told last.
fn told(line: &str, last: &mut u64) {
    if let Some(version) = line.strip_prefix("told ") {
        *last = version.parse().unwrap();
    }
}

/// Everything that was confirmed is there, and at most one step more.
async fn check(folder: &Path, told: u64, what: &str) -> u64 {
    let state = store(folder).load(&device()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let version = state.as_ref().map_or(0, |state| state.head.version.0);
    assert!((told..=told + 1).contains(&version), "{what}: told {told}, found {version}");
    if let Some(state) = state.filter(|_| version > 0) {
        let counter = state.rows.iter().find(|row| row.key == key(0)).unwrap();
        assert_eq!(*counter.value, *format!("counter {version}").as_bytes(), "{what}");
    }
    version
}

#[tokio::test]
async fn killed_at_every_commit_point() {
    let mut points = 0;
    for point in 1..POINTS_MAX {
        let folder = tempfile::tempdir().unwrap();
        // A first run in peace, so that the second meets files that are there.
        let first = if point % 2 == 0 {
            start(folder.path(), 1, None).wait_with_output().unwrap()
        } else {
            Command::new("true").output().unwrap()
        };
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
        let before = check(folder.path(), u64::from(point % 2 == 0), "before").await;
        let output = start(folder.path(), 3, Some(point)).wait_with_output().unwrap();
        let mut last = before;
        String::from_utf8_lossy(&output.stdout).lines().for_each(|line| told(line, &mut last));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            points = point - 1;
            break;
        }
        assert!(errors.contains("failpoint"), "point {point}: {errors}");
        let version = check(folder.path(), last, &format!("point {point}: {errors}")).await;
        // And it goes on from there.
        let again = start(folder.path(), 1, None).wait_with_output().unwrap();
        assert!(again.status.success(), "point {point}: {}", String::from_utf8_lossy(&again.stderr));
        check(folder.path(), version + 1, &format!("point {point}, afterwards")).await;
    }
    println!("{points} commit points");
    assert!(points > 30, "only {points} commit points were met");
}

#[tokio::test]
async fn killed_at_random_moments() {
    let kills = if std::env::var_os("SESSILE_TEST_LONG").is_some() { KILLS_LONG } else { KILLS };
    let folder = tempfile::tempdir().unwrap();
    let mut version = 0;
    let mut random = u64::from(std::process::id()) | 1;
    for kill in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut writer = start(folder.path(), 1_000_000, None);
        let (mut last, steps) = (version, random % 40);
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            told(&line.unwrap(), &mut last);
            if last >= version + steps {
                break;
            }
        }
        writer.kill().unwrap();
        // What it managed to say before it died counts, too.
        lines.map_while(Result::ok).for_each(|line| told(&line, &mut last));
        writer.wait().unwrap();
        version = check(folder.path(), last, &format!("kill {kill}")).await;
    }
    assert!(version > kills, "{version} steps in {kills} lives");
    println!("{kills} kills, {version} steps, none lost");
}
