//! Random histories of buyers in two tabs, guests who sign in, coupons, timers, a provider that repeats itself and
//! changes the order, refunds, purges, and a ledger that fails before a write or after it - on the real services and
//! the real engines. After every step the rules that the model checker explores are held against what is stored.

#![expect(clippy::expect_used, reason = "a machine without a runtime or a Postgres is a failed test")]

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[path = "../../crates/core/tests/money/tables.rs"]
#[expect(dead_code, reason = "the rules need the rows; the engines themselves do the rest")]
mod tables;

#[path = "histories/mod.rs"]
mod histories;

use histories::{Engine, History, live, sequential, side_by_side};
use load::{is_long, seed};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use sessile_interop::servers::Postgres;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

/// Milliseconds that are spent on making a failing history shorter.
const SHRINK_MS: u32 = 120_000;
/// Histories that are tried meanwhile.
const SHRINKS_MAX: u32 = 4000;

fn cases(usual: u32) -> u32 {
    if is_long() { usual * 20 } else { usual }
}

/// Lives so many histories, and shows the shortest one that breaks a rule.
fn explore(
    name: &str,
    cases: u32,
    strategy: impl proptest::strategy::Strategy<Value = History>,
    lives: impl AsyncFn(History) -> Result<histories::Told, String>,
) {
    let runtime = Runtime::new().expect("a runtime");
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed(name)),
        max_shrink_time: SHRINK_MS,
        max_shrink_iters: SHRINKS_MAX,
        ..Config::default()
    };
    let told = histories::Counters::default();
    let result = TestRunner::new(config).run(&strategy, |history| {
        let lived = runtime.block_on(lives(history)).map_err(TestCaseError::fail)?;
        told.add(&lived);
        Ok(())
    });
    println!("{name}: {cases} histories: {told}");
    if let Err(broken) = result {
        panic!("{name}: {broken}");
    }
    told.assert_meaningful(name);
}

/// A ledger of its own for every history.
struct Places {
    engine: Engine,
    count: AtomicUsize,
}

impl Places {
    const fn new(engine: Engine) -> Self {
        Self { engine, count: AtomicUsize::new(0) }
    }

    async fn next(&self) -> Result<histories::Place, String> {
        self.engine.place(self.count.fetch_add(1, Ordering::Relaxed)).await
    }
}

fn random_histories(name: &str, usual: u32, places: &Places) {
    explore(name, cases(usual), side_by_side(), async |history| {
        let place = places.next().await?;
        live(&place, &history).await.map(|lived| lived.told)
    });
}

/// The same history twice: with faults, lost replies and repetitions, and without any.
fn as_if_nothing_failed(name: &str, usual: u32, places: &Places) {
    let quiet = Places::new(Engine::Sqlite);
    explore(name, cases(usual), sequential(), async |history| {
        let (place, beside) = (places.next().await?, quiet.next().await?);
        let troubled = live(&place, &history).await?;
        let calm = live(&beside, &history.without_trouble()).await?;
        let differs = |what: &str, troubled: &[String], calm: &[String]| {
            let only = |these: &[String], those: &[String]| {
                these.iter().filter(|row| !those.contains(row)).cloned().collect::<Vec<_>>()
            };
            format!(
                "{what}: only with faults {:#?}, only without {:#?}",
                only(troubled, calm),
                only(calm, troubled)
            )
        };
        if troubled.summary != calm.summary {
            return Err(differs("the end differs", &troubled.summary, &calm.summary));
        }
        if troubled.events != calm.events {
            return Err(differs("the audit differs", &troubled.events, &calm.events));
        }
        Ok(troubled.told)
    });
}

/// The rules themselves can fail: each is broken in what a short history has left, and noticed by its own name.
#[test]
fn a_broken_rule_is_noticed() {
    let runtime = Runtime::new().expect("a runtime");
    let noticed = runtime.block_on(async {
        let place = Engine::Sqlite.place(0).await?;
        histories::sabotaged(&place).await
    });
    assert_eq!(noticed, Ok(()));
}

fn postgres() -> (Runtime, Postgres) {
    let runtime = Runtime::new().expect("a runtime");
    let postgres = runtime.block_on(Postgres::start()).expect("a Postgres");
    (runtime, postgres)
}

#[test]
fn random_histories_on_sqlite() {
    random_histories("sqlite", 120, &Places::new(Engine::Sqlite));
}

#[test]
fn random_histories_on_postgres() {
    let (_runtime, postgres) = postgres();
    random_histories("postgres", 32, &Places::new(Engine::Postgres(postgres.url())));
}

#[test]
fn a_crash_is_as_no_crash_on_sqlite() {
    as_if_nothing_failed("sqlite, twice", 60, &Places::new(Engine::Sqlite));
}

#[test]
fn a_crash_is_as_no_crash_on_postgres() {
    let (_runtime, postgres) = postgres();
    as_if_nothing_failed("postgres, twice", 16, &Places::new(Engine::Postgres(postgres.url())));
}
