//! A paid job: a prompt becomes a payment page, Stripe's messages come in, and pages ask how the job goes.

use super::route::{JSON, Route, Who};
use super::schema::{
    Said as _, Shape, address, anything, between, both, count, event, filled, list, moment, object, only,
    text, the, whole, word,
};
use crate::limits::TOOL_CHARS_MAX;
use sessile_core::generation::VIDEOS_MAX;
use utoipa::openapi::RefOr;

pub(super) const TAG: (&str, &str) =
    ("Generation", "Paid jobs: a prompt is paid for, and videos are made of it.");

pub(super) const STATES: [&str; 4] = ["pending", "processing", "completed", "error"];
const FILE_STATES: [&str; 6] = ["planned", "calling", "asking", "running", "done", "failed"];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![creation(), status(), events(), report(), session()];
    routes.extend([file(), prices(), webhook()]);
    routes
}

fn refusing(route: Route, refusals: &[(u16, &'static str)]) -> Route {
    let route = route.refuses(501, &["not_configured"]);
    refusals
        .iter()
        .fold(route, |route, (status, what)| route.answers(*status, *what, JSON, the("GenerationRefusal")))
}

fn creation() -> Route {
    let page = object()
        .with("sessionId", text().about("What Stripe calls the payment: `cs_…`."))
        .with("url", address().about("Where the buyer pays."));
    let route = Route::post(
        "/api/create-checkout",
        "createGeneration",
        "Keeps a prompt and opens a payment page for it",
    )
    .by(Who::Owner)
    .takes(JSON, the("NewGeneration"))
    .answers(200, "The payment page.", JSON, page)
    .refuses(503, &["entropy_unavailable"]);
    refusing(
        route,
        &[
            (400, "A field is missing or wrong; nothing was charged."),
            (413, "The prompt is larger than 1 MiB; nothing was charged."),
            (500, "The page could not be opened; nothing was charged."),
        ],
    )
}

fn status() -> Route {
    let route = Route::get("/api/webhook-status/{id}", "generationStatus", "How a job goes")
        .more("For whoever knows the payment's name. A session that is not there reads as one that has not begun.")
        .answers(200, "State and progress.", JSON, the("GenerationStatus"));
    refusing(route, &[(500, "The store did not answer, or the data cannot be read.")])
}

fn events() -> Route {
    let route = Route::get("/api/webhook-status/{id}/events", "generationEvents", "The same as server-sent events")
        .by(Who::Visitor)
        .more("A message when something changed, a comment every 15 seconds otherwise; ends with a final state, or after ten minutes.")
        .answers(200, "Messages, each the JSON of the status.", "text/event-stream; charset=utf-8", event(&["message"]));
    refusing(route, &[])
}

fn report() -> Route {
    let said = object()
        .with("status", word(&STATES))
        .may("error", anything().about("A sentence for the buyer."))
        .may("fileId", anything().about("What the generator calls the file."));
    let route = Route::post("/api/webhook-status/{id}", "reportGeneration", "A backend says how a job goes")
        .by(Who::Owner)
        .more("Only for trusted backends and the operator.")
        .takes(JSON, said)
        .answers(200, "It is noted.", JSON, object().with("success", only(true)));
    refusing(
        route,
        &[
            (400, "The id, the status or the body is wrong."),
            (401, "Only a backend or the operator may say so."),
            (404, "There is no such session."),
            (409, "The session cannot change to this status."),
            (413, "The body is too large."),
            (500, "The store did not answer."),
        ],
    )
}

fn session() -> Route {
    let route = Route::get("/api/session-data/{id}", "generationSession", "The whole session, for its owner")
        .by(Who::Owner)
        .answers(200, "The session; more of it for backends and the operator.", JSON, the("Generation"));
    refusing(
        route,
        &[
            (404, "There is no such session, or it is somebody else's."),
            (500, "The store did not answer, or the data cannot be read."),
        ],
    )
}

fn file() -> Route {
    let details: Shape = object().with("error", text()).with("details", text()).into();
    let passed = |route: Route| {
        [400, 401, 403, 404, 410, 422, 429, 500, 502, 503, 504].into_iter().fold(route, |route, status| {
            route.answers(status, "The generator's own status, passed on.", JSON, details.clone())
        })
    };
    passed(Route::get("/api/file/{id}", "generationFile", "A file of the generator, as it is"))
        .by(Who::Visitor)
        .answers(200, "The generator's own words.", JSON, anything())
        .refuses(501, &["not_configured"])
}

fn prices() -> Route {
    let prices = object().with("single", text().or_null()).with("triple", text().or_null());
    let sold =
        object().with("success", only(true)).with("prices", prices).with("mode", word(&["live", "test"]));
    let none = object().with("success", only(false)).with("error", text());
    Route::get("/api/stripe-prices", "generationPrices", "What is sold, by Stripe's price ids")
        .by(Who::Visitor)
        .answers(200, "The prices.", JSON, sold)
        .answers(500, "No prices are configured.", JSON, none)
        .refuses(501, &["not_configured"])
}

fn webhook() -> Route {
    let route = Route::post("/api/webhooks/stripe", "stripeWebhook", "Stripe's messages")
        .more("Believed by `Stripe-Signature` alone, kept, answered, and applied by a worker. Never held up by a limit of tries.")
        .needs_header("Stripe-Signature", text(), "`t=…,v1=…`, as Stripe makes it.")
        .takes(JSON, object().about("One event of Stripe, byte for byte as it was signed."))
        .answers(200, "It is kept.", JSON, object().with("received", only(true)));
    refusing(
        route,
        &[
            (400, "The signature or the payload is wrong."),
            (413, "The payload is too large."),
            (500, "It could not be kept; Stripe sends it again."),
        ],
    )
}

pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let tool = || text().or_null().max_length(Some(TOOL_CHARS_MAX));
    let new = object()
        .with("priceId", filled().about("A price of Stripe that is sold here."))
        .with("prompt", filled().about("Kept as it is, up to 1 MiB."))
        .may(
            "quantity",
            between(1, i64::from(VIDEOS_MAX)).or_null().about("How many videos; 1 unless it is said."),
        )
        .may("toolSlug", tool())
        .may("toolTitle", tool())
        .may("userId", text().or_null())
        .may(
            "successUrl",
            text()
                .or_null()
                .about("A page of this application to come back to; `{CHECKOUT_SESSION_ID}` is filled in."),
        )
        .may("cancelUrl", text().or_null());
    let file = object()
        .with("requestId", text())
        .may("fileId", text())
        .with("status", word(&FILE_STATES))
        .may("url", address())
        .with("progress", whole())
        .may("error", text());
    let refusal = object().with("error", text().about("A sentence."));
    vec![
        ("NewGeneration", new.into()),
        ("GenerationFile", file.into()),
        ("GenerationStatus", progress().into()),
        ("Generation", RefOr::T(both(the("GenerationStatus"), whole_session()))),
        ("GenerationRefusal", refusal.into()),
    ]
}

fn progress() -> utoipa::openapi::schema::ObjectBuilder {
    object()
        .with("status", word(&STATES))
        .may("message", text().about("Only while nothing has begun."))
        .may("fileId", text())
        .may("error", text())
        .may("videoCount", count())
        .may("progress", between(0, 100))
        .may("files", list(the("GenerationFile")))
        .may("toolSlug", text().or_null())
        .may("toolTitle", text().or_null())
        .may("prompt", text())
        .may("timestamp", text())
}

fn whole_session() -> utoipa::openapi::schema::ObjectBuilder {
    let staff = "Only for backends and the operator.";
    object()
        .with("videoCount", count())
        .with("files", list(the("GenerationFile")))
        .may("prompt", text())
        .may("promptBytes", count())
        .with("createdAt", text())
        .with("updatedAt", moment())
        .with("version", count())
        .may("sessionId", text().about("What Stripe calls the payment."))
        .may("id", text().about("What we call the job: `gen_…`. Only for backends and the operator."))
        .may("userId", text().or_null().about(staff))
        .may("priceId", text().or_null().about(staff))
        .may("money", word(&["awaited", "delayed", "paid", "failed", "expired"]).about(staff))
        .may("paymentIntent", text().or_null().about(staff))
        .may("refund", anything().about(staff))
        .may("flags", list(text()))
        .may("events", list(anything()))
        .may("timeline", list(object().with("at", moment()).with("what", text())))
        .may("requests", list(the("GenerationFile")))
        .may("expiresAt", moment())
        .may("what", anything().about("What an operator has to know. Only for backends and the operator."))
        .may("remedy", anything().about("What an operator can do about it."))
}
