//! The wizard's third page: what is bought at which price, and the way to pay; or why there is nothing to pay for.

use super::price::{price_text, unit};
use super::scripted;
use super::wizard::{Line, Step, Visitor, list, needs_script, say, steps, with_session};
use maud::{Markup, html};
use sessile_core::checkout::{Checkout, Invalid};
use sessile_core::money::Price;
use sessile_core::payment::CODE_CHARS_MAX;

/// A checkout that can be paid for, or is being paid for.
pub(crate) struct Summary<'s> {
    pub(crate) checkout: &'s Checkout,
    pub(crate) lines: Vec<Line>,
    pub(crate) price: Price,
    /// Where whoever pays is written to, as far as that is known.
    pub(crate) email: Option<String>,
    /// The payment that its provider has, if there is one.
    pub(crate) under_way: Option<String>,
    /// What is missing to pay at all.
    pub(crate) cannot_pay: Option<&'s str>,
}

/// `/checkout?sessionId=…`.
pub(crate) fn checkout(visitor: &Visitor, view: &Summary<'_>) -> Markup {
    let id = view.checkout.id.as_str();
    scripted(
        "Checkout",
        &visitor.corner(),
        &html! {
            div data-page="checkout" data-session=(id) data-choice=(view.checkout.choice)
                data-price=(view.price.payable().get()) data-amount=[whole(view.price)] data-unit=(unit(view.price.currency))
                data-user=[&visitor.user] data-email=[&view.email] data-sign-in=(visitor.sign_in) {
                (steps(Step::Checkout, Some(id)))
                section.card aria-labelledby="order" {
                    h1 #order { "Your order" }
                    (list(&view.lines, Some(view.price)))
                    (total(view.price))
                }
                section.card aria-labelledby="pay" { (pay(visitor, view, id)) }
            }
        },
    )
}

/// Whole major units, as the payment route takes them; without it the checkout's own price counts.
fn whole(price: Price) -> Option<i64> {
    let whole = price.original.whole();
    (sessile_core::money::Minor::from_major(whole) == Some(price.original)).then_some(whole)
}

fn total(price: Price) -> Markup {
    let discounted = !price.discount.is_zero();
    html! {
        dl.total {
            div data-discounted hidden[!discounted] {
                dt { "Discount" }
                dd { "−" span data-discount { (price_text(price.discount, price.currency)) } }
            }
            div { dt { "Total" } dd data-total { (price_text(price.payable(), price.currency)) } }
        }
    }
}

fn pay(visitor: &Visitor, view: &Summary<'_>, id: &str) -> Markup {
    let back = with_session("/packages", id);
    let free = view.price.payable().is_zero();
    html! {
        h2 #pay { "Payment" }
        @if let Some(order) = &view.under_way {
            p { "CLICK is working on a payment for this order. Wait for its outcome before you change anything." }
            div.actions { a.button.main href={ "/payment/" (order) } { "See the payment" } }
        } @else {
            (needs_script())
            @if let Some(why) = view.cannot_pay {
                p.notice { "Paying is not set up on this server. " (why) }
            } @else {
                p.soft data-to-pay hidden[free] { "You pay on CLICK's own page and come back here." }
                p.soft data-free hidden[!free] { "Nothing is left to pay." }
            }
            form.wizard data-form novalidate {
                @if view.checkout.coupon.is_none() { (coupon()) }
                (say())
                div.actions {
                    @if visitor.user.is_some() {
                        button.main type="submit" disabled { (pay_label(view)) }
                    } @else {
                        a.button.main href=(visitor.sign_in) { "Sign in to pay" }
                    }
                    a.button href=(back) { "Back to packages" }
                }
                @if visitor.user.is_none() { p.soft.small { "Your order is kept while you sign in." } }
            }
        }
    }
}

/// One element, so that the words keep their blanks.
fn pay_label(view: &Summary<'_>) -> Markup {
    let free = view.price.payable().is_zero();
    html! {
        span data-to-pay hidden[free] {
            "Pay " span data-total { (price_text(view.price.payable(), view.price.currency)) }
        }
        span data-free hidden[!free] { "Complete the order" }
    }
}

fn coupon() -> Markup {
    html! {
        div.field.coupon {
            label for="coupon" { "Coupon" span.soft { " (if you have one)" } }
            div.together {
                input #coupon name="coupon" type="text" maxlength=(CODE_CHARS_MAX) autocomplete="off" autocapitalize="characters"
                    spellcheck="false" aria-describedby="coupon-says";
                button type="button" data-apply { "Apply" }
            }
            p.small #coupon-says role="status" aria-live="polite" data-coupon-says {}
        }
    }
}

/// Why there is nothing to pay for.
pub(crate) enum Gone<'g> {
    /// The address names no checkout.
    Unnamed,
    /// This one cannot be paid for.
    Invalid(&'g str, Invalid),
}

/// The checkout that was asked for is not there any more. The script brings the visitor on: to the dashboard, to the
/// checkout that takes its place, or to the first step.
pub(crate) fn gone(visitor: &Visitor, why: &Gone<'_>) -> Markup {
    let (session, reason, heading, sentence) = match why {
        Gone::Unnamed => (None, "missing", "Nothing to pay for yet", "Choose your tracks first."),
        Gone::Invalid(id, Invalid::AlreadyUsed) => {
            (Some(*id), "already_used", "Already paid", "This order is complete. Your dashboard shows it.")
        }
        Gone::Invalid(id, Invalid::NoLongerValid | Invalid::Expired) => {
            (Some(*id), "expired", "One moment", "Your order is being picked up where you left it.")
        }
        Gone::Invalid(id, Invalid::NotFound) => {
            (Some(*id), "session_not_found", "One moment", "Looking for your order.")
        }
    };
    let on = if reason == "already_used" {
        ("/dashboard", "Go to your dashboard")
    } else {
        ("/add", "Start again")
    };
    scripted(
        heading,
        &visitor.corner(),
        &html! {
            div data-page="gone" data-session=[session] data-user=[&visitor.user] data-reason=(reason) {
                (steps(Step::Checkout, None))
                section.card {
                    h1 data-heading { (heading) }
                    p.soft data-sentence { (sentence) }
                    (say())
                    div.actions { a.button.main href=(on.0) { (on.1) } }
                }
            }
        },
    )
}
