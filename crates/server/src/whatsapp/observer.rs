//! What devices do, as metrics.

use crate::telemetry;
use sessile_whatsapp::{Counted, Observer};

/// Counts into the process's metrics.
pub(crate) struct Metrics;

impl Observer for Metrics {
    fn count(&self, what: Counted) {
        metrics::counter!(telemetry::WHATSAPP_EVENTS, "what" => what.as_str()).increment(1);
    }
}
