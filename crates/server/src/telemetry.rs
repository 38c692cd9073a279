//! Metrics: their names, and the Prometheus text behind `/metrics`.
//!
//! Counted where it happens through the `metrics` crate; states (degraded, spool size) are read when somebody asks.
//! Labels are templates, codes and words, never anything a visitor sent.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

/// Requests by method, route template and status.
pub const REQUESTS: &str = "sessile_http_requests_total";
/// Seconds by route template.
pub const LATENCY: &str = "sessile_http_request_duration_seconds";
/// Requests under way.
pub const IN_FLIGHT: &str = "sessile_http_requests_in_flight";
/// Requests without a live session, by reason.
pub const LOST: &str = "sessile_sessions_lost_total";
/// 1 while a fallback stands in for the store.
pub const DEGRADED: &str = "sessile_store_degraded";
/// Sessions and ends that wait for the primary store.
pub const SPOOLED: &str = "sessile_store_spooled";
/// Expired sessions removed.
pub const SWEPT: &str = "sessile_sessions_swept_total";
/// Sweeps that failed.
pub const SWEEP_ERRORS: &str = "sessile_sweep_errors_total";
/// Sign-ins by provider and outcome.
pub const SIGN_INS: &str = "sessile_sign_ins_total";

const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts counting for the process. Later calls do nothing.
pub fn start() {
    HANDLE.get_or_init(|| {
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(LATENCY.to_owned()), &BUCKETS);
        let handle = builder.and_then(PrometheusBuilder::install_recorder);
        describe();
        handle.map_err(|error| tracing::warn!(%error, "metrics are off")).ok()
    });
}

/// The text that Prometheus reads; `None` when counting could not be started.
pub fn render() -> Option<String> {
    let handle = HANDLE.get()?.as_ref()?;
    handle.run_upkeep();
    Some(handle.render())
}

fn describe() {
    metrics::describe_counter!(REQUESTS, "Requests by method, route and status");
    metrics::describe_histogram!(LATENCY, metrics::Unit::Seconds, "Time to the answer's head, by route");
    metrics::describe_gauge!(IN_FLIGHT, "Requests under way");
    metrics::describe_counter!(LOST, "Requests without a live session, by reason");
    metrics::describe_gauge!(DEGRADED, "1 while a fallback stands in for the session store");
    metrics::describe_gauge!(SPOOLED, "Sessions and ends that wait for the primary store");
    metrics::describe_counter!(SWEPT, "Expired sessions removed");
    metrics::describe_counter!(SWEEP_ERRORS, "Sweeps that failed");
    metrics::describe_counter!(SIGN_INS, "Sign-ins by provider and outcome");
}
