//! The commands for people and for machines: what each prints as JSON, how it ends, and that keys rotate.

use crate::world::SECRET;
use sessile::LoginStore as _;
use sessile_core::login::{LoginData, LoginId, Lookup, NewLogin};
use sessile_core::whatsapp::{Changes, DeviceId, DeviceStore as _, KeyKind, Opening, OwnerId, Vault};
use sessile_core::{Clock, OsEntropy, SealingKeys, SystemClock};
use sessile_store::sqlite::SqliteLogins;
use sessile_store::whatsapp::{SqliteDevices, TokioPace};
use sessile_store::{Choice, LoginOptions};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

const OLD: &str = "old:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "new:f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Where a session keeps its sealed refresh token, and what the seal is bound to.
const TOKEN: &str = "whopRefreshToken";

fn run(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sessile"))
        .args(args)
        .env_clear()
        .env("SESSILE_DATA_DIR", folder)
        .env("SESSION_SECRET", SECRET)
        .envs(env.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&printed).unwrap_or_else(|error| {
        panic!("{error} in {printed:?}; it said {}", String::from_utf8_lossy(&output.stderr))
    })
}

/// An exit code, the arguments and the settings that lead to it.
type Case<'a> = (i32, &'a [&'a str], &'a [(&'a str, &'a str)]);

/// The exit codes are those of docs/OPERATIONS.md, whatever the command.
#[test]
fn commands_end_with_the_documented_codes() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}", folder.path().join("missing.db").display());
    let here = format!("sqlite:{}", folder.path().join("sessile.db").display());
    let away = "postgresql://u:hunter2@127.0.0.1:1/d";
    let cases: &[Case<'_>] = &[
        (0, &["--help"], &[]),
        (0, &["--version"], &[]),
        (0, &["completions", "fish"], &[]),
        (0, &["sweep", "--once", "--json"], &[]),
        (0, &["migrate", "up"], &[]),
        (0, &["migrate", "status", "--json"], &[]),
        (0, &["audit", "verify", "--json"], &[]),
        (0, &["doctor", "--json"], &[]),
        // There is no such row; a store does not answer; a check failed.
        (1, &["inspect", "nothing"], &[]),
        (1, &["sweep", "--once"], &[("DATABASE_URL", away)]),
        (1, &["migrate", "status"], &[("DATABASE_URL", away)]),
        (1, &["audit", "verify"], &[("DATABASE_URL", "memory:"), ("SESSILE_ALLOW_EPHEMERAL", "1")]),
        (1, &["doctor"], &[("DATABASE_URL", away)]),
        // Asked for wrongly.
        (2, &["bogus"], &[]),
        (2, &["sweep"], &[]),
        (2, &["serve"], &[("PORT", "http")]),
        (2, &["completions", "tcsh"], &[]),
        (2, &["keys", "rotate"], &[]),
        (2, &["copy", "--from", &here], &[]),
        (2, &["copy", "--from", &here, "--to", &here], &[]),
        (2, &["copy", "--from", &here, "--to", "memory:"], &[]),
        (1, &["copy", "--from", &missing, "--to", &here], &[]),
        (2, &["copy", "--from", "mysql://u:hunter2@h/d", "--to", &here], &[]),
        (1, &["copy", "--from", away, "--to", &here], &[]),
    ];
    for (code, args, env) in cases {
        let output = run(folder.path(), args, env);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{args:?} {env:?}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("panicked"), "{args:?}: {said}");
    }
}

#[test]
fn machines_are_answered_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let swept = json(&run(folder.path(), &["sweep", "--once", "--json"], &[]));
    assert_eq!((&swept["sessions_removed"], &swept["payments_expired"]), (&0.into(), &0.into()));
    let tables = json(&run(folder.path(), &["migrate", "status", "--json"], &[]));
    assert_eq!(
        (&tables["tables"][0]["kind"], &tables["tables"][0]["current"]),
        (&"login".into(), &true.into())
    );
    let audit = json(&run(folder.path(), &["audit", "verify", "--json"], &[]));
    assert_eq!((&audit["ok"], &audit["rows"]), (&true.into(), &0.into()));
    let doctor = json(&run(folder.path(), &["doctor", "--json"], &[]));
    assert!(doctor["findings"].as_array().is_some_and(|found| found.len() > 5), "{doctor}");
    let from = format!("sqlite:{}", folder.path().join("sessile.db").display());
    let to = format!("sqlite:{}", folder.path().join("other.db").display());
    let copied = run(folder.path(), &["copy", "--json", "--kind", "all", "--from", &from, "--to", &to], &[]);
    let text = String::from_utf8(copied.stdout).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends = lines.iter().filter(|line| line["step"] == "end" && line["agree"] == true).count();
    // Nobody has paid jobs or devices here: those kinds have no tables, and that is no failure.
    assert_eq!((copied.status.code(), ends), (Some(0), 2), "{text}");
    assert_eq!(lines.iter().filter(|line| line["step"] == "skipped").count(), 2, "{text}");
}

