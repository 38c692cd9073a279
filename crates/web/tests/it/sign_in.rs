//! New ids: signing in, regenerating, and what the old id still does meanwhile.

use crate::world::World;
use axum::http::StatusCode;
use std::time::Duration;

#[tokio::test]
async fn signing_in_changes_the_id_and_keeps_what_was_there() {
    let world = World::new();
    let anonymous = world.post("/set/cart/tea", None).await.cookie().unwrap();
    let signed_in = world.post("/sign-in/ada", Some(&anonymous)).await.cookie().unwrap();
    assert_ne!(signed_in, anonymous);
    let data = world.stored(&signed_in).await.unwrap();
    assert_eq!((data.raw("cart"), data.raw("userId")), (Some("\"tea\""), Some("\"ada\"")));
    assert_eq!(world.stored(&anonymous).await.unwrap().raw("userId"), None, "the old id never gets the user");
}

#[tokio::test]
async fn the_old_id_answers_requests_under_way_and_then_never_again() {
    let world = World::new();
    let old = world.post("/set/a/1", None).await.cookie().unwrap();
    let new = world.post("/regenerate", Some(&old)).await.cookie().unwrap();
    world.clock.advance(Duration::from_secs(9));
    let late = world.get("/keys", Some(&old)).await;
    assert_eq!(late.body, "a");
    assert_eq!(late.cookie(), None, "an answer under the old id must not overwrite the new cookie");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.get("/why", Some(&old)).await.body, "ended");
    assert_eq!(world.get("/keys", Some(&new)).await.body, "a");
}

#[tokio::test]
async fn a_write_under_the_old_id_is_told_that_it_was_not_kept() {
    let world = World::new();
    let old = world.post("/set/a/1", None).await.cookie().unwrap();
    let new = world.post("/regenerate", Some(&old)).await.cookie().unwrap();
    let late = world.post("/set/b/2", Some(&old)).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::UNAUTHORIZED, "session_ended"));
    assert_eq!(late.cookie(), None, "the browser keeps the new cookie");
    assert_eq!(world.get("/keys", Some(&new)).await.body, "a");
}

#[tokio::test]
async fn a_user_is_a_text_or_a_number() {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::post;
    use sessile::{Error, SecretList, Session, SessionLayer};
    use tower::ServiceExt as _;

    async fn each(session: Session) -> Result<String, Error> {
        assert!(matches!(session.sign_in(""), Err(Error::NotAUser)));
        assert!(matches!(session.sign_in(&true), Err(Error::NotAUser)));
        assert!(session.user().is_none() && session.is_empty(), "a refused sign-in changes nothing");
        session.sign_in(&42_i64)?;
        Ok(session.user().unwrap().to_string())
    }
    let store = std::sync::Arc::new(crate::watched::WatchedStore::new());
    let layer = SessionLayer::builder(store, SecretList::parse("s").unwrap()).build().unwrap();
    let app: Router = Router::new().route("/", post(each)).layer(layer);
    let answer = app.oneshot(Request::post("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(crate::world::read(answer).await.body, "42");
}
