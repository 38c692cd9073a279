//! The pages: HTML written here, one style sheet, and one script for the wizard alone. They show what handlers give
//! them and ask nobody.

mod agent;
mod checkout;
mod dashboard;
mod description;
mod generation;
pub(crate) mod moment;
mod notices;
mod payment;
mod price;
mod purchases;
mod tour;
mod whatsapp;
mod wizard;

pub(crate) use agent::readable as device_name;
pub(crate) use checkout::{Gone, Summary, checkout, gone};
pub(crate) use dashboard::{Dashboard, dashboard};
pub(crate) use description::description;
pub(crate) use generation::{PromptView, VideosView, prompt, videos};
pub(crate) use notices::{Landing, away, landing, not_configured, not_found, not_signed_in, really_log_out};
pub(crate) use payment::{PaymentView, payment};
pub(crate) use price::price_text;
pub(crate) use purchases::{Purchase, Purchases};
pub(crate) use tour::{TourView, tour};
pub(crate) use whatsapp::whatsapp;
pub(crate) use wizard::{Visitor, add, lines, packages};

use maud::{DOCTYPE, Markup, html};
use std::sync::LazyLock;

/// The style sheet, compiled in.
pub(crate) const STYLE: &str = include_str!("style.css");
/// The wizard's script, compiled in.
pub(crate) const SCRIPT: &str = include_str!("wizard.js");
/// The script of paid jobs, compiled in.
pub(crate) const GENERATION_SCRIPT: &str = include_str!("generation.js");
/// The script of WhatsApp devices, compiled in.
pub(crate) const WHATSAPP_SCRIPT: &str = include_str!("whatsapp.js");
/// The tour's script, compiled in.
pub(crate) const TOUR_SCRIPT: &str = include_str!("tour.js");

/// The sign in the tab.
pub(crate) const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='9' fill='%230f766e'/%3E%3Cpath d='M16 7v18M9 12l7-5 7 5M9 25h14' stroke='white' stroke-width='2.6' fill='none' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E";

/// An address that names its content, so that it may be kept for ever.
pub(crate) fn address_of(path: &str, text: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(text.as_bytes());
    let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{path}?v={hex}")
}

pub(crate) static STYLE_ADDRESS: LazyLock<String> =
    LazyLock::new(|| address_of("/assets/sessile.css", STYLE));
static SCRIPT_ADDRESS: LazyLock<String> = LazyLock::new(|| address_of("/assets/wizard.js", SCRIPT));

/// The frame of every page. `corner` stands at the top right.
fn frame(title: &str, corner: &Markup, content: &Markup) -> Markup {
    document(title, corner, content, None)
}

/// The same with the wizard's script, which answers with [`crate::http::headers::Scripted`] are allowed to run.
fn scripted(title: &str, corner: &Markup, content: &Markup) -> Markup {
    document(title, corner, content, Some(&SCRIPT_ADDRESS))
}

fn document(title: &str, corner: &Markup, content: &Markup, script: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Sessile" }
                link rel="stylesheet" href=(*STYLE_ADDRESS);
                link rel="icon" href=(ICON);
                @if let Some(script) = script { script src=(script) defer {} }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.bar {
                    a.brand href="/" { span.mark aria-hidden="true" {} "Sessile" }
                    div.corner { (corner) }
                }
                main #content tabindex="-1" { (content) }
                footer { "Sessions that stay put." }
            }
        }
    }
}
