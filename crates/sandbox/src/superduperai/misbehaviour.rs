//! What the stand-in can do wrong on request, so that a caller's error handling is tested against a real socket.
//!
//! The kinds and their names; how often one happens, where and how badly is a [`crate::switch::Switch`]. Labels are
//! the routes below, a file's id, or `seed:<number>` of a request.

use serde::{Deserialize, Serialize};

use crate::switch::Kind;

/// Starts a generation.
pub const GENERATE: &str = "POST /api/v1/file/generate-video";
/// One file.
pub const FILE: &str = "GET /api/v1/file/{id}";
/// The list of files.
pub const FILES: &str = "GET /api/v1/file";
/// A stream of events.
pub const EVENTS: &str = "GET /api/v1/events/{channel}";

/// One way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// The generation is started and the answer is lost on the way.
    LostReply,
    /// Nothing is done; 429 with `Retry-After`: `delay_ms` in whole seconds, at least one.
    RateLimited,
    /// Nothing is done; 500.
    ServerError,
    /// The call is carried out and answered 500.
    ServerErrorAfter,
    /// Nothing is done and nothing is answered until the configured time is over; then the connection breaks.
    Timeout,
    /// The call is carried out at once and answered `delay_ms` later.
    SlowReply,
    /// The call is carried out and answered 200 with something that is not JSON.
    Garbage,
    /// A file that exists is not found.
    NotFound,
    /// The generation fails halfway: task status `error`, with `message`.
    Fail,
    /// The generation fails halfway: task status `failed`, with `message`.
    FailedStatus,
    /// The generation stops at 40 % and never ends by itself.
    Stall,
    /// The generation takes `delay_ms` instead of the configured time.
    SlowRender,
    /// An event stream opens and never says anything.
    SseSilent,
    /// An event stream says everything `delay_ms` late.
    SseSlow,
    /// An event stream breaks after its first event.
    SseCut,
    /// An event stream is refused with 503.
    SseRefused,
}

impl Misbehaviour {
    /// Every kind, in the order the page shows them.
    pub const ALL: [Self; 16] = [
        Self::LostReply,
        Self::RateLimited,
        Self::ServerError,
        Self::ServerErrorAfter,
        Self::Timeout,
        Self::SlowReply,
        Self::Garbage,
        Self::NotFound,
        Self::Fail,
        Self::FailedStatus,
        Self::Stall,
        Self::SlowRender,
        Self::SseSilent,
        Self::SseSlow,
        Self::SseCut,
        Self::SseRefused,
    ];
}

impl Kind for Misbehaviour {
    const EVERY: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        match self {
            Self::LostReply => "lost_reply",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::ServerErrorAfter => "server_error_after",
            Self::Timeout => "timeout",
            Self::SlowReply => "slow_reply",
            Self::Garbage => "garbage",
            Self::NotFound => "not_found",
            Self::Fail => "fail",
            Self::FailedStatus => "failed_status",
            Self::Stall => "stall",
            Self::SlowRender => "slow_render",
            Self::SseSilent => "sse_silent",
            Self::SseSlow => "sse_slow",
            Self::SseCut => "sse_cut",
            Self::SseRefused => "sse_refused",
        }
    }

    /// What can happen to any call happens to a generation unless another place is named.
    fn usual_place(self) -> Option<&'static str> {
        match self {
            Self::LostReply
            | Self::RateLimited
            | Self::ServerError
            | Self::ServerErrorAfter
            | Self::Timeout
            | Self::SlowReply
            | Self::Garbage => Some(GENERATE),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_serde_reads_and_all_lists_every_kind_once() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in Misbehaviour::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
            assert!(seen.insert(kind), "{kind:?} is listed twice");
        }
    }
}
