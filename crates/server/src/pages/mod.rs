//! The pages: HTML written here, one style sheet, no script. They show what handlers give them and ask nobody.

mod agent;
mod dashboard;
mod moment;
mod notices;

pub(crate) use dashboard::{Dashboard, dashboard};
pub(crate) use notices::{away, landing, not_configured, not_found, not_signed_in, really_log_out};

use maud::{DOCTYPE, Markup, html};
use std::sync::LazyLock;

/// The style sheet, compiled in.
pub(crate) struct Style;

impl Style {
    pub(crate) const TEXT: &'static str = include_str!("style.css");

    /// Its address names its content, so that it may be kept for ever.
    fn address() -> &'static str {
        static ADDRESS: LazyLock<String> = LazyLock::new(|| {
            use sha2::Digest as _;
            let digest = sha2::Sha256::digest(Style::TEXT.as_bytes());
            let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
            format!("/assets/sessile.css?v={hex}")
        });
        &ADDRESS
    }
}

/// The frame of every page. `corner` stands at the top right.
fn frame(title: &str, corner: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Sessile" }
                link rel="stylesheet" href=(Style::address());
                link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='9' fill='%230f766e'/%3E%3Cpath d='M16 7v18M9 12l7-5 7 5M9 25h14' stroke='white' stroke-width='2.6' fill='none' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E";
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
