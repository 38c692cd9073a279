//! Our own API: payments, checkouts, refunds, paid jobs, and what only the operator does.

use super::generation::STATES as JOB_STATES;
use super::route::{JSON, Route, Who};
use super::schema::{
    Said as _, Shape, anything, between, both, count, filled, list, moment, number, object, text, the, whole,
    word, yes_or_no,
};
use crate::limits::NOTE_CHARS_MAX;
use sessile_core::ledger::PAGE_MAX;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::ObjectBuilder;

pub(super) const TAG: (&str, &str) =
    ("Our own API", "Problems, cursors and idempotency keys; `/v1/admin` is the operator's.");

const PAYMENT_STATES: [&str; 5] = ["pending", "processing", "completed", "failed", "expired"];
const CHECKOUT_STATES: [&str; 4] = ["active", "completed", "expired", "invalidated"];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = payments();
    routes.extend(checkouts());
    routes.extend(generations());
    routes.extend(operators());
    routes
}

/// What is kept in the ledger.
fn ledger(route: Route) -> Route {
    route
        .refuses(501, &["not_configured"])
        .refuses(503, &["ledger_unavailable"])
        .refuses(500, &["internal_error"])
}

/// What is kept with the paid jobs.
fn jobs(route: Route) -> Route {
    let route = route.by(Who::Staff).refuses(501, &["not_configured"]);
    route.refuses(503, &["generations_unavailable"]).refuses(500, &["generation_unreadable"])
}

fn page(of: &str) -> Shape {
    object().with("data", list(the(of))).with("nextCursor", text().or_null()).into()
}

fn listed(route: Route, of: &str) -> Route {
    one_page(route, of).query("cursor", filled(), "The `nextCursor` of the page before.")
}

/// A list without further pages.
fn one_page(route: Route, of: &str) -> Route {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    route
        .query("limit", between(1, most), "Rows; 50 unless it is said.")
        .answers(200, "One page.", JSON, page(of))
        .refuses(400, &["invalid_parameter"])
}

fn key() -> ObjectBuilder {
    text().pattern(Some("^[!-~]{1,255}$"))
}

/// A request that makes something: the same key makes one.
fn making(route: Route) -> Route {
    route
        .needs_header(
            "Idempotency-Key",
            key(),
            "A new random value; the same one when the request is repeated.",
        )
        .refuses(400, &["idempotency_key_missing", "idempotency_key_invalid"])
        .refuses(422, &["idempotency_key_reused"])
}

fn payments() -> Vec<Route> {
    let list = Route::get("/v1/payments", "listPayments", "Payments, newest first")
        .by(Who::Staff)
        .query("status", word(&PAYMENT_STATES), "Only these.")
        .query("user", filled(), "Only this user's.");
    let shown = |route: Route| ledger(route).by(Who::Owner).refuses(404, &["payment_not_found"]);
    vec![
        listed(ledger(list), "Payment"),
        shown(Route::get("/v1/payments/{id}", "showPayment", "One payment")).answers(
            200,
            "The payment; with its history for backends and the operator.",
            JSON,
            the("Payment"),
        ),
        shown(Route::post(
            "/v1/payments/{id}/cancel",
            "cancelPayment",
            "Stops a payment that the provider has not prepared",
        ))
        .answers(200, "It is cancelled.", JSON, the("Payment"))
        .refuses(409, &["payment_not_cancellable"]),
        making(shown(Route::post(
            "/v1/payments/{id}/refund",
            "refundPayment",
            "Gives a completed payment back, all of it",
        )))
        .by(Who::Staff)
        .answers(201, "The refund.", JSON, the("RefundMade"))
        .refuses(409, &["nothing_to_refund"]),
        listed(
            ledger(Route::get("/v1/refunds", "listRefunds", "Refunds, newest first").by(Who::Staff)),
            "Refund",
        ),
    ]
}

fn checkouts() -> Vec<Route> {
    let shown = |route: Route| ledger(route).by(Who::Owner).refuses(404, &["checkout_not_found"]);
    vec![
        listed(
            ledger(Route::get("/v1/checkouts", "listCheckouts", "Checkouts, newest first").by(Who::Staff)),
            "Checkout",
        ),
        shown(Route::get("/v1/checkouts/{id}", "showCheckout", "One checkout, with what was chosen"))
            .answers(200, "The checkout.", JSON, the("Checkout")),
        shown(Route::post("/v1/checkouts/{id}/cancel", "cancelCheckout", "Gives an active checkout up"))
            .answers(200, "It is cancelled.", JSON, the("Checkout"))
            .refuses(409, &["checkout_not_active", "payment_in_progress"]),
    ]
}

