//! One attempt to pay: made, looked at, waited for; CLICK's callbacks; and coupons.

use super::route::{FORM, JSON, Route, Who};
use super::schema::{
    Said as _, Shape, address, anything, between, filled, number, object, only, text, the, whole, word,
    yes_or_no,
};

pub(super) const TAG: (&str, &str) =
    ("Payment", "A payment is made, looked at and waited for; coupons; CLICK's callbacks.");

const STATES: [&str; 5] = ["pending", "processing", "completed", "failed", "expired"];
const CALLBACK: &str = "Believed by its signature alone. Answers are CLICK's own: HTTP 200 with `error`, also for \
    what is refused; 503 only when our storage is away, and CLICK sends the message again.";

pub(super) fn routes() -> Vec<Route> {
    let status = object().with("success", only(true)).with("orderId", text()).with("status", word(&STATES));
    let waited = object().with("success", yes_or_no()).with("message", text());
    vec![
        creation(),
        order(Route::get("/api/click/status/{order}", "paymentStatus", "How a payment is, for its owner"))
            .answers(200, "Its state.", JSON, status),
        order(Route::get(
            "/api/click/wait-payment/{order}",
            "waitForPayment",
            "Waits until a payment is decided",
        ))
        .more("Up to 15 seconds; then it says how things are, and is asked again.")
        .answers(200, "Whether it is completed.", JSON, waited),
        Route::get("/api/click/return", "returnFromClick", "The buyer is back from CLICK")
            .query("order", text(), "Which payment; nothing else that the browser brings is believed.")
            .leads("To the payment's page, or the application's."),
        coupons(),
        callback("/api/click/prepare", "clickPrepare", "CLICK asks whether an order may be paid"),
        callback("/api/click/complete", "clickComplete", "CLICK says that an order is paid, or is not"),
        callback("/api/click/pay", "clickPay", "Both of them, told apart by `action`"),
    ]
}

fn creation() -> Route {
    let route =
        order(Route::post("/api/click/create-transaction", "createPayment", "Makes a payment and its link"))
            .header(
                "Idempotency-Key",
                key(),
                "The same key makes the same payment; without one each request makes its own.",
            )
            .takes(JSON, the("NewPayment"))
            .answers(200, "The payment: a link to pay at, or nothing left to pay.", JSON, the("PaymentMade"));
    let refusals = [
        (400, "The amount, the checkout, the key or the body is wrong, or the user has it already."),
        (401, "Nobody is signed in, or the user is not known."),
        (409, "A payment for this checkout is being processed."),
        (413, "The body is too large."),
        (422, "The key was used for another request."),
        (429, "Too many coupon codes were tried."),
    ];
    refusals
        .into_iter()
        .fold(route, |route, (status, what)| route.answers(status, what, JSON, the("PaymentRefusal")))
}

/// An idempotency key where it may be left out.
pub(super) fn key() -> utoipa::openapi::schema::ObjectBuilder {
    text().pattern(Some("^[!-~]{1,255}$"))
}

/// What all but the callbacks answer.
fn order(route: Route) -> Route {
    let route = route.by(Who::Owner).refuses(501, &["not_configured"]);
    let route = if route.path.ends_with("{order}") {
        route.answers(404, "There is no such payment, or it is somebody else's.", JSON, the("PaymentRefusal"))
    } else {
        route
    };
    route.answers(500, "A mistake of ours; the log has it.", JSON, the("PaymentRefusal")).answers(
        503,
        "The ledger did not answer; repeating is safe.",
        JSON,
        the("PaymentRefusal"),
    )
}

