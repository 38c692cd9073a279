//! Which endpoint of the API a request means.

use axum::http::Method;

/// An endpoint with the id in its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    CreateSession,
    ListSessions,
    RetrieveSession(String),
    LineItems(String),
    ExpireSession(String),
    CreateRefund,
    ListRefunds,
    RetrieveRefund(String),
    ListPrices,
    RetrievePrice(String),
    RetrieveIntent(String),
    ListEvents,
    RetrieveEvent(String),
}

impl Route {
    /// `path` is what follows `/v1/`.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let post = method == Method::POST;
        if !post && method != Method::GET {
            return None;
        }
        Some(match (post, segments.as_slice()) {
            (true, ["checkout", "sessions"]) => Self::CreateSession,
            (false, ["checkout", "sessions"]) => Self::ListSessions,
            (false, ["checkout", "sessions", id]) => Self::RetrieveSession((*id).to_owned()),
            (false, ["checkout", "sessions", id, "line_items"]) => Self::LineItems((*id).to_owned()),
            (true, ["checkout", "sessions", id, "expire"]) => Self::ExpireSession((*id).to_owned()),
            (true, ["refunds"]) => Self::CreateRefund,
            (false, ["refunds"]) => Self::ListRefunds,
            (false, ["refunds", id]) => Self::RetrieveRefund((*id).to_owned()),
            (false, ["prices"]) => Self::ListPrices,
            (false, ["prices", id]) => Self::RetrievePrice((*id).to_owned()),
            (false, ["payment_intents", id]) => Self::RetrieveIntent((*id).to_owned()),
            (false, ["events"]) => Self::ListEvents,
            (false, ["events", id]) => Self::RetrieveEvent((*id).to_owned()),
            _ => return None,
        })
    }

    /// Its name in counts, in the log and as the label of a switch.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::CreateSession => "POST /v1/checkout/sessions",
            Self::ListSessions => "GET /v1/checkout/sessions",
            Self::RetrieveSession(_) => "GET /v1/checkout/sessions/{id}",
            Self::LineItems(_) => "GET /v1/checkout/sessions/{id}/line_items",
            Self::ExpireSession(_) => "POST /v1/checkout/sessions/{id}/expire",
            Self::CreateRefund => "POST /v1/refunds",
            Self::ListRefunds => "GET /v1/refunds",
            Self::RetrieveRefund(_) => "GET /v1/refunds/{id}",
            Self::ListPrices => "GET /v1/prices",
            Self::RetrievePrice(_) => "GET /v1/prices/{id}",
            Self::RetrieveIntent(_) => "GET /v1/payment_intents/{id}",
            Self::ListEvents => "GET /v1/events",
            Self::RetrieveEvent(_) => "GET /v1/events/{id}",
        }
    }
}
