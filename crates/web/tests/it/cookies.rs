//! When the cookie is set, refreshed, cleared or left alone, and when the store is asked at all.

use crate::watched::WatchedStore;
use crate::world::{SECRET, World, id_of};
use axum::http::StatusCode;
use axum::http::header::{LOCATION, SET_COOKIE};
use sessile::{CookieRule, CookieSigner, SecretList};
use sessile_core::OsEntropy;
use sessile_core::login::LoginId;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_new_visitor_costs_nothing_and_gets_no_cookie() {
    let world = World::new();
    for path in ["/", "/keys", "/why"] {
        let answer = world.get(path, Some("theme=dark")).await;
        assert_eq!((answer.status, answer.cookie()), (StatusCode::OK, None), "{path}");
    }
    assert_eq!(world.store.asked(), (0, 0));
}

#[tokio::test]
async fn what_is_set_is_stored_before_the_answer_leaves() {
    let world = World::new();
    let answer = world.post("/set/theme/dark", None).await;
    assert_eq!(answer.set_cookies().len(), 1);
    let line = answer.set_cookies()[0];
    assert!(
        line.contains("; Path=/; Expires=Tue, 21 Nov 2023 22:13:20 GMT; HttpOnly; Secure; SameSite=Lax"),
        "{line}"
    );
    let cookie = answer.cookie().unwrap();
    assert_eq!(world.stored(&cookie).await.unwrap().raw("theme"), Some("\"dark\""));
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "theme");
    assert_eq!(world.store.asked(), (1, 1));
}

#[tokio::test]
async fn the_response_is_held_back_until_the_session_is_durable() {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;
    let world = World::new();
    let request = Request::post("/set/a/1").body(Body::empty()).unwrap();
    let unread = world.app.clone().oneshot(request).await.unwrap();
    // Nothing of the body has been asked for, and the session is there.
    let cookie = unread.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(world.stored(&cookie).await.is_some());
}

#[tokio::test]
async fn the_cookie_is_fresh_on_every_answer() {
    let world = World::new();
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    world.clock.advance(Duration::from_secs(3600));
    let answer = world.get("/", Some(&cookie)).await;
    assert_eq!(answer.cookie().as_ref(), Some(&cookie), "the same id");
    assert!(answer.set_cookies()[0].contains("Expires=Tue, 21 Nov 2023 23:13:20 GMT"));
}

#[tokio::test]
async fn a_redirect_carries_a_committed_session() {
    let world = World::new();
    let answer = world.post("/redirect", None).await;
    assert_eq!(
        (answer.status, &answer.headers[LOCATION]),
        (StatusCode::SEE_OTHER, &"/keys".parse().unwrap())
    );
    let cookie = answer.cookie().unwrap();
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "reached");
}

#[tokio::test]
async fn the_applications_own_cookies_survive() {
    let world = World::new();
    let answer = world.post("/own-cookies", None).await;
    let lines: Vec<_> = answer.headers.get_all(SET_COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[..2], ["theme=dark; Path=/", "sid2=x"]);
    assert!(lines[2].starts_with("sid=s%3A"));
}

#[tokio::test]
async fn destroying_clears_the_cookie_and_the_session_stays_gone() {
    let world = World::new();
    let cookie = world.signed_in("ada").await;
    let answer = world.post("/sign-out", Some(&cookie)).await;
    let cleared = "sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax";
    assert_eq!(answer.set_cookies(), [cleared]);
    let again = world.get("/why", Some(&cookie)).await;
    assert_eq!((again.body.as_str(), again.cookie()), ("ended", None));
}

#[tokio::test]
async fn a_wrong_signature_never_reaches_the_store() {
    let world = World::new();
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    let before = world.store.asked();
    let forged = format!("{}x", &cookie[..cookie.len() - 1]);
    assert_eq!(world.get("/why", Some(&forged)).await.body, "bad_signature");
    assert_eq!(world.get("/why", Some("sid=abc")).await.body, "unsigned_cookie");
    assert_eq!(world.store.asked(), before);
    // A good one further on still counts.
    let both = format!("{forged}; {cookie}");
    assert_eq!(world.get("/keys", Some(&both)).await.body, "a");
}

#[tokio::test]
async fn an_id_the_store_does_not_know_is_never_adopted() {
    let world = World::new();
    let planted = LoginId::generate(&OsEntropy).unwrap();
    let signer = CookieSigner::new(&SecretList::parse(SECRET).unwrap());
    let cookie = format!("sid={}", signer.sign(&planted));
    assert_eq!(world.get("/why", Some(&cookie)).await.body, "unknown");
    let answer = world.post("/set/a/1", Some(&cookie)).await;
    assert_ne!(id_of(&answer.cookie().unwrap()), planted);
}

#[tokio::test]
async fn a_cookie_under_an_old_secret_is_issued_again_under_the_new_one() {
    let store = Arc::new(WatchedStore::new());
    let old = World::on(store.clone(), "an old secret", |b| b);
    let cookie = old.post("/set/a/1", None).await.cookie().unwrap();
    let rotated = World::on(store, &format!("{SECRET},an old secret"), |b| b);
    let answer = rotated.get("/keys", Some(&cookie)).await;
    assert_eq!(answer.body, "a");
    let fresh = answer.cookie().unwrap();
    assert_ne!(fresh, cookie);
    assert!(rotated.stored(&fresh).await.is_some(), "the same session under the first secret");
}

#[tokio::test]
async fn a_cookie_that_browsers_drop_is_refused_at_the_start() {
    use sessile::{SameSite, SessionLayer};
    let build = |name: &str, secure: bool, same_site| {
        SessionLayer::builder(Arc::new(WatchedStore::new()), SecretList::parse(SECRET).unwrap())
            .with_name(name)
            .with_secure(secure)
            .with_same_site(same_site)
            .build()
            .err()
    };
    assert_eq!(build("sid", false, SameSite::None), Some(CookieRule::NoneNeedsSecure));
    assert_eq!(build("__Secure-sid", false, SameSite::Lax), Some(CookieRule::SecurePrefix));
    assert_eq!(build("__Host-sid", true, SameSite::None), None);
}

#[tokio::test]
async fn unsetting_leaves_the_stored_session_as_it_is() {
    let world = World::new();
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    let answer = world.post("/unset", Some(&cookie)).await;
    assert_eq!(answer.cookie(), None);
    assert_eq!(world.get("/keys", Some(&cookie)).await.body, "a");
}
