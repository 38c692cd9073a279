//! CLICK's callbacks: the official matrix on both engines, once, thrice and sixteen at once; and everything that is no
//! message of CLICK's, which must change nothing.

use crate::shop::Said;
use crate::world::{World, client};
use reqwest::Client;
use serde_json::{Value, json};
use sessile_core::SystemClock;
use sessile_core::ledger::{Kind, PaymentFilter};
use sessile_sandbox::click::{ClickConfig, Message, Step};
use std::sync::Arc;
use std::time::{Duration, Instant};

const AMOUNT: &str = "1000.00";
const FORM: &str = "application/x-www-form-urlencoded";

/// How often a message is sent, and whether all at once.
#[derive(Debug, Clone, Copy)]
enum Sending {
    InTurn(usize),
    AtOnce(usize),
}

/// CLICK, with as many connections as a test wants.
struct Wire {
    home: String,
    clients: Vec<Client>,
}

fn form(fields: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn path_of(message: &Message) -> &'static str {
    match message.step() {
        Step::Prepare => "prepare",
        Step::Complete => "complete",
    }
}

impl Wire {
    fn to(world: &World, connections: usize) -> Self {
        Self { home: world.home.clone(), clients: (0..connections).map(|_| client()).collect() }
    }

    async fn raw(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Said {
        let request = self.clients[0].post(format!("{}/api/click/{path}", self.home));
        Said::of(request.header("content-type", content_type).body(body).send().await.unwrap()).await
    }

    async fn send_to(&self, path: &str, message: &Message) -> Said {
        self.raw(path, FORM, form(&message.signed(&ClickConfig::demo().secret_key))).await
    }

    async fn send(&self, message: &Message) -> Said {
        self.send_to(path_of(message), message).await
    }

    /// Every answer to one message.
    async fn sent(&self, message: &Message, sending: Sending) -> Vec<Value> {
        let mut said = Vec::new();
        match sending {
            Sending::InTurn(times) => {
                for _ in 0..times {
                    said.push(self.send(message).await);
                }
            }
            Sending::AtOnce(_) => {
                let body = form(&message.signed(&ClickConfig::demo().secret_key));
                let url = format!("{}/api/click/{}", self.home, path_of(message));
                let under_way: Vec<_> = self
                    .clients
                    .iter()
                    .map(|client| client.post(&url).header("content-type", FORM).body(body.clone()).send())
                    .map(tokio::spawn)
                    .collect();
                for one in under_way {
                    said.push(Said::of(one.await.unwrap().unwrap()).await);
                }
            }
        }
        assert!(said.iter().all(|said| said.status == 200), "{said:?}");
        said.iter().map(Said::json).collect()
    }
}

/// What the copies of one message have to be answered.
enum Expected {
    /// Every one of them the same.
    All(i64),
    /// One confirms, the others find it paid; the first one first, where there is a first.
    OnceThen(i64, i64),
}

/// Counts the rows of the matrix that are answered as CLICK demands.
struct Matrix {
    wire: Wire,
    sending: Sending,
    passed: Vec<usize>,
    failed: Vec<String>,
}

impl Matrix {
    /// One row; gives the first answer.
    async fn row(&mut self, number: usize, message: &Message, expected: Expected) -> Value {
        let answers = self.wire.sent(message, self.sending).await;
        let errors: Vec<i64> = answers.iter().map(|answer| answer["error"].as_i64().unwrap()).collect();
        let right = match expected {
            // The same message, the same answer, to the last byte.
            Expected::All(code) => {
                errors.iter().all(|error| *error == code)
                    && answers.iter().all(|answer| *answer == answers[0])
            }
            Expected::OnceThen(first, then) => {
                let firsts = errors.iter().filter(|error| **error == first).count();
                let others = errors.iter().filter(|error| **error == then).count();
                let in_order = matches!(self.sending, Sending::AtOnce(_)) || errors[0] == first;
                firsts == 1 && firsts + others == errors.len() && in_order
            }
        };
        if right {
            self.passed.push(number);
        } else {
            self.failed.push(format!("row {number}: {answers:?}"));
        }
        answers.into_iter().next().unwrap()
    }
}

async fn matrix(world: &World, engine: &str, sending: Sending) {
    use Expected::{All, OnceThen};
    let connections = if let Sending::AtOnce(count) = sending { count } else { 1 };
    let wire = Wire::to(world, connections);
    let mut matrix = Matrix { wire, sending, passed: Vec::new(), failed: Vec::new() };
    let click = world.sandbox.click();
    let prepare_id = |answer: &Value| answer["merchant_prepare_id"].to_string();

    let prepare = click.prepare_message(&world.payment().await, AMOUNT);
    matrix.row(1, &prepare.clone().tampered("sign_string", "0".repeat(32)), All(-1)).await;
    matrix.row(2, &prepare.clone().with("merchant_trans_id", "ckabcdefghijklmnopqrstuv"), All(-5)).await;
    let prepared = matrix.row(3, &prepare, All(0)).await;
    let complete = click.complete_message(&prepare, &prepare_id(&prepared));
    matrix.row(4, &complete.clone().tampered("sign_string", "0".repeat(32)), All(-1)).await;
    matrix.row(5, &complete.clone().with("amount", "300"), All(-2)).await;
    matrix.row(6, &complete, OnceThen(0, -4)).await;
    matrix.row(7, &complete, All(-4)).await;
    matrix.row(8, &complete.clone().with("error", "-5017"), All(-9)).await;

    let prepare = click.prepare_message(&world.payment().await, AMOUNT);
    let prepared = matrix.row(9, &prepare, All(0)).await;
    let complete = click.complete_message(&prepare, &prepare_id(&prepared));
    matrix.row(10, &complete.clone().with("merchant_prepare_id", "999999999"), All(-6)).await;
    matrix.row(11, &complete, OnceThen(0, -4)).await;

    let prepare = click.prepare_message(&world.payment().await, AMOUNT);
    let prepared = matrix.row(12, &prepare, All(0)).await;
    let complete = click.complete_message(&prepare, &prepare_id(&prepared));
    let cancel = complete.clone().with("error", "-5017");
    matrix.row(13, &cancel, All(-9)).await;
    matrix.row(14, &cancel, All(-9)).await;
    matrix.row(15, &complete, All(-9)).await;

    let how = match sending {
        Sending::InTurn(1) => String::new(),
        Sending::InTurn(times) => format!(", every message {times} times"),
        Sending::AtOnce(count) => format!(", {count} connections at once"),
    };
    println!("click matrix on {engine}{how}: {} of 15", matrix.passed.len());
    assert!(matrix.failed.is_empty(), "{engine} {sending:?}: {:#?}", matrix.failed);
    assert_eq!(matrix.passed.len(), 15);
}

async fn matrices(world: &World, engine: &str) {
    for sending in [Sending::InTurn(1), Sending::InTurn(3), Sending::AtOnce(16)] {
        matrix(world, engine, sending).await;
    }
    // Two payments were completed in each round, and each granted once.
    let completed = PaymentFilter { status: Some("completed".into()), user: None };
    let page = world.ledger().page(Kind::Payment, &completed, None, 100).await.unwrap();
    assert!(page.rows.len() >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_matrix_on_sqlite() {
    let world = World::selling().await;
    matrices(&world, "sqlite").await;
    let ledger = world.whole_ledger().await;
    assert_eq!(ledger.lines().filter(|line| line.starts_with("Grant(")).count(), 6, "one grant a payment");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_matrix_on_postgres() {
    let url = std::env::var("SESSILE_TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!("SESSILE_TEST_POSTGRES_URL is not set: run ./test, or set it to a server of your own")
    });
    let settings = [("DATABASE_URL", url.as_str())];
    let world = World::shop(&settings, Arc::new(SystemClock)).await;
    matrices(&world, "postgres").await;
}

#[tokio::test]
async fn a_late_cancel_can_be_answered_as_older_documents_had_it() {
    let world = World::shop(&[("SESSILE_CLICK_LATE_CANCEL", "-4")], Arc::new(SystemClock)).await;
    let (wire, click) = (Wire::to(&world, 1), world.sandbox.click());
    let prepare = click.prepare_message(&world.payment().await, AMOUNT);
    let id = wire.send(&prepare).await.json()["merchant_prepare_id"].to_string();
    let complete = click.complete_message(&prepare, &id);
    let confirmed = wire.send(&complete).await.json();
    assert_eq!((&confirmed["error"], confirmed["merchant_confirm_id"].to_string()), (&json!(0), id));
    assert_eq!(wire.send(&complete.with("error", "-5017")).await.json()["error"], -4);
}

#[tokio::test]
async fn doors_and_actions_have_to_agree() {
    let world = World::selling().await;
    let (wire, click) = (Wire::to(&world, 1), world.sandbox.click());
    let prepare = click.prepare_message(&world.payment().await, AMOUNT);
    let before = world.whole_ledger().await;
    assert_eq!(
        wire.send_to("complete", &prepare).await.json(),
        json!({ "error": -3, "error_note": "Action not found" })
    );
    assert_eq!(wire.send(&prepare.clone().with("action", "7")).await.json()["error"], -3);
    assert_eq!(
        wire.send_to("complete", &prepare.clone().tampered("sign_string", "x")).await.json()["error"],
        -1
    );
    assert_eq!(world.whole_ledger().await, before);
    let prepared = wire.send_to("pay", &prepare).await.json();
    assert_eq!(prepared["error"], 0);
    let complete = click.complete_message(&prepare, &prepared["merchant_prepare_id"].to_string());
    assert_eq!(wire.send_to("prepare", &complete).await.json()["error"], -3);
    assert_eq!(wire.send_to("pay", &complete).await.json()["error"], 0);
    let get = client().get(format!("{}/api/click/prepare", world.home)).send().await.unwrap();
    assert_eq!(get.status(), 405);
}

#[tokio::test]
async fn answers_carry_what_click_asks_for() {
    let world = World::selling().await;
    let (wire, click) = (Wire::to(&world, 1), world.sandbox.click());
    let order = world.payment().await;
    let prepare = click.prepare_message(&order, AMOUNT).with("click_trans_id", "9007199254740993");
    let said = wire.send(&prepare).await;
    let id = said.json()["merchant_prepare_id"].as_i64().unwrap();
    assert!((1_000_000_000..=2_147_483_647).contains(&id));
    said.is(
        200,
        &json!({
            "click_trans_id": 9_007_199_254_740_993_i64, "merchant_trans_id": order, "merchant_prepare_id": id,
            "error": 0, "error_note": "Success",
        }),
    );
    let complete = click.complete_message(&prepare, &id.to_string());
    wire.send(&complete).await.is(
        200,
        &json!({
            "click_trans_id": 9_007_199_254_740_993_i64, "merchant_trans_id": order, "merchant_confirm_id": id,
            "error": 0, "error_note": "Success",
        }),
    );
    // Another attempt on the paid order, and one on an order that is under way.
    assert_eq!(wire.send(&click.prepare_message(&order, AMOUNT)).await.json()["error"], -4);
    let order = world.payment().await;
    assert_eq!(wire.send(&click.prepare_message(&order, AMOUNT)).await.json()["error"], 0);
    assert_eq!(wire.send(&click.prepare_message(&order, AMOUNT)).await.json()["error"], -9);
}

/// Bodies that CLICK never sends, and what they are answered.
fn odd_bodies(signed: &Message) -> Vec<(String, &'static str, Vec<u8>, i64)> {
    let with = |field: &str, value: &str| {
        form(&signed.clone().with(field, value).signed(&ClickConfig::demo().secret_key)).into_bytes()
    };
    let whole = form(&signed.signed(&ClickConfig::demo().secret_key));
    let mut bodies: Vec<(String, &'static str, Vec<u8>, i64)> = Vec::new();
    for amount in
        ["nan", "NaN", "inf", "1e3", "-1000.00", "+1000.00", "", ".5", "5.", "1,000", "0x10", " 1000"]
    {
        bodies.push((format!("amount {amount}"), FORM, with("amount", amount), -8));
    }
    for (amount, code) in [("1000.009", -2), ("999.99", -2), ("0", -2), ("1000.01", -2), ("100000", -2)] {
        bodies.push((format!("amount {amount}"), FORM, with("amount", amount), code));
    }
    for (field, value) in [
        ("click_trans_id", "-1"),
        ("click_trans_id", "01"),
        ("click_trans_id", "1e3"),
        ("click_trans_id", "9223372036854775808"),
        ("service_id", "012345"),
        ("action", "00"),
        ("error", "x"),
        ("click_paydoc_id", ""),
        ("sign_time", "2026-11-21T10:00:00"),
        ("sign_time", "now"),
        ("merchant_trans_id", "a b"),
        ("merchant_trans_id", "' or 1=1"),
        ("service_id", "54321"),
    ] {
        bodies.push((format!("{field}={value}"), FORM, with(field, value), -8));
    }
    bodies.push(("error=7".into(), FORM, with("error", "7"), -8));
    bodies.push(("foreign order".into(), FORM, with("merchant_trans_id", "user-23"), -5));
    bodies.push(("a key twice".into(), FORM, format!("{whole}&amount=1000.00").into_bytes(), -8));
    bodies.push((
        "a JSON body".into(),
        "application/json",
        json!({ "action": 0 }).to_string().into_bytes(),
        -8,
    ));
    bodies.push(("form as JSON".into(), "application/json", whole.clone().into_bytes(), -8));
    bodies.push(("NUL".into(), FORM, format!("{whole}&x=%00").into_bytes(), -8));
    bodies.push(("raw NUL".into(), FORM, format!("{whole}&x=\0").into_bytes(), -8));
    bodies.push(("no UTF-8".into(), FORM, format!("{whole}&x=%ff").into_bytes(), -8));
    bodies.push(("17 KiB".into(), FORM, format!("{whole}&x={}", "y".repeat(17 * 1024)).into_bytes(), -8));
    bodies.push(("200 KiB".into(), FORM, format!("{whole}&x={}", "y".repeat(200 * 1024)).into_bytes(), -8));
    bodies.push(("nothing".into(), FORM, Vec::new(), -8));
    bodies.push(("half".into(), FORM, whole.as_bytes()[..whole.len() / 2].to_vec(), -8));
    for field in [
        "click_trans_id",
        "service_id",
        "merchant_trans_id",
        "amount",
        "action",
        "error",
        "sign_time",
        "sign_string",
    ] {
        let less = signed.clone().omitted(field).signed(&ClickConfig::demo().secret_key);
        bodies.push((format!("without {field}"), FORM, form(&less).into_bytes(), -8));
    }
    bodies
}

#[tokio::test]
async fn what_click_never_sends_changes_nothing() {
    let world = World::selling().await;
    let (wire, click) = (Wire::to(&world, 1), world.sandbox.click());
    let prepare = click.prepare_message(&world.payment().await, AMOUNT);
    let before = world.whole_ledger().await;
    for (what, content_type, body, code) in odd_bodies(&prepare) {
        let said = wire.raw("prepare", content_type, body).await;
        assert_eq!((said.status, &said.json()["error"]), (200, &json!(code)), "{what}: {said:?}");
    }
    assert_eq!(world.whole_ledger().await, before);
    assert_eq!(wire.send(&prepare).await.json()["error"], 0, "the real one still counts");
}

/// One signed text, cut elsewhere: a field gives characters to its neighbour.
fn shifted(fields: &[(String, String)], changes: &[(&str, &str)]) -> String {
    let mut fields = fields.to_vec();
    for (name, value) in changes {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = (*value).to_owned(),
            None => fields.push(((*name).to_owned(), (*value).to_owned())),
        }
    }
    form(&fields)
}

#[tokio::test]
async fn a_signed_text_means_one_thing_only() {
    let world = World::selling().await;
    let (wire, click) = (Wire::to(&world, 1), world.sandbox.click());
    let order = world.payment().await;
    let secret = ClickConfig::demo().secret_key;
    let prepare = click.prepare_message(&order, AMOUNT).with("click_trans_id", "1234567890");
    let id = wire.send(&prepare).await.json()["merchant_prepare_id"].to_string();
    let complete = click.complete_message(&prepare, &id).signed(&secret);
    let (last, most) = (&id[9..], &id[..9]);
    let before = world.whole_ledger().await;
    let cuts: Vec<Vec<(&str, String)>> = vec![
        // transaction | service
        vec![("click_trans_id", "123456789".into()), ("service_id", "012345".into())],
        vec![("click_trans_id", "12345678901".into()), ("service_id", "2345".into())],
        // order | prepare id
        vec![("merchant_trans_id", format!("{order}1")), ("merchant_prepare_id", id[1..].into())],
        vec![
            ("merchant_trans_id", order[..23].into()),
            ("merchant_prepare_id", format!("{}{id}", &order[23..])),
        ],
        // prepare id | amount
        vec![("merchant_prepare_id", most.into()), ("amount", format!("{last}1000.00"))],
        vec![("merchant_prepare_id", format!("{id}1")), ("amount", "000.00".into())],
        vec![("merchant_prepare_id", format!("{id}1000")), ("amount", ".00".into())],
        vec![("merchant_prepare_id", String::new()), ("amount", format!("{id}1000.00"))],
        // amount | action
        vec![("amount", "1000.0".into()), ("action", "01".into())],
        vec![("amount", "1000.001".into()), ("action", String::new())],
    ];
    for cut in cuts {
        let changes: Vec<(&str, &str)> = cut.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for path in ["complete", "pay"] {
            let said = wire.raw(path, FORM, shifted(&complete, &changes)).await;
            let error = said.json()["error"].as_i64().unwrap();
            assert!([-8, -6, -5].contains(&error), "{cut:?}: {said:?}");
        }
    }
    assert_eq!(world.whole_ledger().await, before);
    // What is not signed cannot be turned either: another paydoc is another attempt.
    let other = shifted(&complete, &[("click_paydoc_id", "1")]);
    assert_eq!(wire.raw("complete", FORM, other).await.json()["error"], -6);
    assert_eq!(world.whole_ledger().await, before);
    assert_eq!(wire.raw("complete", FORM, form(&complete)).await.json()["error"], 0);
}

#[tokio::test]
async fn a_stranger_learns_nothing() {
    let world = World::selling().await;
    let (wire, click) = (Wire::to(&world, 1), world.sandbox.click());
    let (known, unknown) = (world.payment().await, "ckabcdefghijklmnopqrstuv".to_owned());
    let before = world.whole_ledger().await;
    let forged = |order: &str| click.prepare_message(order, AMOUNT).tampered("sign_string", "0".repeat(32));
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..200 {
        for (order, took) in [&known, &unknown].into_iter().zip(&mut took) {
            let message = forged(order);
            let began = Instant::now();
            let said = wire.send(&message).await;
            took.push(began.elapsed());
            assert_eq!(said.text, r#"{"error":-1,"error_note":"SIGN CHECK FAILED!"}"#);
        }
    }
    let [known, unknown] = took.map(|mut took: Vec<Duration>| {
        took.sort();
        took[took.len() / 2]
    });
    println!("forged callback, median: a known order {known:?}, an unknown one {unknown:?}");
    assert_eq!(world.whole_ledger().await, before);
}

#[tokio::test]
async fn a_person_is_told_of_what_a_machine_cannot_decide() {
    let world = World::selling().await;
    let (wire, click) = (Wire::to(&world, 1), world.sandbox.click());
    let made = world.payment_of(&crate::shop::user()).await;
    let prepare = click.prepare_message(made["orderId"].as_str().unwrap(), AMOUNT);
    let id = wire.send(&prepare).await.json()["merchant_prepare_id"].to_string();
    let complete = click.complete_message(&prepare, &id);
    for _ in 0..2 {
        assert_eq!(wire.send(&complete.clone().with("amount", "300")).await.json()["error"], -2);
    }
    wire.send(&complete).await;
    for _ in 0..2 {
        assert_eq!(wire.send(&complete.clone().with("error", "-1")).await.json()["error"], -9);
    }
    let id = made["transactionId"].as_str().unwrap();
    let shown = world.operator().get(&format!("/v1/payments/{id}")).await.json();
    assert_eq!(shown["status"], "completed", "nothing was taken away");
    assert_eq!(
        (&shown["flags"]["amountDiffers"], &shown["flags"]["cancelAfterSuccess"]),
        (&json!(true), &json!(true))
    );
    let metrics = world.browser().get("/metrics").await.text().await.unwrap();
    for alert in ["amount_differs", "cancel_after_success"] {
        assert!(metrics.contains(&format!("sessile_click_alerts_total{{alert=\"{alert}\"}}")), "{alert}");
    }
    assert!(metrics.contains("sessile_click_callbacks_total"), "{metrics}");
}

#[tokio::test]
async fn a_page_of_another_site_is_no_reason_to_refuse_click() {
    let world = World::selling().await;
    let prepare = world.sandbox.click().prepare_message(&world.payment().await, AMOUNT);
    let body = form(&prepare.signed(&ClickConfig::demo().secret_key));
    let request = client().post(format!("{}/api/click/prepare", world.home)).header("content-type", FORM);
    let request = request.header("origin", "https://my.click.uz").header("sec-fetch-site", "cross-site");
    let answer = request.header("cookie", "sid=s:x.y").body(body).send().await.unwrap();
    assert!(answer.headers().get("set-cookie").is_none());
    assert_eq!(answer.json::<Value>().await.unwrap()["error"], 0);
}
