//! The checks of where login sessions live: does it answer, is it what we need, does it keep what it is given.

use super::money::clock;
use super::report::Finding;
use crate::config::Config;
use crate::stores::{options_for, reason_of};
use sessile_store::postgres::{Pooler, PostgresFacts, PostgresLogins, Survey};
use sessile_store::redis::{RedisFacts, RedisLogins};
use sessile_store::{Choice, Layout, LoginOptions, StoreUrl, open_logins};
use std::time::Duration;

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(15);
/// Tables of the other kinds whose rows nobody but their owner should reach; the ledger looks after its own.
const OTHERS: [&str; 4] =
    ["sessile_generation", "sessile_generation_event", "whatsapp_sessions", "whatsapp_keys"];
/// Columns that the other kinds look rows up by.
const LOOK_UPS: [(&str, &str); 14] = [
    ("sessile_generation", "own_id"),
    ("sessile_generation", "due_at"),
    ("sessile_generation", "expires_at"),
    ("sessile_generation_event", "next_at"),
    ("checkout_sessions", "user_id"),
    ("checkout_sessions", "expires_at"),
    ("payment_sessions", "merchant_trans_id"),
    ("payment_sessions", "click_trans_id"),
    ("payment_sessions", "expires_at"),
    ("payment_sessions", "checkout_id"),
    ("coupons", "code"),
    ("grants", "user_id"),
    ("audit_log", "payment_id"),
    ("outbox", "next_at"),
];

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let checked = async {
        match &config.store.login {
            StoreUrl::Postgres(url) => postgres(url, config).await,
            StoreUrl::Redis(url) => redis(url, &config.login_options).await,
            StoreUrl::Sqlite(path) if !path.exists() => {
                vec![Finding::ok("store", format!("SQLite; {} is made at the first start", path.display()))]
            }
            _ => vec![other(config).await],
        }
    };
    tokio::time::timeout(STORE_TIMEOUT, checked).await.unwrap_or_else(|_| {
        vec![Finding::fail("store", "it did not answer in time; check address and network")]
    })
}

async fn postgres(url: &str, config: &Config) -> Vec<Finding> {
    let options = &config.login_options;
    let facts = match PostgresLogins::inspect(url, options).await {
        Ok(facts) => facts,
        Err(error) => return vec![Finding::fail("store", error.to_string())],
    };
    let mut findings = vec![table(&facts), pooler(facts.pooler, url)];
    if options.layout == Layout::Shared {
        findings.push(Finding::ok(
            "layout",
            "shared with Express, plain ids; where no Express application shares the table, \
             SESSILE_LOGIN_LAYOUT=stand-alone stores only hashes of them",
        ));
        findings.extend(time_zone(&facts.time_zone));
    }
    match survey(url, &facts, config).await {
        Ok(tables) => findings.extend(tables),
        Err(error) => findings.push(Finding::fail("store", error.to_string())),
    }
    findings
}

fn table(facts: &PostgresFacts) -> Finding {
    if let Some(wrong) = &facts.wrong_shape {
        return Finding::fail("store", wrong);
    }
    let table = match (facts.table_exists, facts.schema_version) {
        (false, _) => "is made at the first start".to_owned(),
        (true, None) => "is an Express application's; it is taken over at the first start".to_owned(),
        (true, Some(version)) => format!("has schema version {version}"),
    };
    Finding::ok("store", format!("Postgres at {}; table {} {table}", facts.place, facts.table))
}

fn pooler(pooler: Pooler, url: &str) -> Finding {
    let whose = if url.contains(".pooler.supabase.com") { "Supavisor" } else { "PgBouncer or its like" };
    match pooler {
        Pooler::None => Finding::ok("pooler", "none: the server listens where we dial"),
        Pooler::Transaction => Finding::ok(
            "pooler",
            format!(
                "{whose} in transaction mode: statements go without names there, which costs some speed; a direct \
                 address in DATABASE_URL is faster, where there are connections enough"
            ),
        ),
        Pooler::Other => Finding::ok(
            "pooler",
            "a pooler in session mode, a proxy or a mapped port: statements go without names there, in case it \
             changes its mode",
        ),
    }
}

fn time_zone(zone: &str) -> Option<Finding> {
    (!matches!(zone, "UTC" | "Etc/UTC" | "GMT" | "Z")).then(|| {
        Finding::warn(
            "time zone",
            format!(
                "the role's TimeZone is {zone}: an Express application beside us sees sessions expire early or late; \
                 run `alter role <role> set TimeZone to 'UTC'`"
            ),
        )
    })
}

