//! `GET /api/click/wait-payment/{orderId}`: holds the buyer's request until the payment is decided, for a while.
//!
//! It looks at the ledger at growing pauses, ends at once when the payment is decided or the server stops, and only so
//! many wait at the same time: the rest are answered at their first look and ask again.

use super::caller::Asker;
use super::payment::{kinds, missing, not_shown};
use crate::app::App;
use crate::limits::{PAYMENT_LOOK_FIRST, PAYMENT_LOOK_MAX, PAYMENT_WAIT, PAYMENT_WAITERS_MAX};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde_json::json;
use sessile_core::checkout::Caller;
use sessile_core::ledger::PaymentKey;
use sessile_core::payment::{OrderId, PaymentError, PaymentState, Payments};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Room for those who wait, and the word that ends all waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    room: Semaphore,
    stopping: watch::Sender<bool>,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Self { room: Semaphore::new(PAYMENT_WAITERS_MAX), stopping: watch::channel(false).0 }
    }

    /// The server stops: whoever waits is answered now.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }
}

pub(crate) async fn wait(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(order): Path<String>,
) -> Result<Response, Response> {
    let payments = &kinds(&app).map_err(IntoResponse::into_response)?.payments;
    let order = OrderId::parse(&order).ok_or_else(missing)?;
    let state = decided(&app.waiting, payments, &caller, order).await.map_err(not_shown)?;
    let (success, message) = match state {
        PaymentState::Completed { .. } => (true, "Payment completed"),
        PaymentState::Pending | PaymentState::Processing { .. } => (false, "Payment still processing"),
        PaymentState::Failed { .. } => (false, "Payment failed"),
        PaymentState::Expired { .. } => (false, "Payment expired"),
    };
    let body = json!({ "success": success, "message": message });
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// The state when it is decided, or when the wait is over.
async fn decided(
    waiting: &Waiting,
    payments: &Payments,
    caller: &Caller,
    order: OrderId,
) -> Result<PaymentState, PaymentError> {
    let (began, mut pause) = (Instant::now(), PAYMENT_LOOK_FIRST);
    let room = waiting.room.try_acquire();
    let mut stopping = waiting.stopping.subscribe();
    loop {
        let state = payments.show(caller, PaymentKey::Order(order.clone())).await?.state;
        let left = PAYMENT_WAIT.saturating_sub(began.elapsed());
        if !state.is_open() || left.is_zero() || room.is_err() || *stopping.borrow() {
            return Ok(state);
        }
        tokio::select! {
            () = tokio::time::sleep(pause.min(left)) => {}
            // One more look, and then an answer.
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        pause = (pause * 3 / 2).min(PAYMENT_LOOK_MAX);
    }
}
