//! The buyer's pages: pay, already done, expired, gone.

use maud::{Markup, html};

use super::session::{BUYER, CheckoutSession};
use crate::page::page;

const MADE_UP: &str = "This is a stand-in on your own machine. No real money moves.";

/// `2.99 USD`; currencies without a minor unit have none.
pub(crate) fn money(amount: i64, currency: &str) -> String {
    let whole = ["bif", "clp", "jpy", "krw", "pyg", "ugx", "vnd", "xaf", "xof"].contains(&currency);
    let currency = currency.to_uppercase();
    if whole {
        format!("{amount} {currency}")
    } else {
        format!("{}.{:02} {currency}", amount / 100, amount % 100)
    }
}

/// What is bought, and how to pay for it. `problem`: why the last try came to nothing.
pub(crate) fn pay(account: &str, session: &CheckoutSession, problem: Option<&str>) -> Markup {
    let free = session.amount_total == 0;
    page(
        "Pay (stand-in Stripe)",
        "",
        &html! {
            h1 { (account) }
            p.sum { (money(session.amount_total, &session.currency)) }
            table {
                @for item in &session.line_items {
                    tr {
                        td { (item.price.product_name) " × " (item.quantity) }
                        td { (money(item.amount(), &session.currency)) }
                    }
                }
            }
            @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
            form method="post" {
                div.fields {
                    label {
                        "Email"
                        input type="email" name="email" autocomplete="email"
                            value=(session.email.as_deref().unwrap_or(BUYER));
                    }
                }
                @if free {
                    button.main type="submit" name="method" value="free" { "Complete order" }
                } @else {
                    (card())
                    button.main type="submit" name="method" value="card" {
                        "Pay " (money(session.amount_total, &session.currency))
                    }
                    button type="submit" name="method" value="bank" formnovalidate {
                        "Pay by bank debit (arrives later)"
                    }
                }
            }
            @if let Some(back) = &session.cancel_url { p { a href=(back) { "← Back to " (account) } } }
            p.note {
                code { "4242 4242 4242 4242" } " pays, " code { "4000 0000 0000 0002" } " is declined, "
                code { "4000 0000 0000 9995" } " has no funds. " (MADE_UP)
            }
        },
    )
}

fn card() -> Markup {
    html! {
        div.fields {
            label.wide {
                "Card number"
                input name="number" inputmode="numeric" autocomplete="cc-number" placeholder="4242 4242 4242 4242"
                    maxlength="23";
            }
            label {
                "Expires"
                input name="expiry" inputmode="numeric" autocomplete="cc-exp" placeholder="12 / 34" maxlength="7";
            }
            label {
                "CVC"
                input name="cvc" inputmode="numeric" autocomplete="cc-csc" placeholder="123" maxlength="4";
            }
            label.wide { "Name on card" input name="name" autocomplete="cc-name" maxlength="100"; }
        }
    }
}

/// The buyer came back to a page that is done with.
pub(crate) fn done(session: &CheckoutSession) -> Markup {
    page(
        "Done (stand-in Stripe)",
        "",
        &html! {
            h1 { "You're all done here" }
            p { "This checkout is complete. You have not been charged again." }
            p { a href=(session.success_redirect()) { "Go on" } }
            p.note { (MADE_UP) }
        },
    )
}

/// Nobody can pay this any more.
pub(crate) fn expired(session: &CheckoutSession) -> Markup {
    page(
        "Expired (stand-in Stripe)",
        "",
        &html! {
            h1 { "This page has expired" }
            p { "Nothing was charged. Start again from the shop." }
            @if let Some(back) = &session.cancel_url { p { a href=(back) { "Back to the shop" } } }
            p.note { (MADE_UP) }
        },
    )
}

/// No such session.
pub(crate) fn gone() -> Markup {
    page(
        "Not found (stand-in Stripe)",
        "",
        &html! {
            h1 { "Something went wrong" }
            p { "The page you were looking for could not be found. Start again from the shop." }
            p.note { "The stand-in keeps its sessions in memory and forgets them when it stops." }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::money;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(money(299, "usd"), "2.99 USD");
        assert_eq!(money(5, "eur"), "0.05 EUR");
        assert_eq!(money(500, "jpy"), "500 JPY");
    }
}
