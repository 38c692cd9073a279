//! The dashboard's section of what was bought, and the order that waits to be paid for.

use super::moment;
use super::price::price_text;
use super::wizard::with_session;
use maud::{Markup, html};
use sessile_core::Timestamp;
use sessile_core::money::Price;

/// One thing that was paid for.
pub(crate) struct Purchase {
    pub(crate) order: String,
    /// What it was, in words.
    pub(crate) what: String,
    pub(crate) price: Price,
    pub(crate) at: Timestamp,
    pub(crate) refunded: bool,
}

/// What somebody bought, newest first.
pub(crate) struct Purchases {
    pub(crate) paid: Vec<Purchase>,
    /// The checkout that is open.
    pub(crate) open: Option<String>,
}

impl Purchases {
    pub(super) fn section(&self, now: Timestamp) -> Markup {
        html! {
            section.card aria-labelledby="purchases" {
                div.head {
                    h2 #purchases { "What you bought" }
                    @match &self.open {
                        Some(id) => a.button href=(with_session("/checkout", id)) { "Continue your order" },
                        None => a.button href="/add" { "New order" },
                    }
                }
                @if self.paid.is_empty() { p.soft { "Nothing yet." } }
                ul.lines {
                    @for bought in &self.paid {
                        li {
                            span {
                                a href={ "/payment/" (bought.order) } { strong { (bought.what) } }
                                span.soft.small.block {
                                    @if bought.refunded { "Returned" } @else { "Paid " }
                                    @if !bought.refunded {
                                        time datetime=(bought.at.to_iso8601()) { (moment::ago(bought.at, now)) }
                                    }
                                }
                            }
                            span.price { (price_text(bought.price.payable(), bought.price.currency)) }
                        }
                    }
                }
            }
        }
    }
}
