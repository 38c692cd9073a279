//! Probes, metrics, and this description itself.

use super::route::{HTML, JSON, Route};
use super::schema::{Said as _, Shape, moment, object, only, text, the, word, yes_or_no};

pub(super) const TAG: (&str, &str) = ("Operation", "Is the process alive, can it serve, how is it doing.");

pub(super) fn routes() -> Vec<Route> {
    let alive =
        |path, id| Route::get(path, id, "The process is alive").answers(200, "It is.", JSON, the("Alive"));
    vec![
        alive("/healthz", "alive"),
        alive("/api/health", "aliveToo"),
        Route::get("/readyz", "ready", "It can serve")
            .more("`degraded` serves too, and says why: a fallback stands in, or the store of paid jobs is away.")
            .answers(200, "It can.", JSON, the("Ready"))
            .answers(503, "It cannot: session storage did not answer.", JSON, the("Ready")),
        Route::get("/metrics", "metrics", "Metrics for Prometheus")
            .answers(200, "Metrics.", "text/plain; version=0.0.4; charset=utf-8", text()),
        Route::get("/openapi.json", "description", "This description, for programs")
            .answers(200, "OpenAPI 3.1.", JSON, object()),
        Route::get("/docs/api", "descriptionPage", "This description, for people")
            .answers(200, "A page.", HTML, text()),
    ]
}

pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let alive = object().with("status", only("ok")).with("timestamp", moment());
    let store = object().with("engine", text()).with("persistent", yes_or_no());
    let jobs = object().with("status", word(&["ready", "unavailable"]));
    let ready = object()
        .with("status", word(&["ready", "degraded", "unavailable"]))
        .with("why", text().or_null())
        .with("store", store)
        .may("generation", jobs)
        .with("timestamp", moment());
    vec![("Alive", alive.into()), ("Ready", ready.into())]
}
