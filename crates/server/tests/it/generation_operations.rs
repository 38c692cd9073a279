//! What operations sees of paid jobs: readiness, metrics, the doctor, the tables, and a guest's jobs after the sign-in.

use crate::generation_world::{Fault, PATIENCE, SINGLE, Studio, until};
use crate::shop::Said;
use reqwest::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use sessile_core::generation::{Flag, Refund, Status};
use sessile_sandbox::stripe::{Misbehaviour, PayWith, Switch};
use sessile_sandbox::superduperai;
use std::process::Command;

/// One of the program's other commands: its exit code and what it printed.
fn run(studio: &Studio, arguments: &[&str], changes: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
    command.env_clear().current_dir(studio.folder.path()).args(arguments).envs(&studio.settings);
    let output = command.envs(changes.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn findings(studio: &Studio, changes: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let (_, text) = run(studio, &["doctor", "--json"], changes);
    let report: Value = serde_json::from_str(&text).unwrap();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let of = |finding: &Value| (text(finding, "check"), text(finding, "verdict"), text(finding, "what"));
    report["findings"].as_array().unwrap().iter().map(of).collect()
}

fn told(findings: &[(String, String, String)], check: &str, verdict: &str, word: &str) {
    let found =
        findings.iter().any(|(name, how, what)| name == check && how == verdict && what.contains(word));
    assert!(found, "no {verdict} about {check} says {word}: {findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_knows_what_paid_jobs_need() {
    let studio = Studio::closed().await;
    let fine = findings(&studio, &[]);
    told(&fine, "jobs", "ok", "SQLite");
    told(&fine, "jobs", "ok", "0 messages of Stripe wait");
    told(&fine, "stripe webhook", "ok", "/api/webhooks/stripe");
    told(&fine, "stripe", "ok", "test key; 1 price(s)");
    told(&fine, "stripe", "warn", "STRIPE_API_URL");
    told(&fine, "videos", "ok", "knows the token");
    told(
        &findings(&studio, &[("STRIPE_PRICE_SINGLE", "price_retired")]),
        "stripe prices",
        "fail",
        "inactive",
    );
    told(&findings(&studio, &[("STRIPE_PRICE_SINGLE", "price_x")]), "stripe prices", "fail", "does not have");
    told(&findings(&studio, &[("STRIPE_PRICE_SINGLE", "")]), "stripe prices", "warn", "STRIPE_PRICE_SINGLE");
    told(&findings(&studio, &[("STRIPE_SECRET_KEY", "sk_test_other")]), "stripe", "fail", "Stripe did not");
    told(&findings(&studio, &[("STRIPE_WEBHOOK_SECRET", "hunter2")]), "configuration", "fail", "whsec_");
    told(&findings(&studio, &[("SUPERDUPERAI_TOKEN", "other")]), "videos", "fail", "SUPERDUPERAI_TOKEN");
    told(&findings(&studio, &[("SUPERDUPERAI_URL", "")]), "videos", "warn", "set SUPERDUPERAI_URL");
    let nothing = [("STRIPE_SECRET_KEY", ""), ("SUPERDUPERAI_URL", "")];
    told(&findings(&studio, &nothing), "stripe", "warn", "by half");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_that_are_paid_are_counted_and_named() {
    let (studio, _workers) = Studio::open().await;
    studio.maker().misbehave(&[superduperai::Switch::once(superduperai::Misbehaviour::Fail)]).unwrap();
    let id = studio.order("breaks", 1).await;
    studio.stripe().pay(&id, PayWith::Card).unwrap();
    studio.becomes(&id, "error").await;
    let ghost = json!({ "id": "cs_test_ghost", "object": "checkout.session", "payment_status": "paid" });
    studio.stripe().emit("checkout.session.completed", ghost);
    assert!(studio.stripe().delivered(PATIENCE).await);
    let tally = studio.count().await;
    assert_eq!((tally.refunds_due, tally.waiting), (1, 1), "{tally:?}");
    assert_eq!(tally.jobs, [(Status::Error, 1)]);
    assert!(tally.waiting_since.is_some() && tally.work_since.is_none(), "{tally:?}");
    for name in [
        "sessile_generation_jobs{state=\"error\"}",
        "sessile_generation_attention{what=\"refund_due\"}",
        "sessile_stripe_messages_waiting",
        "sessile_generation_work_late_seconds",
        "sessile_stripe_messages_oldest_seconds",
        "sessile_worker_rounds_total{worker=\"generation_work\"}",
        "sessile_worker_rounds_total{worker=\"generation_events\"}",
        "sessile_worker_rounds_total{worker=\"generation_tidy\"}",
    ] {
        // The first tidying comes two seconds after the start.
        until(name, async || studio.get("/metrics").await.text.contains(name)).await;
    }
    told(&findings(&studio, &[]), "jobs", "warn", "retry or refund");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_and_the_tables_know_paid_jobs() {
    let studio = Studio::closed().await;
    let ready = studio.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["generation"]["status"]), (200, &json!("ready")));
    let (code, sql) = run(&studio, &["migrate", "--print-sql"], &[]);
    assert_eq!(code, 0);
    for word in
        ["CREATE TABLE sessile_generation (", "CREATE TABLE sessile_generation_event", "COLUMN payment"]
    {
        assert!(sql.contains(word), "{word} is missing: {sql}");
    }
    let postgres = [("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")];
    let (code, sql) = run(&studio, &["migrate", "--print-sql"], &postgres);
    assert!(code == 0 && sql.contains("create table if not exists sessile_generation ("), "{sql}");
    let (code, status) = run(&studio, &["migrate", "status"], &[]);
    assert!(code == 0 && status.contains("generation sessions have all their tables"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_jobs_that_is_away_is_no_reason_not_to_serve() {
    let studio = Studio::begin(&[], Some(Fault::Before(1))).await;
    let ready = studio.get("/readyz").await;
    let said = ready.json();
    assert_eq!((ready.status, &said["status"]), (200, &json!("degraded")), "{said}");
    assert_eq!(said["generation"]["status"], "unavailable");
    assert!(said["why"].as_str().unwrap().contains("generation sessions"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_jobs_are_the_users_after_the_sign_in() {
    let studio = Studio::begin(&[("SESSILE_ENV", Some("development"))], None).await;
    let order = json!({ "priceId": SINGLE, "prompt": "made as a guest" });
    let ordered = studio.request(Method::POST, "/api/create-checkout").json(&order).send().await.unwrap();
    let guest = cookie_of(&ordered, "sessile_guest").unwrap();
    let id = Said::of(ordered).await.json()["sessionId"].as_str().unwrap().to_owned();
    let path = format!("/api/session-data/{id}");
    let seen = async |cookie: &str| {
        let answer = studio.request(Method::GET, &path).header(COOKIE, cookie).send().await.unwrap();
        Said::of(answer).await.status
    };
    assert_eq!(seen(&guest).await, 200);
    let signing_in = studio.request(Method::GET, "/auth/dev?email=ada%40example.com").header(COOKIE, &guest);
    let signed_in = signing_in.send().await.unwrap();
    let user = cookie_of(&signed_in, "sid").unwrap();
    assert_eq!(cookie_of(&signed_in, "sessile_guest").as_deref(), Some("sessile_guest="), "it is dropped");
    assert_eq!(seen(&user).await, 200, "the job is the user's");
    assert_eq!(seen(&guest).await, 404, "whoever has the old cookie has nothing");
    let job = studio.job(&id).await;
    assert!(job.own().owner.user.is_some());
    assert_eq!(job.own().timeline.last().unwrap().what, "the guest signed in");
}

/// `name=value` of a cookie that is set.
fn cookie_of(answer: &reqwest::Response, name: &str) -> Option<String> {
    let cookies = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pair = |cookie: &str| cookie.split(';').next().unwrap_or_default().to_owned();
    cookies.map(pair).rfind(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name))
}

/// A refund at Stripe is about a payment and names no session; the process that saw the payment is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_matched_by_a_process_that_never_saw_the_payment() {
    let (studio, workers) = Studio::open().await;
    let id = studio.order("given back", 1).await;
    studio.stripe().pay(&id, PayWith::Card).unwrap();
    studio.becomes(&id, "completed").await;
    studio.all_applied().await;
    workers.stop().await;
    let _others = studio.workers();
    studio.stripe().misbehave(&[Switch::standing(Misbehaviour::Duplicate)]).unwrap();
    studio.stripe().refund(&id, None).unwrap();
    studio.all_applied().await;
    let job = studio.job(&id).await;
    assert_eq!(job.own().refund, Refund::Done);
    assert!(job.own().flags.contains(&Flag::Refunded));
}