/// Row-level security and indexes, of every kind in this database but what the ledger says itself.
async fn survey(
    url: &str,
    facts: &PostgresFacts,
    config: &Config,
) -> Result<Vec<Finding>, sessile_store::OpenError> {
    let ours =
        Survey::of(url, Some(&facts.schema), &facts.guarded(config.login_options.layout), &facts.indexes())
            .await?;
    let identity = format!("{}_identity", config.users_table);
    let others = [&OTHERS[..], &[config.users_table.as_str(), &identity]].concat();
    let others = Survey::of(url, None, &others, &LOOK_UPS).await?;
    let shared = Survey::of(url, Some(&facts.schema), &[&facts.tables[0]], &[]).await?;
    let quoted = |table: &String| format!("\"{}\".\"{table}\"", facts.schema);
    let mut unguarded: Vec<String> = ours.unguarded.iter().map(quoted).collect();
    // Of a table that Express shares its owner decides; where everybody on the web has a role, it is not theirs to read.
    if shared.has_web_roles && config.login_options.layout == Layout::Shared {
        unguarded.extend(shared.unguarded.iter().map(quoted));
    }
    unguarded.extend(others.unguarded);
    let unindexed: Vec<(String, String)> = ours
        .unindexed
        .iter()
        .map(|(table, column)| (quoted(table), column.clone()))
        .chain(others.unindexed)
        .collect();
    Ok(security(&unguarded).into_iter().chain(indexes(&unindexed, facts.schema_version)).collect())
}

fn security(unguarded: &[String]) -> Option<Finding> {
    let statements: Vec<String> =
        unguarded.iter().map(|table| format!("alter table {table} enable row level security;")).collect();
    (!statements.is_empty()).then(|| {
        Finding::warn(
            "row security",
            format!(
                "row-level security is off, so every role that may reach these tables sees all sessions; as their owner \
                 run: {}",
                statements.join(" ")
            ),
        )
    })
}

fn indexes(unindexed: &[(String, String)], version: Option<u32>) -> Option<Finding> {
    // Before the first start there is nothing to be missing.
    version?;
    let statements: Vec<String> = unindexed
        .iter()
        .map(|(table, column)| format!("create index concurrently on {table} ({column});"))
        .collect();
    Some(if statements.is_empty() {
        Finding::ok("indexes", "every look-up has one")
    } else {
        Finding::warn(
            "indexes",
            format!("look-ups read whole tables; as their owner run: {}", statements.join(" ")),
        )
    })
}

async fn redis(url: &str, options: &LoginOptions) -> Vec<Finding> {
    let facts = match RedisLogins::inspect(url, options).await {
        Ok(facts) => facts,
        Err(error) => return vec![Finding::fail("store", error.to_string())],
    };
    let RedisFacts { place, version, now, .. } = &facts;
    let version = version.as_deref().unwrap_or("of a version that it does not tell");
    let mut findings = vec![Finding::ok("store", format!("Redis {version} at {place} answers"))];
    let advice = facts.advice();
    if advice.is_empty() {
        let what = match (&facts.maxmemory_policy, facts.appendonly) {
            (Some(policy), Some(true)) => format!("{policy}, appendonly"),
            _ => "it does not tell how it keeps data; ask its provider for noeviction and appendonly"
                .to_owned(),
        };
        findings.push(Finding::ok("redis", what));
    }
    findings.extend(advice.into_iter().map(|what| Finding::warn("redis", what)));
    findings.extend(now.map(|now| clock(now, "Redis")));
    findings
}

async fn other(config: &Config) -> Finding {
    let options =
        LoginOptions { create: Choice::No, ..options_for(&config.store.login, &config.login_options) };
    match open_logins(config.store.login_url.expose(), &options).await {
        Err(error) => Finding::fail("store", error.to_string()),
        Ok(store) => {
            let info = store.info();
            match store.ping().await {
                Ok(()) => Finding::ok("store", format!("{} at {} answers", info.engine, info.place)),
                Err(error) => Finding::fail("store", format!("{}: {}", info.place, reason_of(&error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn each_finding_says_how_to_mend_it() {
        let off = security(&["\"public\".\"session\"".to_owned()]).unwrap();
        assert!(
            off.what.contains("alter table \"public\".\"session\" enable row level security;"),
            "{off:?}"
        );
        assert_eq!(security(&[]), None);
        let missing = indexes(&[("session".to_owned(), "expire".to_owned())], Some(1)).unwrap();
        assert_eq!(missing.verdict, Verdict::Warn);
        assert!(missing.what.contains("create index concurrently on session (expire);"), "{missing:?}");
        assert_eq!(indexes(&[("session".to_owned(), "expire".to_owned())], None), None);
        assert!(time_zone("Asia/Tashkent").unwrap().what.contains("alter role"));
        assert_eq!(time_zone("UTC"), None);
        let supabase = "postgres://u@aws-0-eu.pooler.supabase.com:6543/postgres";
        assert!(pooler(Pooler::Transaction, supabase).what.starts_with("Supavisor"));
    }
}
