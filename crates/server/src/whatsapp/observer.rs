//! What devices do, as metrics and for the dashboard.

use crate::admin::{Mark, Subject, Watch};
use crate::telemetry;
use sessile_whatsapp::{Counted, Observer};
use std::sync::Arc;

/// Counts into the process's metrics, and what an operator's chart shows.
pub(crate) struct Metrics(pub(crate) Arc<Watch>);

impl Observer for Metrics {
    fn count(&self, what: Counted) {
        metrics::counter!(telemetry::WHATSAPP_EVENTS, "what" => what.as_str()).increment(1);
        let mark = match what {
            Counted::Paired => Mark::Created,
            Counted::Ready => Mark::Recovered,
            Counted::Lost => Mark::Failed,
            Counted::Sent => Mark::Completed,
            Counted::QrShown
            | Counted::PairingFailed
            | Counted::LoggedOut
            | Counted::Replaced
            | Counted::Fenced
            | Counted::StorageLost
            | Counted::SavingStopped
            | Counted::SentBefore
            | Counted::SendFailed => return,
        };
        self.0.marked(Subject::WhatsApp, mark, 1);
    }
}
