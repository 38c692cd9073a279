//! One video of a paid job: planned, asked for exactly once as far as the generator allows, watched, done or failed.
//!
//! Pure. A request is recorded before it is sent; when its outcome is unknown, the generator is asked before it is
//! called again.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Calls for one video that were refused for the moment, before it is given up.
pub const ATTEMPTS_MAX: u32 = 12;
/// How often a running video is looked at.
pub const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How long a video may run before it is given up.
pub const RUN_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// How long after a call of unknown outcome the generator may still show it for the first time.
pub const SETTLE: Duration = Duration::from_secs(5);
/// Times the generator is asked after a call of unknown outcome before it is called again.
pub const ASKS_MIN: u32 = 3;
/// Generators take seeds of 31 bits.
pub(super) const SEED_MAX: u32 = 0x7fff_fffe;
const FIRST_PAUSE_MS: u64 = 500;
const LONGEST_PAUSE_MS: u64 = 60_000;

/// One video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Video {
    /// Names the request for ever, whatever comes of it.
    pub request_id: String,
    /// What the generator echoes, so that it can be asked whether a request arrived.
    pub seed: u32,
    /// The generator's file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file_id: Option<String>,
    /// Where it is.
    pub status: VideoStatus,
    /// Where it can be seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// 0 to 100.
    #[serde(default)]
    pub progress: u8,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Calls that were made or tried.
    #[serde(default)]
    pub attempts: u32,
    /// Questions that were asked since the last call.
    #[serde(default)]
    pub asks: u32,
    /// When something has to be done about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_at: Option<Timestamp>,
    /// When it was last called for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub called_at: Option<Timestamp>,
}

/// Where a video is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoStatus {
    /// Nothing was sent.
    Planned,
    /// A request is on its way, or was when somebody died.
    Calling,
    /// A request was sent and its answer is lost: the generator is being asked.
    Asking,
    /// The generator works on it.
    Running,
    /// It can be seen.
    Done,
    /// It will not be made.
    Failed,
}

/// What a worker has to do about a video now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Record the call, then make it.
    Call,
    /// Ask whether the call arrived.
    Ask,
    /// Look how it goes.
    Watch,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// The generator has it.
    Accepted {
        /// Its file.
        file_id: String,
    },
    /// Nothing was started; again later.
    NotNow {
        /// Not before.
        after: Option<Duration>,
    },
    /// Nothing was started, and it will not be.
    Refused {
        /// For people.
        message: String,
    },
    /// Nobody knows.
    Unknown,
}

/// What the generator says of an earlier call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It has it.
    Found {
        /// Its file.
        file_id: String,
    },
    /// It does not have it.
    Absent,
    /// It did not answer.
    Unknown,
}

/// What the generator says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It works.
    Running {
        /// 0 to 100, where it tells.
        progress: Option<u8>,
    },
    /// It is done.
    Done {
        /// Where.
        url: String,
    },
    /// It failed.
    Failed {
        /// For people.
        message: String,
    },
    /// It did not answer.
    Unknown,
}

impl Video {
    /// A video that nobody has asked for yet.
    #[must_use]
    pub fn planned(request_id: String, seed: u32, now: Timestamp) -> Self {
        Self {
            request_id,
            seed,
            file_id: None,
            status: VideoStatus::Planned,
            url: None,
            progress: 0,
            error: None,
            attempts: 0,
            asks: 0,
            next_at: Some(now),
            called_at: None,
        }
    }

