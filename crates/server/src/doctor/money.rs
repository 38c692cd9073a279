//! The checks of checkouts and payments: their ledger, CLICK, and whom we tell.

use super::report::Finding;
use crate::config::{Click, Config, Mode};
use crate::stores::{ledger_options, ledger_url, reason_of};
use secrecy::{ExposeSecret, SecretString};
use sessile_core::{Clock, SystemClock, Timestamp};
use sessile_providers::click;
use sessile_providers::webhook::TIMEOUTS;
use sessile_providers::{supabase, webhook};
use sessile_store::ledger::{LedgerFacts, LedgerOptions, open_ledger};
use sessile_store::{Choice, StoreUrl};
use std::time::Duration;

/// How far the database's clock may be from ours before it is worth saying.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5);
/// How long the ledger may take.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(15);
/// Secrets that documents and stand-ins use.
const TEST_KEYS: [&str; 3] = ["test_secret_key", "secret", "test"];

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let mut findings = tokio::time::timeout(LEDGER_TIMEOUT, ledger(config)).await.unwrap_or_else(|_| {
        vec![Finding::fail("ledger", "it did not answer in time; check address and network")]
    });
    findings.extend([click(config), webhook(config)]);
    findings.extend(supabase(config));
    findings
}

async fn ledger(config: &Config) -> Vec<Finding> {
    let Some(url) = ledger_url(config) else {
        return vec![Finding::warn(
            "ledger",
            "checkouts and payments are not kept in memory, so their routes answer 501; set DATABASE_URL to sqlite: \
             or postgresql:// to have them",
        )];
    };
    let options = LedgerOptions { create: Choice::No, ..ledger_options(config) };
    match &config.store.users {
        StoreUrl::Postgres(_) => postgres(&url, &options).await,
        StoreUrl::Sqlite(path) if !path.exists() => {
            vec![Finding::ok("ledger", format!("SQLite; {} is made at the first start", path.display()))]
        }
        _ => vec![opened(&url, &options, "SQLite").await],
    }
}

async fn postgres(url: &str, options: &LedgerOptions) -> Vec<Finding> {
    let facts = match LedgerFacts::of(url, options).await {
        Ok(facts) => facts,
        Err(error) => return vec![Finding::fail("ledger", error.to_string())],
    };
    let mut findings = vec![match facts.missing().as_slice() {
        [] => opened(url, options, "Postgres").await,
        missing => Finding::ok(
            "ledger",
            format!("Postgres; made or taken over at the first start: {}", missing.join(", ")),
        ),
    }];
    if !facts.unguarded.is_empty() {
        let statements: Vec<String> = facts
            .unguarded
            .iter()
            .map(|table| format!("alter table {table} enable row level security;"))
            .collect();
        findings.push(Finding::warn(
            "row security",
            format!(
                "row-level security is off, so every role that may reach these tables sees all of them; as their owner \
                 run: {}",
                statements.join(" ")
            ),
        ));
    } else if !facts.tables.is_empty() {
        let count = facts.tables.len();
        findings
            .push(Finding::ok("row security", format!("row-level security is on for all {count} tables")));
    }
    findings.push(clock(facts.now, "the database"));
    findings
}

async fn opened(url: &str, options: &LedgerOptions, engine: &str) -> Finding {
    let ledger = match open_ledger(url, options).await {
        Ok(ledger) => ledger,
        Err(error) => return Finding::fail("ledger", error.to_string()),
    };
    match ledger.audit_head().await {
        Ok(head) => {
            Finding::ok("ledger", format!("{engine}; its tables are current; {} audit rows", head.seq))
        }
        Err(error) => Finding::fail("ledger", reason_of(&error)),
    }
}

/// How far another clock is from ours.
pub(super) fn clock(there: Timestamp, whose: &str) -> Finding {
    skew(SystemClock.now(), there, whose)
}

fn skew(ours: Timestamp, there: Timestamp, whose: &str) -> Finding {
    let skew = ours.since(there).max(there.since(ours));
    if skew <= CLOCK_SKEW_MAX {
        return Finding::ok("clock", format!("this machine and {whose} agree on the time"));
    }
    Finding::warn(
        "clock",
        format!(
            "this machine's clock is {} s from that of {whose}: sessions and payments expire early or late, and CLICK \
             refuses what we ask; run an NTP service on both",
            skew.as_secs()
        ),
    )
}

fn click(config: &Config) -> Finding {
    let settings = match &config.money.click {
        Click::Ready(settings) => settings,
        Click::Missing(names) if names.len() < 4 => {
            return Finding::warn(
                "click",
                format!("CLICK is configured by half; set {} too", names.join(", ")),
            );
        }
        Click::Missing(_) => {
            return Finding::ok("click", "not configured; its routes answer 501 and name what to set");
        }
    };
    let production = config.mode == Mode::Production;
    let is_test = |secret: &SecretString| TEST_KEYS.contains(&secret.expose_secret());
    if production && settings.secrets.iter().any(is_test) {
        return Finding::fail(
            "click",
            "CLICK_SECRET_KEY holds a key from documents, which anybody can sign with; copy the real one from the \
             merchant cabinet",
        );
    }
    let real = settings.api_url == click::API_URL && settings.pay_url == click::PAY_URL;
    if production && !real {
        return Finding::warn(
            "click",
            "CLICK_PAY_URL or CLICK_API_URL lead elsewhere than to CLICK; unset them, unless this is a rehearsal",
        );
    }
    let home = config.app_url.as_ref().map_or("<APP_URL>", |url| url.as_str()).trim_end_matches('/');
    Finding::ok(
        "click",
        format!(
            "service {}; register {home}/api/click/prepare and {home}/api/click/complete in the merchant cabinet",
            settings.service_id
        ),
    )
}

fn webhook(config: &Config) -> Finding {
    let Some(to) = &config.money.webhook else {
        return Finding::ok(
            "webhook",
            "none; the application is not told of payments unless SESSILE_WEBHOOK_URL is set",
        );
    };
    let secrets = to.secrets.iter().map(sessile_core::Secret::expose);
    match webhook::Sender::new(&to.url, secrets, TIMEOUTS) {
        Err(error) => Finding::fail("webhook", error.to_string()),
        Ok(_) => {
            let origin = to.url.origin().ascii_serialization();
            Finding::ok("webhook", format!("to {origin}, signed with {} secret(s)", to.secrets.len()))
        }
    }
}

fn supabase(config: &Config) -> Option<Finding> {
    let project = config.money.supabase.as_ref()?;
    let key = SecretString::from(project.key.expose());
    Some(match supabase::Admin::new(&project.url, key, TIMEOUTS) {
        Err(error) => Finding::fail("supabase", error.to_string()),
        Ok(_) => Finding::ok("supabase", "tiers are written to the auth users' app_metadata too"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn clocks_that_are_apart_either_way_are_named() {
        let at = Timestamp::from_unix_ms;
        let told = |ours, there| skew(at(ours), at(there), "the database");
        assert_eq!(told(1_900_000_000_000, 1_900_000_004_000).verdict, Verdict::Ok);
        for (ours, there) in [(1_900_000_000_000, 1_900_000_060_000), (1_900_000_060_000, 1_900_000_000_000)]
        {
            let finding = told(ours, there);
            assert!(
                finding.verdict == Verdict::Warn && finding.what.contains("60 s from that of the database"),
                "{finding:?}"
            );
        }
    }
}
