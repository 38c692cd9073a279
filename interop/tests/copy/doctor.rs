//! `sessile doctor` in front of real servers that are not as they should be: each finding is provoked, and what it says to run
//! mends it.

use super::program::{Outcome, program};
use serde_json::Value;
use sessile_interop::servers::{Persistence, PgBouncer, Postgres, Redis};
use std::path::Path;
use tokio::process::Command;

/// Runs a command of the program; answers its exit code and what it printed.
async fn run(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Outcome<(Option<i32>, String)> {
    let output = Command::new(program().await?)
        .args(args)
        .env_clear()
        .env("SESSILE_DATA_DIR", folder)
        .env("SESSION_SECRET", "kW3vQ9xTz0Lr7YbN5pHc2MfJ8sGdA4eU")
        .envs(env.iter().copied())
        .current_dir(folder)
        .output()
        .await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

/// What the doctor found: all findings of one check.
async fn found(folder: &Path, env: &[(&str, &str)], check: &str) -> Outcome<Vec<(String, String)>> {
    let (_, text) = run(folder, &["doctor", "--json"], env).await?;
    let report: Value = serde_json::from_str(&text)?;
    let findings = report["findings"].as_array().ok_or("findings")?;
    let pair = |finding: &Value| {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        (text("verdict"), text("what"))
    };
    Ok(findings.iter().filter(|finding| finding["check"] == check).map(pair).collect())
}

/// One finding that there has to be.
async fn one(folder: &Path, env: &[(&str, &str)], check: &str, verdict: &str, part: &str) -> Outcome<String> {
    let all = found(folder, env, check).await?;
    let hit = all.iter().find(|(is, what)| is == verdict && what.contains(part));
    let (_, what) = hit.ok_or_else(|| format!("no {verdict} of `{check}` with `{part}` in {all:?}"))?;
    Ok(what.clone())
}

pub(crate) async fn on_postgres() -> Outcome {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    let env = [("DATABASE_URL", url.as_str())];
    let at = folder.path();
    one(at, &env, "store", "ok", "is made at the first start").await?;
    one(at, &env, "pooler", "ok", "none").await?;
    assert_eq!(run(at, &["migrate", "up"], &env).await?.0, Some(0));
    one(at, &env, "indexes", "ok", "every look-up has one").await?;
    one(at, &env, "clock", "ok", "agree").await?;

    // Somebody was here: what the findings say to run mends it.
    postgres
        .execute("drop index \"IDX_session_expire\"; alter table session_ended disable row level security")
        .await?;
    postgres.execute("alter role sessile set TimeZone to 'Asia/Tashkent'").await?;
    let missing = one(at, &env, "indexes", "warn", "create index concurrently on").await?;
    let exposed =
        one(at, &env, "row security", "warn", "\"session_ended\" enable row level security").await?;
    one(at, &env, "time zone", "warn", "set TimeZone to 'UTC'").await?;
    for statement in [&missing, &exposed] {
        let sql = statement.split_once("run: ").ok_or("what to run")?.1;
        postgres.execute(sql).await?;
    }
    postgres.execute("alter role sessile set TimeZone to 'UTC'").await?;
    one(at, &env, "indexes", "ok", "every look-up has one").await?;
    assert!(!found(at, &env, "row security").await?.iter().any(|(verdict, _)| verdict == "warn"));
    assert_eq!(found(at, &env, "time zone").await?, []);

    // A table that only looks like ours.
    postgres.execute("create table wrong (sid text primary key, sess text, expire timestamptz)").await?;
    let wrong = [env[0], ("SESSILE_LOGIN_TABLE", "wrong")];
    one(at, &wrong, "store", "fail", "choose another table with SESSILE_LOGIN_TABLE").await?;

    let bouncer = PgBouncer::start(&postgres).await?;
    let pooled = bouncer.url();
    let pooled = [("DATABASE_URL", pooled.as_str())];
    one(at, &pooled, "pooler", "ok", "transaction mode").await?;
    drop(postgres);
    let (code, said) = run(at, &["doctor"], &env).await?;
    assert!(code == Some(1) && said.contains("does not answer"), "{said}");
    Ok(())
}

pub(crate) async fn on_redis() -> Outcome {
    let folder = tempfile::tempdir()?;
    let redis = Redis::start_with(Persistence::EveryWrite).await?;
    let url = redis.url();
    let env = [("SESSILE_LOGIN_STORE", url.as_str())];
    let at = folder.path();
    one(at, &env, "redis", "ok", "noeviction, appendonly").await?;
    one(at, &env, "clock", "ok", "Redis agree").await?;
    let client = redis::Client::open(url.as_str())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    for (name, value, part) in [
        ("maxmemory-policy", "allkeys-lru", "Set maxmemory-policy noeviction"),
        ("appendonly", "no", "Set appendonly yes"),
    ] {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(&mut connection).await?;
        one(at, &env, "redis", "warn", part).await?;
    }
    Ok(())
}
