//! The stand-in's pages: pay, outcome, closed window, and the switchboard.

use maud::{Markup, html};
use std::collections::BTreeMap;

use super::attempt::{Attempt, AttemptState, Payment};
use super::config::{Callbacks, ClickConfig};
use super::exchange::{Exchange, Reply};
use super::misbehaviour::Misbehaviour;
use super::pay_page::PayLink;
use super::sign;
use super::switch::{Lasts, Switch};
use crate::page::page;

const MADE_UP: &str = "This is a stand-in on your own machine. No real money moves.";

/// The buyer's choice. `prepared`: the merchant has agreed and the buyer has not confirmed.
pub(crate) fn pay(config: &ClickConfig, link: &PayLink, prepared: bool) -> Markup {
    page(
        "Pay (stand-in Click)",
        "",
        &html! {
            h1 { (config.merchant_name) }
            p.note { "Order " code { (link.transaction_param) } }
            p.sum { (link.amount) " so'm" }
            @if prepared { p { "The shop is waiting for your confirmation. Nothing is debited yet." } }
            form method="post" action="/sandbox/click/services/pay" {
                @for (name, value) in link.fields() { input type="hidden" name=(name) value=(value); }
                button.main type="submit" name="decision" value="pay" {
                    @if prepared { "Confirm and pay" } @else { "Pay" }
                }
                button.quiet type="submit" name="decision" value="cancel" { "Cancel" }
                button.quiet type="submit" name="decision" value="close" { "Close window" }
                details {
                    summary { "More" }
                    @if !prepared {
                        button type="submit" name="decision" value="prepare" { "Enter the card, do not confirm yet" }
                    }
                    button type="submit" name="decision" value="fail" { "The bank refuses the card" }
                }
            }
            p.note { (MADE_UP) }
        },
    )
}

/// The buyer is gone and nobody is told.
pub(crate) fn closed() -> Markup {
    page(
        "Closed (stand-in Click)",
        "",
        &html! {
            h1 { "The window is closed" }
            p { "The buyer is gone. Nothing was sent to the shop and nobody was sent back." }
        },
    )
}

/// How a payment ended that does not lead straight back.
pub(crate) fn outcome(attempt: Option<&Attempt>, link: &PayLink) -> Markup {
    page(
        "Payment (stand-in Click)",
        "",
        &html! {
            h1 { (attempt.map_or("Nothing was paid", headline)) }
            @if let Some(attempt) = attempt {
                p { (explanation(attempt)) }
                p.note { "Payment " code { (attempt.click_paydoc_id) } }
            }
            @if let Some(back) = link.back(attempt) { p { a href=(back) { "Back to the shop" } } }
            p.note { (MADE_UP) }
        },
    )
}

fn headline(attempt: &Attempt) -> &'static str {
    match attempt.state {
        AttemptState::Successful => "Paid",
        AttemptState::Refused => "The shop did not accept this payment",
        AttemptState::Returned => "The money was returned",
        AttemptState::Cancelled => "Cancelled",
        AttemptState::Reversed => "Reversed",
        AttemptState::Hanging => "The payment needs a look by support",
        AttemptState::Created | AttemptState::Prepared | AttemptState::Debited => "The payment is under way",
    }
}

fn explanation(attempt: &Attempt) -> String {
    let reason = match attempt.refusal {
        Some(-1) => "the shop could not check the signature",
        Some(-2) => "the amount is not the order's",
        Some(-4) => "the order is already paid",
        Some(-5) => "the shop does not know this order",
        Some(-8) => "the shop did not understand the request",
        Some(-9) => "the order is cancelled, expired or being paid elsewhere",
        Some(_) => "the shop refused",
        None => return attempt.note.clone(),
    };
    let code = attempt.refusal.unwrap_or_default();
    format!("Nothing was debited: {reason} ({code} {}).", attempt.note)
}

/// Why a pay link, or a switch, got nowhere.
pub(crate) fn refused_link(why: &str) -> Markup {
    page(
        "Refused (stand-in Click)",
        "",
        &html! {
            h1 { "This request was refused" }
            p { (why) "." }
            p.note {
                "Compare the application's CLICK_SERVICE_ID, CLICK_MERCHANT_ID and CLICK_PAY_URL with what is "
                "registered here."
            }
        },
    )
}

