//! CLICK's callbacks: `POST /api/click/{prepare,complete,pay}`.
//!
//! Known by their signature alone, they pass no session and no same-origin check. The guards stand in one order:
//! form and grammar (-8), signature (-1), service (-8), action (-3), and only then is anything looked up, so that a
//! stranger learns nothing from an answer or from the time it takes. Answers are HTTP 200 and JSON, except when our
//! own storage is away: then 503, and CLICK sends the message again.

use super::problem::Problem;
use crate::app::App;
use crate::config::LateCancel;
use crate::limits::CALLBACK_BYTES_READ_MAX;
use crate::money::{Click, Money};
use crate::stores::reason_of;
use crate::telemetry;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sessile_core::StoreError;
use sessile_core::ledger::Inbound;
use sessile_core::money::Minor;
use sessile_core::payment::{
    Answered, OrderId, PaydocId, PrepareId, ProviderMessage, ProviderStep, Reply, TransId, Word,
};
use sessile_providers::click::{self, Action, Amount, Code, Message, Order, Refusal};
use sha2::{Digest, Sha256};

/// What a path may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Prepare,
    Complete,
    Either,
}

/// `POST /api/click/prepare`.
pub(crate) async fn prepare(State(app): State<App>, request: Request) -> Response {
    take(&app, Door::Prepare, request).await
}

/// `POST /api/click/complete`.
pub(crate) async fn complete(State(app): State<App>, request: Request) -> Response {
    take(&app, Door::Complete, request).await
}

/// `POST /api/click/pay`: both, told apart by `action`.
pub(crate) async fn pay(State(app): State<App>, request: Request) -> Response {
    take(&app, Door::Either, request).await
}

async fn take(app: &App, door: Door, request: Request) -> Response {
    let (money, click) = match (&app.money.kinds, &app.money.click) {
        (Ok(money), Ok(click)) => (money, click),
        (Err(missing), _) | (_, Err(missing)) => return Problem::not_configured(missing).into_response(),
    };
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (body, message) = match verified(click, door, content_type, body).await {
        Ok(message) => message,
        Err(refusal) => return refused(refusal),
    };
    let answered = match heard(money, &message, &body).await {
        Ok(answered) => answered,
        Err(error) => {
            tracing::error!(
                order = fingerprint(&message),
                error = reason_of(&error),
                "the ledger did not take CLICK's message; CLICK is asked to repeat it"
            );
            count(step_of(&message), "503");
            return Problem::ledger_unavailable().into_response();
        }
    };
    let answer = answer(click, &message, answered.as_ref());
    tell(&message, &answer, answered.as_ref());
    said(answer)
}

/// A message that CLICK has sent to us, through a door that it may use.
async fn verified(
    click: &Click,
    door: Door,
    content_type: Option<&str>,
    body: Body,
) -> Result<(axum::body::Bytes, Message), Refusal> {
    let body = axum::body::to_bytes(body, CALLBACK_BYTES_READ_MAX).await.map_err(|_| Refusal::TooLarge)?;
    let message = click::parse(content_type, &body)?.verify(&click.secrets, click.service_id)?;
    match (door, message.action) {
        (Door::Prepare, Action::Complete { .. }) | (Door::Complete, Action::Prepare) => Err(Refusal::Action),
        _ => Ok((body, message)),
    }
}

/// What the ledger makes of it; `None` for what it is not even asked about.
async fn heard(money: &Money, message: &Message, body: &[u8]) -> Result<Option<Answered>, StoreError> {
    let Some(order) = order_of(message) else { return Ok(None) };
    let word = match (message.error, message.amount) {
        (1.., _) => return Ok(None),
        (..=-1, _) => Word::Failed,
        (0, Amount::Tiyin(tiyin)) => Word::Amount(Minor::new(tiyin)),
        (0, Amount::SubTiyin) => Word::Amount(None),
    };
    let step = match message.action {
        Action::Prepare => ProviderStep::Prepare,
        Action::Complete { prepare_id } => ProviderStep::Complete(prepare_id.and_then(PrepareId::new)),
    };
    // Behind the attempt, which CLICK counts up: an operator finds its messages together, and what comes together lies
    // together in the index.
    let digest = format!("{:019}.{}", message.click_trans_id, URL_SAFE_NO_PAD.encode(Sha256::digest(body)));
    let message = ProviderMessage {
        order,
        trans: TransId(message.click_trans_id),
        paydoc: PaydocId(message.paydoc_id),
        word,
        step,
        inbound: Inbound { provider: "click", digest },
    };
    money.payments.hear(message).await.map(Some)
}

