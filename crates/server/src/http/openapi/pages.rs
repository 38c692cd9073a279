//! The pages for people. They only show; what they change, they change through the routes above.

use super::route::{JSON, Route, Who};
use super::schema::{Said as _, count, object, text};

pub(super) const TAG: (&str, &str) = ("Pages", "What people see. The operator's dashboard is at `/admin`.");

pub(super) fn routes() -> Vec<Route> {
    let session = || text();
    let ordering = |path, id, summary| {
        Route::get(path, id, summary)
            .by(Who::Visitor)
            .more("Served where something is sold.")
            .shows(200, "The page.")
            .shows(404, "Nothing is sold here.")
            .shows(503, "A store is away.")
            .refuses(404, &["route_not_found"])
    };
    let about = |route: Route| route.query("sessionId", session(), "Which checkout.");
    let price = object().with("amount", count()).with("currency", text()).with("text", text());
    vec![
        Route::get("/", "landing", "The landing page").by(Who::Visitor).shows(200, "The page."),
        Route::get("/dashboard", "dashboard", "What is the signed-in user's")
            .by(Who::Visitor)
            .shows(200, "The page.")
            .leads("To the sign-in, for whoever is not signed in.")
            .shows(503, "A store is away."),
        about(ordering("/add", "addPage", "The wizard: tracks")),
        about(ordering("/packages", "packagesPage", "The wizard: packages")),
        ordering("/packages/price", "price", "What packages cost together")
            .query("package", text(), "A package's id; named again for each one.")
            .answers(200, "The sum.", JSON, price)
            .answers(
                400,
                "There is no such package, or too many are named.",
                JSON,
                object().with("error", text()),
            ),
        about(ordering("/checkout", "checkoutPage", "The wizard: what is to be paid").by(Who::Owner)),
        ordering("/payment/{order}", "paymentPage", "How a payment is, for its owner")
            .by(Who::Owner)
            .leads("To the sign-in, for whoever is not signed in."),
        Route::get("/en/tool/veo3-prompt-generator", "promptPage", "Where a prompt is written")
            .by(Who::Visitor)
            .shows(200, "The page.")
            .shows(501, "What is to be configured."),
        Route::get("/en/payment-success/{id}", "videosPage", "Where videos appear")
            .by(Who::Visitor)
            .shows(200, "The page.")
            .shows(501, "What is to be configured.")
            .shows(503, "The store is away."),
        Route::get("/whatsapp", "devicePage", "Where a device is paired")
            .by(Who::Visitor)
            .shows(200, "The page.")
            .shows(501, "What is to be configured."),
    ]
}
