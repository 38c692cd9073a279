//! A WhatsApp device: paired, watched, asked to send.

use super::payment::key;
use super::route::{JSON, Route, Who};
use super::schema::{
    Said as _, Shape, anything, between, both, count, event, filled, list, moment, object, only, text, the,
    word, yes_or_no,
};
use utoipa::openapi::RefOr;

pub(super) const TAG: (&str, &str) = (
    "WhatsApp",
    "Devices, for trusted backends and the operator; in development also for whoever is on this machine.",
);

const CLIENT_ID: &str = "Which device: 1 to 64 letters, digits, `.`, `_` or `-`, not beginning with a dot. The usual one without it.";
const STATES: [&str; 14] = [
    "disconnected",
    "loading",
    "qr_ready",
    "qr_error",
    "authenticated",
    "ready",
    "reconnecting",
    "auth_failure",
    "max_reconnect_exceeded",
    "passkey_required",
    "replaced",
    "logged_out",
    "degraded_storage",
    "error",
];

/// What can become of a request to a device.
const REFUSALS: [(u16, &str); 3] = [
    (401, "Who asks is not known."),
    (500, "What is stored cannot be used; `sessile inspect` says what to do."),
    (503, "The device, its store or this process is not ready; `Retry-After` says when to ask again."),
];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = looking();
    routes.extend(doing());
    routes.extend(tidying());
    routes
}

fn device(route: Route) -> Route {
    let route = route.by(Who::Devices).refuses(501, &["not_configured"]).query(
        "clientId",
        text().pattern(Some("^([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})?$")),
        CLIENT_ID,
    );
    refusing(refusing(route, &REFUSALS), &[(400, "The client id, or the body, is wrong.")])
}

