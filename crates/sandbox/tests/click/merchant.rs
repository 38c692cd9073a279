//! A merchant of one page: records every message, checks signatures with nothing of the stand-in's, and answers by a
//! state machine simple enough to be obviously right. Answers can be scripted and processes can be "killed".

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use md5::{Digest, Md5};
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "test_secret_key";
pub(crate) const AMOUNT: &str = "1000.00";

pub(crate) type Fields = HashMap<String, String>;

/// What the next message gets instead of an honest answer.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    Error(i64),
    Status(u16),
    Body(&'static str),
    Hang(Duration),
    /// The work is done and the answer is a 500.
    DoneThen500,
}

#[derive(Default)]
struct Order {
    trans_id: Option<String>,
    prepare_id: u64,
    paid: bool,
    cancelled: bool,
    times_fulfilled: u32,
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) received: Vec<Fields>,
    pub(crate) script: VecDeque<Script>,
    hanging: usize,
    hanging_peak: usize,
    orders: HashMap<String, Order>,
    last_prepare_id: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Merchant(Arc<Mutex<Books>>);

impl Merchant {
    pub(crate) fn with_orders(orders: impl IntoIterator<Item = String>) -> Self {
        let merchant = Self::default();
        let orders = orders.into_iter().map(|order| (order, Order::default()));
        merchant.books(|books| books.orders = orders.collect());
        merchant
    }

    pub(crate) fn books<T>(&self, look: impl FnOnce(&mut Books) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn script(&self, script: &[Script]) {
        self.books(|books| books.script = script.iter().cloned().collect());
    }

    pub(crate) fn received(&self) -> Vec<Fields> {
        self.books(|books| books.received.clone())
    }

    /// `prepare`, `complete` and `cancel` in the order they came.
    pub(crate) fn story(&self) -> Vec<&'static str> {
        let name = |fields: &Fields| match (fields["action"].as_str(), fields["error"].as_str()) {
            ("0", "0") => "prepare",
            ("0", _) => "prepare!",
            (_, "0") => "complete",
            _ => "cancel",
        };
        self.received().iter().map(name).collect()
    }

    /// The most messages that hung at the same time.
    pub(crate) fn hanging_peak(&self) -> usize {
        self.books(|books| books.hanging_peak)
    }

    pub(crate) fn fulfilled(&self, order: &str) -> u32 {
        self.books(|books| books.orders[order].times_fulfilled)
    }

    /// One process of the merchant; aborting the task closes its listener.
    pub(crate) fn listen(&self, listener: TcpListener) -> JoinHandle<()> {
        let app = Router::new().route("/prepare", post(answer)).route("/complete", post(answer));
        let app = app.with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
    }
}

async fn answer(State(merchant): State<Merchant>, body: Bytes) -> Response {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let fields: Fields = pairs.iter().cloned().collect();
    let script = merchant.books(|books| {
        books.received.push(fields.clone());
        books.script.pop_front()
    });
    match script {
        Some(Script::Error(code)) => say(&fields, code, None),
        Some(Script::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Script::Body(text)) => text.into_response(),
        Some(Script::Hang(time)) => {
            merchant.books(|books| {
                books.hanging += 1;
                books.hanging_peak = books.hanging_peak.max(books.hanging);
            });
            tokio::time::sleep(time).await;
            merchant.books(|books| books.hanging -= 1);
            say(&fields, 0, Some(1_000_000_001))
        }
        Some(Script::DoneThen500) => {
            merchant.books(|books| decide(books, &fields));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        None => {
            let (code, id) = merchant.books(|books| decide(books, &fields));
            say(&fields, code, id)
        }
    }
}

fn say(fields: &Fields, error: i64, id: Option<u64>) -> Response {
    let mut answer = json!({
        "error": error,
        "error_note": if error == 0 { "Success" } else { "No" },
        "click_trans_id": fields["click_trans_id"].parse::<u64>().unwrap_or(0),
        "merchant_trans_id": fields["merchant_trans_id"],
    });
    answer[if fields["action"] == "0" { "merchant_prepare_id" } else { "merchant_confirm_id" }] = json!(id);
    axum::Json(answer).into_response()
}

fn decide(books: &mut Books, fields: &Fields) -> (i64, Option<u64>) {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    if field("sign_string") != expected_signature(fields) {
        return (-1, None);
    }
    let next = books.last_prepare_id.max(1_000_000_000) + 1;
    let Some(order) = books.orders.get_mut(&field("merchant_trans_id")) else {
        return (-5, None);
    };
    let complete = field("action") == "1";
    if complete && field("merchant_prepare_id") != order.prepare_id.to_string() {
        return (-6, None);
    }
    if field("error") != "0" {
        order.cancelled |= !order.paid;
        return (-9, None);
    }
    if field("amount") != AMOUNT {
        return (-2, None);
    }
    match (complete, order.paid, order.cancelled) {
        (_, true, _) => (-4, Some(order.prepare_id)),
        (_, _, true) => (-9, None),
        (false, ..) => {
            let trans_id = order.trans_id.get_or_insert_with(|| field("click_trans_id"));
            if *trans_id != field("click_trans_id") {
                return (-9, None);
            }
            if order.prepare_id == 0 {
                order.prepare_id = next;
                books.last_prepare_id = next;
            }
            (0, Some(order.prepare_id))
        }
        (true, ..) => {
            order.paid = true;
            order.times_fulfilled += 1;
            (0, Some(order.prepare_id))
        }
    }
}

fn expected_signature(fields: &Fields) -> String {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let text = [
        field("click_trans_id"),
        field("service_id"),
        SECRET.to_owned(),
        field("merchant_trans_id"),
        if field("action") == "1" { field("merchant_prepare_id") } else { String::new() },
        field("amount"),
        field("action"),
        field("sign_time"),
    ]
    .concat();
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
