//! The Merchant API's client: what it sends, what it believes, what it sends again.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use crate::stub::{Says, Stub, api};
use sessile_providers::click::{ClickError, Day, MerchantTransId, Report, Reversal, Status};
use std::error::Error;
use std::time::Duration;
use tokio::net::TcpListener;

const NOW_S: i64 = 1_795_201_200;
const PAID: Says = Says::Json(200, r#"{"error_code":0,"error_note":"","payment_id":7,"payment_status":2}"#);
const REVERSED: Says = Says::Json(200, r#"{"error_code":0,"error_note":"Success","payment_id":7}"#);
const DOWN: Says = Says::Json(502, "{}");

fn order() -> MerchantTransId {
    MerchantTransId::parse("ckabcdefghijklmnopqrstuv").unwrap()
}

/// Everything an error says to anybody who prints it with its sources.
fn spoken(error: &dyn Error) -> String {
    let sources = std::iter::successors(Some(error), |error| (*error).source());
    sources.map(|error| format!("{error} {error:?}; ")).collect()
}

/// An address at which nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_status_is_asked_for_as_documented() {
    let stub = Stub::saying(&[PAID]).await;
    let report = stub.api().payment_status(7, NOW_S).await.unwrap();
    assert_eq!(report, Report { payment_id: Some(7), status: Status::Paid });
    let asked = stub.asked();
    assert_eq!(stub.lines(), ["GET /v2/merchant/payment/status/12345/7"]);
    // sha1("1795201200" + "test_secret_key"): the first secret signs.
    assert_eq!(asked[0].headers["auth"], "9:51522533848aec6b68b69ea283707c7fd12420ba:1795201200");
    assert_eq!(asked[0].headers["accept"], "application/json");
    assert_eq!(asked[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn an_order_is_asked_for_by_its_day() {
    let body = r#"{"error_code":0,"payment_id":7,"payment_status":1,"merchant_trans_id":"ckabcdefghijklmnopqrstuv"}"#;
    let stub = Stub::saying(&[Says::Json(200, body)]).await;
    let report = stub.api().status_by_merchant_trans_id(&order(), Day::at(NOW_S), NOW_S).await.unwrap();
    assert_eq!(report, Report { payment_id: Some(7), status: Status::Processing });
    let line = "GET /v2/merchant/payment/status_by_mti/12345/ckabcdefghijklmnopqrstuv/2026-11-21";
    assert_eq!(stub.lines(), [line]);
}

#[tokio::test]
async fn an_order_found_without_a_status_is_asked_for_again_by_its_payment() {
    let found = Says::Json(
        200,
        r#"{"error_code":0,"error_note":"","payment_id":7,"merchant_trans_id":"ckabcdefghijklmnopqrstuv"}"#,
    );
    let stub = Stub::saying(&[found, PAID]).await;
    let report = stub.api().status_by_merchant_trans_id(&order(), Day::at(NOW_S), NOW_S).await.unwrap();
    assert_eq!(report, Report { payment_id: Some(7), status: Status::Paid });
    assert_eq!(stub.lines()[1], "GET /v2/merchant/payment/status/12345/7");
}

#[tokio::test]
async fn not_found_is_what_click_itself_says() {
    for said in [
        Says::Json(200, r#"{"error_code":-16,"error_note":"Payment not found"}"#),
        Says::Json(404, r#"{"error_code":-16,"error_note":"Payment not found"}"#),
    ] {
        let report = Stub::saying(&[said]).await.api().payment_status(7, NOW_S).await.unwrap();
        assert_eq!(report, Report { payment_id: None, status: Status::NotFound });
    }
    for said in [Says::Json(404, "<html>nginx</html>"), Says::Json(404, r#"{"status":404,"path":"/v2"}"#)] {
        let error = Stub::saying(&[said]).await.api().payment_status(7, NOW_S).await.unwrap_err();
        assert!(matches!(error, ClickError::Rejected { status: 404 }), "{error:?}");
    }
}

#[tokio::test]
async fn what_may_pass_is_read_again_twice() {
    let stub = Stub::saying(&[DOWN, Says::SlowDown(Some("1")), PAID]).await;
    assert_eq!(stub.api().payment_status(7, NOW_S).await.unwrap().status, Status::Paid);
    assert_eq!(stub.lines().len(), 3);

    let stub = Stub::saying(&[DOWN]).await;
    let error = stub.api().payment_status(7, NOW_S).await.unwrap_err();
    assert!(matches!(error, ClickError::Unavailable(_)), "{error:?}");
    assert_eq!(stub.lines().len(), 3);

    let error = api(&nowhere().await).payment_status(7, NOW_S).await.unwrap_err();
    assert!(matches!(error, ClickError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    let stub = Stub::saying(&[Says::SlowDown(Some("60"))]).await;
    let error = stub.api().payment_status(7, NOW_S).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(stub.lines().len(), 1);

    let stub = Stub::saying(&[Says::SlowDown(None)]).await;
    let error = stub.api().payment_status(7, NOW_S).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(stub.lines().len(), 3);
}

#[tokio::test]
async fn what_would_not_pass_is_not_asked_again() {
    for (said, sentence) in [
        (Says::Json(401, "{}"), "CLICK_MERCHANT_USER_ID"),
        (Says::Json(403, r#"{"error_code":-1}"#), "this machine's clock"),
        (Says::Json(400, "bad"), "CLICK_API_URL"),
        (Says::Json(200, "<html>"), "could not be understood"),
        (Says::Json(200, "{}"), "could not be understood"),
        (Says::Json(404, r#"{"error_code":-1,"error_note":"Not found"}"#), "CLICK_SERVICE_ID"),
        (Says::Json(200, r#"{"error_code":-12,"error_note":"x","payment_id":null}"#), "CLICK_SERVICE_ID"),
        (Says::Json(200, r#"{"error_code":0,"payment_id":8,"payment_status":2}"#), "another payment"),
        (Says::Json(200, r#"{"error_code":-500,"error_note":"busy"}"#), "error -500"),
        (Says::Bytes(64 * 1024 + 1), "larger than we accept"),
        (Says::Silence, "try again later"),
    ] {
        let stub = Stub::saying(&[said]).await;
        let error = stub.api().payment_status(7, NOW_S).await.unwrap_err();
        assert!(error.to_string().contains(sentence), "{error}");
        assert_eq!(stub.lines().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let other = Stub::saying(&[PAID]).await;
    let stub = Stub::saying(&[Says::Redirect(other.base.clone())]).await;
    let error = stub.api().payment_status(7, NOW_S).await.unwrap_err();
    assert!(matches!(error, ClickError::Rejected { status: 307 }), "{error:?}");
    assert_eq!(other.asked(), []);
}

#[tokio::test]
async fn a_reversal_is_done_or_refused() {
    let stub = Stub::saying(&[REVERSED]).await;
    assert_eq!(stub.api().reverse(7, NOW_S).await.unwrap(), Reversal::Done);
    assert_eq!(stub.lines(), ["DELETE /v2/merchant/payment/reversal/12345/7"]);
    for status in [200, 400, 404, 410] {
        let refused = Says::Json(status, r#"{"error_code":-514,"error_note":"Previous month"}"#);
        let answer = Stub::saying(&[refused]).await.api().reverse(7, NOW_S).await.unwrap();
        assert_eq!(answer, Reversal::Refused { code: -514, note: "Previous month".into() });
    }
}

#[tokio::test]
async fn a_reversal_that_may_have_landed_is_unknown_and_never_repeated() {
    for said in [
        DOWN,
        Says::Silence,
        Says::Json(200, "<html>"),
        Says::Json(200, r#"{"error_code":0,"payment_id":8}"#),
    ] {
        let stub = Stub::saying(&[said, REVERSED]).await;
        let error = stub.api().reverse(7, NOW_S).await.unwrap_err();
        assert!(matches!(error, ClickError::OutcomeUnknown(_)), "{error:?}");
        assert!(error.to_string().contains("before asking again"));
        assert_eq!(stub.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_reversal_that_was_surely_not_done_says_so() {
    for said in [Says::Json(401, "{}"), Says::SlowDown(Some("1")), Says::Json(400, "bad")] {
        let stub = Stub::saying(&[said, REVERSED]).await;
        let error = stub.api().reverse(7, NOW_S).await.unwrap_err();
        assert!(!matches!(error, ClickError::OutcomeUnknown(_)), "{error:?}");
        assert_eq!(stub.lines().len(), 1);
    }
    let error = api(&nowhere().await).reverse(7, NOW_S).await.unwrap_err();
    assert!(matches!(error, ClickError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_reversal_is_sent_once_a_connection_stands() {
    // Nobody listens at first: whoever binds the port while the client pauses gets the one request.
    let base = nowhere().await;
    let address = base.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let api = api(&base);
    let reversing = tokio::spawn(async move { api.reverse(7, NOW_S).await });
    let listener = TcpListener::bind(address).await.unwrap();
    let router = axum::Router::new().fallback(|| async { r#"{"error_code":0,"payment_id":7}"# });
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(reversing.await.unwrap().unwrap(), Reversal::Done);
}

#[tokio::test]
async fn no_error_and_no_debug_tells_a_secret() {
    let mut spoken_by_all = format!("{:?}", api("http://127.0.0.1:1/"));
    for said in [DOWN, Says::Silence, Says::Json(401, "{}"), Says::Json(200, "x"), Says::SlowDown(Some("9"))]
    {
        let stub = Stub::saying(&[said]).await;
        spoken_by_all += &spoken(&stub.api().payment_status(7, NOW_S).await.unwrap_err());
        spoken_by_all += &spoken(&stub.api().reverse(7, NOW_S).await.unwrap_err());
        let auth = stub.asked()[0].headers["auth"].to_str().unwrap().to_owned();
        let digest = auth.split(':').nth(1).unwrap();
        assert!(!spoken_by_all.contains(digest), "{spoken_by_all}");
    }
    spoken_by_all += &spoken(&api(&nowhere().await).payment_status(7, NOW_S).await.unwrap_err());
    assert!(
        !spoken_by_all.contains("secret_key") && !spoken_by_all.contains("old-secret"),
        "{spoken_by_all}"
    );
}
