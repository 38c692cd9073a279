//! What has to hold on every engine, whoever made the session.

use std::time::Duration;

use sessile_interop::servers::eventually;

use super::{Browser, Env, MAX_AGE_SECONDS, Outcome, Place, World, start_express, start_peer, store::now};

/// express-session rounds expiries up to whole seconds, and the machine may be busy.
const SLACK_SECONDS: f64 = 5.0;
const SOON: Duration = Duration::from_secs(10);
const PARALLEL: usize = 20;

/// Types, the order of keys and unknown keys survive whoever writes.
pub(crate) async fn each_reads_and_changes_what_the_other_made(world: &World) -> Outcome {
    for (maker, other) in world.both_ways() {
        let mut browser = Browser::new()?;
        let made =
            r#"{"zebra":1,"apple":{"y":[1,2.5,null,true,"ü\"\\"],"b":{}},"n":9007199254740991,"f":-0.5}"#;
        let answer = browser.post(&maker, "/set", made).await?;
        assert_eq!(answer.session()?, made, "{maker}");
        let sid = browser.sid()?;
        assert_eq!(browser.session(&other).await?, made, "the other one reads it");

        browser.post(&other, "/set", r#"{"more":"x","zebra":"one"}"#).await?;
        let changed =
            made.replace(r#""zebra":1"#, r#""zebra":"one""#).replace("-0.5}", r#"-0.5,"more":"x"}"#);
        assert_eq!(browser.session(&maker).await?, changed, "and changes it");
        browser.post(&other, "/remove", r#"{"keys":["apple","nothing"]}"#).await?;
        let left = r#"{"zebra":"one","n":9007199254740991,"f":-0.5,"more":"x"}"#;
        assert_eq!(browser.session(&maker).await?, left, "and takes a key away");
        browser.post(&maker, "/set", r#"{"last":[]}"#).await?;
        let last = left.replace("\"x\"}", r#""x","last":[]}"#);
        assert_eq!(browser.session(&other).await?, last, "and the first one goes on");
        assert_eq!(browser.sid()?, sid, "all that time it was one session");
    }
    Ok(())
}

/// What JavaScript would round stays as it is while we change other keys.
pub(crate) async fn numbers_beyond_javascript_stay_as_they_are(world: &World) -> Outcome {
    let mut browser = Browser::new()?;
    browser.post(&world.theirs(), "/set", r#"{"small":1}"#).await?;
    let sid = browser.sid()?;
    let json = stored(world, &sid).await?;
    let odd = r#""big":12345678901234567890123,"tiny":1.10,"e":1E5,"esc":"\u00e9\/","small":1}"#;
    world.place.put(&sid, &json.replace(r#""small":1}"#, odd)).await?;

    browser.post(&world.ours(), "/set", r#"{"mine":9223372036854775808}"#).await?;
    let json = stored(world, &sid).await?;
    let kept = odd.trim_end_matches('}');
    assert!(json.contains(&format!("{kept},\"mine\":9223372036854775808")), "{json}");
    Ok(())
}

/// Ended by one, it is gone for the other, and its id is adopted by nobody.
pub(crate) async fn each_ends_what_the_other_made(world: &World) -> Outcome {
    for (maker, ender) in world.both_ways() {
        let mut browser = Browser::new()?;
        browser.post(&maker, "/set", r#"{"userId":"ann"}"#).await?;
        let (sid, kept) = (browser.sid()?, browser.clone());
        let answer = browser.post(&ender, "/destroy", "{}").await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(browser.cookie, None, "the cookie is cleared: {:?}", answer.set_cookie);
        assert_eq!(world.place.stored(&sid).await?, None);
        for app in [&maker, &ender] {
            let mut again = kept.clone();
            assert_eq!(again.session(app).await?, "{}", "{app} brings it back");
            again.post(app, "/set", r#"{"new":1}"#).await?;
            assert_ne!(again.sid()?, sid, "{app} adopts an id that has ended");
            assert_eq!(again.session(app).await?, r#"{"new":1}"#);
        }
        assert_eq!(world.place.stored(&sid).await?, None);
    }
    Ok(())
}

/// A new id at one is a new id at the other, and the old one answers nobody after its grace.
pub(crate) async fn each_renews_what_the_other_made(world: &World) -> Outcome {
    for (maker, other) in world.both_ways() {
        let mut browser = Browser::new()?;
        browser.post(&maker, "/set", r#"{"cart":[1]}"#).await?;
        let old = browser.sid()?;
        browser.post(&other, "/regenerate", r#"{"set":{"userId":"ann"}}"#).await?;
        let new = browser.sid()?;
        assert_ne!(new, old);
        assert_eq!(browser.session(&maker).await?, r#"{"userId":"ann"}"#);
        // Ours answers for ten seconds to requests that are under way; it ends earlier than it would have.
        if let Some(old) = world.place.stored(&old).await? {
            assert!(old.expires_at < now() + 11.0, "the old id stays for {} s", old.expires_at - now());
        }
    }
    Ok(())
}

/// Whoever is asked, the session lives on for both.
pub(crate) async fn each_prolongs_what_the_other_made(world: &World) -> Outcome {
    for (maker, other) in world.both_ways() {
        let mut browser = Browser::new()?;
        browser.post(&maker, "/set", r#"{"userId":"ann"}"#).await?;
        let sid = browser.sid()?;
        let promised = now() + MAX_AGE_SECONDS;
        let first = world.place.stored(&sid).await?.ok_or("not stored")?.expires_at;
        assert!((first - promised).abs() < SLACK_SECONDS, "it ends {} s off", first - promised);

        world.place.expire_in(&sid, 30.0).await?;
        browser.get(&other, "/touch").await?;
        let moved = world.place.stored(&sid).await?.ok_or("gone")?.expires_at;
        assert!((moved - promised).abs() < SLACK_SECONDS, "a touch leaves it {} s off", moved - promised);
        assert_eq!(browser.session(&maker).await?, r#"{"userId":"ann"}"#);
    }
    Ok(())
}

/// Each believes the stored expiry: not the copy in the JSON, which a touch by Express leaves as it was.
pub(crate) async fn each_believes_an_expiry_that_the_other_moved(world: &World) -> Outcome {
    for (maker, other) in world.both_ways() {
        let mut browser = Browser::new()?;
        browser.post(&maker, "/set", r#"{"userId":"ann"}"#).await?;
        let mut forgotten = Browser::new()?;
        forgotten.post(&maker, "/set", r#"{"userId":"bob"}"#).await?;
        for sid in [browser.sid()?, forgotten.sid()?] {
            world.place.expire_in(&sid, 1.5).await?;
        }
        browser.get(&other, "/touch").await?;
        // Both applications count whole seconds at most.
        let sid = forgotten.sid()?;
        let over = async || match world.place.stored(&sid).await {
            Ok(Some(stored)) => (stored.expires_at + 1.0 < now()).then_some(()),
            Ok(None) => Some(()),
            Err(_) => None,
        };
        eventually("a session to end", SOON, over).await?;
        assert_eq!(browser.session(&maker).await?, r#"{"userId":"ann"}"#, "touched by {other}, it has ended");
        let mut again = forgotten.clone();
        assert_eq!(again.session(&maker).await?, "{}", "it should have ended for its maker");
        let mut again = forgotten.clone();
        assert_eq!(again.session(&other).await?, "{}", "it should have ended for the other one");
    }
    Ok(())
}

/// Secrets rotate at one side first.
pub(crate) async fn secrets_rotate_one_side_at_a_time(place: Place) -> Outcome {
    let ours: Env<'_> = &[("SESSION_SECRET", "the new secret,the old secret")];
    let world = World::start_with(place, ours, &[("SESSION_SECRET", "the old secret")]).await?;
    let mut browser = Browser::new()?;
    browser.post(&world.theirs(), "/set", r#"{"userId":"ann"}"#).await?;
    let (sid, old) = (browser.sid()?, browser.cookie.clone());

    assert_eq!(browser.session(&world.ours()).await?, r#"{"userId":"ann"}"#, "an old signature is accepted");
    assert_eq!(browser.sid()?, sid, "and the session goes on");
    assert_ne!(browser.cookie, old, "under a new signature");
    let new = browser.cookie.clone();
    // Express has only the old secret so far: to it the new signature is a forgery. The order of a rotation is
    // therefore to give Express `[new, old]` before ours gets `new,old`, or to accept this for as long as it lasts.
    assert_eq!(browser.with(new.clone()).session(&world.theirs()).await?, "{}");
    assert_eq!(browser.with(old.clone()).session(&world.theirs()).await?, r#"{"userId":"ann"}"#);

    let both = start_express(&world.place, &[("SESSION_SECRET", "the new secret,the old secret")]).await?;
    for cookie in [&new, &old] {
        let mut browser = browser.with(cookie.clone());
        assert_eq!(browser.session(&both.url()).await?, r#"{"userId":"ann"}"#);
    }
    // And what Express signs with the new one is ours, without being issued once more for its signature.
    let mut browser = Browser::new()?;
    browser.post(&both.url(), "/set", r#"{"n":1}"#).await?;
    let signed = browser.cookie.clone();
    assert_eq!(browser.session(&world.ours()).await?, r#"{"n":1}"#);
    assert_eq!(browser.cookie, signed);

    let later = start_peer(&world.place, &[("SESSION_SECRET", "the new secret")]).await?;
    assert_eq!(browser.with(old).session(&later.url()).await?, "{}", "the old secret is retired");
    Ok(())
}

/// Each of many requests sets its own key through us, while the other application only reads and touches.
pub(crate) async fn parallel_requests_lose_nothing(world: &World) -> Outcome {
    let mut browser = Browser::new()?;
    browser.post(&world.theirs(), "/set", r#"{"userId":"ann"}"#).await?;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..PARALLEL {
        let (mut ours, mut theirs) = (browser.clone(), browser.clone());
        let (ours_url, theirs_url) = (world.ours(), world.theirs());
        let failed = |error: Box<dyn std::error::Error>| error.to_string();
        requests.spawn(async move {
            let body = format!(r#"{{"key{number}":{number}}}"#);
            ours.post(&ours_url, "/set", &body).await.map(|reply| reply.status).map_err(failed)
        });
        requests.spawn(async move {
            theirs.get(&theirs_url, "/touch").await.map(|reply| reply.status).map_err(failed)
        });
    }
    while let Some(done) = requests.join_next().await {
        assert_eq!(done??, 200);
    }
    for app in [world.ours(), world.theirs()] {
        let session = browser.get(&app, "/get").await?.json()?["session"].clone();
        let found = (0..PARALLEL).filter(|n| session[format!("key{n}")] == *n).count();
        assert_eq!(found, PARALLEL, "of {PARALLEL} keys set at once: {session}");
        assert_eq!(session["userId"], "ann");
    }
    Ok(())
}

/// Express answers 500 to a session without `cookie`; we serve it, and mend it with the next change.
pub(crate) async fn a_session_without_cookie_is_healed(world: &World) -> Outcome {
    let mut browser = Browser::new()?;
    browser.post(&world.theirs(), "/set", r#"{"userId":"ann"}"#).await?;
    let sid = browser.sid()?;
    world.place.put(&sid, r#"{"userId":"ann","by":"hand"}"#).await?;
    let answer = browser.clone().get(&world.theirs(), "/get").await?;
    assert_eq!(
        answer.status, 500,
        "Express cannot serve it; if it can now, so much the better: {}",
        answer.body
    );

    assert_eq!(browser.session(&world.ours()).await?, r#"{"userId":"ann","by":"hand"}"#);
    browser.post(&world.ours(), "/set", r#"{"n":1}"#).await?;
    let json = stored(world, &sid).await?;
    assert!(json.starts_with(r#"{"cookie":{"originalMaxAge":3600000,"expires":""#), "{json}");
    assert_eq!(browser.session(&world.theirs()).await?, r#"{"userId":"ann","by":"hand","n":1}"#);
    Ok(())
}

/// Whoever holds its cookie gets a fresh session; what is stored stays for somebody to look at, and the log says where.
pub(crate) async fn a_session_that_cannot_be_read_is_kept(world: &World, place_in_log: &str) -> Outcome {
    let mut browser = Browser::new()?;
    browser.post(&world.ours(), "/set", r#"{"userId":"ann"}"#).await?;
    let sid = browser.sid()?;
    world.place.put(&sid, "[]").await?;

    assert_eq!(browser.session(&world.ours()).await?, "{}");
    let answer = browser.post(&world.ours(), "/set", r#"{"userId":"bob"}"#).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(browser.sid()?, sid);
    assert_eq!(browser.session(&world.ours()).await?, r#"{"userId":"bob"}"#);
    assert_eq!(stored(world, &sid).await?, "[]");

    let log = world.peer.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("cannot be read")).collect();
    assert!(!told.is_empty() && told.iter().all(|line| line.contains(place_in_log)), "{log}");
    assert!(!log.contains(&sid), "the log holds an id");
    Ok(())
}

/// Every session of the user is shown and can be ended, whoever made it.
pub(crate) async fn devices_of_both_are_listed_and_ended(world: &World) -> Outcome {
    let mut here = Browser::new()?;
    here.post(&world.ours(), "/set", r#"{"userId":"7"}"#).await?;
    let mut there = Browser::new()?;
    // A number, as many applications' ids are.
    there.post(&world.theirs(), "/set", r#"{"userId":7}"#).await?;
    let mut stranger = Browser::new()?;
    stranger.post(&world.theirs(), "/set", r#"{"userId":8}"#).await?;
    sweep(world).await?;

    let listed = here.get(&world.ours(), "/devices").await?.json()?;
    let devices = listed.as_array().ok_or("no list")?;
    assert_eq!(devices.len(), 2, "{listed}");
    let mine: Vec<_> = devices.iter().filter(|device| device["thisDevice"] == true).collect();
    assert_eq!(mine.len(), 1, "{listed}");
    assert!(
        mine[0]["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.0/24")),
        "{listed}"
    );

    let answer = here.post(&world.ours(), "/revoke-others", "").await?;
    assert_eq!(answer.json()?["ended"], 1, "{}", answer.body);
    assert_eq!(world.place.stored(&there.sid()?).await?, None);
    assert_eq!(there.session(&world.theirs()).await?, "{}", "ended by us, it goes on there");
    assert_eq!(here.session(&world.theirs()).await?, r#"{"userId":"7"}"#);
    assert_eq!(stranger.session(&world.theirs()).await?, r#"{"userId":8}"#);
    Ok(())
}

/// The cookie object that Express makes of what we store, and the header that a browser gets, are those that Express
/// would have made itself.
pub(crate) async fn cookies_have_the_attributes_that_express_gives_them(world: &World) -> Outcome {
    let mut ours = Browser::new()?;
    let by_us = ours.post(&world.ours(), "/set", r#"{"n":1}"#).await?;
    let mut theirs = Browser::new()?;
    let by_them = theirs.post(&world.theirs(), "/set", r#"{"n":1}"#).await?;

    let value = |browser: &Browser| browser.cookie.clone().unwrap_or_default();
    for browser in [&ours, &theirs] {
        let cookie = value(browser);
        let signature = cookie.split_once('.').ok_or("unsigned")?.1;
        assert!(cookie.starts_with("sid=s%3A") && !signature.contains(['+', '/', '=']), "{cookie}");
        assert_eq!(browser.sid()?.len(), 32, "{cookie}");
    }
    let names = |reply: &super::Reply| {
        reply
            .attributes()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| name != "samesite")
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&by_us), names(&by_them), "{:?} and {:?}", by_us.set_cookie, by_them.set_cookie);
    // Express was not told of SameSite; browsers take Lax then, which we say.
    assert!(
        by_us.attributes().contains(&("samesite".to_owned(), "Lax".to_owned())),
        "{:?}",
        by_us.set_cookie
    );
    assert!(by_us.attributes().contains(&("path".to_owned(), "/".to_owned())));

    let seen = ours.get(&world.theirs(), "/get").await?.json()?["cookie"].clone();
    assert_eq!(
        seen["originalMaxAge"].as_f64().map(|ms| (ms - 3_600_000.0).abs() < 5000.0),
        Some(true),
        "{seen}"
    );
    assert_eq!((&seen["httpOnly"], &seen["path"]), (&true.into(), &"/".into()), "{seen}");
    assert!(seen["expires"].as_str().is_some_and(|at| at.ends_with('Z')), "{seen}");
    // Written back by Express, it is still ours, with every attribute that we had given it.
    ours.post(&world.theirs(), "/set", r#"{"n":2}"#).await?;
    let json = stored(world, &ours.sid()?).await?;
    assert!(json.contains(r#""sameSite":"lax""#) && json.contains(r#""httpOnly":true"#), "{json}");
    ours.post(&world.ours(), "/set", r#"{"n":3}"#).await?;
    assert_eq!(ours.session(&world.theirs()).await?, r#"{"n":3}"#);
    Ok(())
}

/// Another process with another `maxAge` prolongs a session by the session's own, as express-session does.
pub(crate) async fn each_keeps_the_lifetime_that_the_other_gave(world: &World) -> Outcome {
    let long = [("MAX_AGE_MS", "86400000")];
    let (ours, theirs) = (start_peer(&world.place, &long).await?, start_express(&world.place, &long).await?);
    for (maker, others) in
        [(world.ours(), theirs.url()), (world.theirs(), ours.url()), (world.ours(), ours.url())]
    {
        let mut browser = Browser::new()?;
        browser.post(&maker, "/set", r#"{"n":1}"#).await?;
        let sid = browser.sid()?;
        for (path, body) in [("/touch", None), ("/set", Some(r#"{"n":2}"#))] {
            world.place.expire_in(&sid, 30.0).await?;
            match body {
                None => browser.get(&others, path).await?,
                Some(body) => browser.post(&others, path, body).await?,
            };
            let left = world.place.stored(&sid).await?.ok_or("gone")?.expires_at - now();
            assert!((left - MAX_AGE_SECONDS).abs() < SLACK_SECONDS, "{path} leaves {left} s");
        }
    }
    Ok(())
}

/// Without a `maxAge` the cookie has no end of its own, and the store keeps the session for a day.
pub(crate) async fn cookies_end_with_the_browser_for_both(world: &World) -> Outcome {
    for (maker, other) in world.both_ways() {
        let mut browser = Browser::new()?;
        let answer = browser.post(&maker, "/set", r#"{"userId":"ann"}"#).await?;
        assert!(!answer.attributes().iter().any(|(name, _)| name == "expires"), "{:?}", answer.set_cookie);
        let sid = browser.sid()?;
        for app in [&maker, &other] {
            let stored = world.place.stored(&sid).await?.ok_or("gone")?;
            // null from us; from an Express that was given `maxAge: undefined`, not even that.
            let cookie = &serde_json::from_str::<serde_json::Value>(&stored.json)?["cookie"];
            assert!(cookie["originalMaxAge"].is_null() && cookie["expires"].is_null(), "{cookie}");
            let left = stored.expires_at - now();
            assert!((left - 86_400.0).abs() < SLACK_SECONDS, "it is kept for {left} s");
            world.place.expire_in(&sid, 30.0).await?;
            let answer = browser.post(app, "/set", r#"{"n":1}"#).await?;
            assert!(
                !answer.attributes().iter().any(|(name, _)| name == "expires"),
                "{:?}",
                answer.set_cookie
            );
            world.place.expire_in(&sid, 30.0).await?;
            browser.get(app, "/touch").await?;
        }
        assert_eq!(browser.session(&maker).await?, r#"{"userId":"ann","n":1}"#);
    }
    Ok(())
}

/// Sweeps all the way round.
pub(crate) async fn sweep(world: &World) -> Outcome<u64> {
    let mut removed = 0;
    for _ in 0..100 {
        let swept = Browser::new()?.post(&world.ours(), "/sweep", "").await?.json()?;
        removed += swept["removed"].as_u64().ok_or("no number")?;
        if swept["more"] == false {
            return Ok(removed);
        }
    }
    Err("the sweep never ends".into())
}

async fn stored(world: &World, sid: &str) -> Outcome<String> {
    Ok(world.place.stored(sid).await?.ok_or("it is not stored")?.json)
}