fn generations() -> Vec<Route> {
    let list =
        Route::get("/v1/generations", "listGenerations", "Paid jobs, newest first, without their prompts")
            .query("status", word(&JOB_STATES), "Only these.");
    let events = Route::get(
        "/v1/generations/events",
        "listStripeEvents",
        "Messages of Stripe that nobody could apply so far, oldest first",
    );
    let one = |route: Route| jobs(route).refuses(404, &["generation_not_found"]);
    vec![
        one_page(jobs(list), "Generation"),
        one_page(jobs(events), "StripeEvent"),
        one(Route::get("/v1/generations/{id}", "showGeneration", "One paid job")).answers(
            200,
            "The job.",
            JSON,
            the("Generation"),
        ),
        one(Route::post(
            "/v1/generations/{id}/retry",
            "retryGeneration",
            "Makes the failed videos after all",
        ))
        .answers(200, "The job.", JSON, the("Generation"))
        .refuses(409, &["generation_not_retryable"]),
        one(Route::post(
            "/v1/generations/{id}/refund",
            "refundGeneration",
            "Gives the money of a job back, all of it, once",
        ))
        .answers(200, "The job.", JSON, the("Generation"))
        .refuses(409, &["nothing_to_refund"]),
    ]
}

fn operators() -> Vec<Route> {
    let op = |route: Route| ledger(route).by(Who::Operator);
    let switch = |path, id, summary| {
        op(Route::post(path, id, summary))
            .answers(200, "The coupon.", JSON, the("Coupon"))
            .refuses(404, &["coupon_not_found"])
    };
    let note = filled().max_length(Some(NOTE_CHARS_MAX)).about("How the money went back.");
    let new = making(op(Route::post("/v1/admin/coupons", "createCoupon", "Makes a coupon")))
        .takes(JSON, the("NewCoupon"))
        .answers(201, "The coupon.", JSON, the("CouponMade"))
        .refuses(400, &["invalid_body"])
        .refuses(409, &["coupon_code_taken"])
        .refuses(413, &["body_too_large"])
        .refuses(415, &["unsupported_media_type"]);
    let settle = op(Route::post(
        "/v1/admin/refunds/{id}/settle",
        "settleRefund",
        "A person says how money went back that the provider would not send",
    ))
    .takes(JSON, object().with("note", note).and_no_other())
    .answers(200, "The refund.", JSON, the("Refund"))
    .refuses(400, &["invalid_body"])
    .refuses(404, &["refund_not_found"])
    .refuses(409, &["refund_not_manual"])
    .refuses(413, &["body_too_large"])
    .refuses(415, &["unsupported_media_type"]);
    let outbox =
        op(Route::get("/v1/admin/outbox", "listOutbox", "What the world has not heard yet, oldest first"))
            .query("state", word(&["pending", "dead"]), "`pending` unless it is said.");
    vec![
        listed(op(Route::get("/v1/admin/coupons", "listCoupons", "Coupons, newest first")), "Coupon"),
        new,
        switch("/v1/admin/coupons/{id}/enable", "enableCoupon", "Switches a coupon on"),
        switch(
            "/v1/admin/coupons/{id}/disable",
            "disableCoupon",
            "Switches a coupon off; what is reserved stays reserved",
        ),
        settle,
        one_page(outbox, "Effect"),
        op(Route::post("/v1/admin/outbox/{id}/requeue", "requeueEffect", "Puts a dead effect back"))
            .answers_nothing(204, "It is tried again.")
            .refuses(404, &["effect_not_found"]),
        op(Route::get("/v1/admin/census", "census", "How many of what there are")).answers(
            200,
            "The counts.",
            JSON,
            the("Census"),
        ),
    ]
}

pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let mut shapes = vec![("Payment", payment()), ("Checkout", checkout()), ("Census", census())];
    shapes.extend(refunds());
    shapes.extend(coupons());
    shapes.extend(waiting());
    shapes
}

/// What was asked for, taken off and left, in the currency's smallest unit.
fn prices(shape: ObjectBuilder, price: impl Fn() -> ObjectBuilder, currency: ObjectBuilder) -> ObjectBuilder {
    shape
        .with("amountMinor", price().about("What is paid, in the currency's smallest unit."))
        .with("originalMinor", price())
        .with("discountMinor", price())
        .with("currency", currency)
}

