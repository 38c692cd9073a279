//! One generation: the request as it came, how far it is, and the file object the API shows.

use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

/// Where a generation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationState {
    /// On its way.
    Rendering,
    /// The video is there.
    Completed,
    /// There will be no video.
    Failed {
        /// The task's status: `error` or `failed`.
        status: &'static str,
        /// Why.
        message: String,
    },
}

/// One accepted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The file's id, a UUID.
    pub file_id: String,
    /// When the request came, unix milliseconds.
    pub at_ms: i64,
    /// The request's body, byte for byte.
    pub body: Bytes,
    /// `config.prompt`, as it was meant.
    pub prompt: String,
    /// `config.seed`.
    pub seed: Option<i64>,
    /// The whole `config`.
    pub config: Value,
    /// Where it stands.
    pub state: GenerationState,
    /// Percent.
    pub progress: u8,
    /// Where the video is, once it is there.
    pub url: Option<String>,
    pub(crate) number: u64,
    pub(crate) task_id: String,
    pub(crate) generation_id: String,
}

impl Generation {
    pub(crate) fn is_over(&self) -> bool {
        self.state != GenerationState::Rendering
    }

    fn task_status(&self) -> &'static str {
        match &self.state {
            GenerationState::Rendering => "in_progress",
            GenerationState::Completed => "completed",
            GenerationState::Failed { status, .. } => status,
        }
    }

    /// A task as a file lists it. `error` is this stand-in's own: no document says where a failure's sentence stands.
    fn task(&self) -> Value {
        let mut task = json!({
            "type": "video-generation-flow",
            "status": self.task_status(),
            "id": self.task_id,
            "file_id": self.file_id,
            "project_id": null,
        });
        if let GenerationState::Failed { message, .. } = &self.state {
            task["error"] = json!(message);
        }
        task
    }

    /// What a `task_status` event carries.
    pub(crate) fn task_event(&self) -> Value {
        let mut object = self.task();
        object["progress"] = json!(self.progress);
        object
    }

    /// The file object.
    pub(crate) fn json(&self) -> Value {
        let of = |name: &str| self.config.get(name).cloned().unwrap_or(Value::Null);
        let done = self.url.is_some();
        json!({
            "id": self.file_id,
            "url": self.url,
            "thumbnail_url": self.url.as_ref().map(|url| url.replace(".webm", ".svg")),
            "type": "video",
            "image_generation_id": null,
            "image_generation": null,
            "video_generation_id": self.generation_id,
            "video_generation": {
                "id": self.generation_id,
                "prompt": self.prompt,
                "negative_prompt": of("negative_prompt"),
                "seed": self.seed,
                "duration": of("duration"),
                "width": of("width"),
                "height": of("height"),
                "aspect_ratio": of("aspect_ratio"),
                "generation_config_name": of("generation_config_name"),
                "generation_config": null,
                "references": [],
            },
            "audio_generation_id": null,
            "audio_generation": null,
            "duration": if done { of("duration") } else { Value::Null },
            "tasks": [self.task()],
        })
    }
}
