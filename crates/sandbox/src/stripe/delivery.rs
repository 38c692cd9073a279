//! Telling the application: every event at least once, repeated with growing waits until a 2xx comes back.
//!
//! Events that belong together go out one after the other in the order they were made, as far as nothing is switched
//! on; each one's repetitions run by themselves, so that a refused event never holds another one up.

use axum::body::Bytes;
use futures_util::StreamExt;
use std::sync::Arc;
use tokio::sync::watch;

use super::event::{Answer, Delivery, Event, EventState};
use super::misbehaviour::Misbehaviour as M;
use super::sign::signature_header;
use super::state::{App, State};
use crate::random;

/// A secret the application was never told.
const UNKNOWN_SECRET: &str = "whsec_rolled_and_not_yet_told";
/// Seconds by which a timestamp is off: one more than is tolerated.
const OFF_SECONDS: i64 = 301;

/// Counts a batch as under way until it is dropped.
pub(crate) struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    pub(crate) fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Delivers in the background.
pub(crate) fn dispatch(app: &App, events: Vec<String>) {
    if !events.is_empty() {
        let (app, under_way) = (Arc::clone(app), UnderWay::new(&app.under_way));
        tokio::spawn(async move {
            first_tries(&app, events).await;
            drop(under_way);
        });
    }
}

/// Delivers each event once and leaves the repetitions to the background.
pub(crate) async fn first_tries(app: &App, events: Vec<String>) {
    let pending = |event: &Event| event.state == EventState::Pending;
    let mut events: Vec<Event> = events.iter().filter_map(|id| app.outline(id)).filter(pending).collect();
    let labels: Vec<&str> = events.iter().flat_map(labels).collect();
    if events.len() > 1 && app.take(M::Reorder, &labels).is_some() {
        let by = 1 + random::below(events.len() - 1);
        events.rotate_left(by);
    }
    for event in events {
        if let Some(delay) = take(app, M::Delay, &event) {
            let (app, under_way) = (Arc::clone(app), UnderWay::new(&app.under_way));
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(delay.delay_ms)).await;
                first_try(&app, &event).await;
                drop(under_way);
            });
        } else {
            first_try(app, &event).await;
        }
    }
}

async fn first_try(app: &App, event: &Event) {
    if take(app, M::Withhold, event).is_some() {
        app.event_state(&event.id, EventState::Withheld);
        return;
    }
    if take(app, M::UnknownSession, event).is_some() {
        let stranger = app.stranger(event);
        send(app, &stranger).await;
    }
    let copies = take(app, M::Duplicate, event);
    let (times, connections) = copies.map_or((1, 1), |switch| (switch.copies, switch.connections));
    let answers = send_all(app, &vec![event.id.clone(); count(times)], count(connections)).await;
    if !answers.iter().any(Answer::acknowledges) {
        let (app, event, under_way) = (Arc::clone(app), event.clone(), UnderWay::new(&app.under_way));
        tokio::spawn(async move {
            repeat(&app, &event).await;
            drop(under_way);
        });
    }
}

async fn repeat(app: &App, event: &Event) {
    let schedule = app.config.schedule;
    let mut delay = schedule.first_delay;
    for _ in 1..schedule.tries_max {
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(schedule.delay_max);
        // Delivered by hand meanwhile, or taken out of memory.
        if app.outline(&event.id).is_none_or(|event| event.state != EventState::Pending) {
            return;
        }
        if send(app, event).await.acknowledges() {
            return;
        }
    }
    app.event_state(&event.id, EventState::GivenUp);
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Sends each of these, so many at once; the answers are in the order given.
pub(crate) async fn send_all(app: &App, events: &[String], connections: usize) -> Vec<Answer> {
    futures_util::stream::iter(events.to_vec())
        .map(|id| async move {
            match app.outline(&id) {
                Some(event) => send(app, &event).await,
                None => Answer::Connection,
            }
        })
        .buffered(connections.max(1))
        .collect()
        .await
}

/// One delivery, with whatever is switched on for it.
async fn send(app: &App, event: &Event) -> Answer {
    let Ok(_place) = app.places.acquire().await else {
        return Answer::Connection;
    };
    let Some(webhook) = app.webhook() else {
        return Answer::Connection;
    };
    let signature = signature(app, event, &webhook.secrets);
    let mut body = event.body.clone();
    if take(app, M::ChangedBody, event).is_some() {
        body = body.replacen("\"livemode\": false", "\"livemode\": true", 1);
    }
    let url = app.next_url(&webhook);
    let at_ms = app.now_ms();
    app.count("delivered");
    let mut answer = app.sender.post(&url, signature.as_deref(), Bytes::from(body)).await;
    if answer.acknowledges() && take(app, M::LostAcknowledgement, event).is_some() {
        answer = Answer::Lost;
    }
    app.record(Delivery { at_ms, event: event.id.clone(), url, signature, answer: answer.clone() });
    answer
}

fn signature(app: &App, event: &Event, secrets: &[String]) -> Option<String> {
    let body = event.body.as_bytes();
    let now = app.now_ms() / 1000;
    if take(app, M::MissingSignature, event).is_some() {
        return None;
    }
    if take(app, M::WrongSignature, event).is_some() {
        return Some(format!("t={now},v1={}", "0".repeat(64)));
    }
    if let Some(switch) = take(app, M::OldTimestamp, event) {
        let age = i64::try_from(switch.delay_ms / 1000).unwrap_or(i64::MAX).max(OFF_SECONDS);
        return Some(signature_header(secrets, now - age, body));
    }
    if take(app, M::FutureTimestamp, event).is_some() {
        return Some(signature_header(secrets, now + OFF_SECONDS, body));
    }
    if take(app, M::RotatedSecret, event).is_some() {
        return Some(signature_header(&[UNKNOWN_SECRET.to_owned()], now, body));
    }
    if take(app, M::RollingSecret, event).is_some() {
        let both: Vec<String> = std::iter::once(UNKNOWN_SECRET.to_owned()).chain(secrets.to_vec()).collect();
        return Some(signature_header(&both, now, body));
    }
    Some(signature_header(secrets, now, body))
}

/// What a switch's `on` can name.
fn labels(event: &Event) -> [&str; 3] {
    [&event.kind, &event.session, &event.id]
}

fn take(app: &State, kind: M, event: &Event) -> Option<super::Switch> {
    app.take(kind, &labels(event))
}