/// What is switched on and what has happened.
pub(crate) fn status(
    active: &[Switch],
    counts: &BTreeMap<&'static str, u64>,
    callbacks: &[Callbacks],
    payments: &[Payment],
) -> Markup {
    page(
        "Stand-in Click",
        "wide",
        &html! {
            h1 { "Stand-in Click" }
            p { "Calls:" }
            @if callbacks.is_empty() { p { "nobody yet; send a list to " code { "POST /sandbox/click/callbacks" } } }
            ul { @for pair in callbacks { li { code { (pair.prepare_url) } " " code { (pair.complete_url) } } } }
            h2 { "Payments" }
            @if payments.is_empty() { p { "Nobody has paid anything." } }
            @for payment in payments { (order(payment)) }
            h2 { "Misbehaving" }
            @if active.is_empty() { p { "Nothing is switched on." } }
            table { @for switch in active { (switched(switch)) } }
            (form())
            h2 { "So far" }
            table { @for (what, count) in counts { tr { td { (what.replace('_', " ")) } td { (count) } } } }
        },
    )
}

fn switched(switch: &Switch) -> Markup {
    html! {
        tr {
            td {
                code { (switch.kind.name()) }
                @if let Some(step) = switch.on { " on " (step.name()) }
                @if let Some(order) = &switch.order { " for " code { (order) } }
            }
            td {
                @match switch.lasts { Lasts::Times(left) => { (left) " more" } Lasts::Standing => { "standing" } }
            }
        }
    }
}

fn form() -> Markup {
    let fields = [
        ("lasts", "times, or standing"),
        ("order", "order"),
        ("on", "prepare or complete"),
        ("copies", "copies"),
        ("connections", "connections"),
        ("delay_ms", "delay, ms"),
        ("error", "error"),
        ("amount", "amount"),
    ];
    html! {
        form method="post" action="/sandbox/click/switch" {
            div.fields {
                label {
                    "misbehaviour"
                    select name="kind" {
                        @for kind in Misbehaviour::ALL { option value=(kind.name()) { (kind.name()) } }
                    }
                }
                @for (name, label) in fields { label { (label) input name=(name) autocomplete="off"; } }
            }
            button type="submit" { "Switch on (empty fields keep their defaults)" }
        }
        form method="post" action="/sandbox/click/clear" { button.quiet type="submit" { "Good manners again" } }
        p.note {
            "Or send a list to " code { "POST /sandbox/click/misbehave" } ", for instance "
            code { "[\"bad_signature\", {\"kind\": \"repeat\", \"copies\": 5, \"connections\": 5}]" } "."
        }
    }
}

fn order(payment: &Payment) -> Markup {
    html! {
        @for attempt in payment.attempts.iter().rev() {
            details {
                summary {
                    code { (attempt.order) } " · " (attempt.amount) " so'm · " strong { (attempt.state.name()) }
                }
                p.note {
                    "payment " code { (attempt.click_paydoc_id) } ", attempt " code { (attempt.click_trans_id) }
                    ", debited " (attempt.debited_tiyin) " tiyin, returned " (attempt.returned_tiyin)
                    ", answered 0 " (attempt.confirmed) "×, -4 " (attempt.already_paid) "×"
                    @if !attempt.note.is_empty() { ". " (attempt.note) }
                }
                div.scroll { table {
                    @for exchange in &attempt.messages { (message(exchange)) }
                    @if attempt.messages_omitted > 0 { tr { td { (attempt.messages_omitted) " more" } } }
                } }
            }
        }
    }
}

fn message(exchange: &Exchange) -> Markup {
    html! {
        tr {
            td {
                (sign::sign_time(exchange.at_ms)) " " strong { (exchange.step.name()) }
                details {
                    summary { "fields" }
                    @for (name, value) in &exchange.fields { code { (name) "=" (value) } " " }
                }
                @for complaint in &exchange.complaints { p.note { "⚠ " (complaint) } }
            }
            td {
                @match &exchange.reply {
                    Reply::Answered { status, body, .. } => { (status) " " code { (body) } }
                    Reply::Unanswered(why) => { (format!("{why:?}").to_lowercase()) }
                }
                @if exchange.lost { " (lost)" }
            }
        }
    }
}
