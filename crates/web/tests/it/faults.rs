//! What the client is told when a session cannot be loaded or kept: never an answer that pretends it was.

use crate::watched::Away;
use crate::world::{Answer, World, read};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use sessile::{PROBLEM_CODES, SecretList, Session, SessionLayer};
use std::convert::Infallible;
use std::sync::Arc;
use tower::{Layer as _, ServiceExt as _};

fn is_problem(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(PROBLEM_CODES.contains(&code));
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    for field in ["type", "title", "detail", "remedy"] {
        assert!(json[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {json}");
    }
    assert_eq!(json["status"], status.as_u16());
    let wait = answer.headers.get("retry-after").map(|v| v.to_str().unwrap());
    assert_eq!(wait, (status == StatusCode::SERVICE_UNAVAILABLE).then_some("1"));
}

#[tokio::test]
async fn a_session_that_is_too_large_is_413_and_names_the_limit() {
    let world = World::new();
    let answer = world.post("/big/70000", None).await;
    is_problem(&answer, StatusCode::PAYLOAD_TOO_LARGE, "session_too_large");
    assert!(answer.body.contains("65536"), "{}", answer.body);
    assert_eq!(answer.cookie(), None);
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    is_problem(
        &world.post("/big/70000", Some(&cookie)).await,
        StatusCode::PAYLOAD_TOO_LARGE,
        "session_too_large",
    );
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "a", "nothing of it was stored");
}

#[tokio::test]
async fn an_outage_at_load_is_503_and_nobody_looks_logged_out() {
    let world = World::new();
    let cookie = world.signed_in("ada").await;
    world.store.is_away(Away::Loads);
    for path in ["/keys", "/optional"] {
        let refused = world.get(path, Some(&cookie)).await;
        is_problem(&refused, StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable");
        assert_eq!(refused.cookie(), None);
    }
    let untouched = world.get("/", Some(&cookie)).await;
    assert_eq!((untouched.status, untouched.cookie()), (StatusCode::OK, None), "no session, no trouble");
    assert_eq!(world.get("/why", Some(&cookie)).await.body, "store_down");
    // Signing in goes on.
    let again = world.post("/sign-in/ada", Some(&cookie)).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_ne!(again.cookie().unwrap(), cookie);
}

#[tokio::test]
async fn an_outage_at_commit_replaces_the_answer() {
    let world = World::new();
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    world.store.is_away(Away::Writes);
    for cookie in [None, Some(cookie.as_str())] {
        let answer = world.post("/set/b/2", cookie).await;
        is_problem(&answer, StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable");
        assert!(
            answer.cookie().is_none() && !answer.body.contains("db-7"),
            "no driver text: {}",
            answer.body
        );
    }
    is_problem(&world.post("/save/b/2", None).await, StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable");
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "a");
}

#[tokio::test]
async fn a_route_without_the_layer_says_what_to_add() {
    let app: Router = Router::new()
        .route("/", get(|_: Session| async { "never" }))
        .route("/optional", get(|session: Option<Session>| async move { session.is_some().to_string() }));
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let answer = read(app.clone().oneshot(get("/")).await.unwrap()).await;
    is_problem(&answer, StatusCode::INTERNAL_SERVER_ERROR, "session_layer_missing");
    assert!(answer.body.contains("SessionLayer"));
    assert_eq!(read(app.oneshot(get("/optional")).await.unwrap()).await.body, "false");
}

#[tokio::test]
async fn an_unreadable_session_is_a_stranger_and_is_kept() {
    let world = World::new();
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    *world.store.corrupt.lock() = Some("session/1a2b3c4d".to_owned());
    assert_eq!(world.get("/why", Some(&cookie)).await.body, "undecodable");
    *world.store.corrupt.lock() = None;
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "a");
}

#[tokio::test]
async fn any_body_that_is_made_of_bytes_will_do() {
    let store = Arc::new(crate::watched::WatchedStore::new());
    let layer = SessionLayer::builder(store.clone(), SecretList::parse("s").unwrap()).build().unwrap();
    let service = layer.layer(tower::service_fn(|request: Request<Full<Bytes>>| async move {
        let session = request.extensions().get::<Session>().unwrap().clone();
        session.set("a", &1).unwrap();
        Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"fine"))))
    }));
    let request = || Request::post("/").body(Full::<Bytes>::default()).unwrap();
    let answer = service.clone().oneshot(request()).await.unwrap();
    assert!(answer.headers().contains_key("set-cookie"));
    store.is_away(Away::Writes);
    let answer = service.oneshot(request()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"type\":\"https://"), "{body:?}");
}

#[tokio::test]
async fn a_change_after_the_answer_is_an_error_and_not_silence() {
    use sessile::{DataError, Error};
    let kept: Arc<parking_lot::Mutex<Option<Session>>> = Arc::default();
    let keep = kept.clone();
    let handler = move |session: Session| async move { *keep.lock() = Some(session) };
    let store = Arc::new(crate::watched::WatchedStore::new());
    let layer = SessionLayer::builder(store, SecretList::parse("s").unwrap()).build().unwrap();
    let app: Router = Router::new().route("/", get(handler)).layer(layer);
    app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    let late = kept.lock().take().unwrap();
    let too_late = |result: Result<(), Error>| matches!(result, Err(Error::Data(DataError::TooLate)));
    assert!(too_late(late.set("a", &1)));
    assert!(too_late(late.destroy()) && too_late(late.regenerate()) && too_late(late.sign_in("ada")));
    assert!(too_late(late.save().await));
}