    /// What has to be done at `now`.
    #[must_use]
    pub fn task(&self, now: Timestamp) -> Option<Task> {
        if self.next_at.is_none_or(|at| at > now) {
            return None;
        }
        match self.status {
            VideoStatus::Planned => Some(Task::Call),
            // Whoever made the call did not live to record its outcome.
            VideoStatus::Calling | VideoStatus::Asking => Some(Task::Ask),
            VideoStatus::Running => Some(Task::Watch),
            VideoStatus::Done | VideoStatus::Failed => None,
        }
    }

    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self.status, VideoStatus::Done | VideoStatus::Failed)
    }

    /// A call is about to be made; when its outcome is not recorded by `lost_at`, it is unknown.
    pub fn calling(&mut self, now: Timestamp, lost_at: Timestamp) {
        self.status = VideoStatus::Calling;
        self.attempts += 1;
        self.asks = 0;
        self.called_at = Some(now);
        self.next_at = Some(lost_at);
    }

    /// A call was answered, or not.
    pub fn called(&mut self, outcome: Called, now: Timestamp) {
        match outcome {
            Called::Accepted { file_id } => self.runs(file_id, now),
            Called::NotNow { .. } if self.attempts >= ATTEMPTS_MAX => {
                self.fails(
                    "The video service is overloaded. Nothing was lost: it can be tried again.".to_owned(),
                );
            }
            Called::NotNow { after } => {
                self.status = VideoStatus::Planned;
                let pause = backoff(self.attempts).max(after.unwrap_or_default());
                self.next_at = Some(now.plus(pause));
            }
            Called::Refused { message } => self.fails(message),
            Called::Unknown => {
                self.status = VideoStatus::Asking;
                self.next_at = Some(now);
            }
        }
    }

    /// The generator answered whether it has an earlier call, or not.
    pub fn asked(&mut self, outcome: Asked, now: Timestamp) {
        self.status = VideoStatus::Asking;
        self.asks = self.asks.saturating_add(1);
        match outcome {
            Asked::Found { file_id } => self.runs(file_id, now),
            Asked::Absent => {
                let settled = self.called_at.is_none_or(|at| now >= at.plus(SETTLE));
                if settled && self.asks >= ASKS_MIN {
                    self.status = VideoStatus::Planned;
                    self.next_at = Some(now);
                } else {
                    self.next_at = Some(now.plus(SETTLE / ASKS_MIN));
                }
            }
            Asked::Unknown => {
                // Silence is no answer: it does not count as one.
                self.asks = self.asks.saturating_sub(1);
                self.next_at = Some(now.plus(backoff(self.attempts.max(2))));
            }
        }
    }

    /// The generator told how it goes, or not.
    pub fn seen(&mut self, outcome: Seen, now: Timestamp) {
        match outcome {
            Seen::Running { progress } => {
                self.progress = self.progress.max(progress.unwrap_or(0).min(99));
                if self.called_at.is_some_and(|at| now.since(at) >= RUN_MAX) {
                    self.fails("The video service did not finish this video in two hours.".to_owned());
                } else {
                    self.next_at = Some(now.plus(WATCH_EVERY));
                }
            }
            Seen::Done { url } => {
                self.status = VideoStatus::Done;
                self.progress = 100;
                self.url = Some(url);
                self.error = None;
                self.next_at = None;
            }
            Seen::Failed { message } => self.fails(message),
            Seen::Unknown => self.next_at = Some(now.plus(WATCH_EVERY * 2)),
        }
    }

    /// An operator wants it made after all.
    pub fn retry(&mut self, now: Timestamp) {
        if self.status == VideoStatus::Failed {
            // Another seed: else the generator, asked, would show the video that failed.
            let seed = self.seed % SEED_MAX + 1;
            *self = Self::planned(format!("{}-r", self.request_id), seed, now);
        }
    }

    fn runs(&mut self, file_id: String, now: Timestamp) {
        self.status = VideoStatus::Running;
        self.file_id = Some(file_id);
        self.next_at = Some(now.plus(WATCH_EVERY / 4));
    }

    fn fails(&mut self, message: String) {
        self.status = VideoStatus::Failed;
        self.error = Some(message);
        self.next_at = None;
    }
}

fn backoff(attempts: u32) -> Duration {
    let doubled = FIRST_PAUSE_MS.saturating_mul(1_u64 << attempts.saturating_sub(1).min(16));
    Duration::from_millis(doubled.min(LONGEST_PAUSE_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn a_lost_answer_is_asked_about_before_it_is_called_again() {
        let mut video = Video::planned("r".into(), 1, at(0));
        assert_eq!(video.task(at(0)), Some(Task::Call));
        video.calling(at(0), at(30_000));
        assert_eq!((video.task(at(29_999)), video.task(at(30_000))), (None, Some(Task::Ask)));
        video.called(Called::Unknown, at(1_000));
        let mut now = at(1_000);
        let mut asks = 0;
        while video.task(now) != Some(Task::Call) {
            if video.task(now) == Some(Task::Ask) {
                video.asked(Asked::Absent, now);
                asks += 1;
            }
            now = now.plus(Duration::from_millis(100));
        }
        assert!(asks >= ASKS_MIN && now >= at(0).plus(SETTLE), "{asks} {now}");
        video.calling(now, now.plus(SETTLE));
        video.asked(Asked::Found { file_id: "f".into() }, now);
        assert_eq!((video.status, video.file_id.as_deref()), (VideoStatus::Running, Some("f")));
    }

    #[test]
    fn silence_is_never_taken_for_absence() {
        let mut video = Video::planned("r".into(), 1, at(0));
        video.calling(at(0), at(1));
        for n in 0..100 {
            video.asked(Asked::Unknown, at(n * 60_000));
            assert_eq!(video.status, VideoStatus::Asking);
        }
    }

    #[test]
    fn being_overloaded_for_ever_ends_with_a_sentence() {
        let mut video = Video::planned("r".into(), 1, at(0));
        while !video.is_settled() {
            video.calling(at(0), at(1));
            video.called(Called::NotNow { after: None }, at(0));
        }
        assert_eq!(video.attempts, ATTEMPTS_MAX);
        assert!(video.error.is_some());
        video.retry(at(5));
        assert_eq!((video.task(at(5)), video.error), (Some(Task::Call), None));
    }
}
