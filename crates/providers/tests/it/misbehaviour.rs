//! Everything the stand-in can do wrong ends in the right error, never in a panic, never in a sign-in.

use crate::world::{Kind, World};
use sessile_providers::SignInError as E;
use sessile_providers::sign_in::{HttpFailure, IdTokenFault as Fault, Step};
use sessile_sandbox::whop::Misbehaviour as M;
use std::time::Duration;

#[tokio::test]
async fn a_bad_id_token_is_refused_for_what_is_wrong_with_it() {
    let world = World::start(Kind::Whop).await;
    for (kind, expected) in [
        (M::WrongNonce, Fault::Nonce),
        (M::BadSignature, Fault::Signature),
        (M::UnknownKey, Fault::UnknownKey),
        (M::ExpiredIdToken, Fault::Expired),
        (M::WrongAudience, Fault::Audience),
        (M::WrongIssuer, Fault::Issuer),
        (M::WrongAccessTokenHash, Fault::AccessTokenHash),
        (M::MissingIdToken, Fault::Missing),
    ] {
        world.misbehave(&[kind]);
        let error = world.sign_in().await.unwrap_err();
        let E::InvalidIdToken { fault, .. } = &error else { panic!("{kind:?} ended in {error:?}") };
        assert_eq!((*fault, error.code()), (expected, "oauth_failed"), "{kind:?}");
        assert!(world.sandbox.whop().active().is_empty(), "{kind:?} was not used up");
    }
    assert_eq!(world.count("userinfo_answered"), 0, "userinfo was read for a refused token");
    world.sign_in().await.unwrap();
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once() {
    let world = World::start(Kind::Whop).await;
    world.sign_in().await.unwrap();
    world.misbehave(&[M::UnknownKey]);
    world.sign_in().await.unwrap_err();
    assert_eq!(world.count("jwks_read"), 2);
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_asked_once_and_reported() {
    let world = World::start(Kind::Whop).await;
    world.misbehave_for(M::Token500, 2);
    let error = world.sign_in().await.unwrap_err();
    let E::Unavailable { step, source } = &error else { panic!("{error:?}") };
    assert!(matches!((step, source), (Step::Token, HttpFailure::Server { status: 500 })), "{error:?}");
    assert_eq!(error.code(), "token_exchange_failed");
    assert_eq!(world.count("misbehaved"), 1, "a code exchange was repeated");

    world.misbehave(&[M::Token429]);
    let error = world.sign_in().await.unwrap_err();
    assert!(matches!(error, E::RateLimited { step: Step::Token, .. }), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));

    world.misbehave(&[M::TokenTimeout]);
    let error = world.sign_in().await.unwrap_err();
    let timed_out = matches!(error, E::Unavailable { step: Step::Token, source: HttpFailure::Timeout });
    assert!(timed_out, "{error:?}");

    world.misbehave(&[M::TokenGarbage]);
    let error = world.sign_in().await.unwrap_err();
    assert!(matches!(error, E::Unreadable { step: Step::Token, .. }), "{error:?}");
    assert_eq!(error.code(), "token_exchange_failed");
}

#[tokio::test]
async fn a_lost_token_answer_is_not_asked_for_again() {
    let world = World::start(Kind::Whop).await;
    world.misbehave(&[M::DropTokenReply]);
    let (code, pending) = world.callback().await;
    let error = world.sign_in.finish(&code, &pending).await.unwrap_err();
    let lost = matches!(error, E::Unavailable { step: Step::Token, source: HttpFailure::Interrupted(_) });
    assert!(lost, "{error:?}");
    assert_eq!((world.count("code_exchanged"), world.count("token_refused")), (1, 0));
    // A caller who breaks the rule and sends the code again is refused by the provider.
    let error = world.sign_in.finish(&code, &pending).await.unwrap_err();
    assert!(matches!(&error, E::TokenExchange { error, .. } if error == "invalid_grant"), "{error:?}");
}

#[tokio::test]
async fn a_replayed_or_invented_code_is_refused() {
    let world = World::start(Kind::Whop).await;
    let (code, pending) = world.callback().await;
    world.sign_in.finish(&code, &pending).await.unwrap();
    for code in [code.as_str(), "code_invented", "", &"x".repeat(5000)] {
        let error = world.sign_in.finish(code, &pending).await.unwrap_err();
        assert!(matches!(error, E::TokenExchange { .. }), "{error:?}");
        assert_eq!(error.code(), "token_exchange_failed");
        assert!(code.is_empty() || !format!("{error:?}").contains(code), "the error shows the code");
    }
}

#[tokio::test]
async fn somebody_elses_pending_sign_in_does_not_fit() {
    let world = World::start(Kind::Whop).await;
    let ((code, _), (other_code, other)) = (world.callback().await, world.callback().await);
    // The PKCE verifier belongs to the other code.
    let error = world.sign_in.finish(&code, &other).await.unwrap_err();
    assert!(matches!(&error, E::TokenExchange { error, .. } if error == "invalid_grant"), "{error:?}");
    world.sign_in.finish(&other_code, &other).await.unwrap();
}

#[tokio::test]
async fn another_redirect_than_the_authorized_one_is_refused() {
    let world = World::start(Kind::Whop).await;
    let base = world.sandbox.whop_base_url();
    let moved = World::start_with(Kind::Whop, |config| {
        config.redirect_url = "http://localhost:3000/other".into();
        if let sessile_providers::sign_in::Endpoints::Whop { base_url, .. } = &mut config.endpoints {
            *base_url = base;
        }
    })
    .await;
    let (code, pending) = world.callback().await;
    let error = moved.sign_in.finish(&code, &pending).await.unwrap_err();
    assert!(matches!(&error, E::TokenExchange { error, .. } if error == "invalid_grant"), "{error:?}");
}

#[tokio::test]
async fn a_code_that_waited_too_long_is_refused() {
    let world = World::start(Kind::Whop).await;
    let (code, pending) = world.callback().await;
    world.advance(Duration::from_secs(60));
    let error = world.sign_in.finish(&code, &pending).await.unwrap_err();
    assert!(matches!(&error, E::TokenExchange { error, .. } if error == "invalid_grant"), "{error:?}");
}

#[tokio::test]
async fn userinfo_in_trouble_is_read_again_and_then_reported() {
    let world = World::start(Kind::Whop).await;
    world.misbehave_for(M::Userinfo500, 2);
    world.sign_in().await.unwrap();
    world.misbehave_for(M::Userinfo500, 3);
    let error = world.sign_in().await.unwrap_err();
    assert!(matches!(error, E::Unavailable { step: Step::UserInfo, .. }), "{error:?}");
    assert_eq!(error.code(), "oauth_failed");
    world.misbehave(&[M::Userinfo429]);
    let error = world.sign_in().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{error:?}");
}

#[tokio::test]
async fn userinfo_about_somebody_else_or_without_end_is_refused() {
    let world = World::start(Kind::Whop).await;
    for kind in [M::UserinfoOtherSub, M::UserinfoHuge] {
        world.misbehave(&[kind]);
        let error = world.sign_in().await.unwrap_err();
        assert_eq!(error.code(), "invalid_user_data", "{kind:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_missing_email_is_no_email_and_never_a_verified_one() {
    let world = World::start(Kind::Whop).await;
    world.misbehave(&[M::MissingEmail]);
    let identity = world.sign_in().await.unwrap();
    assert_eq!((identity.email, identity.email_verified), (None, false));
}

#[tokio::test]
async fn an_outage_before_the_exchange_does_not_burn_the_code() {
    for kind in [M::Discovery500, M::Jwks500] {
        let world = World::start(Kind::Whop).await;
        let (code, pending) = world.callback().await;
        world.misbehave_for(kind, 3);
        let error = world.sign_in.finish(&code, &pending).await.unwrap_err();
        assert!(matches!(error, E::Unavailable { step: Step::Discovery, .. }), "{kind:?}: {error:?}");
        assert_eq!(world.count("code_exchanged"), 0);
        // Asked again at once, nobody waits for the provider; a moment later it is asked, and the code still works.
        let error = world.sign_in.finish(&code, &pending).await.unwrap_err();
        assert!(matches!(error, E::Unavailable { source: HttpFailure::Pausing, .. }), "{error:?}");
        world.advance(Duration::from_secs(2));
        world.sign_in.finish(&code, &pending).await.unwrap();
    }
}

#[tokio::test]
async fn an_absent_provider_is_unavailable() {
    let world = World::start(Kind::Oidc).await;
    world.sandbox.stop().await;
    let error = world.sign_in.begin().await.unwrap_err();
    let refused = matches!(error, E::Unavailable { step: Step::Discovery, source: HttpFailure::Connect(_) });
    assert!(refused, "{error:?}");
}
