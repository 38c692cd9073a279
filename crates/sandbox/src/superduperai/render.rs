//! Making a video: progress that moves over the configured time, and an end.

use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;

use super::generation::GenerationState;
use super::misbehaviour::Misbehaviour as M;
use super::state::{App, State};

/// Where a generation stops that is told to stall, and where one breaks that is told to fail.
const STALLS_AT: u8 = 40;
const FAILS_AT: u8 = 60;
/// What is said of a failure unless something else is switched on.
const FAILURE: &str = "The prompt was refused by the safety filter";

/// How a generation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Video,
    Failure { status: &'static str, message: String },
    Never,
}

/// What is to become of a generation.
#[derive(Debug)]
pub(crate) struct Plan {
    end: End,
    time: Duration,
}

impl Plan {
    /// As configured, with what is switched on.
    pub(crate) fn switched(app: &State, labels: &[&str]) -> Self {
        let slow = app.take(M::SlowRender, labels);
        let time = slow.map_or(app.config.render_time, |slow| Duration::from_millis(slow.delay_ms));
        let failure = |status, message: Option<String>| {
            let message = message.unwrap_or_else(|| FAILURE.to_owned());
            End::Failure { status, message }
        };
        let end = if let Some(switch) = app.take(M::Fail, labels) {
            failure("error", switch.message)
        } else if let Some(switch) = app.take(M::FailedStatus, labels) {
            failure("failed", switch.message)
        } else if app.take(M::Stall, labels).is_some() {
            End::Never
        } else {
            End::Video
        };
        Self { end, time }
    }
}

/// Counts a render as under way until it is dropped.
struct UnderWay(watch::Sender<usize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Renders in the background.
pub(crate) fn start(app: App, id: String, plan: Plan) {
    app.rendering.send_modify(|count| *count += 1);
    let under_way = UnderWay(app.rendering.clone());
    tokio::spawn(async move {
        render(&app, &id, &plan).await;
        drop(under_way);
    });
}

async fn render(app: &App, id: &str, plan: &Plan) {
    let steps = app.config.steps.max(1);
    let step = plan.time / u32::from(steps);
    for done in 1..=steps {
        tokio::time::sleep(step).await;
        let progress = u8::try_from(u32::from(done) * 100 / u32::from(steps)).unwrap_or(100).min(99);
        match &plan.end {
            End::Never if progress >= STALLS_AT => return,
            End::Failure { status, message } if progress >= FAILS_AT => {
                fail(app, id, status, message);
                return;
            }
            _ if !advance(app, id, progress) => return,
            _ => {}
        }
    }
    match &plan.end {
        End::Video => {
            finish(app, id);
        }
        End::Failure { status, message } => {
            fail(app, id, status, message);
        }
        End::Never => {}
    }
}

fn advance(app: &State, id: &str, progress: u8) -> bool {
    let message = format!("Rendering video: {progress}%");
    app.change(
        id,
        |generation| generation.progress = progress,
        |_| vec![("render_progress", json!({ "progress": progress, "message": message }))],
    )
}

/// The video is there. False when the generation is over already.
pub(crate) fn finish(app: &State, id: &str) -> bool {
    let url = app.video_url(id);
    app.change(
        id,
        |generation| {
            generation.state = GenerationState::Completed;
            (generation.progress, generation.url) = (100, Some(url));
        },
        |generation| {
            vec![
                ("render_progress", json!({ "progress": 100, "message": "Done" })),
                ("file", generation.json()),
                ("render_result", generation.json()),
                ("task_status", generation.task_event()),
            ]
        },
    )
}

/// There will be no video. False when the generation is over already.
pub(crate) fn fail(app: &State, id: &str, status: &'static str, message: &str) -> bool {
    app.change(
        id,
        |generation| generation.state = GenerationState::Failed { status, message: message.to_owned() },
        |generation| vec![("file", generation.json()), ("task_status", generation.task_event())],
    )
}
