//! What Supabase is asked, and what its answers mean.

use crate::receiver::{Receiver, Says};
use serde_json::{Value, json};
use sessile_providers::supabase::{Admin, Written};
use sessile_providers::webhook::TIMEOUTS;
use url::Url;

const USER: &str = "11111111-1111-1111-1111-111111111111";

fn admin(url: &Url) -> Admin {
    Admin::new(&url.join("/").unwrap(), "service-role-key".into(), TIMEOUTS).unwrap()
}

#[tokio::test]
async fn a_tier_is_written_into_the_users_metadata() {
    let receiver = Receiver::saying(&[Says::Status(200)]).await;
    assert_eq!(admin(&receiver.url).write_tier(USER, "premium").await, Written::Done);
    let [got] = receiver.got().try_into().unwrap();
    assert_eq!(got.line, format!("PUT /auth/v1/admin/users/{USER}"));
    assert_eq!(got.header("apikey"), "service-role-key");
    assert_eq!(got.header("authorization"), "Bearer service-role-key");
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(body, json!({ "app_metadata": { "tier": "premium" } }));
}

#[tokio::test]
async fn answers_are_told_apart_and_the_key_is_not_shown() {
    let missing = Receiver::saying(&[Says::Status(404)]).await;
    assert_eq!(admin(&missing.url).write_tier(USER, "free").await, Written::NoSuchUser);
    for (status, sentence) in
        [(401, "SUPABASE_SERVICE_ROLE_KEY"), (500, "answered 500"), (422, "answered 422")]
    {
        let receiver = Receiver::saying(&[Says::Status(status)]).await;
        let Written::Failed(what) = admin(&receiver.url).write_tier(USER, "free").await else {
            panic!("{status}")
        };
        assert!(what.contains(sentence) && !what.contains("service-role-key"), "{what}");
    }
    assert!(!format!("{:?}", admin(&missing.url)).contains("service-role-key"));
}

#[tokio::test]
async fn an_id_cannot_lead_elsewhere() {
    let receiver = Receiver::saying(&[Says::Status(200)]).await;
    admin(&receiver.url).write_tier("../settings?x=1", "free").await;
    assert_eq!(receiver.got()[0].line, "PUT /auth/v1/admin/users/..%2Fsettings%3Fx=1");
}
