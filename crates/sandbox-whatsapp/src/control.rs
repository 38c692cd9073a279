//! The stand-in by HTTP, for programs that cannot call Rust: browsers' tests, and anybody with `curl`.
//!
//! On a port of its own on loopback. Everything is JSON; a refusal is 400 with `error`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::error::PhoneError;
use crate::fake::{PHONE_NUMBER, switch_on};
use crate::misbehaviour::{Switch, SwitchError};
use crate::peer::Peer;
use crate::phone::{LinkedDevice, Phone, linked};
use crate::server::world::World;

/// Where the control begins.
pub(crate) const BASE: &str = "/sandbox/whatsapp";
/// Messages and connections shown, newest last.
const SHOWN_MAX: usize = 1000;

type App = State<Arc<World>>;

/// The routes.
pub(crate) fn router(world: Arc<World>) -> Router {
    let routes = Router::new()
        .route("/", get(status))
        .route("/misbehave", post(misbehave))
        .route("/scan", post(scan))
        .route("/code", post(code))
        .route("/send", post(send))
        .route("/unlink", post(unlink))
        .with_state(world);
    Router::new().nest(BASE, routes)
}

/// `GET /sandbox/whatsapp/`: what has happened and what is to go wrong.
async fn status(State(world): App) -> Json<Value> {
    Json(world.read(|state| {
        let connections: Vec<_> =
            state.connections.iter().map(|(id, connection)| connection.record(*id)).collect();
        let devices: Vec<_> = state
            .accounts
            .values()
            .flat_map(|account| account.companions.values())
            .map(|companion| {
                json!({
                    "number": companion.device.number,
                    "device": companion.device.id,
                    "online": companion.connection.is_some(),
                    "waiting": companion.waiting.len(),
                    "keys": companion.keys.left(),
                    "keyUploads": companion.keys.uploads,
                })
            })
            .collect();
        json!({
            "connections": last(&connections),
            "devices": devices,
            "sent": last(&state.sent),
            "messages": last(&state.messages),
            "ratchetReuse": state.ratchets.reuses(),
            "misbehaving": state.switches.active(),
        })
    }))
}

fn last<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(SHOWN_MAX)..]
}

/// `POST /sandbox/whatsapp/misbehave`: a JSON list of names or objects. Replaces what was switched on.
async fn misbehave(State(world): App, Json(switches): Json<Vec<Switch>>) -> Response {
    world.update(|state| state.switches.clear());
    let taken: Result<(), SwitchError> =
        switches.into_iter().try_for_each(|switch| switch_on(&world, switch));
    match taken {
        Ok(()) => Json(json!({ "misbehaving": world.read(|state| state.switches.active()) })).into_response(),
        Err(error) => refused(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    qr: String,
    number: Option<String>,
}

/// `POST /sandbox/whatsapp/scan`: the phone scans a QR code's text.
async fn scan(State(world): App, Json(body): Json<Scan>) -> Response {
    let phone = Phone::new(world, body.number.as_deref().unwrap_or(PHONE_NUMBER));
    linking(phone.scan(&body.qr).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
    number: String,
}

/// `POST /sandbox/whatsapp/code`: somebody types a code into the phone of a number.
async fn code(State(world): App, Json(body): Json<Code>) -> Response {
    let phone = Phone::new(world, body.number.as_str());
    linking(phone.enter_code(&body.code, &body.number).await)
}

fn linking(linked: Result<LinkedDevice, PhoneError>) -> Response {
    match linked {
        Ok(device) => Json(json!({ "linked": device })).into_response(),
        Err(error @ PhoneError::PasskeyDemanded) => {
            (StatusCode::ACCEPTED, Json(json!({ "passkeyDemanded": error.to_string() }))).into_response()
        }
        Err(error) => refused(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    from: String,
    /// The account's number: every device of it gets the message.
    to: String,
    text: String,
}

/// `POST /sandbox/whatsapp/send`: a peer writes to an account.
async fn send(State(world): App, Json(body): Json<Send>) -> Response {
    let devices: Vec<LinkedDevice> = world.read(|state| {
        let account = state.accounts.get(&body.to);
        account
            .into_iter()
            .flat_map(|account| account.companions.values())
            .map(|each| linked(&each.device))
            .collect()
    });
    let peer = Peer::new(world, body.from);
    let mut ids = Vec::with_capacity(devices.len());
    for device in &devices {
        match peer.send(device, &body.text).await {
            Ok(id) => ids.push(id),
            Err(error) => return refused(&error),
        }
    }
    if ids.is_empty() { refused(&PhoneError::NotLinked) } else { Json(json!({ "ids": ids })).into_response() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unlink {
    number: Option<String>,
    device: u16,
}

/// `POST /sandbox/whatsapp/unlink`: the phone takes a device off its list.
async fn unlink(State(world): App, Json(body): Json<Unlink>) -> Response {
    match Phone::new(world, body.number.as_deref().unwrap_or(PHONE_NUMBER)).unlink(body.device) {
        Ok(()) => Json(json!({})).into_response(),
        Err(error) => refused(&error),
    }
}

fn refused(error: &dyn std::error::Error) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response()
}
