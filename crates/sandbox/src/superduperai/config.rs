//! What the stand-in knows: the caller's token, its models, and how long a video takes.

use std::fmt;
use std::time::Duration;

use crate::clock::{Clock, system_clock};

/// The model that turns text into a video with sound.
pub const MODEL: &str = "google-cloud/veo3-text2video";

/// The stand-in's settings.
#[derive(Clone)]
pub struct SuperDuperAiConfig {
    /// The only token it knows.
    pub token: String,
    /// Names a request may give as `generation_config_name`.
    pub models: Vec<String>,
    /// How long a video takes.
    pub render_time: Duration,
    /// How often its progress moves meanwhile.
    pub steps: u8,
    /// Base of the videos' addresses; unset is `http://<address it listens on>`.
    pub public_url: Option<String>,
    /// How long `timeout` keeps a caller waiting.
    pub hang: Duration,
    /// How often an event stream says that it is still there.
    pub ping: Duration,
    /// Generations kept in memory; the oldest is forgotten above that.
    pub generations_max: usize,
    /// Unix milliseconds.
    pub clock: Clock,
}

impl SuperDuperAiConfig {
    /// A caller with this token.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            models: vec![MODEL.to_owned(), "google-cloud/veo3".to_owned(), "azure-openai/sora".to_owned()],
            render_time: Duration::from_millis(600),
            steps: 10,
            public_url: None,
            hang: Duration::from_secs(60),
            ping: Duration::from_secs(15),
            generations_max: 20_000,
            clock: system_clock(),
        }
    }

    /// A made-up token for a demonstration, and videos that take long enough to watch the bar.
    #[must_use]
    pub fn demo() -> Self {
        Self { render_time: Duration::from_secs(6), steps: 20, ..Self::new("sandbox-token") }
    }
}

impl fmt::Debug for SuperDuperAiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuperDuperAiConfig")
            .field("token", &"[secret]")
            .field("models", &self.models)
            .field("render_time", &self.render_time)
            .finish_non_exhaustive()
    }
}
