//! The switchboard's page: sessions with their buttons, events with every delivery and its answer, calls, switches.

use maud::{Markup, html};
use std::collections::BTreeMap;

use super::Switch;
use super::event::{Answer, Delivery, Event, EventState};
use super::log::{ApiCall, Calls, Fate, Heard};
use super::pages::money;
use super::session::{CheckoutSession, PaymentStatus, SessionStatus};
use crate::page::page;
use crate::switch_form::misbehaving;

/// What the page shows.
pub(crate) struct Board<'a> {
    pub(crate) active: &'a [Switch],
    pub(crate) counts: &'a BTreeMap<&'static str, u64>,
    pub(crate) urls: &'a [String],
    pub(crate) sessions: &'a [CheckoutSession],
    pub(crate) events: &'a [Event],
}

pub(crate) fn board(board: &Board<'_>, calls: &BTreeMap<String, Calls>, log: &[ApiCall]) -> Markup {
    page(
        "Stand-in Stripe",
        "wide",
        &html! {
            h1 { "Stand-in Stripe" }
            @if board.urls.is_empty() {
                p { "Tells nobody yet; send where to " code { "POST /sandbox/stripe/webhook" } "." }
            } @else {
                p { "Tells " @for url in board.urls { code { (url) } " " } }
            }
            h2 { "Checkout Sessions" }
            @if board.sessions.is_empty() { p { "Nobody has bought anything." } }
            @for session in board.sessions { (session_row(session)) }
            h2 { "Events" }
            @if board.events.is_empty() { p { "Nothing has happened." } }
            @for event in board.events { (event_row(event)) }
            (misbehaving(
                "/sandbox/stripe",
                board.active,
                "a route as below, a type of event, a session's id or an event's",
            ))
            h2 { "Calls" }
            div.scroll { table {
                tr { th { "route" } th { "received" } th { "carried out" } th { "replayed" } }
                @for (route, count) in calls {
                    tr {
                        td { code { (route) } } td { (count.received) } td { (count.carried_out) }
                        td { (count.replayed) }
                    }
                }
            } }
            details { summary { "One by one" } div.scroll { table { @for call in log { (call_row(call)) } } } }
            h2 { "So far" }
            table { @for (what, count) in board.counts { tr { td { (what.replace('_', " ")) } td { (count) } } } }
        },
    )
}

/// Why a form of the page got nowhere.
pub(crate) fn refused(why: &str) -> Markup {
    page(
        "Refused (stand-in Stripe)",
        "",
        &html! {
            h1 { "This request was refused" }
            p { (why) "." }
            p { a href="/sandbox/stripe" { "Back" } }
        },
    )
}

fn session_row(session: &CheckoutSession) -> Markup {
    let pending =
        session.status == SessionStatus::Complete && session.payment_status == PaymentStatus::Unpaid;
    let acts: &[(&str, &str)] = match (session.status, session.payment_status) {
        (SessionStatus::Open, _) => &[("pay", "Pay"), ("expire", "Expire")],
        (SessionStatus::Complete, PaymentStatus::Paid) => &[("refund", "Refund"), ("dispute", "Dispute")],
        _ if pending => &[("settle_succeeds", "The money arrives"), ("settle_fails", "The bank refuses")],
        _ => &[],
    };
    html! {
        details {
            summary {
                strong { (session.status) } " · " (payment(session.payment_status)) " · "
                (money(session.amount_total, &session.currency)) " · " code { (short(&session.id)) }
            }
            p.note {
                code { (session.id) }
                @if let Some(reference) = &session.client_reference_id { ", reference " code { (reference) } }
                @if let Some(intent) = &session.payment_intent { ", " code { (intent) } }
            }
            p.note {
                "metadata "
                @for (key, value) in &session.metadata { code { (key) "=" (value) } " " }
            }
            @if session.status == SessionStatus::Open { p { a href=(session.url) { "Payment page" } } }
            @for (act, label) in acts { (act_form(act, &session.id, label)) }
        }
    }
}

fn payment(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Unpaid => "unpaid",
        PaymentStatus::Paid => "paid",
        PaymentStatus::NoPaymentRequired => "no payment required",
    }
}

fn act_form(act: &str, id: &str, label: &str) -> Markup {
    html! {
        form method="post" action="/sandbox/stripe/act" {
            input type="hidden" name="id" value=(id);
            button type="submit" name="act" value=(act) { (label) }
        }
    }
}

fn event_row(event: &Event) -> Markup {
    let state = match event.state {
        EventState::Pending => "pending",
        EventState::Acknowledged => "acknowledged",
        EventState::GivenUp => "given up",
        EventState::Withheld => "withheld",
        EventState::NotSubscribed => "not subscribed",
    };
    html! {
        details {
            summary {
                strong { (event.kind) } " · " (state) " · sent " (event.sent) "× · " code { (short(&event.id)) }
            }
            p.note { code { (event.id) } " of " code { (event.session) } }
            details { summary { "body" } pre { (event.body) } }
            div.scroll { table { @for delivery in &event.deliveries { (delivery_row(delivery)) } } }
            (act_form("deliver_again", &event.id, "Deliver again"))
        }
    }
}

fn delivery_row(delivery: &Delivery) -> Markup {
    html! {
        tr {
            td { (delivery.at_ms) " " code { (delivery.url) } }
            td {
                @match &delivery.answer {
                    Answer::Http { status, body } => { (status) " " code { (body) } }
                    other => { (format!("{other:?}").to_lowercase()) }
                }
            }
        }
    }
}

fn call_row(call: &ApiCall) -> Markup {
    let fate = match (call.fate, call.heard) {
        (Fate::CarriedOut, Heard::Answered) => "carried out",
        (Fate::CarriedOut, Heard::Cut) => "carried out, reply lost",
        (Fate::Replayed, _) => "replayed",
        (Fate::Refused, _) => "refused",
    };
    html! {
        tr {
            td {
                code { (call.route) }
                details {
                    summary { "parameters" }
                    @if let Some(key) = &call.idempotency_key { p.note { "key " code { (key) } } }
                    @for (name, value) in &call.params { code { (name) "=" (value) } " " }
                }
            }
            td { (call.status) " " (fate) }
        }
    }
}

fn short(id: &str) -> String {
    let mut shown: String = id.chars().take(16).collect();
    if shown.len() < id.len() {
        shown.push('…');
    }
    shown
}
