//! Which requests the same-origin layer lets through.

use crate::watched::WatchedStore;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::any;
use sessile::{NotAnOrigin, SameOriginLayer};
use tower::ServiceExt as _;

const COOKIE: (&str, &str) = ("cookie", "sid=anything");

async fn status(method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let layer = SameOriginLayer::new("sid")
        .allow_origin("https://partner.example")
        .unwrap()
        .exempt("/click/prepare")
        .exempt("/webhooks/");
    let app: Router = Router::new().fallback(any(|| async { "reached" })).layer(layer);
    let mut request = Request::builder().method(method).uri(path).header("host", "shop.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = crate::world::read(app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await;
    if answer.status == StatusCode::FORBIDDEN {
        assert_eq!(answer.code(), "cross_site_request");
    } else {
        assert_eq!(answer.body, "reached");
    }
    answer.status.as_u16()
}

#[tokio::test]
async fn what_the_browser_says_of_the_sender_counts() {
    let cases: &[(u16, &[(&str, &str)])] = &[
        (200, &[COOKIE, ("sec-fetch-site", "same-origin")]),
        (200, &[COOKIE, ("sec-fetch-site", "none")]),
        (403, &[COOKIE, ("sec-fetch-site", "cross-site")]),
        (403, &[COOKIE, ("sec-fetch-site", "same-site")]),
        (403, &[("sec-fetch-site", "cross-site")]),
        (403, &[COOKIE, ("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")]),
        (200, &[COOKIE, ("sec-fetch-site", "cross-site"), ("origin", "https://partner.example")]),
        (200, &[COOKIE, ("origin", "https://shop.example")]),
        (200, &[COOKIE, ("origin", "https://SHOP.example:443")]),
        (403, &[COOKIE, ("origin", "https://shop.example:8443")]),
        (403, &[COOKIE, ("origin", "https://evil.example")]),
        (403, &[COOKIE, ("origin", "https://shop.example.evil.example")]),
        (403, &[COOKIE, ("origin", "https://partner.example.evil.example")]),
        (403, &[COOKIE, ("origin", "http://partner.example")]),
        (403, &[COOKIE, ("origin", "null")]),
        (403, &[("origin", "https://evil.example")]),
        (200, &[COOKIE, ("referer", "https://shop.example/cart?x=1")]),
        (200, &[COOKIE, ("referer", "https://partner.example/page")]),
        (403, &[COOKIE, ("referer", "https://evil.example/https://shop.example")]),
        (403, &[COOKIE, ("referer", "nonsense")]),
        (403, &[COOKIE]),
        (200, &[]),
        (200, &[("cookie", "other=1")]),
    ];
    for (expected, headers) in cases {
        for method in ["POST", "PUT", "PATCH", "DELETE", "CONNECTX"] {
            assert_eq!(status(method, "/pay", headers).await, *expected, "{method} {headers:?}");
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            if method != "HEAD" {
                assert_eq!(status(method, "/pay", headers).await, 200, "{method} {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn callbacks_are_exempt_by_path() {
    let foreign = [COOKIE, ("origin", "https://provider.example")];
    for (path, expected) in [
        ("/click/prepare", 200),
        ("/click/prepare?a=b", 200),
        ("/click/prepare2", 403),
        ("/click", 403),
        ("/webhooks/stripe", 200),
        ("/webhooks", 403),
    ] {
        assert_eq!(status("POST", path, &foreign).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_foreign_page_opens_no_websocket() {
    let upgrade = ("upgrade", "websocket");
    assert_eq!(status("GET", "/live", &[COOKIE, upgrade, ("origin", "https://evil.example")]).await, 403);
    assert_eq!(status("GET", "/live", &[COOKIE, upgrade, ("origin", "https://shop.example")]).await, 200);
}

#[test]
fn only_exact_origins_are_taken() {
    let allow = |origin| SameOriginLayer::new("sid").allow_origin(origin).map(|_| ());
    for good in ["https://a.example", "http://localhost:3000", "https://[::1]:8443"] {
        assert_eq!(allow(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "*",
        "null",
        "a.example",
        "https://a.example/",
        "https://a.example/x",
        "https://A.example",
        "https://a.example:443",
        "http://a.example:80",
        "ftp://a.example",
        "https://u@a.example",
    ] {
        assert_eq!(allow(bad), Err(NotAnOrigin), "{bad}");
    }
}

#[tokio::test]
async fn a_session_layer_makes_one_for_its_own_cookie() {
    let secrets = sessile::SecretList::parse("s").unwrap();
    let sessions =
        sessile::SessionLayer::builder(std::sync::Arc::new(WatchedStore::new()), secrets).with_name("id");
    let guard = sessions.build().unwrap().same_origin();
    let app: Router = Router::new().fallback(any(|| async { "reached" })).layer(guard);
    let post = |cookie: &str| Request::post("/").header("cookie", cookie).body(Body::empty()).unwrap();
    assert_eq!(app.clone().oneshot(post("id=1")).await.unwrap().status(), 403);
    assert_eq!(app.oneshot(post("sid=1")).await.unwrap().status(), 200);
}
