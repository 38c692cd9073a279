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
/// Rows of the ledger, by `kind` and `state`.
pub const LEDGER_ROWS: &str = "sessile_ledger_rows";
/// Of what came to an end, the share that completed, by `kind` (`checkout`, `payment`).
pub const COMPLETION: &str = "sessile_completion_ratio";
/// What an operator should look at, by `what`.
pub const ATTENTION: &str = "sessile_ledger_attention";
/// CLICK's messages, by `step` (`prepare`, `complete`) and the `code` that was answered.
pub const CLICK_CALLBACKS: &str = "sessile_click_callbacks_total";
/// Messages of CLICK that a person has to see, by `alert` (`amount_differs`, `cancel_after_success`).
pub const ALERTS: &str = "sessile_click_alerts_total";
/// Attempts to continue an expired checkout, by `outcome` (`recovered`, `nothing`, `in_progress`, `unavailable`).
pub const RECOVERIES: &str = "sessile_checkout_recoveries_total";
/// Checkouts and payments that timers ended or removed, by `what`.
pub const MONEY_SWEPT: &str = "sessile_money_swept_total";
/// Seconds that one sweep of checkouts and payments took.
pub const MONEY_SWEEP_SECONDS: &str = "sessile_money_sweep_duration_seconds";
/// Effects by `kind` and `outcome` (`done`, `retried`, `dead`).
pub const EFFECTS: &str = "sessile_outbox_effects_total";
/// Effects in the outbox, by `state` (`pending`, `dead`).
pub const OUTBOX: &str = "sessile_outbox_rows";
/// What the provider said when it was asked, by `pass` (`due`, `daily`) and `verdict`.
pub const ASKED: &str = "sessile_reconcile_asked_total";
/// Payments that reconciliation changed or flagged, by `outcome` (`completed`, `failed`, `flagged`, `contradicted`).
pub const RECONCILED: &str = "sessile_reconcile_outcomes_total";
/// What became of sessions in this process, by `kind` and `mark` (`created`, `completed`, `failed`, `expired`,
/// `recovered`).
pub const MARKS: &str = "sessile_session_marks_total";
/// Seconds that stores took to answer, by `store` (`login`, `ledger`, `generation`, `whatsapp`) and `call` (`load`,
/// `commit`).
pub const STORE_SECONDS: &str = "sessile_store_duration_seconds";
/// What happened to WhatsApp devices, by `what`.
pub const WHATSAPP_EVENTS: &str = "sessile_whatsapp_events_total";
/// WhatsApp sessions and damaged files that a cleanup removed.
pub const WHATSAPP_REMOVED: &str = "sessile_whatsapp_sessions_removed_total";
/// What became of WhatsApp devices' steps on their way to the disk, by `outcome` (`stored`, `refused`, `unavailable`).
pub const WHATSAPP_STEPS: &str = "sessile_whatsapp_steps_total";
/// WhatsApp devices whose database does not take their steps now; their journal has them.
pub const WHATSAPP_BEHIND: &str = "sessile_whatsapp_devices_behind";
/// Steps in the journal that the database does not have yet.
pub const WHATSAPP_WAITING_STEPS: &str = "sessile_whatsapp_waiting_steps";
/// Times that the database of WhatsApp devices went away from one of them.
pub const WHATSAPP_FALLBACKS: &str = "sessile_whatsapp_fallbacks_total";
/// Paid jobs, by `state` (`pending`, `processing`, `completed`, `error`). On Redis as of the last way round all keys.
pub const JOBS: &str = "sessile_generation_jobs";
/// Paid jobs that a person has to decide about, by `what` (`refund_due`, `refund_ordered`).
pub const JOBS_ATTENTION: &str = "sessile_generation_attention";
/// Seconds that the oldest due work has been waiting for a worker.
pub const JOBS_LATE: &str = "sessile_generation_work_late_seconds";
/// Messages of Stripe that are kept and not applied.
pub const STRIPE_WAITING: &str = "sessile_stripe_messages_waiting";
/// Seconds since the oldest of them came.
pub const STRIPE_WAITING_AGE: &str = "sessile_stripe_messages_oldest_seconds";
/// Rounds of a background worker that succeeded, by `worker`.
pub const WORKER_ROUNDS: &str = "sessile_worker_rounds_total";
/// Rounds of a background worker that failed, by `worker`.
pub const WORKER_ERRORS: &str = "sessile_worker_errors_total";

