//! Express with connect-pg-simple and Sessile on one table, at the same time. Run under `servers exec`.

mod express_world;

use std::time::Duration;

use express_world::{
    Browser, MAX_AGE_SECONDS, Other, Outcome, PEER, Place, World, cases, late,
    store::{connect, database_url, fresh_name, now},
};
use sessile_interop::{peer::PeerApp, servers::eventually};
use tokio::task::LocalSet;

/// Processes that start on an empty database at once.
const PROCESSES: usize = 16;
const SOON: Duration = Duration::from_secs(15);

macro_rules! on_postgres {
    ($($case:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() -> Outcome {
                cases::$case(&World::start(Place::postgres().await?).await?).await
            }
        )+
    };
}

on_postgres!(
    each_reads_and_changes_what_the_other_made,
    numbers_beyond_javascript_stay_as_they_are,
    each_ends_what_the_other_made,
    each_renews_what_the_other_made,
    each_prolongs_what_the_other_made,
    each_believes_an_expiry_that_the_other_moved,
    parallel_requests_lose_nothing,
    a_session_without_cookie_is_healed,
    devices_of_both_are_listed_and_ended,
    cookies_have_the_attributes_that_express_gives_them,
    each_keeps_the_lifetime_that_the_other_gave,
);

#[tokio::test]
async fn secrets_rotate_one_side_at_a_time() -> Outcome {
    cases::secrets_rotate_one_side_at_a_time(Place::postgres().await?).await
}

