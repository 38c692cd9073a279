//! Our server is killed (`kill -9`) at random moments under load, on SQLite, Postgres and Redis. After each restart
//! every session is asked for: what was acknowledged is there, what was not is there whole or not at all, and what
//! ended stays away.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;

use load::{Crowd, Life, Outcome, Renewal, Session, is_long, note_secret, secret, seed};
use serde_json::{Map, Value, json};
use sessile_interop::peer::PeerApp;
use sessile_interop::servers::{Persistence, Postgres, Redis};
use sessile_store::{LoginOptions, open_logins};
use std::time::Duration;

/// Clients at once.
const CLIENTS: usize = 24;
/// How long the load runs before a kill, and how much longer once the server is back.
const BEFORE_MS: std::ops::Range<u64> = 20..400;
const AFTER_MS: std::ops::Range<u64> = 20..150;

fn kills() -> u32 {
    if is_long() { 40 } else { 4 }
}

async fn survives_kills(name: &str, url: &str, renewal: Renewal) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed(&format!("kill_server {name}")));
    let secret = secret()?;
    let env = [("STORE_URL", url), ("SESSION_SECRET", secret.as_str()), ("MAX_AGE_MS", "3600000")];
    let start = async || PeerApp::start(env!("CARGO_BIN_EXE_peer"), &env).await;
    let mut server = start().await?;
    let mut crowd = Crowd::new(name, &server.url(), CLIENTS, &mut rng)?;
    for kill in 1..=kills() {
        let [before, after] = [BEFORE_MS, AFTER_MS].map(|range| Duration::from_millis(rng.u64(range)));
        let client = crowd.client.clone();
        let restarted = crowd.during(async {
            tokio::time::sleep(before).await;
            server.kill_9().await?;
            server = start().await?;
            client.moved(&server.url());
            tokio::time::sleep(after).await;
            Outcome::Ok(())
        });
        restarted.await??;
        let checked =
            crowd.check().await.map_err(|error| format!("after kill {kill}, {before:?} into it: {error}"))?;
        println!("{name}: kill {kill} after {before:?}: {checked:?}");
    }
    let store = open_logins(url, &LoginOptions::default()).await?;
    let checked = crowd.check_for_good(&*store, renewal).await?;
    let counts = crowd.counts();
    println!("{name}: {} kills, {counts:?}, in the end {checked:?}", kills());
    // A load that did nothing would prove nothing.
    assert!(counts.acknowledged > 200 && checked.live > 20 && checked.ended > 10, "{counts:?} {checked:?}");
    assert!(counts.unknown > 0, "no kill met a request under way");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() -> Outcome {
    let folder = tempfile::tempdir()?;
    survives_kills(
        "sqlite",
        &format!("sqlite:{}", folder.path().join("logins.db").display()),
        Renewal::OneStep,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() -> Outcome {
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    note_secret(url::Url::parse(&url)?.password().ok_or("a password")?)?;
    survives_kills("postgres", &url, Renewal::OneStep).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis() -> Outcome {
    let redis = Redis::start_with(Persistence::EveryWrite).await?;
    survives_kills("redis", &redis.url(), Renewal::TwoSteps).await
}

/// Holds the model that all of these tests believe in against answers that break a promise.
#[test]
fn every_kind_of_broken_promise_is_noticed() {
    let shown = |value: Value| value.as_object().cloned().unwrap_or_default();
    let whole = |n: u64, m: u64| shown(json!({"userId": "u", "a0": n, "b0": n, "a1": m, "b1": m}));
    let session = || Session::created("u".to_owned(), "sid=1".to_owned(), 1);
    assert_eq!(session().observe(&whole(1, 1)), Ok(()));
    let refused = |mut session: Session, seen: &Map<String, Value>, says: &str| {
        let error = session.observe(seen).expect_err(says);
        assert!(error.contains(says), "{error}");
    };
    refused(session(), &Map::new(), "lost");
    refused(session(), &whole(2, 1), "slot 0 shows Some(2)");
    refused(session(), &shown(json!({"userId": "u", "a0": 1, "b0": 2, "a1": 1, "b1": 1})), "torn");
    refused(session(), &shown(json!({"userId": "v", "a0": 1, "b0": 1, "a1": 1, "b1": 1})), "the session of");

    let mut changed = session();
    changed.acknowledged(0, 2);
    refused(changed.clone(), &whole(1, 1), "slot 0 shows Some(1)");
    // In doubt: either is right, and what was seen stays.
    changed.doubted(0, 3);
    assert_eq!(changed.clone().observe(&whole(2, 1)), Ok(()));
    assert_eq!(changed.observe(&whole(3, 1)), Ok(()));
    refused(changed, &whole(2, 1), "slot 0 shows Some(2)");

    let mut ended = session();
    ended.life = Life::Ended;
    refused(ended.clone(), &whole(1, 1), "back from the dead");
    let mut doubtful = session();
    doubtful.life = Life::MaybeEnded;
    assert_eq!(doubtful.observe(&whole(1, 1)), Ok(()));
    assert_eq!(doubtful.observe(&Map::new()), Ok(()));
    refused(doubtful, &whole(1, 1), "back from the dead");
    assert!(session().observe_former(&whole(1, 1), Duration::from_secs(60)).is_err(), "its grace is over");
}
