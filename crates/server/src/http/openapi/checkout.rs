//! A buyer's choice on its way to payment: the drop-in routes.

use super::route::{JSON, Route, Who};
use super::schema::{Said as _, Shape, anything, count, filled, number, object, only, text, the, word};

pub(super) const TAG: (&str, &str) =
    ("Checkout", "A buyer's choice is opened, validated, completed, recovered and swept.");

const REASONS: [&str; 5] = ["session_not_found", "already_used", "expired", "payment_in_progress", "no_data"];
const USER: &str =
    "From a browser: the signed-in user's own id or nothing. From a backend: whom it speaks for.";

pub(super) fn routes() -> Vec<Route> {
    let named = || object().with("sessionId", filled().about("The checkout's id."));
    let succeeded = || object().with("success", only(true)).with("message", text());
    let valid = object().with("isValid", only(true)).with("sessionData", the("CheckoutData"));
    let swept = succeeded().with("expired", count()).with("deleted", count());
    vec![
        posted(
            "/api/create-checkout-session",
            "openCheckout",
            "Opens a checkout, or finds the same one again",
        )
        .takes(JSON, the("NewCheckout"))
        .answers(200, "The checkout.", JSON, object().with("sessionId", text()))
        .answers(429, "Too many coupon codes were tried.", JSON, the("CheckoutRefusal"))
        .refuses(503, &["entropy_unavailable"]),
        posted("/api/validate-checkout-session", "validateCheckout", "Whether a checkout can still be paid")
            .takes(JSON, named())
            .answers(200, "It can; what was chosen.", JSON, valid),
        posted(
            "/api/complete-checkout-session",
            "completeCheckout",
            "Completes a checkout without a payment",
        )
        .takes(JSON, named())
        .answers(200, "It is completed.", JSON, succeeded()),
        posted(
            "/api/recover-checkout-session",
            "recoverCheckout",
            "Continues a checkout whose time was over",
        )
        .takes(JSON, the("Recovery"))
        .answers(200, "A checkout with the same choice.", JSON, the("Recovered"))
        .answers(404, "There is nothing to recover.", JSON, the("CheckoutRefusal")),
        posted("/api/cleanup-expired-sessions", "sweepCheckouts", "Expires and deletes what is due, once")
            .by(Who::Staff)
            .answers(200, "What was done.", JSON, swept),
    ]
}

/// What all of them answer.
fn posted(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    let refusals = [
        (400, "What is missing, or why the checkout cannot be used."),
        (405, "Only POST is served here."),
        (409, "A payment for it is in progress."),
        (413, "The body, or the choice, is too large."),
        (500, "A mistake of ours; the log has it."),
        (503, "The ledger did not answer; nothing is lost, send it again."),
    ];
    let route = Route::post(path, id, summary).by(Who::Owner).refuses(501, &["not_configured"]);
    refusals
        .into_iter()
        .fold(route, |route, (status, what)| route.answers(status, what, JSON, the("CheckoutRefusal")))
}

pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let new = object()
        .with("tracks", anything().about("The application's own; not empty."))
        .with(
            "selectedPackages",
            anything().about("Package ids, as a list or as an object by track; not empty."),
        )
        .may("userId", text().or_null().about(USER))
        .may(
            "existingSessionId",
            anything().about("The id of a checkout to replace; anything that is none counts as absent."),
        )
        .may("couponCode", anything().about("A coupon's code; anything but text counts as absent."));
    let data = object()
        .with("tracks", anything())
        .with("selectedPackages", anything())
        .with("userId", text().or_null());
    let recovery = object()
        .may("userId", text().or_null().about(USER))
        .may("expiredSessionId", anything().about("Which one; without it the last one."));
    let change = object().with("before", number()).with("now", number());
    let recovered = object()
        .with("sessionId", text())
        .with("recovered", only(true))
        .with("message", text())
        .may("priceChange", change.about("In so'm; only where the price changed."));
    let refusal = object().with("error", text().about("A sentence.")).may("reason", word(&REASONS));
    vec![
        ("NewCheckout", new.into()),
        ("CheckoutData", data.into()),
        ("Recovery", recovery.into()),
        ("Recovered", recovered.into()),
        ("CheckoutRefusal", refusal.into()),
    ]
}
