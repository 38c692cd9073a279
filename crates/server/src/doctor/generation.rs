//! The checks of paid jobs: their store, Stripe and its prices, who makes the videos, and what waits for a person.

use super::report::Finding;
use crate::config::{Config, Configured, GenerationConfig, Mode};
use crate::stores::reason_of;
use sessile_core::generation::Tally;
use sessile_core::{Clock, SystemClock, Timestamp};
use sessile_providers::superduperai::ReadError;
use sessile_providers::{stripe, superduperai};
use sessile_store::generation::redis::RedisFacts;
use sessile_store::generation::{PostgresGenerations, open_generations_as};
use sessile_store::{Choice, OpenError, StoreUrl};
use std::time::Duration;

/// How long everything of one kind may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Work that nobody took, and messages that nobody could apply, for so long are worth a warning.
const LATE: Duration = Duration::from_secs(120);
const WAITING: Duration = Duration::from_secs(600);
/// A file that the generator does not have: its answer shows whether it answers us at all.
const NO_FILE: &str = "00000000-0000-0000-0000-000000000000";

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let settings = &config.generation;
    if !settings.is_wanted() {
        return vec![unconfigured(settings)];
    }
    let (jobs, mut stripe, videos) = tokio::join!(
        in_time("jobs", store(settings)),
        in_time("stripe", stripe(config)),
        in_time("videos", videos(settings))
    );
    if settings.home.is_none() {
        stripe
            .push(Finding::fail("stripe", "APP_URL is not set, so buyers cannot be sent back to us; set it"));
    }
    [jobs, stripe, videos].concat()
}

fn unconfigured(settings: &GenerationConfig) -> Finding {
    let half = |named: usize, missing: &Configured<stripe::Config>| match missing {
        Configured::Missing(names) if names.len() < named => Some(names.join(", ")),
        _ => None,
    };
    match half(2, &settings.stripe) {
        Some(missing) => Finding::warn("stripe", format!("Stripe is configured by half; set {missing} too")),
        None => {
            Finding::ok("jobs", "paid jobs are not configured; their routes answer 501 and name what to set")
        }
    }
}

async fn in_time(check: &'static str, checks: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    let late = || vec![Finding::fail(check, "it did not answer in time; check address and network")];
    tokio::time::timeout(TIMEOUT, checks).await.unwrap_or_else(|_| late())
}

async fn store(settings: &GenerationConfig) -> Vec<Finding> {
    let Some(url) = &settings.store else {
        return vec![Finding::fail(
            "jobs",
            "nothing that was paid for is kept in memory, so nothing is sold; set REDIS_URL, or DATABASE_URL to sqlite: or \
             postgresql://",
        )];
    };
    let mut findings = match StoreUrl::parse(url.expose()) {
        Ok(StoreUrl::Redis(url)) => match RedisFacts::of(&url).await {
            Ok(facts) => redis(&facts),
            Err(error) => return vec![Finding::fail("jobs", error.to_string())],
        },
        Ok(StoreUrl::Postgres(url)) => match PostgresGenerations::inspect(&url).await {
            Ok((place, true)) => {
                vec![Finding::ok("jobs", format!("Postgres at {place}; its tables are current"))]
            }
            Ok((place, false)) => {
                let made = format!("Postgres at {place}; tables are made or updated at the first start");
                return vec![Finding::ok("jobs", made)];
            }
            Err(error) => return vec![Finding::fail("jobs", error.to_string())],
        },
        Ok(StoreUrl::Sqlite(path)) if path.exists() => {
            vec![Finding::ok("jobs", format!("SQLite; {}", path.display()))]
        }
        Ok(StoreUrl::Sqlite(path)) => {
            return vec![Finding::ok(
                "jobs",
                format!("SQLite; {} is made at the first start", path.display()),
            )];
        }
        Ok(StoreUrl::Memory) | Err(_) => return Vec::new(),
    };
    match open_generations_as(url.expose(), Choice::No).await {
        Ok(jobs) => match jobs.tally(SystemClock.now()).await {
            Ok(tally) => findings.push(work(&tally, SystemClock.now())),
            Err(error) => findings.push(Finding::fail("jobs", reason_of(&error))),
        },
        // Its tables are made at the first start.
        Err(OpenError::Schema { .. }) => {}
        Err(error) => findings.push(Finding::fail("jobs", error.to_string())),
    }
    findings
}

