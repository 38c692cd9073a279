//! How a payment goes: waiting for its provider, paid, or not paid and how to try again.
//!
//! The page shows what the ledger says. The script asks until that changes and loads the page anew.

use super::price::price_text;
use super::scripted;
use super::wizard::{Line, Step, Visitor, list, say, steps, with_session};
use maud::{Markup, html};
use sessile_core::payment::{Disposition, ExpireReason, FailReason, Payment, PaymentState};

/// A payment with what it is for.
pub(crate) struct PaymentView<'p> {
    pub(crate) payment: &'p Payment,
    pub(crate) lines: Vec<Line>,
}

/// `/payment/{orderId}`.
pub(crate) fn payment(visitor: &Visitor, view: &PaymentView<'_>) -> Markup {
    let Payment { order, state, checkout, price, .. } = view.payment;
    let (heading, sentence) = words(state);
    let again =
        checkout.as_ref().map_or_else(|| "/add".to_owned(), |id| with_session("/checkout", id.as_str()));
    scripted(
        heading,
        &visitor.corner(),
        &html! {
            div data-page="payment" data-order=(order.as_str()) data-status=(state.name()) {
                (steps(Step::Payment, None))
                section.card aria-labelledby="outcome" {
                    div.outcome.(state.name()) {
                        span.sign aria-hidden="true" {}
                        h1 #outcome { (heading) }
                    }
                    p { (sentence) }
                    (say())
                    @if !view.lines.is_empty() { (list(&view.lines, None)) }
                    dl.total { div {
                        dt { @if state.is_completed() { "Paid" } @else { "To pay" } }
                        dd { (price_text(price.payable(), price.currency)) }
                    } }
                    p.soft.small { "Order " code { (order.as_str()) } }
                    div.actions { (ways_on(state, &again)) }
                }
            }
        },
    )
}

fn ways_on(state: &PaymentState, again: &str) -> Markup {
    html! {
        @match state {
            PaymentState::Completed { .. } => a.button.main href="/dashboard" { "Go to your dashboard" },
            PaymentState::Pending => a.button href=(again) { "Back to the checkout" },
            PaymentState::Processing { .. } => a.button href="/dashboard" { "Go to your dashboard" },
            PaymentState::Failed { .. } | PaymentState::Expired { .. } => {
                a.button.main href=(again) { "Try again" }
                a.button href="/dashboard" { "Go to your dashboard" }
            },
        }
    }
}

/// Heading and sentence for every state.
fn words(state: &PaymentState) -> (&'static str, &'static str) {
    use PaymentState as S;
    match state {
        S::Pending => (
            "Waiting for your payment",
            "CLICK has not told us of a payment yet. If you have paid, this page shows it within moments. If you have \
             not, nothing was taken, and you can go back and pay.",
        ),
        S::Processing { .. } => (
            "CLICK is working on it",
            "This takes a few seconds as a rule. You can close this page: the outcome is kept.",
        ),
        S::Completed { disposition: Disposition::Refunded { .. }, .. } => (
            "Your money goes back",
            "This order was paid for or changed in the meantime. What you paid is returned to your card.",
        ),
        S::Completed { .. } => ("Paid. Thank you!", "Your order is complete."),
        S::Failed { reason: FailReason::ProviderCancelled, .. } => (
            "The payment was cancelled",
            "CLICK cancelled it, at your wish or because the card was refused. Your order is still here.",
        ),
        S::Failed { reason: FailReason::Reconciled, .. } => {
            ("The payment did not go through", "CLICK knows of no money for it. Your order is still here.")
        }
        S::Failed { .. } => ("The payment was cancelled", "Nothing was taken. Your order is still here."),
        S::Expired { reason: ExpireReason::Superseded | ExpireReason::CheckoutEnded, .. } => (
            "This payment is out of date",
            "Your order changed after it was begun. Nothing was taken; pay for the order as it is now.",
        ),
        S::Expired { .. } => (
            "The time to pay is over",
            "Nobody paid in time, and nothing was taken. You can begin another payment.",
        ),
    }
}
