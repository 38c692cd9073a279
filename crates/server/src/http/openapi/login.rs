//! Signing in and out, and where somebody is signed in.

use super::route::{JSON, Route, Who};
use super::schema::{Said as _, Shape, count, list, moment, object, text, the, yes_or_no};

pub(super) const TAG: (&str, &str) =
    ("Login", "Signing in with Whop or OpenID Connect, signing out, and the list of devices.");

const RETURN_TO: &str = "A path of this server to come back to; anything else leads to the dashboard.";
const PAGE: &str = "Who asks for `text/html` is sent on or shown a page in place of JSON.";

/// Why nobody was signed in, by status.
const FAILURES: [(u16, &[&str]); 3] = [
    (400, &["missing_code", "invalid_state"]),
    (500, &["OAuth not configured", "invalid_user_data", "session_save_failed", "oauth_failed"]),
    (502, &["token_exchange_failed"]),
];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        begin("/auth/whop", "signInWithWhop", "Begins a sign-in with Whop"),
        callback("/auth/whop/callback", "whopCallback"),
        callback("/api/whop/callback", "whopCallbackToo"),
        begin("/auth/oidc", "signInWithOidc", "Begins a sign-in with the OpenID Connect provider"),
        callback("/auth/oidc/callback", "oidcCallback"),
        Route::get("/logout", "logOutByLink", "Signs out, for links on our own pages")
            .by(Who::Visitor)
            .more("Followed from another site it asks first.")
            .leads("Signed out; the landing page.")
            .shows(200, "A question, when the link stands on another site."),
        Route::post("/logout", "logOut", "Signs out").by(Who::Visitor).leads("Signed out; the landing page."),
        Route::get("/api/me", "me", "Who is signed in")
            .by(Who::SignedIn)
            .more(PAGE)
            .answers(200, "The user.", JSON, the("Me"))
            .leads("To the sign-in, for pages.")
            .refuses(503, &["users_unavailable"]),
    ];
    routes.extend(devices());
    routes
}

fn devices() -> Vec<Route> {
    let revoked = |route: Route| {
        route
            .by(Who::SignedIn)
            .more(PAGE)
            .answers_nothing(204, "Signed out there.")
            .leads("To the dashboard or the landing page, for pages.")
            .refuses(404, &["device_not_found"])
    };
    let devices = object().with("sessions", list(the("Device")));
    let gone = object().with("revoked", count());
    vec![
        Route::get("/api/sessions", "listDevices", "Where the user is signed in").by(Who::SignedIn).answers(
            200,
            "The devices.",
            JSON,
            devices,
        ),
        revoked(Route::delete("/api/sessions/{handle}", "revokeDevice", "Signs out one device")),
        revoked(Route::post("/api/sessions/{handle}/revoke", "revokeDeviceByForm", "The same, for forms")),
        Route::post("/api/sessions/revoke-others", "revokeOtherDevices", "Signs out every other device")
            .by(Who::SignedIn)
            .more(PAGE)
            .answers(200, "How many were signed out.", JSON, gone)
            .leads("To the dashboard or the landing page, for pages."),
    ]
}

fn begin(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    let route = Route::get(path, id, summary)
        .by(Who::Visitor)
        .query("returnTo", text(), RETURN_TO)
        .leads("To the provider.")
        .shows(501, "What is to be configured, for pages.")
        .refuses(501, &["not_configured"]);
    failing(route, &[500, 502])
}

fn callback(path: &'static str, id: &'static str) -> Route {
    let route = Route::get(path, id, "The browser comes back from the provider")
        .by(Who::Visitor)
        .query("code", text(), "What the provider gives for the user's identity.")
        .query("state", text(), "What the sign-in began with.")
        .query("error", text(), "The provider's refusal.")
        .leads("Signed in, with a new session id; the dashboard, or where the sign-in was asked to lead.");
    failing(route, &[400, 500, 502])
}

fn failing(route: Route, statuses: &[u16]) -> Route {
    FAILURES.iter().filter(|(status, _)| statuses.contains(status)).fold(route, |route, (status, codes)| {
        let failure = object().with("error", text().about(&format!("Such as `{}`.", codes.join("`, `"))));
        route
            .answers(*status, "Nobody was signed in; a page says so to people.", JSON, failure)
            .shows(*status, "")
    })
}

pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let me = object()
        .with("id", text())
        .with("whopUserId", text().or_null())
        .with("email", text().or_null())
        .with("createdAt", moment().or_null());
    let device = object()
        .with("handle", text().about("Names the session to those who may end it."))
        .with("thisDevice", yes_or_no())
        .with("createdAt", moment().or_null())
        .with("lastSeen", moment())
        .with("expiresAt", moment())
        .with("agent", text().or_null())
        .with("address", text().or_null().about("The coarse network address at sign-in."));
    vec![("Me", me.into()), ("Device", device.into())]
}