/// What Redis promises, and what it does not.
pub(super) fn redis(facts: &RedisFacts) -> Vec<Finding> {
    let RedisFacts { place, version, eviction, appends, sync, masters, alone } = facts;
    let mut findings = Vec::new();
    if let Some(policy) = eviction.as_deref().filter(|policy| *policy != "noeviction") {
        findings.push(Finding::fail(
            "redis",
            format!(
                "maxmemory-policy is {policy}: Redis drops paid jobs when its memory is full; run `CONFIG SET \
                 maxmemory-policy noeviction`"
            ),
        ));
    }
    match (appends, sync.as_deref()) {
        (Some(false), _) => findings.push(Finding::fail(
            "redis",
            "appendonly is off: a restart of Redis loses paid jobs; run `CONFIG SET appendonly yes` and `CONFIG SET \
             appendfsync always`",
        )),
        (_, Some("always")) => {}
        (_, Some(sync)) => findings.push(Finding::warn(
            "redis",
            format!(
                "appendfsync is {sync}: what Redis acknowledged in its last seconds may be lost with it, a paid prompt \
                 too; run `CONFIG SET appendfsync always`"
            ),
        )),
        (_, None) => findings.push(Finding::warn(
            "redis",
            "Redis does not tell how it writes to disk; ask its provider for appendonly with appendfsync always",
        )),
    }
    if *masters > 1 && *alone > 0 {
        findings.push(Finding::warn(
            "redis",
            format!(
                "{alone} of {masters} masters have no replica: their jobs are away while one of them is; add replicas"
            ),
        ));
    }
    if findings.is_empty() {
        let what = format!("Redis {version} at {place}; noeviction, appendonly, appendfsync always");
        findings.push(Finding::ok("redis", what));
    }
    findings
}

fn work(tally: &Tally, now: Timestamp) -> Finding {
    let mut told: Vec<String> =
        tally.jobs.iter().map(|(status, jobs)| format!("{jobs} {}", status.name())).collect();
    if told.is_empty() {
        told.push("not counted yet".to_owned());
    }
    let mut wrong = Vec::new();
    if tally.work_since.is_some_and(|since| now.since(since) >= LATE) {
        wrong
            .push("work is due and no worker takes it: start `sessile serve` or `sessile worker`".to_owned());
    }
    if tally.waiting_since.is_some_and(|since| now.since(since) >= WAITING) {
        let count = tally.waiting;
        wrong.push(format!("{count} messages of Stripe find no session: see GET /v1/generations/events"));
    }
    if tally.refunds_due > 0 {
        let count = tally.refunds_due;
        wrong.push(format!(
            "{count} failed after they were paid: retry or refund them, see GET /v1/generations?status=error"
        ));
    }
    if wrong.is_empty() {
        Finding::ok("jobs", format!("{}; {} messages of Stripe wait", told.join(", "), tally.waiting))
    } else {
        Finding::warn("jobs", wrong.join("; "))
    }
}

async fn stripe(config: &Config) -> Vec<Finding> {
    let settings = match &config.generation.stripe {
        Configured::Ready(settings) => settings,
        Configured::Missing(names) => {
            let what = format!("nothing is sold without Stripe; set {}", names.join(", "));
            return vec![Finding::warn("stripe", what)];
        }
    };
    let (mode, client) = match (settings.mode(), stripe::Client::new(settings)) {
        (Ok(mode), Ok(client)) => (mode, client),
        (Err(error), _) | (_, Err(error)) => return vec![Finding::fail("stripe", error.to_string())],
    };
    let production = config.mode == Mode::Production;
    let mut findings = Vec::new();
    if production && settings.api_url != stripe::API_URL {
        findings.push(Finding::warn(
            "stripe",
            "STRIPE_API_URL leads elsewhere than to Stripe; unset it, unless this is a rehearsal",
        ));
    } else if production && mode == stripe::Mode::Test {
        findings.push(Finding::warn(
            "stripe",
            "STRIPE_SECRET_KEY is a test key: nobody is charged; set the live key before selling",
        ));
    } else if !production && mode == stripe::Mode::Live {
        findings.push(Finding::warn(
            "stripe",
            "STRIPE_SECRET_KEY is a live key in development: real cards are charged; set the test key here",
        ));
    }
    let home = config.app_url.as_ref().map_or("<APP_URL>", |url| url.as_str()).trim_end_matches('/');
    let count = settings.webhook_secrets.len();
    findings.push(Finding::ok(
        "stripe webhook",
        format!("{count} signing secret(s); register {home}/api/webhooks/stripe in Stripe's dashboard"),
    ));
    findings.extend(prices(&client, settings, mode).await);
    findings
}

