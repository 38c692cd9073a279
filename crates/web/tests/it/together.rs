//! Requests and tasks that change one session at the same time.

use crate::watched::{Away, WatchedStore};
use crate::world::{Answer, SECRET, World, read};
use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use sessile::{Error, SecretList, Session, SessionLayer};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use tower::ServiceExt as _;

#[tokio::test]
async fn twenty_parallel_writers_all_survive() {
    let world = Arc::new(World::new());
    let cookie = world.signed_in("ada").await;
    let writers = (0..20).map(|n| {
        let (world, cookie) = (world.clone(), cookie.clone());
        tokio::spawn(async move { world.post(&format!("/gated/k{n}/v"), Some(&cookie)).await.status })
    });
    let writers: Vec<_> = writers.collect();
    // All have read the same version; now all commit.
    world.gate.reached_by(20).await;
    world.gate.let_through(20);
    for writer in writers {
        assert_eq!(writer.await.unwrap(), StatusCode::OK);
    }
    let keys = world.get("/keys", Some(&cookie)).await.body;
    assert_eq!(keys.split(',').filter(|key| key.starts_with('k')).count(), 20, "{keys}");
}

async fn during_a_write(
    world: &Arc<World>,
    write: &str,
    cookie: &str,
    meanwhile: &str,
) -> (StatusCode, String) {
    let writer = {
        let (world, write, cookie) = (world.clone(), write.to_owned(), cookie.to_owned());
        tokio::spawn(async move { world.post(&write, Some(&cookie)).await })
    };
    world.gate.reached_by(1).await;
    assert_eq!(world.post(meanwhile, Some(cookie)).await.status, StatusCode::OK);
    world.gate.let_through(1);
    let answer = writer.await.unwrap();
    assert_eq!(answer.cookie().is_some(), answer.status == StatusCode::OK);
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_log_out_during_a_write_wins_and_the_session_stays_gone() {
    let world = Arc::new(World::new());
    let cookie = world.signed_in("ada").await;
    let (status, body) = during_a_write(&world, "/gated/a/1", &cookie, "/sign-out").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body.contains("session_ended"), "{body}");
    assert!(world.stored(&cookie).await.is_none());
    assert_eq!(world.get("/why", Some(&cookie)).await.body, "ended");
}

#[tokio::test]
async fn a_strict_write_conflicts_with_any_other() {
    let world = Arc::new(World::new());
    let cookie = world.signed_in("ada").await;
    let (status, body) = during_a_write(&world, "/strict/a/1", &cookie, "/set/b/2").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body.contains("version_conflict"), "{body}");
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "userId,b");
}

#[tokio::test]
async fn a_save_in_the_middle_is_durable_and_what_follows_is_added() {
    let world = World::new();
    let answer = world.post("/save/a/1", None).await;
    assert_eq!(answer.body, "a,after");
    let cookie = answer.cookie().unwrap();
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "a,after");
    let calls = &world.store.calls;
    let count = |n: &std::sync::atomic::AtomicUsize| n.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!((count(&calls.creates), count(&calls.commits)), (1, 1));
}

/// Runs a handler once over a store whose writes take a while.
async fn over_a_slow_store<T: 'static>(handler: impl Handler<T, ()>) -> (World, Answer) {
    let store = Arc::new(WatchedStore::new());
    store.is_away(Away::SlowWrites);
    let layer = SessionLayer::builder(store.clone(), SecretList::parse(SECRET).unwrap()).build().unwrap();
    let app: Router = Router::new().route("/", post(handler)).layer(layer);
    let answer = app.oneshot(Request::post("/").body(Body::empty()).unwrap()).await.unwrap();
    (World::on(store, SECRET, |b| b), read(answer).await)
}

#[tokio::test]
async fn what_another_task_sets_during_a_save_is_not_lost() {
    async fn both(session: Session) -> Result<String, Error> {
        session.set("a", &1)?;
        session.set("gone", &1)?;
        let other = async {
            session.set("b", &2)?;
            session.remove("gone").map(|_| ())
        };
        let (saved, other) = tokio::join!(session.save(), other);
        saved.and(other)?;
        Ok(session.keys().join(","))
    }
    let (world, answer) = over_a_slow_store(both).await;
    assert_eq!(answer.body, "a,b");
    assert_eq!(world.get("/keys", answer.cookie().as_deref()).await.body, "a,b");
    assert_eq!(
        world.store.calls.commits.load(SeqCst),
        1,
        "the save created it, the end of the request changed it"
    );
}

#[tokio::test]
async fn a_log_out_during_a_save_is_not_lost() {
    async fn both(session: Session) -> Result<(), Error> {
        session.set("a", &1)?;
        let (saved, ended) = tokio::join!(session.save(), async { session.destroy() });
        saved.and(ended)
    }
    let (world, answer) = over_a_slow_store(both).await;
    assert!(answer.set_cookies()[0].starts_with("sid=; "), "{:?}", answer.set_cookies());
    assert_eq!((world.store.calls.creates.load(SeqCst), world.store.calls.destroys.load(SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_new_id_asked_for_during_a_save_is_not_lost() {
    async fn both(session: Session) -> Result<(), Error> {
        session.set("a", &1)?;
        let (saved, signed_in) = tokio::join!(session.save(), async { session.sign_in("ada") });
        saved.and(signed_in)
    }
    let (world, answer) = over_a_slow_store(both).await;
    let data = world.stored(&answer.cookie().unwrap()).await.unwrap();
    assert_eq!((data.raw("a"), data.raw("userId")), (Some("1"), Some("\"ada\"")));
    assert_eq!(world.store.calls.replaces.load(SeqCst), 1);
}