fn refusing(route: Route, refusals: &[(u16, &'static str)]) -> Route {
    refusals
        .iter()
        .fold(route, |route, (status, what)| route.answers(*status, *what, JSON, the("DeviceRefusal")))
}

fn done(data: impl Into<Shape>) -> Shape {
    object().with("success", only(true)).with("data", data).with("message", text()).into()
}

fn state() -> utoipa::openapi::schema::ObjectBuilder {
    object().with("connectionStatus", word(&STATES)).with("timestamp", moment())
}

fn looking() -> Vec<Route> {
    let health = state()
        .with("service", only("whatsapp"))
        .with("status", word(&["healthy", "unhealthy"]))
        .with("isReady", yes_or_no())
        .with("uptime", anything().about("Seconds that it has been connected."));
    let forms = word(&["png", "svg", "text", "json"]);
    let code = state().with("qrCode", text().or_null().about("A picture as a data URL."));
    let qr = device(Route::get("/api/whatsapp/qr", "deviceQr", "The code to scan"))
        .more("Starts a device that nobody has stopped, and waits a moment for its first code.")
        .query("format", forms, "A picture or text in place of JSON; `Accept` is heeded too.")
        .answers(200, "The code, or that the device is connected already.", JSON, done(code))
        .answers(200, "", "image/png", text())
        .answers(200, "", "image/svg+xml", text())
        .answers(200, "", "text/plain; charset=utf-8", text());
    vec![
        device(Route::get("/api/whatsapp/status", "deviceStatus", "How a device is")).answers(
            200,
            "How it is.",
            JSON,
            done(the("DeviceStatus")),
        ),
        device(Route::get("/api/whatsapp/health", "deviceHealth", "Whether it can send")).answers(
            200,
            "It can; 503 when it cannot.",
            JSON,
            done(health),
        ),
        device(Route::get("/api/whatsapp/session-info", "deviceInfo", "How it is, and where its keys are"))
            .answers(200, "All of it, without a secret.", JSON, done(info())),
        refusing(
            qr,
            &[(404, "There is no code yet."), (410, "The codes were used up; reconnect for new ones.")],
        ),
        device(Route::get(
            "/api/whatsapp/qr/events",
            "deviceEvents",
            "How it is, its codes and receipts, as server-sent events",
        ))
        .answers(
            200,
            "Events `status` and `receipt`.",
            "text/event-stream; charset=utf-8",
            event(&["status", "receipt"]),
        ),
    ]
}

fn info() -> Shape {
    let file = object()
        .with("name", text())
        .with("size", count())
        .with("modified", moment())
        .with("age", count().about("Seconds."));
    let session = object()
        .with("reconnectAttempts", count())
        .with("maxReconnectAttempts", count())
        .with("sessionPath", text().or_null())
        .with("healthChecksActive", yes_or_no());
    let store = object()
        .with("engine", text())
        .with("mode", anything())
        .with("degraded", yes_or_no())
        .with("lastError", text().or_null())
        .with("epoch", anything())
        .with("version", anything());
    let more = object()
        .with("sessionInfo", session)
        .with("sessionFiles", list(file))
        .with("sessionDirectory", text().or_null())
        .with("sessionDirectoryExists", yes_or_no())
        .with("sessionDirectoryWritable", yes_or_no())
        .with("storage", store);
    RefOr::T(both(the("DeviceStatus"), more))
}

fn doing() -> Vec<Route> {
    let did = || object().with("message", text()).with("timestamp", moment());
    let out = object().with("unlinked", yes_or_no()).with("timestamp", moment());
    let number = || text().about("Digits with the country's code; a JSON number is taken too.");
    let pairing = object().with("code", text()).with("expiresAt", moment()).with("timestamp", moment());
    let pair = device(Route::post("/api/whatsapp/pair-code", "pairByCode", "A code to type into the phone"))
        .takes(JSON, object().with("number", number()))
        .answers(200, "The code.", JSON, done(pairing));
    let wanted = object().with("number", number()).with("message", filled());
    let sent = object()
        .with("messageId", text())
        .with("timestamp", moment())
        .with("to", text())
        .with("message", text());
    let send = device(Route::post("/api/whatsapp/send", "sendMessage", "Sends a text"))
        .header("Idempotency-Key", key(), "A repetition with the same key sends nothing.")
        .takes(JSON, wanted)
        .answers(200, "It is sent, or was sent before.", JSON, done(sent));
    let at_whatsapp = [
        (409, "The device is paired already, or this message is being sent."),
        (413, "The body is too large."),
        (429, "WhatsApp asks for patience."),
        (502, "WhatsApp refused, or the outcome is unknown: repeat with the same key."),
    ];
    vec![
        device(Route::post(
            "/api/whatsapp/reconnect",
            "reconnectDevice",
            "Connects anew; also starts a stopped device",
        ))
        .answers(200, "It is being done.", JSON, done(did())),
        device(Route::post(
            "/api/whatsapp/disconnect",
            "disconnectDevice",
            "Stops a device; its pairing stays",
        ))
        .answers(200, "It is stopped, after a restart too.", JSON, done(did())),
        device(Route::post("/api/whatsapp/logout", "logOutDevice", "Unlinks a device and destroys its keys"))
            .answers(200, "Whether WhatsApp could be told.", JSON, done(out)),
        refusing(pair, &at_whatsapp),
        refusing(refusing(send, &at_whatsapp), &[(422, "The key was used for another message.")]),
    ]
}

fn tidying() -> Vec<Route> {
    let forbidden = [(403, "In development devices are files on somebody's own machine.")];
    let stored = object()
        .with("sessions", list(the("StoredDevice")))
        .with("count", count())
        .with("timestamp", moment());
    let files = object()
        .with("deletedSessions", count())
        .with("deletedCorruptedFiles", count())
        .with("deletedCount", count())
        .with("timestamp", moment());
    let old = object().with("deletedCount", count()).with("daysOld", count()).with("timestamp", moment());
    let days = object().may("daysOld", between(1, 3650).or_null().about("30 unless it is said."));
    let sessions = device(Route::get(
        "/api/whatsapp/sessions",
        "listStoredDevices",
        "Every stored device, without its secrets",
    ))
    .answers(200, "The devices.", JSON, done(stored));
    let unused = device(Route::post(
        "/api/whatsapp/cleanup-old-sessions",
        "removeOldDevices",
        "Removes devices that nobody has used",
    ))
    .may_take(JSON, days)
    .answers(200, "How many.", JSON, done(old));
    vec![
        refusing(sessions, &forbidden),
        device(Route::post(
            "/api/whatsapp/cleanup-sessions",
            "removeDeviceFiles",
            "Removes files that are old or damaged",
        ))
        .answers(200, "How many.", JSON, done(files)),
        refusing(refusing(unused, &forbidden), &[(413, "The body is too large.")]),
    ]
}

pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
    let status = state().with("isReady", yes_or_no()).with("clientId", text());
    let stored = object()
        .with("clientId", text())
        .with("isActive", yes_or_no())
        .with("wanted", word(&["running", "stopped"]))
        .with("isHeld", yes_or_no().about("Whether a process holds it now."))
        .with("movedTo", text().or_null())
        .with("epoch", count())
        .with("version", count())
        .with("createdAt", moment())
        .with("updatedAt", moment());
    let refusal = object()
        .with("success", only(false))
        .with("error", text().about("What."))
        .may("data", object().about("What is known all the same."))
        .with("message", text().about("Why, and what to do."))
        .with("timestamp", moment());
    vec![("DeviceStatus", status.into()), ("StoredDevice", stored.into()), ("DeviceRefusal", refusal.into())]
}