async fn prices(client: &stripe::Client, settings: &stripe::Config, mode: stripe::Mode) -> Vec<Finding> {
    let ids: Vec<&str> = settings.prices.iter().collect();
    let mut findings = Vec::new();
    for id in &ids {
        match client.price(id).await {
            Ok(Some(price)) if price.active && !price.recurring => {}
            Ok(Some(_)) => findings.push(Finding::fail(
                "stripe prices",
                format!("{id} is not sold once: it is inactive or recurring; name another price"),
            )),
            Ok(None) => findings.push(Finding::fail(
                "stripe prices",
                format!("the account does not have {id}; live and test prices have different ids"),
            )),
            Err(error) => {
                findings
                    .push(Finding::fail("stripe", format!("Stripe did not answer as it should: {error}")));
                return findings;
            }
        }
    }
    if ids.is_empty() {
        findings.push(match client.active_prices().await {
            Ok(_) => Finding::warn(
                "stripe prices",
                "no price is named, so the prompt page offers none; set STRIPE_PRICE_SINGLE",
            ),
            Err(error) => Finding::fail("stripe", format!("Stripe did not answer as it should: {error}")),
        });
    } else if findings.is_empty() {
        let what = format!("{} key; {} price(s) are sold", mode.as_str(), ids.len());
        findings.push(Finding::ok("stripe", what));
    }
    findings
}

async fn videos(settings: &GenerationConfig) -> Vec<Finding> {
    let config = match &settings.generator {
        Configured::Ready(config) => config,
        Configured::Missing(names) => {
            let what = format!("nothing is sold without a generator; set {}", names.join(", "));
            return vec![Finding::warn("videos", what)];
        }
    };
    let client = match superduperai::Client::new(config) {
        Ok(client) => client,
        Err(error) => return vec![Finding::fail("videos", error.to_string())],
    };
    vec![match client.file(NO_FILE).await {
        Ok(_) | Err(ReadError::Status { status: 404 }) => {
            Finding::ok("videos", "SuperDuperAI answers and knows the token")
        }
        Err(ReadError::Status { status: 401 | 403 }) => Finding::fail(
            "videos",
            "SuperDuperAI does not know SUPERDUPERAI_TOKEN; make a new one in its account",
        ),
        Err(error) => Finding::fail("videos", format!("SuperDuperAI did not answer as it should: {error}")),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use sessile_core::generation::Status;

    fn facts() -> RedisFacts {
        RedisFacts {
            place: "redis.example:6379".into(),
            version: "7.0.15".into(),
            eviction: Some("noeviction".into()),
            appends: Some(true),
            sync: Some("always".into()),
            masters: 1,
            alone: 1,
        }
    }

    #[test]
    fn a_redis_that_may_lose_jobs_is_named_with_what_to_run() {
        let told = |facts: RedisFacts| {
            let findings = redis(&facts);
            (findings[0].verdict, findings.iter().map(|finding| finding.what.clone()).collect::<String>())
        };
        assert_eq!(told(facts()).0, Verdict::Ok);
        let (verdict, what) = told(RedisFacts { eviction: Some("allkeys-lru".into()), ..facts() });
        assert!(verdict == Verdict::Fail && what.contains("maxmemory-policy noeviction"), "{what}");
        let (verdict, what) = told(RedisFacts { appends: Some(false), ..facts() });
        assert!(verdict == Verdict::Fail && what.contains("appendonly yes"), "{what}");
        let (verdict, what) = told(RedisFacts { sync: Some("everysec".into()), ..facts() });
        assert!(verdict == Verdict::Warn && what.contains("appendfsync always"), "{what}");
        let (verdict, what) = told(RedisFacts { sync: None, eviction: None, ..facts() });
        assert!(verdict == Verdict::Warn && what.contains("ask its provider"), "{what}");
        let (verdict, what) = told(RedisFacts { masters: 3, alone: 2, ..facts() });
        assert!(verdict == Verdict::Warn && what.contains("2 of 3 masters"), "{what}");
    }

    #[test]
    fn what_waits_for_a_person_is_a_warning() {
        let now = Timestamp::from_unix_ms(1_900_000_000_000);
        let calm = Tally { jobs: vec![(Status::Completed, 3)], ..Tally::default() };
        assert_eq!(work(&calm, now).verdict, Verdict::Ok);
        for (tally, word) in [
            (Tally { refunds_due: 1, ..calm.clone() }, "retry or refund"),
            (Tally { work_since: Some(now.minus(LATE)), ..calm.clone() }, "no worker"),
            (
                Tally { waiting: 2, waiting_since: Some(now.minus(WAITING)), ..calm.clone() },
                "find no session",
            ),
        ] {
            let finding = work(&tally, now);
            assert!(finding.verdict == Verdict::Warn && finding.what.contains(word), "{finding:?}");
        }
    }
}
