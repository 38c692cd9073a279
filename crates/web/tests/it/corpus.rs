//! Cookie headers of every shape, honest and hostile, through the whole layer: always an answer, never a session.

use crate::world::{SECRET, World};
use axum::body::Body;
use axum::http::header::COOKIE;
use axum::http::{HeaderValue, Request, StatusCode};
use proptest::prelude::*;
use sessile::{CookieSigner, SecretList};
use sessile_core::OsEntropy;
use sessile_core::login::LoginId;
use tower::ServiceExt as _;

const HOSTILE: &[&[u8]] = &[
    b"",
    b"sid",
    b"sid=",
    b"sid=;",
    b"sid=\"",
    b"sid=\"\"",
    b"sid=s",
    b"sid=s:",
    b"sid=s:.",
    b"sid=s:..",
    b"sid=s%3A",
    b"sid=s%3",
    b"sid=s%",
    b"sid=%",
    b"sid=%%%%",
    b"sid=s%3Aabc.%00%00",
    b"sid=s:a%00b.c",
    b"sid=s:%ff%fe.c",
    b"sid=\xff\xff\xff",
    b"sid=j:{\"a\":1}",
    b"sid=s:abc def.ghi",
    b"sid=s:' or 1=1 --.x",
    b"sid=s:../../etc/passwd.x",
    b";;;;;;;;sid=s:a.b;;;;",
    b"sid=s:a.b; sid=s:a.b; sid=s:a.b; sid=s:a.b; sid=s:a.b; sid=s:a.b; sid=s:a.b; sid=s:a.b; sid=s:a.b",
    b"SID=s:a.b; Sid=s:a.b",
    b"sid =s:a.b; sid\t=s:a.b",
    b"=s:a.b; =; = =",
];

async fn answer_to(world: &World, line: &[u8]) -> Option<axum::response::Response> {
    let value = HeaderValue::from_bytes(line).ok()?;
    let request = Request::get("/keys").header(COOKIE, value).body(Body::empty()).unwrap();
    Some(world.app.clone().oneshot(request).await.unwrap())
}

#[tokio::test]
async fn hostile_cookies_are_strangers() {
    let world = World::new();
    let long = [b"sid=s:".to_vec(), vec![b'a'; 60_000], b".x".to_vec()].concat();
    for line in HOSTILE.iter().copied().chain([long.as_slice()]) {
        let answer = answer_to(&world, line).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", String::from_utf8_lossy(line));
        assert!(answer.headers().get("set-cookie").is_none());
    }
    assert_eq!(world.store.asked(), (0, 0), "none of them has a signature of ours");
}

#[tokio::test]
async fn honest_cookies_in_odd_shapes_are_found() {
    let world = World::new();
    let cookie = world.post("/set/a/1", None).await.cookie().unwrap();
    let value = cookie.strip_prefix("sid=").unwrap();
    let plain = value.replace("%3A", ":").replace("%2B", "+").replace("%2F", "/");
    for line in [
        format!("sid=\"{value}\""),
        format!("a=b;sid={value};c=d"),
        format!("  sid = {value} "),
        format!("sid={plain}"),
        format!("sid=; sid=garbage; sid={value}"),
    ] {
        assert_eq!(world.get("/keys", Some(&line)).await.body, "a", "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_cookie_header_panics(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = World::new();
        let line = [b"sid=s".as_slice(), &line].concat();
        if let Some(answer) = runtime.block_on(answer_to(&world, &line)) {
            prop_assert_eq!(answer.status(), StatusCode::OK);
            prop_assert_eq!(world.store.asked(), (0, 0));
        }
    }

    #[test]
    fn one_changed_byte_of_a_cookie_makes_a_stranger(at in 2_usize..75, with in "[A-Za-z0-9]") {
        let signer = CookieSigner::new(&SecretList::parse(SECRET).unwrap());
        let good = signer.sign(&LoginId::generate(&OsEntropy).unwrap());
        let mut bad = good.clone();
        prop_assume!(at < bad.len() && bad.is_char_boundary(at));
        bad.replace_range(at..=at, &with);
        prop_assume!(bad != good && !bad.eq_ignore_ascii_case(&good));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = World::new();
        let answer = runtime.block_on(answer_to(&world, format!("sid={bad}").as_bytes())).unwrap();
        prop_assert_eq!(answer.status(), StatusCode::OK);
        prop_assert_eq!(world.store.asked().0, 0);
    }
}
