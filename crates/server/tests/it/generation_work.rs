//! The work on paid jobs against a generator that loses answers, is overloaded, breaks and fails; and what an operator
//! does about it.

use crate::generation_world::{PATIENCE, Studio, until};
use reqwest::Method;
use serde_json::{Value, json};
use sessile_core::generation::{Refund, Status};
use sessile_core::{Clock as _, SystemClock};
use sessile_sandbox::stripe::PayWith;
use sessile_sandbox::superduperai::{FILES, GENERATE, Misbehaviour, Switch};
use std::process::Command;
use std::time::Duration;

async fn paid(studio: &Studio, prompt: &str, count: u32) -> String {
    let id = studio.order(prompt, count).await;
    studio.stripe().pay(&id, PayWith::Card).unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_answer_the_generator_is_asked_and_not_called_again() {
    let (studio, _workers) = Studio::open().await;
    for kind in [Misbehaviour::LostReply, Misbehaviour::ServerErrorAfter, Misbehaviour::Garbage] {
        studio.maker().misbehave(&[Switch::once(kind)]).unwrap();
        let (prompt, asked) = (format!("{kind:?}"), studio.maker().count(FILES));
        let id = paid(&studio, &prompt, 2).await;
        studio.becomes(&id, "completed").await;
        assert_eq!(studio.maker().generations_of(&prompt).len(), 2, "{kind:?}");
        assert!(studio.maker().count(FILES) > asked, "{kind:?}: it was asked");
    }
    assert_eq!(studio.maker().count(GENERATE), 6);
}

/// Nothing was done at the generator, and nobody knows: it is called again only when its word can be believed.
#[tokio::test(flavor = "multi_thread")]
async fn absence_is_believed_late_and_then_it_is_called_again() {
    let settled = Duration::from_secs(8);
    let settings = [("SESSILE_GENERATION_SETTLED_SECONDS", Some("8"))];
    let studio = Studio::begin(&settings, None).await;
    let _workers = studio.workers();
    studio.maker().misbehave(&[Switch::once(Misbehaviour::ServerError)]).unwrap();
    let began = SystemClock.now();
    let id = paid(&studio, "never arrived", 1).await;
    until("the call failed", async || studio.maker().count(GENERATE) == 1).await;
    studio.becomes(&id, "completed").await;
    let [made] = studio.maker().generations_of("never arrived").try_into().unwrap();
    assert_eq!(studio.maker().count(GENERATE), 2);
    let waited = Duration::from_millis(u64::try_from(made.at_ms - began.unix_ms()).unwrap());
    assert!(waited >= settled, "called again after {waited:?}");
    assert!(studio.maker().count(FILES) > 3, "it was asked meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn being_told_to_wait_is_no_failure() {
    let (studio, _workers) = Studio::open().await;
    studio.maker().misbehave(&[Switch::times(Misbehaviour::RateLimited, 2).delay_ms(1000)]).unwrap();
    let id = paid(&studio, "later", 1).await;
    studio.becomes(&id, "completed").await;
    assert_eq!(studio.maker().generations_of("later").len(), 1);
    assert_eq!(
        (studio.maker().count(GENERATE), studio.maker().count(FILES)),
        (3, 0),
        "429 says that nothing was done"
    );
    let job = studio.job(&id).await;
    assert_eq!(job.own().files[0].attempts, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_sentence_and_the_operator_retries_it() {
    let (studio, _workers) = Studio::open().await;
    let failure = Switch::once(Misbehaviour::Fail).message("The prompt shows a trademark");
    studio.maker().misbehave(&[failure]).unwrap();
    let id = paid(&studio, "fails once", 2).await;
    let failed = studio.becomes(&id, "error").await;
    let sentence = "The video service could not make this video: The prompt shows a trademark.";
    assert_eq!(failed["error"], json!(sentence));
    let page = studio.get(&format!("/en/payment-success/{id}")).await;
    assert!(page.text.contains(sentence) && page.text.contains("data-outcome=\"one-failed\""));
    assert_eq!(studio.job(&id).await.own().refund, Refund::Due);
    let done: Vec<&Value> =
        failed["files"].as_array().unwrap().iter().filter(|file| file["status"] == "done").collect();
    assert_eq!(done.len(), 1, "the other video is there");
    let retried = studio.staff(Method::POST, &format!("/v1/generations/{id}/retry"), None).await;
    assert_eq!((retried.status, &retried.json()["status"]), (200, &json!("processing")));
    let again = studio.becomes(&id, "completed").await;
    assert!(again["error"].is_null());
    assert_eq!(studio.maker().generations_of("fails once").len(), 3, "two, and the one that failed again");
    assert_eq!(studio.job(&id).await.own().refund, Refund::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_may_be_given_back_once() {
    let (studio, _workers) = Studio::open().await;
    studio.maker().misbehave(&[Switch::standing(Misbehaviour::FailedStatus)]).unwrap();
    let id = paid(&studio, "fails", 1).await;
    studio.becomes(&id, "error").await;
    let path = format!("/v1/generations/{id}/refund");
    let on = "POST /v1/refunds";
    use sessile_sandbox::stripe::{Misbehaviour as M, Switch as S};
    studio.stripe().misbehave(&[S::once(M::LostReply).on(on)]).unwrap();
    assert_eq!(studio.staff(Method::POST, &path, None).await.status, 200);
    until("the money went back", async || studio.job(&id).await.own().refund == Refund::Done).await;
    assert_eq!(studio.stripe().refunds().len(), 1);
    let again = studio.staff(Method::POST, &path, None).await;
    assert_eq!(again.code(), (409, "nothing_to_refund".to_owned()));
    let retry = studio.staff(Method::POST, &format!("/v1/generations/{id}/retry"), None).await;
    assert_eq!(retry.code(), (409, "generation_not_retryable".to_owned()));
    studio.all_applied().await;
    assert_eq!(studio.stripe().refunds().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_and_three_workers_make_every_video_once() {
    let studio = Studio::closed().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(paid(&studio, &format!("job {number}"), 3).await);
    }
    let workers = [studio.workers(), studio.workers(), studio.workers()];
    for id in &ids {
        studio.becomes(id, "completed").await;
    }
    assert_eq!((studio.maker().count(GENERATE), studio.maker().count("generations")), (60, 60));
    for running in workers {
        tokio::time::timeout(PATIENCE, running.stop()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_says_what_happened_and_what_to_do() {
    let (studio, workers) = Studio::open().await;
    let healthy = paid(&studio, "healthy", 1).await;
    studio.becomes(&healthy, "completed").await;
    studio.maker().misbehave(&[Switch::once(Misbehaviour::Fail).message("It broke")]).unwrap();
    let failed = paid(&studio, "broken", 1).await;
    studio.becomes(&failed, "error").await;
    let ghost = json!({ "id": "cs_test_ghost", "object": "checkout.session", "payment_status": "paid" });
    let event = studio.stripe().emit("checkout.session.completed", ghost);
    assert!(studio.stripe().delivered(PATIENCE).await);
    workers.stop().await;

    let inspect = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
        command.env_clear().current_dir(studio.folder.path()).arg("inspect").args(arguments);
        let output = command.envs(&studio.settings).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = inspect(&[&healthy]);
    assert!(
        code == 0 && text.contains("Nothing has to be done.") && text.contains("bound to Stripe's session"),
        "{text}"
    );
    assert!(text.contains("req_") && text.contains("evt_"), "{text}");
    let (code, text) = inspect(&[&failed]);
    assert!(code == 0 && text.contains("It broke") && text.contains("--retry"), "{text}");
    let (code, text) = inspect(&["cs_test_ghost"]);
    assert!(code == 1 && text.contains(&event) && text.contains("client_reference_id"), "{text}");
    let (code, text) = inspect(&["nothing-at-all"]);
    assert!(code == 1 && text.contains("no payment"), "{text}");
    let (code, text) = inspect(&[&failed, "--retry", "--json"]);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["session"]["status"]), (0, &json!("processing")), "{text}");
    let _workers = studio.workers();
    studio.becomes(&failed, "completed").await;
    assert_eq!(studio.job(&failed).await.status, Status::Completed);
}