fn moments(shape: ObjectBuilder) -> ObjectBuilder {
    shape.with("createdAt", moment()).with("updatedAt", moment())
}

fn payment() -> Shape {
    let shape = object()
        .with("id", text())
        .with("orderId", text().about("What CLICK calls the order."))
        .with("userId", text())
        .with("status", word(&PAYMENT_STATES))
        .with("reason", text().or_null());
    moments(prices(shape, count, text()))
        .with("method", text())
        .with("checkoutSessionId", text().or_null())
        .with("couponId", text().or_null())
        .with("expiresAt", moment())
        .may("provider", anything().about("What the provider calls it. Only for backends and the operator."))
        .may("disposition", anything().about("What became of the money."))
        .may("flags", object())
        .may("email", text().or_null())
        .may("history", list(object().with("at", moment()).with("event", text()).with("actor", text())))
        .into()
}

fn checkout() -> Shape {
    let shape = object()
        .with("id", text())
        .with("userId", text().or_null())
        .with("isGuest", yes_or_no())
        .with("status", word(&CHECKOUT_STATES))
        .with("reason", text().or_null());
    moments(prices(shape, || count().or_null(), text().or_null()))
        .with("couponId", text().or_null())
        .with("completedPaymentId", text().or_null())
        .with("renewedFrom", text().or_null())
        .with("supersededBy", text().or_null())
        .with("expiresAt", moment())
        .may("sessionData", anything())
        .into()
}

fn refunds() -> Vec<(&'static str, Shape)> {
    let made = || {
        object()
            .with("id", text())
            .with("paymentId", text())
            .with("amountMinor", count())
            .with("reason", text())
            .with("createdAt", moment())
    };
    let states = word(&["requested", "submitted", "succeeded", "failed", "needs_manual"]);
    let now = object().with("status", states).with("note", text().or_null()).with("updatedAt", moment());
    vec![("RefundMade", made().into()), ("Refund", RefOr::T(both(the("RefundMade"), now)))]
}

fn coupons() -> Vec<(&'static str, Shape)> {
    let kinds = || word(&["percentage", "fixed"]);
    let new = object()
        .with("code", filled().max_length(Some(64)))
        .may("description", text().or_null())
        .with("discountType", kinds())
        .with("discountValue", whole().minimum(Some(1)).about("Percent, or so'm."))
        .may("originalPrice", whole().or_null().minimum(Some(1)).about("So'm."))
        .may("maxUses", whole().or_null().minimum(Some(1)))
        .may("validFrom", moment().or_null())
        .may("validUntil", moment().or_null())
        .and_no_other();
    let made = object()
        .with("id", text())
        .with("code", text())
        .with("description", text().or_null())
        .with("discountType", kinds())
        .with("discountValue", number())
        .with("originalPrice", number().or_null())
        .with("maxUses", whole().or_null())
        .with("validFrom", moment().or_null())
        .with("validUntil", moment().or_null())
        .with("createdBy", text())
        .with("createdAt", moment());
    let now =
        object().with("isActive", yes_or_no()).with("usedCount", count()).with("reservedCount", count());
    vec![
        ("NewCoupon", new.into()),
        ("CouponMade", made.into()),
        ("Coupon", RefOr::T(both(the("CouponMade"), now))),
    ]
}

/// What waits to be told, and what was heard and waits to be applied.
fn waiting() -> Vec<(&'static str, Shape)> {
    let effect = object()
        .with("id", text())
        .with("kind", word(&["webhook", "refund", "tier"]))
        .with("about", object())
        .with("state", word(&["pending", "done", "dead"]))
        .with("attempts", count())
        .with("error", text().or_null())
        .with("createdAt", moment())
        .with("nextAt", moment());
    let event = object()
        .with("id", text())
        .with("type", text())
        .with("sessionId", text().or_null())
        .with("receivedAt", moment())
        .with("attempts", count())
        .with("nextAt", moment());
    vec![("Effect", effect.into()), ("StripeEvent", event.into())]
}

fn census() -> Shape {
    let counted = object()
        .with("kind", word(&["checkout", "payment", "coupon", "grant", "refund"]))
        .with("status", text())
        .with("count", count());
    object()
        .with("counts", list(counted))
        .with("overduePayments", count())
        .with("stalePayments", count())
        .with("paymentsWithoutEmail", count())
        .with("manualRefunds", count())
        .with("effectsPending", count())
        .with("effectsDead", count())
        .into()
}
