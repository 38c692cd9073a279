//! `POST /api/whatsapp/send {number, message}`. `Idempotency-Key` makes a repetition send nothing.

use super::Of;
use super::answer::{Refused, done};
use crate::http::idempotency::Key;
use crate::http::input::Input;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sessile_whatsapp::{PhoneNumber, SendKey, Text};

pub(super) async fn send(of: Of, headers: HeaderMap, Input(body): Input) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    let bad = |error, what: String| Refused::new(StatusCode::BAD_REQUEST, error, what, now);
    let mut fields =
        body.map_err(|bad| Refused::new(bad.status(), "Missing required fields", bad.to_string(), now))?;
    let given = (text_or_digits(fields.take("number")), fields.text("message"));
    let (Some(number), Some(message)) = given else {
        return Err(bad("Missing required fields", "Send `number` and `message`.".to_owned()));
    };
    let to = PhoneNumber::parse(&number).map_err(|refused| Refused::message(refused, now))?;
    let text = Text::parse(&message).map_err(|refused| Refused::message(refused, now))?;
    let key = Key::of(&headers).map_err(|refused| bad("Invalid idempotency key", refused.to_string()))?;
    let key = key.and_then(|key| SendKey::parse(key.as_str()));
    let sent = of.devices.send(&of.device, to.clone(), text, key).await;
    let sent = sent.map_err(|refusal| Refused::device(refusal, of.app.clock.now()))?;
    let data = json!({
        "messageId": sent.id.as_str(),
        "timestamp": sent.at.to_iso8601(),
        "to": to.as_str(),
        "message": message,
    });
    let said = if sent.was_sent_before { "Message was sent before" } else { "Message sent" };
    Ok(done(&data, said))
}

/// A number as programs send it: text, or a JSON number.
pub(super) fn text_or_digits(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