fn order_of(message: &Message) -> Option<OrderId> {
    match &message.order {
        Order::Ours(id) => OrderId::parse(id.as_str()),
        Order::Foreign(_) => None,
    }
}

fn answer(click: &Click, message: &Message, answered: Option<&Answered>) -> click::Answer {
    let plain = |code| click::Answer::new(message, code);
    let Some(answered) = answered else {
        // A positive `error` is documented nowhere: it is neither a success nor a cancel.
        let odd = order_of(message).is_some();
        return plain(if odd { Code::ErrorInRequest } else { Code::UserDoesNotExist });
    };
    let Some(reply) = answered.reply else { return plain(Code::UserDoesNotExist) };
    match reply {
        Reply::Prepared(prepare) => plain(Code::Success).with_prepare_id(prepare.get()),
        Reply::Confirmed => confirmed(message),
        Reply::AlreadyPaid => plain(Code::AlreadyPaid),
        Reply::Cancelled => plain(Code::TransactionCancelled),
        Reply::CancelTooLate => plain(match click.late_cancel {
            LateCancel::Cancelled => Code::TransactionCancelled,
            LateCancel::AlreadyPaid => Code::AlreadyPaid,
        }),
        Reply::NoSuchAttempt => plain(Code::TransactionDoesNotExist),
        Reply::WrongAmount => plain(Code::IncorrectAmount),
        // For timers and people; a provider's message has none of them for an answer.
        Reply::Silent | Reply::TooLate => plain(Code::FailedToUpdateUser),
    }
}

/// `merchant_confirm_id` is the number that we gave at Prepare: an integer, one per payment, and the same for ever.
fn confirmed(message: &Message) -> click::Answer {
    let answer = click::Answer::new(message, Code::Success);
    match message.action {
        Action::Complete { prepare_id: Some(id) } => answer.with_confirm_id(id),
        Action::Complete { prepare_id: None } | Action::Prepare => answer,
    }
}

fn refused(refusal: Refusal) -> Response {
    let answer = click::Answer::from(refusal);
    tracing::warn!(code = answer.code().number(), why = %refusal, "a callback was refused");
    count("refused", &answer.code().number().to_string());
    said(answer)
}

fn said(answer: click::Answer) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// One line for each message, and an alert for what a person has to see.
fn tell(message: &Message, answer: &click::Answer, answered: Option<&Answered>) {
    let (step, code) = (step_of(message), answer.code().number());
    let order = fingerprint(message);
    let changed = answered.is_some_and(|answered| answered.changed);
    let payment = answered.and_then(|answered| answered.payment.as_ref());
    tracing::info!(
        step,
        code,
        changed,
        order,
        payment = payment.map(|payment| payment.id.fingerprint()),
        status = payment.map(|payment| payment.state.name()),
        error = message.error,
        sign_time = message.sign_time,
        "CLICK's message"
    );
    count(step, &code.to_string());
    let alert = match answered.and_then(|answered| answered.reply) {
        Some(Reply::WrongAmount) if changed => "amount_differs",
        Some(Reply::CancelTooLate) if changed => "cancel_after_success",
        _ => return,
    };
    metrics::counter!(telemetry::ALERTS, "alert" => alert).increment(1);
    tracing::error!(
        alert,
        order,
        payment = payment.map(|payment| payment.id.fingerprint()),
        "a payment needs a person: compare it with CLICK's cabinet"
    );
}

fn fingerprint(message: &Message) -> Option<String> {
    order_of(message).map(|order| order.fingerprint())
}

fn step_of(message: &Message) -> &'static str {
    match (message.action, message.error) {
        (Action::Prepare, _) => "prepare",
        (Action::Complete { .. }, ..=-1) => "cancel",
        (Action::Complete { .. }, _) => "complete",
    }
}

fn count(step: &'static str, code: &str) {
    metrics::counter!(telemetry::CLICK_CALLBACKS, "step" => step, "code" => code.to_owned()).increment(1);
}
