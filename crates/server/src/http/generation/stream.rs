//! `GET /api/webhook-status/{id}/events`: state and progress as server-sent events, until a final state.
//!
//! A stream looks at the store at its own pace, so any process can serve it; it says something when something changed,
//! and a sign of life otherwise. There is room for so many; a page that finds none asks for the status instead.

use super::status::not_started;
use super::{Refused, jobs};
use crate::app::App;
use crate::generation::progress_view;
use crate::limits::{STATUS_HEARTBEAT, STATUS_LOOK, STATUS_STREAM_MAX};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::Value;
use sessile_core::generation::{GenerationKey, Generations, Status};
use std::convert::Infallible;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

struct Watching {
    jobs: Generations,
    key: Option<GenerationKey>,
    stopping: watch::Receiver<bool>,
    /// What was said last.
    said: Option<String>,
    spoke_at: Instant,
    ends_at: Instant,
    over: bool,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refused> {
    let jobs = jobs(&app)?.clone();
    let place = app.generation.streams.place().ok_or(Refused::Full)?;
    let now = Instant::now();
    let watching = Watching {
        jobs,
        key: GenerationKey::parse(&id),
        stopping: app.generation.streams.stopping(),
        said: None,
        spoke_at: now,
        ends_at: now + STATUS_STREAM_MAX,
        over: false,
        _place: place,
    };
    let headers = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    let body = Body::from_stream(stream::unfold(watching, next));
    Ok((headers, [("x-accel-buffering", "no")], body).into_response())
}

type Piece = Result<Bytes, Infallible>;

async fn next(mut watching: Watching) -> Option<(Piece, Watching)> {
    loop {
        if watching.over || *watching.stopping.borrow() || Instant::now() >= watching.ends_at {
            return None;
        }
        if watching.said.is_some() {
            tokio::select! {
                () = tokio::time::sleep(STATUS_LOOK) => {}
                _ = watching.stopping.wait_for(|stop| *stop) => return None,
            }
        }
        if let Some(news) = watching.news().await {
            watching.spoke_at = Instant::now();
            return Some((Ok(Bytes::from(format!("data: {news}\n\n"))), watching));
        }
        if watching.spoke_at.elapsed() >= STATUS_HEARTBEAT {
            watching.spoke_at = Instant::now();
            return Some((Ok(Bytes::from_static(b": still here\n\n")), watching));
        }
    }
}

impl Watching {
    /// What is new. While the store is away nothing is: that is told by nobody else than the store.
    async fn news(&mut self) -> Option<String> {
        let job = match &self.key {
            Some(key) => self.jobs.find(key).await,
            None => Ok(None),
        };
        let view = match job {
            Ok(Some(job)) => {
                self.over = matches!(job.status, Status::Completed | Status::Error);
                progress_view(&job)
            }
            Ok(None) => not_started(),
            Err(_) => {
                self.said.get_or_insert_default();
                return None;
            }
        };
        let text = Value::Object(view).to_string();
        if self.said.as_ref() == Some(&text) {
            return None;
        }
        self.said = Some(text.clone());
        Some(text)
    }
}
