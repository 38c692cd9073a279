//! Postgres is killed (`kill -9`, all of its processes) at random moments under load and comes back, while our server
//! stays up: alone it says 503 meanwhile, with a spool sign-ins and log-outs go on. Nothing acknowledged is lost and
//! nothing ended comes back.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;

use load::{Answer, Crowd, Outcome, Renewal, is_long, note_secret, secret, seed};
use reqwest::StatusCode;
use serde_json::json;
use sessile_interop::peer::PeerApp;
use sessile_interop::servers::{Postgres, eventually};
use sessile_store::{LoginOptions, open_logins};
use std::time::Duration;

/// Clients at once.
const CLIENTS: usize = 24;
/// How long the load runs before a kill, how long Postgres stays away, and how much longer the load runs after it.
const BEFORE_MS: std::ops::Range<u64> = 20..400;
const AWAY_MS: std::ops::Range<u64> = 0..300;
const AFTER_MS: std::ops::Range<u64> = 20..150;
/// How long the spool may take to be empty after the last kill: an id within its grace waits for its end there.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// Kills within which a loss has to be noticed: what Postgres has acknowledged is in danger for up to 0.6 s then.
const FORGETFUL_KILLS_MAX: u32 = 10;

fn kills() -> u32 {
    if is_long() { 40 } else { 4 }
}

/// What our server has beside Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Spool,
}

impl Beside {
    /// What a sign-in has to be answered while Postgres is away.
    fn is_right(self, answer: &Answer) -> bool {
        match self {
            Self::Nothing => matches!(answer, Answer::Unknown(Some(StatusCode::SERVICE_UNAVAILABLE))),
            Self::Spool => matches!(answer, Answer::Acknowledged { .. }),
        }
    }
}

async fn survives_kills(name: &str, beside: Beside) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed(&format!("kill_postgres {name}")));
    let mut postgres = Postgres::start().await?;
    let (url, secret, folder) = (postgres.url(), secret()?, tempfile::tempdir()?);
    note_secret(url::Url::parse(&url)?.password().ok_or("a password")?)?;
    let spool = folder.path().join("spool.db");
    let mut env = vec![("STORE_URL", &*url), ("SESSION_SECRET", &*secret), ("MAX_AGE_MS", "3600000")];
    if beside == Beside::Spool {
        env.push(("SPOOL", spool.to_str().ok_or("a path in UTF-8")?));
    }
    let server = PeerApp::start(env!("CARGO_BIN_EXE_peer"), &env).await?;
    let mut crowd = Crowd::new(name, &server.url(), CLIENTS, &mut rng)?;
    for kill in 1..=kills() {
        let [before, away, after] =
            [BEFORE_MS, AWAY_MS, AFTER_MS].map(|range| Duration::from_millis(rng.u64(range)));
        let client = crowd.client.clone();
        let brought_back = crowd.during(async {
            tokio::time::sleep(before).await;
            postgres.kill_9().await?;
            let meanwhile =
                client.post("/set", None, &json!({"userId": format!("{name}-away-{kill}")})).await;
            tokio::time::sleep(away).await;
            postgres.restart().await?;
            tokio::time::sleep(after).await;
            if beside.is_right(&meanwhile) {
                return Ok(());
            }
            Outcome::Err(format!("{name}: kill {kill}: a sign-in meanwhile got {meanwhile:?}").into())
        });
        brought_back.await??;
        let checked =
            crowd.check().await.map_err(|error| format!("after kill {kill}, {before:?} into it: {error}"))?;
        println!("{name}: kill {kill} after {before:?}, away {away:?}: {checked:?}");
    }
    let client = crowd.client.clone();
    eventually("the store to be whole", DRAIN_LIMIT, async || {
        let Answer::Acknowledged { body, .. } = client.get("/store", None).await else { return None };
        body["degraded"].is_null().then_some(())
    })
    .await?;
    let store = open_logins(&url, &LoginOptions::default()).await?;
    let checked = crowd.check_for_good(&*store, Renewal::OneStep).await?;
    let counts = crowd.counts();
    println!("{name}: {} kills, {counts:?}, in the end {checked:?}", kills());
    // A load that did nothing would prove nothing.
    assert!(counts.acknowledged > 200 && checked.live > 20 && checked.ended > 10, "{counts:?} {checked:?}");
    assert!(counts.unknown > 0, "no kill met a request under way");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_spool() -> Outcome {
    survives_kills("alone", Beside::Nothing).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_spool() -> Outcome {
    survives_kills("spooled", Beside::Spool).await
}

/// Holds the tests above against a Postgres that acknowledges before it has written: they have to notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_forgets_is_noticed() -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed("kill_postgres forgetful"));
    let mut postgres = Postgres::start().await?;
    postgres.execute("alter role sessile set synchronous_commit = off").await?;
    let (url, secret) = (postgres.url(), secret()?);
    note_secret(url::Url::parse(&url)?.password().ok_or("a password")?)?;
    let env = [("STORE_URL", &*url), ("SESSION_SECRET", &*secret), ("MAX_AGE_MS", "3600000")];
    let server = PeerApp::start(env!("CARGO_BIN_EXE_peer"), &env).await?;
    let mut crowd = Crowd::new("forgetful", &server.url(), CLIENTS, &mut rng)?;
    for _ in 0..FORGETFUL_KILLS_MAX {
        let before = Duration::from_millis(rng.u64(BEFORE_MS));
        let roamed = crowd.during(async {
            tokio::time::sleep(before).await;
            postgres.kill_9().await?;
            postgres.restart().await?;
            Outcome::Ok(())
        });
        let found = match roamed.await {
            Ok(done) => done.map(|()| None)?,
            Err(broken) => Some(broken),
        };
        let found = match found {
            Some(broken) => Some(broken),
            None => crowd.check().await.err(),
        };
        if let Some(broken) = found {
            let broken = broken.to_string();
            println!("forgetful: {}", broken.lines().take(3).collect::<Vec<_>>().join("\n"));
            assert!(broken.contains("broken promises"), "{broken}");
            return Ok(());
        }
    }
    Err(format!("a Postgres that forgets passed {FORGETFUL_KILLS_MAX} kills").into())
}
