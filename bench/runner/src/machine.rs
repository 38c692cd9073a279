//! The facts about the machine and the versions that a reader needs to judge the numbers.
//!
//! It never tells paths, host names or accounts.

use std::fs;
use std::path::Path;

use anyhow::Result;
use bench_runner::hardware::{self, Facts, package_version, redis_version, version};
use bench_runner::postgres::Postgres;

use crate::options::Options;

pub(crate) fn facts(options: &Options, postgres: &Postgres, folder: &Path) -> Result<Facts> {
    let modules = options.bench.join("peers/express/node_modules");
    let package =
        |name: &str| format!("{name} {}", package_version(&modules.join(name).join("package.json")));
    let lock = fs::read_to_string(options.bench.join("peers/tower-sessions/Cargo.lock")).unwrap_or_default();
    let krate = |name: &str| format!("{name} {}", locked_version(&lock, name));
    let mut facts = hardware::facts(folder)?;
    facts.extend([
        (
            "Postgres",
            format!("{}, synchronous_commit=on", postgres.sql("postgres", "show server_version")?.trim()),
        ),
        ("Redis", format!("{}, no persistence", redis_version())),
        ("SQLite", "WAL, synchronous=FULL".to_owned()),
        ("Rust", version("rustc")),
        ("Node.js", version("node")),
        (
            "tower-sessions",
            ["tower-sessions", "tower-sessions-sqlx-store", "tower-sessions-redis-store", "sqlx", "axum"]
                .map(krate)
                .join(", "),
        ),
        (
            "express-session",
            ["express", "express-session", "connect-pg-simple", "connect-redis", "pg", "redis"]
                .map(package)
                .join(", "),
        ),
    ]);
    Ok(facts)
}

fn locked_version(lock: &str, name: &str) -> String {
    let entry = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1);
    entry.and_then(|rest| rest.split('"').next()).unwrap_or("(not locked)").to_owned()
}
