//! Express with connect-redis and Sessile on the same keys, at the same time. Run under `servers exec`.

mod express_world;

use express_world::{Browser, Outcome, Place, World, cases, late};

macro_rules! on_redis {
    ($($case:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() -> Outcome {
                cases::$case(&World::start(Place::redis().await?).await?).await
            }
        )+
    };
}

on_redis!(
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
    cases::secrets_rotate_one_side_at_a_time(Place::redis().await?).await
}

#[tokio::test]
async fn cookies_end_with_the_browser_for_both() -> Outcome {
    let until_closed = [("MAX_AGE_MS", "")];
    let world = World::start_with(Place::redis().await?, &until_closed, &until_closed).await?;
    cases::cookies_end_with_the_browser_for_both(&world).await
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_kept() -> Outcome {
    let world = World::start(Place::redis().await?).await?;
    cases::a_session_that_cannot_be_read_is_kept(&world, "redis key sess:").await
}

/// Two processes of ours; Express's client would need another setup for Cluster.
#[tokio::test]
async fn all_of_it_works_on_a_cluster() -> Outcome {
    let world = World::ours_alone(Place::cluster().await?).await?;
    cases::each_reads_and_changes_what_the_other_made(&world).await?;
    cases::each_ends_what_the_other_made(&world).await?;
    cases::each_renews_what_the_other_made(&world).await?;
    cases::each_prolongs_what_the_other_made(&world).await?;
    cases::parallel_requests_lose_nothing(&world).await?;
    let (answer, mut kept) =
        late::logout_during_a_write(&world.ours(), &world.theirs(), &world.ours()).await?;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert_eq!(world.place.stored(&kept.sid()?).await?, None);
    assert_eq!(kept.session(&world.theirs()).await?, "{}");
    Ok(())
}

/// Express removes the key; our write changes a key only where it still holds what we read.
#[tokio::test]
async fn our_late_write_after_a_logout_at_express_is_refused() -> Outcome {
    let world = World::start(Place::redis().await?).await?;
    for maker in [world.ours(), world.theirs()] {
        let (answer, mut kept) = late::logout_during_a_write(&maker, &world.ours(), &world.theirs()).await?;
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(answer.json()?["code"], "session_ended");
        assert_eq!(world.place.stored(&kept.sid()?).await?, None, "the key came back");
        assert_eq!(kept.session(&world.ours()).await?, "{}");
    }
    Ok(())
}

/// Redis has no triggers, so nothing can keep connect-redis from setting a key again. We remember that the session
/// ended, so for us it stays ended, whatever the key holds; and the next sweep removes the key. Until then Express
/// itself would still serve it.
#[tokio::test]
async fn a_late_write_by_express_after_our_logout_stays_ended_for_us() -> Outcome {
    let world = World::start(Place::redis().await?).await?;
    for maker in [world.ours(), world.theirs()] {
        let (_, kept) = late::logout_during_a_write(&maker, &world.theirs(), &world.ours()).await?;
        let sid = kept.sid()?;
        let left = world.place.stored(&sid).await?.ok_or("Express wrote nothing: the test proves nothing")?;
        assert!(left.json.contains("ann"), "{}", left.json);
        let mut ours = kept.clone();
        assert_eq!(ours.session(&world.ours()).await?, "{}", "it came back for us");
        let answer = ours.post(&world.ours(), "/set", r#"{"n":1}"#).await?;
        assert_eq!((answer.status, answer.session()?.as_str()), (200, r#"{"n":1}"#));
        assert_ne!(ours.sid()?, sid, "a dead id was adopted");

        assert_eq!(cases::sweep(&world).await?, 1);
        assert_eq!(world.place.stored(&sid).await?, None, "the sweep leaves it");
        assert_eq!(
            kept.clone().session(&world.theirs()).await?,
            "{}",
            "after the sweep it is gone for Express, too"
        );
    }
    Ok(())
}

/// What Redis cannot promise: a logout at one Express process and a late write by another leave nothing that we could
/// know it by. The key is removed and set again without us, and is then like any other session. This is Express's own
/// behaviour on Redis, with or without us; on Postgres the triggers prevent it. A logout at ours does not have it.
#[tokio::test]
async fn a_late_write_by_express_after_a_logout_at_express_is_beyond_us() -> Outcome {
    let world = World::start(Place::redis().await?).await?;
    let second = express_world::start_express(&world.place, &[]).await?;
    let (_, mut kept) = late::logout_during_a_write(&world.theirs(), &world.theirs(), &second.url()).await?;
    assert!(kept.session(&world.ours()).await?.contains("ann"), "it stays ended: then say so in the comment");
    // Ended at ours, it is over.
    let mut ended: Browser = kept.clone();
    ended.post(&world.ours(), "/destroy", "{}").await?;
    assert_eq!(kept.clone().session(&world.theirs()).await?, "{}");
    assert_eq!(kept.session(&world.ours()).await?, "{}");
    Ok(())
}
