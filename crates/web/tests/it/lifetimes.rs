//! Idle and absolute timeouts and the touch interval, on a clock that only the test moves.

use crate::world::World;
use sessile::Expiry;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_busy_session_is_touched_once_per_interval() {
    let world = World::new();
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    for _ in 0..59 {
        world.clock.advance(Duration::from_secs(1));
        world.get("/", Some(&cookie)).await;
    }
    assert_eq!(world.store.calls.touches.load(SeqCst), 0, "59 requests within one interval");
    for _ in 0..120 {
        world.clock.advance(Duration::from_secs(1));
        world.get("/", Some(&cookie)).await;
    }
    assert_eq!(world.store.calls.touches.load(SeqCst), 2, "two more minutes");
}

#[tokio::test]
async fn without_an_interval_every_request_is_a_touch() {
    let world = World::with(|b| b.with_touch_interval(Duration::ZERO));
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    for _ in 0..3 {
        world.clock.advance(Duration::from_millis(1));
        world.get("/", Some(&cookie)).await;
    }
    assert_eq!(world.store.calls.touches.load(SeqCst), 3);
}

#[tokio::test]
async fn a_used_session_goes_on_and_an_unused_one_ends() {
    let world = World::with(|b| b.with_max_age(10 * MINUTE));
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    for _ in 0..5 {
        world.clock.advance(9 * MINUTE);
        assert_eq!(world.get("/why", Some(&cookie)).await.body, "found");
    }
    // The stored expiry leads by one touch interval.
    world.clock.advance(12 * MINUTE);
    assert_eq!(world.get("/why", Some(&cookie)).await.body, "expired");
}

#[tokio::test]
async fn the_absolute_timeout_ends_a_busy_session() {
    let world = World::with(|b| b.with_absolute_timeout(30 * MINUTE));
    let cookie = world.signed_in("ada").await;
    for _ in 0..5 {
        world.clock.advance(5 * MINUTE);
        assert_eq!(world.get("/why", Some(&cookie)).await.body, "found");
    }
    world.clock.advance(5 * MINUTE);
    assert_eq!(world.get("/why", Some(&cookie)).await.body, "expired");
}

#[tokio::test]
async fn a_browser_session_cookie_has_no_expiry() {
    let world = World::with(|b| b.with_expiry(Expiry::OnSessionEnd));
    let answer = world.post("/set/a/1", None).await;
    let line = answer.set_cookies()[0];
    assert!(line.ends_with("; Path=/; HttpOnly; Secure; SameSite=Lax"), "{line}");
    assert!(!line.contains("Expires"));
}
