//! The generator's own event stream of one file: progress, and the file when it is done.
//!
//! A help, not a source: events are lost while nobody listens, so whoever watches also asks for the file. A stream that
//! ends, idles or breaks says nothing about the video.

use reqwest::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::time::Duration;

use super::file::{File, Task};
use super::sse::Parser;
use crate::transport::{HttpFailure, failure, shortened};

/// How long a stream may be silent; the generator sends a sign of life every 15 s.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stream is read at most. Rendering takes minutes.
pub const STREAM_DURATION_MAX: Duration = Duration::from_secs(3600);

/// One thing that happened to a file.
#[derive(Clone, Debug)]
pub struct FileEvent {
    /// `render_progress`, `render_result`, `file`, `task_status`, or a word of tomorrow.
    pub type_name: String,
    /// What it is about, as it came.
    pub object: Box<RawValue>,
}

/// How far the rendering is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// The generator's words, shortened.
    pub message: Option<String>,
}

/// Why a stream ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection broke, or lasted [`STREAM_DURATION_MAX`].
    #[error("the event stream broke; ask for the file")]
    Broken(#[source] HttpFailure),
    /// Nothing came for [`IDLE_TIMEOUT`].
    #[error("the event stream fell silent; ask for the file")]
    Idle,
    /// A message above [`MESSAGE_BYTES_MAX`](super::MESSAGE_BYTES_MAX).
    #[error("the event stream sent more than we accept; ask for the file")]
    TooLarge,
}

/// The events of one file, as they come.
#[derive(Debug)]
pub struct Events {
    response: Response,
    parser: Parser,
    ready: VecDeque<FileEvent>,
    idle_timeout: Duration,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    type_name: String,
    object: Box<RawValue>,
}

#[derive(Deserialize)]
struct ProgressFields {
    progress: f64,
    #[serde(default)]
    message: Option<String>,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, parser: Parser::default(), ready: VecDeque::new(), idle_timeout: IDLE_TIMEOUT }
    }

    /// With another patience than [`IDLE_TIMEOUT`].
    #[must_use]
    pub fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self { idle_timeout, ..self }
    }

    /// The next event; `None` when the generator closed the stream. Messages that are no events are skipped.
    ///
    /// Safe to drop while it waits: nothing that came is lost.
    ///
    /// # Errors
    /// [`StreamError`]; nothing more will come.
    pub async fn next(&mut self) -> Result<Option<FileEvent>, StreamError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let chunk = tokio::time::timeout(self.idle_timeout, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| StreamError::Idle)?;
            let Some(chunk) = chunk.map_err(|error| StreamError::Broken(failure(error)))? else {
                return Ok(None);
            };
            let messages = self.parser.take(&chunk).map_err(|_| StreamError::TooLarge)?;
            self.ready.extend(messages.iter().filter_map(|message| FileEvent::parse(message)));
        }
    }
}

impl FileEvent {
    fn parse(message: &[u8]) -> Option<Self> {
        let Message { type_name, object } = serde_json::from_slice(message).ok()?;
        Some(Self { type_name, object })
    }

    /// Of `render_progress`.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        if self.type_name != "render_progress" {
            return None;
        }
        let fields: ProgressFields = serde_json::from_str(self.object.get()).ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 100 after the clamp"
        )]
        let percent = fields.progress.clamp(0.0, 100.0) as u8;
        Some(Progress { percent, message: fields.message.as_deref().map(shortened) })
    }

    /// Of `file`, and of `render_result` where it is one.
    #[must_use]
    pub fn file(&self) -> Option<File> {
        match self.type_name.as_str() {
            "file" | "render_result" => File::read(&self.object),
            _ => None,
        }
    }

    /// Of `task_status`, and of `task`, which is how the service's description calls it.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        match self.type_name.as_str() {
            "task_status" | "task" => serde_json::from_str(self.object.get()).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::TaskStatus;
    use super::*;

    fn event(message: &str) -> FileEvent {
        FileEvent::parse(message.as_bytes()).unwrap()
    }

    #[test]
    fn progress_is_between_nothing_and_everything() {
        for (progress, percent) in
            [("0", 0), ("41.9", 41), ("100", 100), ("250", 100), ("-3", 0), ("1e300", 100)]
        {
            let message = format!(
                r#"{{"type":"render_progress","object":{{"progress":{progress},"message":"a\nb"}}}}"#
            );
            let expected = Progress { percent, message: Some("ab".to_owned()) };
            assert_eq!(event(&message).progress(), Some(expected));
        }
        assert_eq!(event(r#"{"type":"render_progress","object":"half"}"#).progress(), None);
        assert_eq!(event(r#"{"type":"file","object":{"progress":1}}"#).progress(), None);
    }

    #[test]
    fn files_and_tasks_are_read() {
        let url = r#"{"type":"render_result","object":{"id":"a","url":"https://cdn.example/v.mp4"}}"#;
        assert_eq!(event(url).file().unwrap().url.as_deref(), Some("https://cdn.example/v.mp4"));
        assert!(event(r#"{"type":"render_result","object":"https://cdn.example/v.mp4"}"#).file().is_none());
        let task = event(r#"{"type":"task_status","object":{"id":"t","status":"failed"}}"#).task().unwrap();
        assert_eq!(task.status, TaskStatus::Error);
    }

    #[test]
    fn what_is_no_event_is_skipped() {
        for message in
            ["", "ping", "{}", r#"{"type":"test","message":"x"}"#, r#"{"type":7,"object":{}}"#, "[1]"]
        {
            assert!(FileEvent::parse(message.as_bytes()).is_none(), "{message}");
        }
    }
}
