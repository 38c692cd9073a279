//! The device list, and ending sessions from another device.

use crate::world::{Answer, World};
use axum::http::StatusCode;

const PHONE: &[(&str, &str)] = &[("user-agent", "Phone/1.0"), ("x-forwarded-for", "203.0.113.77")];

async fn list(world: &World, cookie: &str) -> Vec<serde_json::Value> {
    let answer = world.get("/devices", Some(cookie)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn why(world: &World, cookie: &str) -> String {
    world.get("/why", Some(cookie)).await.body
}

async fn two_devices() -> (World, String, String) {
    let world = World::with(|b| b.with_trust_proxy(sessile::TrustProxy::Yes).with_secure(false));
    let laptop = world.signed_in("ada").await;
    world.clock.advance(std::time::Duration::from_secs(5));
    let phone: Answer = world.send("POST", "/sign-in/ada", None, PHONE).await;
    world.signed_in("bob").await;
    let phone = phone.cookie().unwrap();
    (world, laptop, phone)
}

#[tokio::test]
async fn the_list_shows_ones_own_devices_and_which_is_this_one() {
    let (world, laptop, _phone) = two_devices().await;
    let devices = list(&world, &laptop).await;
    assert_eq!(devices.len(), 2, "{devices:?}");
    let [phone, this] = devices.as_slice() else { panic!("{devices:?}") };
    assert_eq!((&phone["thisDevice"], &this["thisDevice"]), (&false.into(), &true.into()));
    assert_eq!((&phone["agent"], &phone["address"]), (&"Phone/1.0".into(), &"203.0.113.0/24".into()));
    assert_eq!(phone["createdAt"], "2023-11-14T22:13:25.000Z");
    let listed = serde_json::to_string(&devices).unwrap();
    assert!(!listed.contains(crate::world::id_of(&laptop).expose()));
}

#[tokio::test]
async fn one_other_device_is_ended_at_once() {
    let (world, laptop, phone) = two_devices().await;
    let handle = list(&world, &laptop).await[0]["handle"].as_str().unwrap().to_owned();
    let ended = world.post(&format!("/revoke/{handle}"), Some(&laptop)).await;
    assert_eq!((ended.body.as_str(), ended.cookie().as_ref()), ("ended", Some(&laptop)));
    assert_eq!((why(&world, &phone).await, why(&world, &laptop).await), ("ended".into(), "found".into()));
    let again = world.post(&format!("/revoke/{handle}"), Some(&laptop)).await;
    assert_eq!(again.body, "no such session");
}

#[tokio::test]
async fn ending_this_device_clears_its_cookie() {
    let (world, laptop, phone) = two_devices().await;
    let handle = list(&world, &phone).await[0]["handle"].as_str().unwrap().to_owned();
    let ended = world.post(&format!("/revoke/{handle}"), Some(&phone)).await;
    assert_eq!(ended.body, "ended");
    assert!(ended.set_cookies()[0].starts_with("sid=; "));
    assert_eq!((why(&world, &phone).await, why(&world, &laptop).await), ("ended".into(), "found".into()));
}

#[tokio::test]
async fn all_others_or_all() {
    let (world, laptop, phone) = two_devices().await;
    assert_eq!(world.post("/revoke-others", Some(&laptop)).await.body, "1");
    assert_eq!((why(&world, &phone).await, why(&world, &laptop).await), ("ended".into(), "found".into()));
    let everywhere = world.post("/revoke-all", Some(&laptop)).await;
    assert_eq!(everywhere.body, "1");
    assert!(everywhere.set_cookies()[0].starts_with("sid=; "));
    assert_eq!(why(&world, &laptop).await, "ended");
}

#[tokio::test]
async fn a_stranger_has_no_devices() {
    let world = World::new();
    for (method, path) in [("GET", "/devices"), ("POST", "/revoke-others"), ("POST", "/revoke-all")] {
        let answer = world.send(method, path, None, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "not_signed_in"));
    }
}
