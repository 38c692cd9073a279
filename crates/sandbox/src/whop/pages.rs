//! The stand-in's pages: consent, refusal, and the switchboard. Plain HTML, no script, light and dark.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeMap;

use super::authorize::AuthorizeParams;
use super::error::OAuthError;
use super::misbehaviour::Misbehaviour;
use super::people::PEOPLE;

const STYLE: &str = "
:root { color-scheme: light dark; --line: light-dark(#d5d7dd, #3a3d46); --soft: light-dark(#5b606b, #a3a8b4);
  --card: light-dark(#fff, #1b1d23); --page: light-dark(#f4f5f7, #111318); --main: light-dark(#2448d8, #8ba2ff);
  --on-main: light-dark(#fff, #10131c); }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--page);
  font: 16px/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 26rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.75rem }
main.wide { max-width: 46rem }
h1 { font-size: 1.3rem; margin: 0 0 .5rem } h2 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p, li { color: var(--soft) } p { margin: .4rem 0 1rem } ul { padding-left: 1.2rem }
.note { font-size: .85rem } code { font-size: .9em }
button { font: inherit; width: 100%; padding: .7rem 1rem; margin: .3rem 0; border-radius: 10px; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit; text-align: left }
button.main { background: var(--main); border-color: var(--main); color: var(--on-main); font-weight: 600;
  text-align: center }
button.quiet { border-color: transparent; text-align: center; color: var(--soft) }
button:focus-visible { outline: 3px solid var(--main); outline-offset: 2px }
table { width: 100%; border-collapse: collapse } td, th { text-align: left; padding: .3rem 0;
  border-bottom: 1px solid var(--line) } td:last-child { text-align: right; font-variant-numeric: tabular-nums }
";

fn page(title: &str, class: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main class=(class) { (content) } }
        }
    }
}

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