fn coupons() -> Route {
    let asked = object()
        .with("code", filled())
        .may("amount", whole().or_null().minimum(Some(1)).about("What it would be taken off, in so'm."));
    let valid = object().with("valid", only(true)).with("coupon", the("Quote")).with("message", text());
    let route = Route::post("/api/coupons/validate", "validateCoupon", "What a coupon would take off")
        .by(Who::Owner)
        .more("Tries are counted for each address and each buyer. A code that is unknown, switched off or used up reads alike.")
        .takes(JSON, asked)
        .answers(200, "What it takes off.", JSON, valid)
        .refuses(501, &["not_configured"]);
    let refusals = [
        (400, "The code is missing, the amount is none, or the body is no JSON object."),
        (404, "There is no such coupon now."),
        (413, "The body is too large."),
        (429, "Too many codes were tried."),
        (500, "A mistake of ours; the log has it."),
        (503, "Coupons cannot be checked right now."),
    ];
    refusals
        .into_iter()
        .fold(route, |route, (status, what)| route.answers(status, what, JSON, the("CouponRefusal")))
}

fn callback(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    Route::post(path, id, summary)
        .more(CALLBACK)
        .may_take(FORM, the("ClickMessage"))
        .answers(200, "CLICK's answer; `error` is 0 for what was done.", JSON, the("ClickAnswer"))
        .refuses(501, &["not_configured"])
        .refuses(503, &["ledger_unavailable"])
}

pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let new = object()
        .may("amount", anything().about("So'm, whole. With a checkout: its price, or nothing."))
        .may(
            "userId",
            anything().about("From a backend: for whom. A browser pays for the user who is signed in."),
        )
        .may("userEmail", anything().about("Where a receipt goes; anything but text counts as absent."))
        .may("couponCode", anything().about("A coupon's code; anything but text counts as absent."))
        .may("checkoutSessionId", text().or_null().about("Which checkout is paid."));
    let applied =
        object().with("code", text()).with("discountAmount", number()).with("discountPercent", whole());
    let applied = applied.or_null();
    let made = object()
        .with("success", only(true))
        .may("isFullDiscount", yes_or_no().about("`true` when nothing is left to pay."))
        .may("paymentUrl", address().about("Where the buyer pays."))
        .may("orderId", text())
        .with("merchantTransId", text().about("What CLICK calls the order."))
        .with("transactionId", text().about("The payment's id."))
        .with("amount", number().about("So'm."))
        .may("message", text())
        .with("appliedCoupon", applied);
    let refusal = object().with("success", only(false)).with("message", text());
    let no_coupon = object().with("valid", only(false)).with("message", text());
    vec![
        ("NewPayment", new.into()),
        ("PaymentMade", made.into()),
        ("PaymentRefusal", refusal.into()),
        ("CouponRefusal", no_coupon.into()),
        ("Quote", quote()),
        ("ClickMessage", message()),
        ("ClickAnswer", answer()),
    ]
}

fn quote() -> Shape {
    let amount = || number().or_null();
    object()
        .with("id", text())
        .with("code", text())
        .with("description", text().or_null())
        .with("discountType", word(&["percentage", "fixed"]))
        .with("discountValue", number())
        .with("originalAmount", amount())
        .with("discountAmount", amount())
        .with("finalAmount", amount())
        .with("discountPercent", whole().or_null())
        .with("isFullDiscount", yes_or_no())
        .into()
}

/// Fields of a form are text; what is wrong is answered with 200 and a code, so that nothing is refused by its shape.
fn message() -> Shape {
    object()
        .may("click_trans_id", text().about("CLICK's number of the attempt."))
        .may("service_id", text())
        .may("click_paydoc_id", text())
        .may("merchant_trans_id", text().about("Our order."))
        .may("merchant_prepare_id", text().about("Our number of the attempt, in a Complete."))
        .may("amount", text().about("So'm, with up to two decimals."))
        .may("action", text().about("`0` Prepare, `1` Complete."))
        .may("error", text())
        .may("error_note", text())
        .may("sign_time", text())
        .may("sign_string", text().about("MD5 over the fields and the secret."))
        .into()
}

fn answer() -> Shape {
    object()
        .may("click_trans_id", whole())
        .may("merchant_trans_id", text())
        .may("merchant_prepare_id", whole())
        .may("merchant_confirm_id", whole())
        .with("error", between(-9, 0))
        .with("error_note", text())
        .into()
}
