//! `GET /api/whatsapp/qr/events`: how the device is, now and each time that it is otherwise, with every new QR code, and
//! the receipts of what it sent. Server-sent events `status` and `receipt`.

use super::Of;
use super::answer::Refused;
use super::devices;
use super::qr;
use crate::limits::{STATUS_HEARTBEAT, STATUS_STREAM_MAX};
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use sessile_core::Timestamp;
use sessile_whatsapp::{DeviceEvent, QrAnswer, Receipt, Status, qr_of};
use std::convert::Infallible;
use tokio::sync::broadcast::error::RecvError;

type Piece = Result<Bytes, Infallible>;

pub(super) async fn events(of: Of) -> Result<Response, Refused> {
    let place = of.app.whatsapp.streams.place().ok_or(Refused::Full)?;
    let mut stopping = of.app.whatsapp.streams.stopping();
    let receipts = receipts(&of).map(|receipt| piece("receipt", &receipt_view(&receipt)));
    qr::brought_up(&of).await.map_err(|refusal| Refused::device(refusal, of.app.clock.now()))?;
    let clock = of.app.clock.clone();
    let statuses = of
        .devices
        .qr_events(&of.device)
        .map(move |status| piece("status", &status_view(&status, clock.now())));
    let alive = stream::unfold((), |()| async {
        tokio::time::sleep(STATUS_HEARTBEAT).await;
        Some((Ok(Bytes::from_static(b": still here\n\n")), ()))
    });
    let all: BoxStream<'static, Piece> = stream::select(stream::select(statuses, receipts), alive).boxed();
    let over = async move {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(STATUS_STREAM_MAX) => {}
        }
    };
    let body = Body::from_stream(all.take_until(over).map(move |piece| {
        let _held = &place;
        piece
    }));
    let headers = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, [("x-accel-buffering", "no")], body).into_response())
}

/// Receipts of this device. A listener that falls behind misses some, and hears the next ones.
fn receipts(of: &Of) -> impl Stream<Item = Receipt> + Send + use<> {
    let (events, device) = (of.devices.events(), of.device.clone());
    stream::unfold((events, device), |(mut events, device)| async move {
        loop {
            match events.recv().await {
                Ok(DeviceEvent::Receipt(receipt)) if receipt.device == device => {
                    return Some((receipt, (events, device)));
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

fn piece(event: &str, data: &Value) -> Piece {
    Ok(Bytes::from(format!("event: {event}\ndata: {data}\n\n")))
}

fn status_view(status: &Status, now: Timestamp) -> Value {
    let mut view = devices::view(status, now);
    view["message"] = json!(devices::said(status));
    view["lastError"] = json!(status.last_error);
    view["qrCode"] = Value::Null;
    if let QrAnswer::Show(code) = qr_of(status)
        && let Ok(Value::Object(drawn)) = qr::view(&code, status, now)
    {
        for (name, value) in drawn {
            view[name] = value;
        }
    }
    view
}

fn receipt_view(receipt: &Receipt) -> Value {
    json!({ "messageId": receipt.message.as_str(), "reached": receipt.reached.as_str() })
}
