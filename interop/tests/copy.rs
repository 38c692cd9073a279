//! The commands that operators run by hand, in front of real servers. `sessile copy`: login sessions go from SQLite to Postgres, to Redis and back to SQLite, killed and
//! started again on the way; paid jobs, money and WhatsApp devices go where they can. What arrives is compared with what was
//! put in, by a digest that this test computes by itself. `sessile doctor`: each finding is provoked and mended.

mod copy {
    pub(crate) mod doctor;
    pub(crate) mod kinds;
    pub(crate) mod program;
    pub(crate) mod sessions;
}

use copy::program::{Copy, Outcome, is_long};
use copy::sessions::{self, Sessions};
use sessile_core::login::{Absence, LoginId, LoginStore, Lookup};
use sessile_core::{Clock, StoreError, SystemClock};
use sessile_interop::servers::{Postgres, Redis};
use sessile_store::sqlite::SqliteLogins;
use sessile_store::{Choice, LoginOptions};
use std::path::Path;
use std::time::Duration;

fn count() -> u64 {
    if is_long() { 1_000_000 } else { 10_000 }
}

fn sqlite(folder: &Path, name: &str) -> String {
    format!("sqlite:{}", folder.join(name).display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_sessions_go_round_three_engines_killed_and_resumed() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (postgres, redis) = (Postgres::start().await?, Redis::start().await?);
    let first = sqlite(folder.path(), "first.db");
    let given = Sessions::fill(&folder.path().join("first.db"), count())?;
    let expected = given.sum();

    let copy = Copy::new(folder.path(), &first, &postgres.url()).with(&["--to-layout", "stand-alone"]);
    let killed = copy.killed_after(count() / 4).await?;
    assert!((1..count()).contains(&killed), "killed after {killed} rows of {}", count());
    let there = copy.run(0).await?;
    there.check(&expected, "SQLite to Postgres")?;

    let layouts = ["--from-layout", "stand-alone", "--to-layout", "stand-alone"];
    let copy = Copy::new(folder.path(), &postgres.url(), &redis.url()).with(&layouts);
    let killed = copy.killed_after(count() / 2).await?;
    assert!((1..count()).contains(&killed), "killed after {killed} rows of {}", count());
    copy.run(0).await?.check(&expected, "Postgres to Redis")?;

    let last = sqlite(folder.path(), "last.db");
    let copy = Copy::new(folder.path(), &redis.url(), &last).with(&["--from-layout", "stand-alone"]);
    let back = copy.run(0).await?;
    back.check(&expected, "Redis to SQLite")?;
    back.bounded_memory()?;
    there.bounded_memory()?;

    // What went in is what comes out, to the byte; what had ended stays ended.
    let store = SqliteLogins::open(&folder.path().join("last.db"), &LoginOptions::default())?;
    let now = SystemClock.now();
    for number in [0, 1, count() / 2, count() - 1] {
        let Lookup::Live(stored) = store.load(&sessions::id(number), now).await? else {
            return Err(format!("session {number} did not arrive").into());
        };
        assert_eq!(stored.data.to_json(), sessions::json(number));
    }
    for ended in given.ended() {
        let found = store.load(&ended, now).await?;
        assert!(matches!(found, Lookup::Absent(Absence::Ended)), "{found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_newer_is_overwritten_and_nothing_comes_back() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    Sessions::fill(&from, 20)?;
    let copy = Copy::new(folder.path(), &sqlite(folder.path(), "from.db"), &sqlite(folder.path(), "to.db"));
    assert_eq!(copy.run(0).await?.number("new"), 20 + sessions::ENDED);

    // Life goes on at the destination: one session is used, one is left.
    let store = SqliteLogins::open(&to, &LoginOptions::default())?;
    let now = SystemClock.now();
    let later = sessions::ends().plus(Duration::from_secs(3600));
    store.touch(&sessions::id(3), later, now).await?;
    store.destroy(&sessions::id(4), sessile_core::login::EndReason::Destroyed, now).await?;
    let again = copy.run(0).await?;
    assert_eq!((again.number("new"), again.number("renewed"), again.number("newer")), (0, 0, 2));
    let Lookup::Live(used) = store.load(&sessions::id(3), now).await? else {
        return Err("it is gone".into());
    };
    assert_eq!(used.expires_at, later);
    assert!(matches!(store.load(&sessions::id(4), now).await?, Lookup::Absent(Absence::Ended)));

    // And at the source: a later run carries a logout over.
    let source = SqliteLogins::open(&from, &LoginOptions::default())?;
    source.destroy(&sessions::id(5), sessile_core::login::EndReason::Destroyed, now).await?;
    assert_eq!(copy.run(0).await?.number("renewed"), 1);
    assert!(matches!(store.load(&sessions::id(5), now).await?, Lookup::Absent(Absence::Ended)));
    let login = sessions::new_login(5)?;
    let revived = store.create(login, now).await;
    assert!(matches!(revived, Err(StoreError::Taken)), "{revived:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_never_made_out_of_hashes_and_plain_ones_go_anywhere() -> Outcome {
    let folder = tempfile::tempdir()?;
    let redis = Redis::start().await?;
    Sessions::fill(&folder.path().join("from.db"), 5)?;
    let hashed = Copy::new(folder.path(), &sqlite(folder.path(), "from.db"), &redis.url());
    let refused = hashed.refused(2).await?;
    assert!(
        refused.contains("hashes of session ids") && refused.contains("--to-layout stand-alone"),
        "{refused}"
    );

    // connect-redis's own keys, with plain ids, go into hashed ones, and are found by their ids there.
    let options = LoginOptions { events: Choice::No, ..LoginOptions::default() };
    let express = sessile_store::open_logins(&redis.url(), &options).await?;
    for number in 0..5 {
        express.create(sessions::new_login(number)?, SystemClock.now()).await?;
    }
    let copy = Copy::new(folder.path(), &redis.url(), &sqlite(folder.path(), "to.db"));
    assert_eq!(copy.run(0).await?.number("new"), 5);
    let store = SqliteLogins::open(&folder.path().join("to.db"), &LoginOptions::default())?;
    let id: LoginId = sessions::id(2);
    assert!(matches!(store.load(&id, SystemClock.now()).await?, Lookup::Live(_)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_jobs_and_stripes_messages_go_round_too() -> Outcome {
    copy::kinds::generations().await
}

#[tokio::test(flavor = "multi_thread")]
async fn money_arrives_with_its_audit_log_and_never_into_a_ledger_that_has_lived() -> Outcome {
    copy::kinds::money().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_moves_and_leaves_a_tombstone() -> Outcome {
    copy::kinds::devices().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_wrong_with_a_postgres_and_what_mends_it() -> Outcome {
    copy::doctor::on_postgres().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_a_redis_does_not_keep() -> Outcome {
    copy::doctor::on_redis().await
}
