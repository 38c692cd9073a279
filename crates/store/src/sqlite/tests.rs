//! What only a file can do wrong: permissions, other processes, other programs' files, stopping.

use super::*;
use crate::options::Choice;
use sessile_core::OsEntropy;
use sessile_core::login::LoginData;
use std::sync::Barrier;
use std::task::{Context, Waker};

const NOW: Timestamp = Timestamp::from_unix_ms(1_900_000_000_000);

fn login() -> NewLogin {
    let id = LoginId::generate(&OsEntropy).unwrap();
    NewLogin { id, data: LoginData::parse(r#"{"cookie":{},"k":1}"#).unwrap(), expires_at: Timestamp::FAR }
}

fn refusal(path: &Path, options: &LoginOptions) -> String {
    SqliteLogins::open(path, options).err().unwrap().to_string()
}

#[tokio::test]
async fn sixteen_processes_start_on_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeper").join("sessile.db");
    let gate = Barrier::new(16);
    let stores: Vec<SqliteLogins> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    gate.wait();
                    SqliteLogins::open(&path, &LoginOptions::default()).unwrap()
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    // Each writes, and each sees what the others wrote.
    let mut ids = Vec::new();
    for store in &stores {
        let login = login();
        ids.push(login.id.clone());
        store.create(login, NOW).await.unwrap();
    }
    for (store, id) in stores.iter().zip(ids.iter().rev()) {
        assert!(matches!(store.load(id, NOW).await.unwrap(), Lookup::Live(_)));
    }
}

#[tokio::test]
async fn dropping_the_store_finishes_what_was_accepted_and_folds_the_log_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let store = Arc::new(SqliteLogins::open(&path, &LoginOptions::default()).unwrap());
    let logins: Vec<NewLogin> = (0..50).map(|_| login()).collect();
    for login in &logins {
        let (store, login) = (store.clone(), login.clone());
        // Asked once, and then given up: the asker is gone before its answer.
        let mut ask = Box::pin(async move { store.create(login, NOW).await });
        drop(ask.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    }
    drop(store);
    assert!(!path.with_extension("db-wal").exists(), "the last one to close folds the log into the file");
    let store = SqliteLogins::open(&path, &LoginOptions::default()).unwrap();
    for login in logins {
        assert!(matches!(store.load(&login.id, NOW).await.unwrap(), Lookup::Live(_)));
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone_and_holds_no_id() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = SqliteLogins::open(&path, &LoginOptions::default()).unwrap();
    let login = login();
    let id = login.id.clone();
    runtime.block_on(store.create(login, NOW)).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", path.display());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes.windows(id.expose().len()).any(|part| part == id.expose().as_bytes()),
            "{file} shows an id"
        );
    }
}

#[test]
fn other_files_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let options = LoginOptions::default();
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database at all, but long enough to be taken for one at first sight".repeat(9),
    )
    .unwrap();
    assert!(refusal(&text, &options).contains("name another file"));
    assert!(refusal(folder.path(), &options).contains("cannot be opened"));

    let newer = folder.path().join("newer.db");
    SqliteLogins::open(&newer, &options).unwrap().close();
    rusqlite::Connection::open(&newer)
        .unwrap()
        .execute("UPDATE sessile_schema SET version = 99", [])
        .unwrap();
    let said = refusal(&newer, &options);
    assert!(said.contains("version 99") && said.contains("update the program"), "{said}");

    let missing = folder.path().join("missing.db");
    let existing_only = LoginOptions { create: Choice::No, ..options.clone() };
    assert!(refusal(&missing, &existing_only).contains("check that the folder exists"));
    let bad_name = LoginOptions { table: Some("a;b".to_owned()), ..options };
    assert!(refusal(&missing, &bad_name).contains("letters, digits and underscores"));
}