#[tokio::test]
async fn cookies_end_with_the_browser_for_both() -> Outcome {
    let until_closed = [("MAX_AGE_MS", "")];
    let world = World::start_with(Place::postgres().await?, &until_closed, &until_closed).await?;
    cases::cookies_end_with_the_browser_for_both(&world).await
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_kept() -> Outcome {
    let world = World::start(Place::postgres().await?).await?;
    cases::a_session_that_cannot_be_read_is_kept(&world, r#"postgres table \"public\".\"web_session\""#).await
}

#[tokio::test]
async fn all_of_it_goes_through_pgbouncer() -> Outcome {
    let world = World::start(Place::pgbouncer().await?).await?;
    cases::each_reads_and_changes_what_the_other_made(&world).await?;
    cases::each_ends_what_the_other_made(&world).await?;
    cases::each_prolongs_what_the_other_made(&world).await?;
    cases::parallel_requests_lose_nothing(&world).await?;
    cases::devices_of_both_are_listed_and_ended(&world).await
}

#[tokio::test]
async fn our_late_write_after_a_logout_at_express_is_refused() -> Outcome {
    let world = World::start(Place::postgres().await?).await?;
    for maker in [world.ours(), world.theirs()] {
        let (answer, kept) = late::logout_during_a_write(&maker, &world.ours(), &world.theirs()).await?;
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(answer.json()?["code"], "session_ended");
        stays_ended(&world, kept).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_late_write_by_express_after_our_logout_brings_nothing_back() -> Outcome {
    let world = World::start(Place::postgres().await?).await?;
    for maker in [world.ours(), world.theirs()] {
        let (_, kept) = late::logout_during_a_write(&maker, &world.theirs(), &world.ours()).await?;
        stays_ended(&world, kept).await?;
    }
    Ok(())
}

/// Between Express processes alone: the triggers on the shared table guard them from each other.
#[tokio::test]
async fn a_late_write_by_express_after_a_logout_at_express_brings_nothing_back() -> Outcome {
    let world = World::start(Place::postgres().await?).await?;
    let second = express_world::start_express(&world.place, &[]).await?;
    for maker in [world.ours(), world.theirs()] {
        let (_, kept) = late::logout_during_a_write(&maker, &world.theirs(), &second.url()).await?;
        stays_ended(&world, kept).await?;
    }
    Ok(())
}

/// Express answers 200 to a late write and believes that it is stored; what counts is that it is not.
async fn stays_ended(world: &World, kept: Browser) -> Outcome {
    assert_eq!(world.place.stored(&kept.sid()?).await?, None, "the row came back");
    for app in [world.theirs(), world.ours()] {
        assert_eq!(kept.clone().session(&app).await?, "{}", "{app} brings it back");
    }
    Ok(())
}

/// An id that we have regenerated away answers for ten seconds to requests under way. Express knows nothing of that and
/// would give it another hour, with every touch and every write.
#[tokio::test]
async fn express_does_not_prolong_an_id_that_we_renewed() -> Outcome {
    let world = World::start(Place::postgres().await?).await?;
    let mut browser = Browser::new()?;
    browser.post(&world.theirs(), "/set", r#"{"userId":"ann"}"#).await?;
    let (old, mut stale) = (browser.sid()?, browser.clone());
    browser.post(&world.ours(), "/regenerate", r#"{"set":{"userId":"ann"}}"#).await?;
    let retires = world.place.stored(&old).await?.ok_or("the old id is gone at once")?.expires_at;
    assert!(retires < now() + 11.0);

    stale.get(&world.theirs(), "/touch").await?;
    stale.post(&world.theirs(), "/set", r#"{"n":1}"#).await?;
    assert_eq!(world.place.stored(&old).await?.ok_or("gone")?.expires_at, retires);
    assert_eq!(browser.session(&world.theirs()).await?, r#"{"userId":"ann"}"#);
    Ok(())
}

/// A logout that is being committed while Express writes: its upsert finds the row, waits for it, finds it gone, and
/// inserts one, long after the trigger before the insert has looked.
#[tokio::test]
async fn an_upsert_that_waits_for_a_logout_brings_nothing_back() -> Outcome {
    let world = World::start(Place::postgres().await?).await?;
    let Place::Postgres { url, table, .. } = &world.place else { return Err("not a database".into()) };
    let mut browser = Browser::new()?;
    browser.post(&world.theirs(), "/set", r#"{"userId":"ann"}"#).await?;
    let sid = browser.sid()?;
    let mut ending = connect(url).await?;
    let logout = ending.transaction().await?;
    logout.execute(&format!("delete from {table} where sid = $1"), &[&sid]).await?;

    let (writing, kept) = (browser.clone(), browser.clone());
    let theirs = world.theirs();
    let late = async move {
        let mut writing = writing;
        writing.post(&theirs, "/set", r#"{"late":true}"#).await
    };
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    let commit = async {
        let sql = world.place.sql()?;
        let waiting = async || (sql.query_one(waits, &[]).await.ok()?.get::<_, i64>(0) > 0).then_some(());
        eventually("Express to wait for the row", SOON, waiting).await?;
        logout.commit().await?;
        Outcome::Ok(())
    };
    let (answer, committed) = tokio::join!(late, commit);
    committed?;
    assert_eq!(answer?.status, 200);
    stays_ended(&world, kept).await
}

/// The table is that of Express's own role, which has no rights on anything of ours; we come with another one.
#[tokio::test]
async fn express_goes_on_under_a_role_of_its_own() -> Outcome {
    let place = Place::postgres().await?;
    let role = fresh_name("webapp")?;
    let Place::Postgres { url, .. } = &place else { return Err("not a database".into()) };
    let parsed = url::Url::parse(url)?;
    let (password, name) = (parsed.password().unwrap_or_default(), parsed.path().trim_start_matches('/'));
    let create =
        format!("create role {role} login password '{password}'; grant all on schema public to {role};");
    place.sql()?.batch_execute(&create).await?;
    let as_role = database_url(url, name, Some(&role))?;
    let theirs = [("DATABASE_URL", as_role.as_str()), ("CREATE_TABLE", "true")];
    let express = express_world::start_express(&place, &theirs).await?;
    let mut before = Browser::new()?;
    before.post(&express.url(), "/set", r#"{"userId":"ann"}"#).await?;

    let peer = express_world::start_peer(&place, &[]).await?;
    let world = World { peer, other: Other::Express(express), place };
    assert_eq!(before.session(&world.ours()).await?, r#"{"userId":"ann"}"#);
    assert_eq!(before.post(&world.theirs(), "/set", r#"{"n":1}"#).await?.status, 200);
    cases::each_reads_and_changes_what_the_other_made(&world).await?;
    cases::each_ends_what_the_other_made(&world).await?;
    cases::each_renews_what_the_other_made(&world).await?;
    cases::devices_of_both_are_listed_and_ended(&world).await
}

/// Some have made the column `jsonb`: the order of keys is Postgres's own then, all else holds.
#[tokio::test]
async fn a_column_of_jsonb_serves_both() -> Outcome {
    let place = Place::postgres().await?;
    let table = "create table web_session (sid varchar primary key, sess jsonb not null, expire timestamp(6) not null)";
    place.sql()?.batch_execute(table).await?;
    let world = World::start(place).await?;
    cases::each_ends_what_the_other_made(&world).await?;
    cases::each_renews_what_the_other_made(&world).await?;
    cases::each_prolongs_what_the_other_made(&world).await?;
    cases::parallel_requests_lose_nothing(&world).await?;
    cases::devices_of_both_are_listed_and_ended(&world).await
}

#[tokio::test]
async fn sixteen_processes_start_on_an_empty_database_at_once() -> Outcome {
    let place = Place::postgres().await?;
    let (url, table) = (place.url(), place.table());
    let peers = LocalSet::new().run_until(start_at_once(&url, table)).await?;
    let mut browser = Browser::new()?;
    for (number, peer) in peers.iter().enumerate() {
        let answer = browser.post(&peer.url(), "/set", &format!(r#"{{"key{number}":{number}}}"#)).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let session = browser.get(&peers[0].url(), "/get").await?.json()?["session"].clone();
    assert_eq!(session.as_object().map(serde_json::Map::len), Some(PROCESSES), "{session}");
    Ok(())
}

async fn start_at_once(url: &str, table: &'static str) -> Outcome<Vec<PeerApp>> {
    let starting: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let url = url.to_owned();
            tokio::task::spawn_local(async move {
                let env = [("STORE_URL", url.as_str()), ("SESSION_SECRET", "one secret"), ("TABLE", table)];
                PeerApp::start(PEER, &env).await
            })
        })
        .collect();
    let mut peers = Vec::with_capacity(PROCESSES);
    for started in starting {
        peers.push(started.await??);
    }
    Ok(peers)
}

/// Whether it is told to create the table or not, and while it prunes.
#[tokio::test]
async fn express_started_after_us_is_content_with_our_table() -> Outcome {
    let place = Place::postgres().await?;
    let peer = express_world::start_peer(&place, &[]).await?;
    let catalogue =
        "select string_agg(indexdef, ';' order by indexname) from pg_indexes where tablename = 'web_session'";
    let before: String = place.sql()?.query_one(catalogue, &[]).await?.get(0);
    for create in ["true", "false"] {
        let express =
            express_world::start_express(&place, &[("CREATE_TABLE", create), ("PRUNE_SECONDS", "1")]).await?;
        let mut browser = Browser::new()?;
        let answer = browser.post(&express.url(), "/set", r#"{"userId":"ann"}"#).await?;
        assert_eq!(answer.status, 200, "{} {}", answer.body, express.log());
        assert_eq!(browser.session(&peer.url()).await?, r#"{"userId":"ann"}"#);

        // Ours and theirs, over since a minute: pruned by Express. The live one stays.
        let mut over = Vec::new();
        for app in [peer.url(), express.url()] {
            let mut browser = Browser::new()?;
            browser.post(&app, "/set", r#"{"userId":"bob"}"#).await?;
            place.expire_in(&browser.sid()?, -60.0).await?;
            over.push(browser.sid()?);
        }
        let pruned = async || {
            for sid in &over {
                if place.stored(sid).await.ok()?.is_some() {
                    return None;
                }
            }
            Some(())
        };
        eventually("Express to prune", SOON, pruned)
            .await
            .map_err(|error| format!("{error} {}", express.log()))?;
        assert_eq!(browser.session(&peer.url()).await?, r#"{"userId":"ann"}"#);
        assert!(!express.log().contains("Failed to prune"), "{}", express.log());
    }
    let after: String = place.sql()?.query_one(catalogue, &[]).await?.get(0);
    assert_eq!(after, before);
    Ok(())
}

/// Its rows are there before any process of ours has ever started.
#[tokio::test]
async fn a_table_that_express_has_filled_is_taken_over() -> Outcome {
    let place = Place::postgres().await?;
    let express = express_world::start_express(&place, &[("CREATE_TABLE", "true")]).await?;
    let mut browsers = Vec::new();
    for user in [r#""7""#, "7", "8"] {
        let mut browser = Browser::new()?;
        browser.post(&express.url(), "/set", &format!(r#"{{"userId":{user},"n":{{"a":1}}}}"#)).await?;
        browsers.push(browser);
    }
    let mut nobody = Browser::new()?;
    nobody.post(&express.url(), "/set", r#"{"cart":[1]}"#).await?;
    // What Postgres cannot take apart itself is no reason not to start.
    place.put("a-row-with-a-nul", r#"{"cookie":{"originalMaxAge":null},"userId":"x\u0000y"}"#).await?;

    let peer = express_world::start_peer(&place, &[]).await?;
    let listed = browsers[0].get(&peer.url(), "/devices").await?.json()?;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(browsers[1].session(&peer.url()).await?, r#"{"userId":7,"n":{"a":1}}"#);
    assert_eq!(nobody.session(&peer.url()).await?, r#"{"cart":[1]}"#);
    let ended = browsers[0].post(&peer.url(), "/revoke-others", "").await?.json()?;
    assert_eq!(ended["ended"], 1);
    assert_eq!(browsers[1].session(&express.url()).await?, "{}");
    assert_eq!(browsers[2].session(&express.url()).await?, r#"{"userId":8,"n":{"a":1}}"#);
    Ok(())
}

/// A role whose TimeZone is not UTC, used by both. `expire` has no zone: we write and read it as UTC, whatever the
/// role says, and so our sessions end when they were promised to. connect-pg-simple writes and reads it in the role's
/// zone, so the two disagree by its offset about what the other wrote or touched last. We say so at the start, with
/// the remedy, and with the remedy they agree.
#[tokio::test]
async fn a_role_with_another_time_zone_moves_no_expiry_of_ours() -> Outcome {
    let place = Place::postgres().await?;
    let role = fresh_name("newyork")?;
    let Place::Postgres { url, table, .. } = &place else { return Err("not a database".into()) };
    let password = url::Url::parse(url)?.password().unwrap_or_default().to_owned();
    let name = url::Url::parse(url)?.path().trim_start_matches('/').to_owned();
    let sql = place.sql()?;
    sql.batch_execute(&format!(
        "create role {role} login password '{password}';
         alter role {role} set timezone to 'America/New_York';
         grant all on schema public to {role};"
    ))
    .await?;
    let url = database_url(url, &name, Some(&role))?;
    let zone: String =
        connect(&url).await?.query_one("select current_setting('TimeZone')", &[]).await?.get(0);
    assert_eq!(zone, "America/New_York");
    let place = Place::Postgres { url, pooled: None, table, client: connect(&place.url()).await? };
    let world = World::start(place).await?;
    let warned = world.peer.log();
    assert!(
        warned.contains("the role's TimeZone is not UTC") && warned.contains("America/New_York"),
        "{warned}"
    );

    let mut browser = Browser::new()?;
    browser.post(&world.ours(), "/set", r#"{"userId":"ann"}"#).await?;
    let sid = browser.sid()?;
    let off = world.place.stored(&sid).await?.ok_or("not stored")?.expires_at - (now() + MAX_AGE_SECONDS);
    assert!(off.abs() < 5.0, "it ends {off} s off");
    assert_eq!(browser.session(&world.theirs()).await?, r#"{"userId":"ann"}"#, "Express reads it");

    let mut theirs = Browser::new()?;
    theirs.post(&world.theirs(), "/set", r#"{"userId":"eve"}"#).await?;
    let stored = world.place.stored(&theirs.sid()?).await?.ok_or("not stored")?;
    let hours = (stored.expires_at - (now() + MAX_AGE_SECONDS)) / 3600.0;
    assert!((-5.1..-3.9).contains(&hours), "what Express writes there is {hours} h off: the warning is due");

    let mut late = Browser::new()?;
    late.post(&world.ours(), "/set", r#"{"userId":"bob"}"#).await?;
    world.place.expire_in(&late.sid()?, 60.0).await?;
    assert_eq!(late.clone().session(&world.ours()).await?, r#"{"userId":"bob"}"#, "it ended early");
    world.place.expire_in(&late.sid()?, -1.0).await?;
    assert_eq!(late.session(&world.ours()).await?, "{}", "it ends late");

    // The remedy that the warning names.
    sql.batch_execute(&format!("alter role {role} set timezone to 'UTC'")).await?;
    let mended = World::start(world.place).await?;
    assert!(!mended.peer.log().contains("TimeZone is not UTC"), "{}", mended.peer.log());
    cases::each_prolongs_what_the_other_made(&mended).await
}
