//! Signing in with the real client against the stand-in: what works.

use crate::world::{CALLBACK, CLIENT, Kind, SECRET, World};
use secrecy::{ExposeSecret, SecretString};
use sessile_providers::sign_in::{Endpoints, PENDING_LIFETIME, PROVIDER_LIFETIME, PROVIDER_STALE_MAX};
use sessile_providers::{PendingSignIn, SignInError};
use sessile_sandbox::whop::Misbehaviour;
use std::time::Duration;

#[tokio::test]
async fn somebody_signs_in_with_whop() {
    let world = World::start(Kind::Whop).await;
    let (url, pending) = world.sign_in.begin().await.unwrap();
    assert_eq!(world.count("discovery_read"), 0, "beginning with Whop asks nobody");
    assert!(url.as_str().starts_with(&format!("{}authorize?", world.sandbox.whop_base_url())));
    let answer = world.decide(&url, "ada").await;
    assert!(pending.state_matches(&answer["state"]));
    let identity = world.sign_in.finish(&answer["code"], &pending).await.unwrap();
    assert_eq!(identity.subject, "user_AdaLovelace1815");
    assert_eq!(identity.email.as_deref(), Some("ada@sandbox.example"));
    assert!(identity.email_verified);
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
    assert!(identity.picture.is_some_and(|picture| picture.ends_with("/sandbox/whop/people/ada.svg")));
    assert!(identity.refresh_token.is_some());
}

#[tokio::test]
async fn any_provider_is_found_by_discovery() {
    let world = World::start(Kind::Oidc).await;
    let (url, pending) = world.sign_in.begin().await.unwrap();
    let answer = world.decide(&url, "alan").await;
    let identity = world.sign_in.finish(&answer["code"], &pending).await.unwrap();
    assert_eq!(identity.subject, "user_AlanTuring1912");
    assert!(!identity.email_verified, "an unverified address was taken for a verified one");
    let token = identity.refresh_token.unwrap();
    world.sign_in.revoke(token.expose_secret()).await.unwrap();
    assert_eq!(world.count("revoked"), 1);
}

#[tokio::test]
async fn the_request_carries_everything_and_no_two_are_alike() {
    let world = World::start(Kind::Whop).await;
    let (one, kept) = world.sign_in.begin().await.unwrap();
    let (other, _) = world.sign_in.begin().await.unwrap();
    let query = |url: &url::Url, name: &str| {
        let found = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        found.unwrap_or_else(|| panic!("{name} is missing"))
    };
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query(&one, name), value);
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(query(&one, name).len(), 43, "{name} has 32 random bytes");
        assert_ne!(query(&one, name), query(&other, name));
    }
    assert!(!one.as_str().contains(SECRET) && !format!("{kept:?}").contains(&query(&one, "state")));
}

#[tokio::test]
async fn a_denial_comes_back_with_our_state() {
    let world = World::start(Kind::Whop).await;
    let (url, pending) = world.sign_in.begin().await.unwrap();
    let answer = world.decide(&url, "deny").await;
    assert_eq!(answer["error"], "access_denied");
    assert!(pending.state_matches(&answer["state"]));
}

#[tokio::test]
async fn a_public_client_signs_in_by_pkce_alone() {
    let world = World::start(Kind::PublicWhop).await;
    let token = world.sign_in().await.unwrap().refresh_token.unwrap();
    world.sign_in.revoke(token.expose_secret()).await.unwrap();
    assert_eq!(world.count("revoked"), 1);
}

#[tokio::test]
async fn a_wrong_or_missing_secret_is_refused() {
    for secret in [Some(SecretString::from("wrong")), None] {
        let world = World::start_with(Kind::Whop, |config| config.client_secret = secret).await;
        let error = world.sign_in().await.unwrap_err();
        assert!(
            matches!(&error, SignInError::TokenExchange { error, .. } if error == "invalid_client"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn revoking_ends_the_refresh_token() {
    let world = World::start(Kind::Whop).await;
    let token = world.sign_in().await.unwrap().refresh_token.unwrap();
    assert!(!format!("{token:?}").contains(token.expose_secret()));
    world.sign_in.revoke(token.expose_secret()).await.unwrap();
    world.sign_in.revoke(token.expose_secret()).await.unwrap();
    world.sign_in.revoke("never issued").await.unwrap();
    assert_eq!(world.count("revoked"), 2);
}

#[tokio::test]
async fn a_sign_in_left_lying_is_refused_without_using_the_code() {
    let world = World::start(Kind::Whop).await;
    let (code, pending) = world.callback().await;
    world.advance(PENDING_LIFETIME);
    let error = world.sign_in.finish(&code, &pending).await.unwrap_err();
    assert!(matches!(error, SignInError::Expired));
    assert_eq!((error.code(), world.count("code_exchanged")), ("invalid_state", 0));
}

#[tokio::test]
async fn what_is_known_of_the_provider_is_read_once_for_its_lifetime() {
    let world = World::start(Kind::Whop).await;
    let (a, b, c) = tokio::join!(world.sign_in(), world.sign_in(), world.sign_in());
    a.and(b).and(c).unwrap();
    assert_eq!((world.count("discovery_read"), world.count("jwks_read")), (1, 1));
    world.advance(PROVIDER_LIFETIME - Duration::from_secs(1));
    world.sign_in().await.unwrap();
    assert_eq!(world.count("jwks_read"), 1);
    world.advance(Duration::from_secs(1));
    world.sign_in().await.unwrap();
    assert_eq!((world.count("discovery_read"), world.count("jwks_read")), (2, 2));
}

#[tokio::test]
async fn a_new_signing_key_is_read_when_it_is_met() {
    let world = World::start(Kind::Whop).await;
    world.sign_in().await.unwrap();
    world.sandbox.whop().rotate_key().unwrap();
    world.sign_in().await.unwrap();
    assert_eq!(world.count("jwks_read"), 2);
}

#[tokio::test]
async fn what_is_known_outlives_an_outage_of_discovery_for_a_day() {
    let world = World::start(Kind::Whop).await;
    world.sign_in().await.unwrap();
    world.advance(PROVIDER_LIFETIME);
    world.misbehave_for(Misbehaviour::Discovery500, 3);
    world.sign_in().await.unwrap();
    world.advance(PROVIDER_STALE_MAX);
    world.misbehave_for(Misbehaviour::Discovery500, 3);
    let error = world.sign_in().await.unwrap_err();
    assert!(matches!(error, SignInError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn issuer_and_keys_can_be_named_instead_of_discovered() {
    let world = World::start(Kind::Whop).await;
    let (base, keys) = (world.sandbox.base_url(), format!("{}jwks", world.sandbox.whop_base_url()));
    let named = World::start_with(Kind::Whop, |config| {
        let base_url = format!("{base}/oauth");
        config.endpoints =
            Endpoints::Whop { base_url, issuer: Some(base.clone()), jwks_url: Some(keys.clone()) };
    })
    .await;
    let (url, pending): (_, PendingSignIn) = named.sign_in.begin().await.unwrap();
    let answer = world.decide(&url, "grace").await;
    let identity = named.sign_in.finish(&answer["code"], &pending).await.unwrap();
    assert_eq!(identity.subject, "user_GraceHopper1906");
    assert_eq!((world.count("discovery_read"), world.count("jwks_read")), (0, 1));
}