#[tokio::test]
async fn several_tables_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let named = |name: &str| LoginOptions { table: Some(name.to_owned()), ..LoginOptions::default() };
    let (a, b) =
        (SqliteLogins::open(&path, &named("a")).unwrap(), SqliteLogins::open(&path, &named("b")).unwrap());
    let login = login();
    a.create(login.clone(), NOW).await.unwrap();
    assert!(matches!(b.load(&login.id, NOW).await.unwrap(), Lookup::Absent(_)));
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let store = SqliteLogins::open(&path, &LoginOptions::default()).unwrap();
    let first = login();
    store.create(first.clone(), NOW).await.unwrap();
    // SQLite's own limit on pages fails in the same way as a disk that is full.
    store.write(|desk| desk.db.pragma_update(None, "max_page_count", 20).map(Ok)).await.unwrap();
    let mut full = None;
    for _ in 0..2000 {
        if let Err(error) = store.create(login(), NOW).await {
            full = Some(error);
            break;
        }
    }
    let StoreError::Unavailable(why) = full.unwrap() else { panic!("a full disk is no refusal") };
    assert!(why.to_string().contains("free some space"), "{why}");
    assert!(matches!(store.load(&first.id, NOW).await.unwrap(), Lookup::Live(_)));
    store.write(|desk| desk.db.pragma_update(None, "max_page_count", 1_000_000).map(Ok)).await.unwrap();
    store.create(login(), NOW).await.unwrap();
}

#[tokio::test]
async fn one_failing_change_does_not_fail_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteLogins::open(&folder.path().join("sessile.db"), &LoginOptions::default()).unwrap();
    let good = [login(), login()];
    let bad = store.write::<()>(|desk| {
        desk.db.execute("DELETE FROM sessile_login", [])?;
        desk.db.execute("INSERT INTO nowhere VALUES (1)", []).map(|_| Ok(()))
    });
    let (a, bad, b) =
        tokio::join!(store.create(good[0].clone(), NOW), bad, store.create(good[1].clone(), NOW));
    assert!(a.is_ok() && b.is_ok() && matches!(bad, Err(StoreError::Unavailable(_))), "{bad:?}");
    for login in good {
        let found = store.load(&login.id, NOW).await.unwrap();
        assert!(matches!(found, Lookup::Live(_)), "what the failing change had done was kept: {found:?}");
    }
}

#[tokio::test]
async fn a_file_that_another_process_locks_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let store = SqliteLogins::open(&path, &LoginOptions::default()).unwrap();
    store.write(|desk| desk.db.busy_timeout(std::time::Duration::from_millis(20)).map(Ok)).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let Err(StoreError::Unavailable(why)) = store.create(login(), NOW).await else { panic!("it is locked") };
    assert!(why.to_string().contains("another process holds its lock"), "{why}");
    other.execute_batch("ROLLBACK").unwrap();
    store.create(login(), NOW).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_sweep_by_one_process_lets_the_writes_of_another_through() {
    const ROWS: u64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let [sweeping, serving] =
        [(); 2].map(|()| Arc::new(SqliteLogins::open(&path, &LoginOptions::default()).unwrap()));
    let fill = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})
         INSERT INTO sessile_login (sid, sess, expires_at, seen_at, version)
         SELECT 'expired-' || n, '{{}}', n, 0, 1 FROM numbers"
    );
    rusqlite::Connection::open(&path).unwrap().execute_batch(&fill).unwrap();
    let sweepers = [(); 2].map(|()| {
        let store = sweeping.clone();
        tokio::spawn(async move {
            let mut removed = 0;
            loop {
                let swept = store.sweep(NOW, 1000).await.unwrap();
                removed += swept.removed;
                if !swept.more {
                    return removed;
                }
            }
        })
    });
    let mut slowest = std::time::Duration::ZERO;
    while !sweepers.iter().all(tokio::task::JoinHandle::is_finished) {
        let began = std::time::Instant::now();
        serving.create(login(), NOW).await.unwrap();
        slowest = slowest.max(began.elapsed());
    }
    let mut removed = 0;
    for sweeper in sweepers {
        removed += sweeper.await.unwrap();
    }
    assert_eq!(removed, ROWS);
    // Without any manners it takes as long as the sweep does, or ends unanswered.
    assert!(slowest < std::time::Duration::from_millis(500), "a write waited {slowest:?}");
}
