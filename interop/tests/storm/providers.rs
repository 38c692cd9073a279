//! The providers, whose messages have to be taken whatever else is going on: CLICK, with a payment for each message, and
//! Stripe, with an event for each.

use crate::load::Outcome;
use crate::whole::Whole;
use serde_json::{Value, json};
use sessile_sandbox::click::Message;
use sessile_sandbox::stripe::Answer;
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of the first order.
const FIRST: usize = 1_000_000;

/// Pays one order after another, and sends an event of Stripe after each, until it is told to stop. How many messages
/// were taken; the first that was not ends it.
pub(crate) async fn insist(whole: &Whole, stop: &AtomicBool) -> Outcome<usize> {
    let mut taken = 0;
    for number in FIRST.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let order = whole.order(number).await?;
        let click = whole.sandbox.click();
        let prepare = click.prepare_message(&order, &Whole::amount());
        let prepared = send(whole, "prepare", &prepare).await?;
        let id = prepared["merchant_prepare_id"].to_string();
        send(whole, "complete", &click.complete_message(&prepare, &id)).await?;
        event(whole, number).await?;
        taken += 3;
    }
    Ok(taken)
}

async fn send(whole: &Whole, step: &str, message: &Message) -> Outcome<Value> {
    let fields = message.signed(&whole.click.secret_key);
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = whole.http.post(format!("{}/api/click/{step}", whole.home));
    let answer =
        request.header("content-type", "application/x-www-form-urlencoded").body(body).send().await?;
    let status = answer.status();
    let said: Value = answer.json().await?;
    if status != 200 || said["error"] != 0 {
        return Err(format!("CLICK's {step} was answered with {status}: {said}").into());
    }
    Ok(said)
}

/// One that concerns nobody here; it is kept all the same.
async fn event(whole: &Whole, number: usize) -> Outcome {
    let event = json!({
        "id": format!("evt_storm_{number}"),
        "object": "event",
        "type": "customer.created",
        "created": 1_700_000_000,
        "livemode": false,
        "data": { "object": { "id": format!("cus_{number}"), "object": "customer" } },
    });
    match whole.sandbox.stripe().post_signed(&event.to_string()).await? {
        Answer::Http { status: 200, .. } => Ok(()),
        other => Err(format!("Stripe's event was answered with {other:?}").into()),
    }
}
