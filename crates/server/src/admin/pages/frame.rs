//! The frame around every page of the dashboard, and the form that asks for the token.

use crate::admin::kinds::KINDS;
use crate::pages::{STYLE_ADDRESS, address_of};
use maud::{DOCTYPE, Markup, html};
use std::sync::LazyLock;

/// The dashboard's own style sheet, on top of the one of all pages.
pub(in crate::admin) const STYLE: &str = include_str!("admin.css");
/// Its script: keeps pages live, and reads charts. Every page is complete without it.
pub(in crate::admin) const SCRIPT: &str = include_str!("admin.js");

static OWN_STYLE: LazyLock<String> = LazyLock::new(|| address_of("/assets/admin.css", STYLE));
static OWN_SCRIPT: LazyLock<String> = LazyLock::new(|| address_of("/assets/admin.js", SCRIPT));

/// Which of the ways through the dashboard somebody is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) enum Here {
    Overview,
    /// A kind, by its name.
    Kind(&'static str),
    Attention,
    Outbox,
    Coupons,
    Audit,
    Elsewhere,
}

/// A page of the dashboard.
pub(in crate::admin) struct Page<'p> {
    pub(in crate::admin) title: &'p str,
    pub(in crate::admin) here: Here,
    /// What was searched for.
    pub(in crate::admin) needle: &'p str,
    /// What was just done.
    pub(in crate::admin) done: Option<&'p str>,
}

impl<'p> Page<'p> {
    pub(in crate::admin) const fn new(title: &'p str, here: Here) -> Self {
        Self { title, here, needle: "", done: None }
    }

    /// The page around its content.
    pub(in crate::admin) fn render(&self, content: &Markup) -> Markup {
        document(
            self.title,
            &html! {
                header.top {
                    div.bar {
                        (brand())
                        form.find role="search" method="get" action="/admin/search" {
                            label.unseen for="q" { "Search all sessions" }
                            input #q type="search" name="q" value=(self.needle) maxlength="255" autocomplete="off" spellcheck="false"
                                placeholder="Id, user, order, Stripe id";
                            button type="submit" { "Search" }
                        }
                        form.out method="post" action="/admin/sign-out" { button.quiet type="submit" { "Sign out" } }
                    }
                    div.wayrow { (self.ways()) (live()) }
                }
                main #content tabindex="-1" {
                    @if let Some(done) = self.done { p.notice.done role="status" { (done) } }
                    (content)
                }
                footer { "All times are UTC." }
            },
        )
    }

    fn ways(&self) -> Markup {
        let fixed = [
            (Here::Attention, "Attention", "/admin/attention"),
            (Here::Outbox, "Outbox", "/admin/outbox"),
            (Here::Coupons, "Coupons", "/admin/coupons"),
            (Here::Audit, "Audit log", "/admin/audit"),
        ];
        html! {
            nav.ways aria-label="Dashboard" {
                ul {
                    (self.way(Here::Overview, "Overview", "/admin"))
                    @for kind in KINDS {
                        @let name = kind.subject().name();
                        (self.way(Here::Kind(name), kind.title(), &format!("/admin/{name}")))
                    }
                    @for (here, name, address) in fixed { (self.way(here, name, address)) }
                }
            }
        }
    }

    fn way(&self, to: Here, name: &str, address: &str) -> Markup {
        html! { li { a href=(address) aria-current=[(self.here == to).then_some("page")] { (name) } } }
    }
}

/// Whether the page keeps itself fresh, and a button that stops it. The script shows it: without one there is neither.
fn live() -> Markup {
    html! {
        p.live data-live-state hidden {
            span.dot aria-hidden="true" {}
            span data-live-says {}
            button.quiet.small type="button" data-pause aria-pressed="false" { "Pause" }
        }
    }
}

fn brand() -> Markup {
    html! { a.brand href="/admin" { span.mark aria-hidden="true" {} "Sessile" span.soft { "operator" } } }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Sessile operator" }
                link rel="stylesheet" href=(*STYLE_ADDRESS);
                link rel="stylesheet" href=(*OWN_STYLE);
                link rel="icon" href=(crate::pages::ICON);
                script src=(*OWN_SCRIPT) defer {}
            }
            body.operator {
                a.skip href="#content" { "Skip to the content" }
                (body)
            }
        }
    }
}

/// The form that asks for the token, with what was wrong before.
pub(in crate::admin) fn sign_in(wrong: Option<&str>) -> Markup {
    document(
        "Sign in",
        &html! {
            main.door #content tabindex="-1" {
                (brand())
                section.card aria-labelledby="sign-in" {
                    h1 #sign-in { "Operator's sign-in" }
                    @if let Some(wrong) = wrong { p.notice role="alert" #wrong { (wrong) } }
                    form method="post" action="/admin" {
                        label for="token" { "Operator's token" }
                        input #token type="password" name="token" required autofocus autocomplete="current-password"
                            aria-describedby="token-hint" aria-invalid=[wrong.map(|_| "true")];
                        p.soft.small #token-hint {
                            "The value of SESSILE_ADMIN_TOKEN, or of the file " code { "admin-token" } " in the data folder."
                        }
                        div.actions { button.main type="submit" { "Sign in" } }
                    }
                }
            }
        },
    )
}
