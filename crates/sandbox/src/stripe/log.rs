//! The calls of the API as they came, for the page and for tests that count.

use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Calls kept; more are counted only.
const CALLS_MAX: usize = 20_000;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Done, once, now. It may have been answered with an error all the same.
    CarriedOut,
    /// The answer of an earlier call with the same Idempotency-Key.
    Replayed,
    /// Nothing was done.
    Refused,
}

/// Whether the caller heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// The answer went out.
    Answered,
    /// The connection was cut, as switched on.
    Cut,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiCall {
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// `req_…`.
    pub request: String,
    /// Which endpoint, as in `POST /v1/refunds`; what it is not is `unknown`.
    pub route: String,
    /// As it came.
    pub idempotency_key: Option<String>,
    /// `Stripe-Version` as it came.
    pub version: Option<String>,
    /// Every parameter, in its order.
    pub params: Vec<(String, String)>,
    /// HTTP status.
    pub status: u16,
    /// What became of it.
    pub fate: Fate,
    /// Whether the caller heard.
    pub heard: Heard,
}

/// How often an endpoint was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// In all.
    pub received: u64,
    /// That did something.
    pub carried_out: u64,
    /// That were given an earlier answer.
    pub replayed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    calls: VecDeque<ApiCall>,
    counts: BTreeMap<String, Calls>,
}

impl Log {
    pub(crate) fn add(&mut self, call: ApiCall) {
        let counts = self.counts.entry(call.route.clone()).or_default();
        counts.received += 1;
        match call.fate {
            Fate::CarriedOut => counts.carried_out += 1,
            Fate::Replayed => counts.replayed += 1,
            Fate::Refused => {}
        }
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Oldest first.
    pub(crate) fn calls(&self) -> impl DoubleEndedIterator<Item = &ApiCall> {
        self.calls.iter()
    }

    pub(crate) fn counts(&self) -> &BTreeMap<String, Calls> {
        &self.counts
    }
}
