//! SuperDuperAI as the core's `Generator`: one call, one question, one look, each with an end.
//!
//! A call whose answer is lost is `Unknown`, never "not made". That the generator does not have a request is believed
//! only some time after the request was sent: until then it may still be under way.

use super::listening::Listening;
use async_trait::async_trait;
use sessile_core::generation::{Asked, Called, Generator, Order, Seen};
use sessile_core::{Clock, Timestamp};
use sessile_providers::superduperai::{
    Client, GENERATION_CONFIG, GenerateError, GenerateVideo, ReadError, Verdict,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What a provider says of a failure when it says nothing.
const COULD_NOT: &str = "The video service could not make this video.";

/// The generator.
pub(crate) struct VideoMaker {
    client: Client,
    clock: Arc<dyn Clock>,
    settled_after: Duration,
    call_timeout: Duration,
    listening: Listening,
}

impl VideoMaker {
    /// `settled_after`: how long after a call its absence means that it was not taken.
    /// `call_timeout`: how long one call may take.
    pub(crate) fn new(
        client: Client,
        clock: Arc<dyn Clock>,
        settled_after: Duration,
        call_timeout: Duration,
    ) -> Self {
        Self { listening: Listening::to(client.clone()), client, clock, settled_after, call_timeout }
    }

    /// Whether the last call can no longer be on its way. One that nobody knows the time of may be.
    fn is_settled(&self, order: &Order, asked_at: Timestamp) -> bool {
        order.called_at.is_some_and(|sent| asked_at >= sent.plus(self.settled_after))
    }
}

#[async_trait]
impl Generator for VideoMaker {
    async fn call(&self, order: &Order) -> Called {
        let Ok(resolution) = order.resolution.parse() else {
            return Called::Refused {
                message: "The video service does not make videos of this size.".into(),
            };
        };
        let video = GenerateVideo {
            prompt: order.prompt.clone(),
            negative_prompt: String::new(),
            resolution,
            duration_s: order.duration,
            seed: order.seed,
            generation_config: GENERATION_CONFIG.to_owned(),
        };
        match timeout(self.call_timeout, self.client.generate_video(&video)).await {
            Ok(Ok(file)) => Called::Accepted { file_id: file.id },
            Ok(Err(error)) => called(&error),
            Err(_) => Called::Unknown,
        }
    }

    async fn ask(&self, order: &Order) -> Asked {
        let asked_at = self.clock.now();
        match timeout(self.call_timeout, self.client.find(order.seed)).await {
            Ok(Ok(Some(file))) => Asked::Found { file_id: file.id },
            Ok(Ok(None)) if self.is_settled(order, asked_at) => Asked::Absent,
            Ok(Ok(None)) | Err(_) => Asked::Unknown,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the generator did not say whether it has a request");
                Asked::Unknown
            }
        }
    }

    async fn look(&self, file_id: &str) -> Seen {
        let seen = match timeout(self.call_timeout, self.client.file(file_id)).await {
            Ok(Ok(file)) => match file.verdict() {
                Verdict::Done { url } => Seen::Done { url },
                Verdict::Failed { message } => Seen::Failed { message: sentence(&message) },
                Verdict::Running => Seen::Running { progress: self.listening.progress(file_id) },
            },
            // A file that is gone will not be done; the limit on the time of a video ends it.
            Ok(Err(ReadError::Status { status: 404 | 410 })) => Seen::Running { progress: None },
            Ok(Err(error)) => {
                tracing::warn!(%error, "the generator did not say how a video goes");
                Seen::Unknown
            }
            Err(_) => Seen::Unknown,
        };
        if matches!(seen, Seen::Done { .. } | Seen::Failed { .. }) {
            self.listening.over(file_id);
        }
        seen
    }
}

fn called(error: &GenerateError) -> Called {
    match error {
        GenerateError::NotSent(_) => {
            tracing::warn!(%error, "a video could not be asked for");
            Called::NotNow { after: None }
        }
        GenerateError::Throttled { retry_after } => Called::NotNow { after: Some(*retry_after) },
        GenerateError::OutcomeUnknown(why) => {
            tracing::warn!(%why, "a video was asked for and the answer is lost; the generator is asked about it");
            Called::Unknown
        }
        GenerateError::Refused { status, detail } => {
            tracing::error!(%error, status, detail, "the generator refused a video");
            Called::Refused { message: refusal(*status).to_owned() }
        }
    }
}

/// For the buyer, who can do nothing about our account there.
const fn refusal(status: u16) -> &'static str {
    match status {
        400 | 422 => "The video service does not accept this prompt.",
        413 => "The prompt is longer than the video service accepts.",
        401..=403 => "The video service did not accept our order. This is our fault, not yours.",
        _ => "The video service refused to make this video.",
    }
}

/// The provider's words as one of ours: a failure is read by the person who paid.
fn sentence(words: &str) -> String {
    let words = words.trim().trim_end_matches('.');
    if words.is_empty() || words.starts_with("the generator ") {
        COULD_NOT.to_owned()
    } else {
        format!("The video service could not make this video: {words}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_sentence() {
        assert_eq!(sentence("the generator could not make this video"), COULD_NOT);
        assert_eq!(sentence(" "), COULD_NOT);
        assert_eq!(sentence("Too violent."), "The video service could not make this video: Too violent.");
    }
}