const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts counting for the process. Later calls do nothing.
pub fn start() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(LATENCY.to_owned()), &BUCKETS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Full(MONEY_SWEEP_SECONDS.to_owned()), &BUCKETS)
            });
        let builder = builder.and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Full(STORE_SECONDS.to_owned()), &BUCKETS)
        });
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
    metrics::describe_gauge!(
        LEDGER_ROWS,
        "Checkouts, payments, coupons, grants and refunds, by kind and state"
    );
    metrics::describe_gauge!(COMPLETION, "Completed of all that came to an end, by kind");
    metrics::describe_gauge!(ATTENTION, "Rows that an operator should look at, by what is wrong");
    metrics::describe_counter!(CLICK_CALLBACKS, "CLICK's messages by step and answered code");
    metrics::describe_counter!(ALERTS, "CLICK's messages that a person has to see");
    metrics::describe_counter!(RECOVERIES, "Attempts to continue an expired checkout, by outcome");
    metrics::describe_counter!(MONEY_SWEPT, "Checkouts and payments that timers ended or removed");
    metrics::describe_histogram!(
        MONEY_SWEEP_SECONDS,
        metrics::Unit::Seconds,
        "Time of one sweep of checkouts and payments"
    );
    metrics::describe_counter!(EFFECTS, "Effects carried out, retried or given up, by kind");
    metrics::describe_gauge!(OUTBOX, "Effects in the outbox, by state");
    metrics::describe_counter!(ASKED, "What the provider said when it was asked");
    metrics::describe_counter!(RECONCILED, "Payments that reconciliation changed or flagged");
    metrics::describe_counter!(MARKS, "What became of sessions, by kind and mark");
    metrics::describe_histogram!(
        STORE_SECONDS,
        metrics::Unit::Seconds,
        "Time of a store's answer, by store and call"
    );
    metrics::describe_counter!(WHATSAPP_EVENTS, "What happened to WhatsApp devices");
    metrics::describe_counter!(
        WHATSAPP_REMOVED,
        "WhatsApp sessions and damaged files that a cleanup removed"
    );
    metrics::describe_counter!(WHATSAPP_STEPS, "Steps of WhatsApp devices, by what became of them");
    metrics::describe_gauge!(WHATSAPP_BEHIND, "WhatsApp devices whose database does not take their steps");
    metrics::describe_gauge!(WHATSAPP_WAITING_STEPS, "Steps in the journal that the database does not have");
    metrics::describe_counter!(
        WHATSAPP_FALLBACKS,
        "Times that the database went away from a WhatsApp device"
    );
    metrics::describe_gauge!(JOBS, "Paid jobs, by state");
    metrics::describe_gauge!(JOBS_ATTENTION, "Paid jobs that a person has to decide about");
    metrics::describe_gauge!(
        JOBS_LATE,
        metrics::Unit::Seconds,
        "How long the oldest due work waits for a worker"
    );
    metrics::describe_gauge!(STRIPE_WAITING, "Messages of Stripe that are kept and not applied");
    metrics::describe_gauge!(
        STRIPE_WAITING_AGE,
        metrics::Unit::Seconds,
        "Time since the oldest of them came"
    );
    metrics::describe_counter!(WORKER_ROUNDS, "Rounds of a background worker that succeeded");
    metrics::describe_counter!(WORKER_ERRORS, "Rounds of a background worker that failed");
}