fn keys(list: &str) -> SealingKeys {
    SealingKeys::parse(list).unwrap()
}

async fn sealed_session(store: &SqliteLogins, sealed: &str) -> LoginId {
    let id = LoginId::generate(&OsEntropy).unwrap();
    let mut data =
        LoginData::parse(r#"{"cookie":{"originalMaxAge":3600000},"userId":"u1","n":1.0}"#).unwrap();
    data.set(TOKEN, sealed).unwrap();
    let now = SystemClock.now();
    let login = NewLogin { id: id.clone(), data, expires_at: now.plus(Duration::from_secs(3600)) };
    store.create(login, now).await.unwrap();
    id
}

async fn token(store: &SqliteLogins, id: &LoginId) -> String {
    let Lookup::Live(stored) = store.load(id, SystemClock.now()).await.unwrap() else { panic!("it lives") };
    assert!(stored.data.to_json().contains(r#""n":1.0"#), "the rest stays byte for byte");
    stored.data.get(TOKEN).unwrap().unwrap()
}

async fn paired(path: &Path, device: &str) -> Vault {
    let opening = Opening {
        store: Arc::new(SqliteDevices::open(path, Choice::Yes).unwrap()),
        keys: keys(OLD),
        device: DeviceId::parse(device).unwrap(),
        owner: OwnerId::generate(&OsEntropy).unwrap(),
        clock: Arc::new(SystemClock),
        pace: Arc::new(TokioPace::start()),
        entropy: Arc::new(OsEntropy),
    };
    let vault = Vault::open(opening).await.unwrap();
    let puts = vec![(KeyKind::Session, b"k".to_vec(), b"v".to_vec())];
    vault.commit(Changes { credentials: Some(b"me".to_vec()), puts, ..Changes::default() }).await.unwrap();
    vault
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_under_an_old_key_is_sealed_anew_and_the_old_key_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let url = format!("sqlite:{}", path.display());
    let store = SqliteLogins::open(&path, &LoginOptions::default()).unwrap();
    let old = keys(OLD).seal(TOKEN, b"refresh me", &OsEntropy).unwrap();
    let (first, second) = (sealed_session(&store, &old).await, sealed_session(&store, &old).await);
    let lost = keys(&NEW.replace("new", "lost")).seal(TOKEN, b"x", &OsEntropy).unwrap();
    let third = sealed_session(&store, &lost).await;
    let (idle, busy) = (paired(&path, "idle").await, paired(&path, "busy").await);
    idle.release().await;

    let list = format!("{NEW},{OLD}");
    let env = [("DATABASE_URL", url.as_str()), ("SESSILE_SEALING_KEY", list.as_str()), ("CLIENT_ID", "idle")];
    let env = [&env[..], &[("SESSILE_WHATSAPP_STORE", "database")]].concat();
    let output = run(folder.path(), &["keys", "rotate", "--json"], &env);
    let told = json(&output);
    assert_eq!(output.status.code(), Some(1), "something is left: {told}");
    let tokens = &told["refresh_tokens"];
    assert_eq!(
        (&tokens["met"], &tokens["anew"], &tokens["left"]["lost"]),
        (&3.into(), &2.into(), &1.into()),
        "{told}"
    );
    let devices = &told["devices"];
    assert_eq!(
        (&devices["met"], &devices["anew"], &devices["left"]["old"]),
        (&2.into(), &1.into(), &1.into()),
        "{told}"
    );
    assert!(devices["reasons"][0].as_str().unwrap().contains("busy"), "{told}");
    assert_eq!(told["may_be_dropped"], serde_json::json!([]), "a device still needs it");

    for id in [&first, &second] {
        let anew = token(&store, id).await;
        assert!(anew.starts_with("s1.new."), "{anew}");
        assert_eq!(&**keys(NEW).open(TOKEN, &anew).unwrap(), b"refresh me");
    }
    assert_eq!(token(&store, &third).await, lost, "what nobody can open is kept as it is");

    // The device that was in use is let go: now the old key may go too, and the device opens without it.
    busy.release().await;
    let told = json(&run(folder.path(), &["keys", "rotate", "--json"], &env));
    assert_eq!(
        (&told["may_be_dropped"], &told["devices"]["anew"]),
        (&serde_json::json!(["old"]), &1.into()),
        "{told}"
    );
    let devices = SqliteDevices::open(&path, Choice::No).unwrap();
    for head in devices.list().await.unwrap() {
        assert!(keys(NEW).is_newest(head.wrapped_key.as_deref().unwrap()), "{head:?}");
    }
    let said = run(folder.path(), &["keys", "rotate"], &env);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("1 are left under `lost`") && said.contains("may be dropped"), "{said}");
    assert!(!said.contains("0001020304") && !said.contains("refresh me"), "{said}");
}
