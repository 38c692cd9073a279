//! The stand-in's pages: consent, refusal, and the switchboard. Plain HTML, no script, light and dark.

use maud::{Markup, html};
use std::collections::BTreeMap;

use super::authorize::AuthorizeParams;
use super::error::OAuthError;
use super::misbehaviour::Misbehaviour;
use super::people::PEOPLE;
use crate::page::page;

/// Who to continue as.
pub(crate) fn consent(params: &AuthorizeParams) -> Markup {
    let [first, others @ ..] = &PEOPLE;
    page(
        "Sign in (stand-in Whop)",
        "",
        &html! {
            h1 { "Sign in to " (params.client_id()) }
            p { "The application asks for " code { (params.scope()) } "." }
            form method="post" action="/oauth/authorize" {
                @for (name, value) in params.fields() {
                    input type="hidden" name=(name) value=(value);
                }
                button.main type="submit" name="decision" value=(first.key) {
                    "Continue as " (first.name)
                }
                @for person in others {
                    button type="submit" name="decision" value=(person.key) {
                        (person.name) " · " (person.email)
                        @if !person.email_verified { " (not verified)" }
                    }
                }
                button.quiet type="submit" name="decision" value="deny" { "Deny" }
            }
            p.note { "This is a stand-in on your own machine. These accounts are made up." }
        },
    )
}

/// Why a request got no redirect.
pub(crate) fn refused(error: &OAuthError) -> Markup {
    page(
        "Refused (stand-in Whop)",
        "",
        &html! {
            h1 { "This sign-in request was refused" }
            p { code { (error.code) } }
            p { (error.description) "." }
            p.note { "Compare the application's WHOP_CLIENT_ID and WHOP_REDIRECT_URI with what is registered here." }
        },
    )
}

/// What is switched on and what has happened.
pub(crate) fn status(
    active: &BTreeMap<Misbehaviour, u32>,
    counts: &BTreeMap<&'static str, u64>,
    redirect_uris: &[String],
) -> Markup {
    page(
        "Stand-in Whop",
        "wide",
        &html! {
            h1 { "Stand-in Whop" }
            p { "Registered redirects:" }
            ul { @for uri in redirect_uris { li { code { (uri) } } } }
            h2 { "Misbehaving" }
            @if active.is_empty() { p { "Nothing is switched on." } }
            table { @for (kind, times) in active { tr { td { code { (kind.name()) } } td { (times) " more" } } } }
            h2 { "So far" }
            @if counts.is_empty() { p { "Nobody has asked for anything." } }
            table { @for (what, count) in counts { tr { td { (what.replace('_', " ")) } td { (count) } } } }
            h2 { "Switches" }
            p {
                "Send a list to " code { "POST /sandbox/whop/misbehave" } ", for instance "
                code { "[\"wrong_nonce\", {\"kind\": \"token_500\", \"times\": 2}]" }
                "; an empty list restores good manners. The names: "
                @for kind in Misbehaviour::ALL { code { (kind.name()) } " " }
            }
        },
    )
}
