//! The pages around the dashboard: landing, not found, not configured, store away, and "really log out?".

use super::frame;
use maud::{Markup, html};

/// What the landing page leads to.
pub(crate) struct Landing<'l> {
    pub(crate) signed_in: bool,
    pub(crate) sign_in: &'l str,
    /// Whether there is a wizard.
    pub(crate) sells: bool,
    /// Whether videos are sold.
    pub(crate) videos: bool,
    pub(crate) development: bool,
    /// Names and addresses of the stand-in providers that run beside us.
    pub(crate) stand_ins: &'l [(String, String)],
}

/// `/`.
pub(crate) fn landing(view: &Landing<'_>) -> Markup {
    let &Landing { signed_in, sign_in, sells, videos, development, stand_ins } = view;
    let corner = html! {
        @if signed_in { a.button href="/dashboard" { "Dashboard" } }
    };
    frame(
        "Sign in",
        &corner,
        &html! {
            section.card.hero {
                h1 { "Sign-ins that outlive restarts, deploys and outages." }
                p.soft {
                    "This server remembers who is signed in: durably, behind the cookies and tables that your application "
                    "already uses. Everybody sees their own devices, and can sign any of them out."
                }
                div.actions {
                    @if signed_in {
                        a.button.main href="/dashboard" { "Go to your dashboard" }
                    } @else {
                        a.button.main href=(sign_in) { "Sign in" }
                    }
                    @if sells { a.button href="/add" { "Place an order" } }
                    @if videos { a.button href=(crate::http::PROMPT_PATH) { "Make a video" } }
                    @if development && !signed_in {
                        a.button href="/auth/dev" { "Skip the provider" }
                    }
                }
            }
            @if development {
                p.soft.small {
                    "Development: this server is for your own machine only."
                    @for (name, address) in stand_ins { " · " a href=(address) { "Stand-in " (name) } }
                }
            }
        },
    )
}

/// 404.
pub(crate) fn not_found() -> Markup {
    notice("Not found", &html! { p.soft { "Nothing is served at this address." } })
}

/// 501.
pub(crate) fn not_configured(what: &str, names: &[&str], development: bool) -> Markup {
    notice(
        "Not configured",
        &html! {
            p.soft { (what) " is not set up on this server. Whoever runs it sets these variables and starts it again:" }
            ul.plain { @for name in names { li { code { (name) } } } }
            @if development {
                p.soft { "In development, " a href="/auth/dev" { "/auth/dev" } " signs in without a provider." }
            }
        },
    )
}

/// 503.
pub(crate) fn away() -> Markup {
    notice(
        "One moment",
        &html! {
            p.soft {
                "Session storage does not answer right now. You are not signed out: reload this page in a few seconds."
            }
        },
    )
}

/// The browser came back from the provider, and nobody is signed in by that. `code` is for whoever is asked for help.
pub(crate) fn not_signed_in(code: &str, sign_in: &str) -> Markup {
    let why = match code {
        "missing_code" => {
            "The provider sent you back without signing you in, for instance because it was refused."
        }
        "invalid_state" => "This sign-in had ended or was begun elsewhere.",
        "session_save_failed" => "Session storage does not answer right now.",
        _ => "The provider did not confirm who you are.",
    };
    frame(
        "Not signed in",
        &html! {},
        &html! {
            section.card {
                h1 { "You are not signed in" }
                p.soft { (why) " You can try again." }
                p.soft.small { "Code: " code { (code) } }
                div.actions {
                    a.button.main href=(sign_in) { "Try again" }
                    a.button href="/" { "Back to the start" }
                }
            }
        },
    )
}

/// A GET of `/logout` that came from another site.
pub(crate) fn really_log_out() -> Markup {
    frame(
        "Sign out",
        &html! {},
        &html! {
            section.card {
                h1 { "Sign out?" }
                p.soft { "Another site sent you here. Nothing has happened yet." }
                div.actions {
                    form method="post" action="/logout" { button.bad type="submit" { "Sign out" } }
                    a.button href="/dashboard" { "Stay signed in" }
                }
            }
        },
    )
}

fn notice(title: &str, content: &Markup) -> Markup {
    frame(
        title,
        &html! {},
        &html! {
            section.card { h1 { (title) } (content) div.actions { a.button href="/" { "Back to the start" } } }
        },
    )
}
