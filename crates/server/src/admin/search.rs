//! `GET /admin/search`: one needle, every kind. What each kind knows something by is its own business.

use super::kinds::{Absent, KINDS, Kind, Row};
use super::pages::{Here, Page, absent, empty, rows_table};
use super::sheet::done;
use crate::app::App;
use crate::limits::SEARCH_CHARS_MAX;
use crate::pages::moment;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use maud::{Markup, html};
use sessile_core::user::{User, UserUuid};

/// What somebody looks for.
#[derive(serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    done: Option<String>,
}

/// Every kind with what it found.
type Found = Vec<(&'static dyn Kind, Result<Vec<Row>, Absent>)>;

pub(super) async fn show(State(app): State<App>, Query(asked): Query<Asked>) -> Response {
    let needle: String = asked.q.trim().chars().take(SEARCH_CHARS_MAX).collect();
    let content = if needle.is_empty() {
        html! { h1 { "Search" } (hint()) }
    } else {
        let (app, needle) = (&app, needle.as_str());
        let asked = KINDS.into_iter().map(|kind| async move { (kind, kind.search(app, needle).await) });
        let found: Found = join_all(asked).await;
        results(app, needle, &found, person(app, needle).await.as_ref())
    };
    let page = Page::new("Search", Here::Elsewhere);
    Page { needle: &needle, done: asked.done.as_deref().and_then(done), ..page }
        .render(&content)
        .into_response()
}

/// The user, if that is what was looked for.
async fn person(app: &App, needle: &str) -> Option<User> {
    app.users.find(&UserUuid::parse(needle)?).await.ok().flatten()
}

fn results(app: &App, needle: &str, found: &Found, person: Option<&User>) -> Markup {
    let nothing = found
        .iter()
        .all(|(_, rows)| matches!(rows, Ok(rows) if rows.is_empty()) || matches!(rows, Err(Absent::Off(_))));
    let now = app.clock.now();
    html! {
        div.headline { h1 { "Found for " code { (needle) } } }
        @if let Some(person) = person {
            section.panel aria-labelledby="person" {
                h2 #person { "User" }
                dl.sheet {
                    div { dt { "Address" } dd { (person.email.as_deref().unwrap_or("unknown")) } }
                    div { dt { "Tier" } dd { (person.tier) } }
                    div { dt { "Signed in first" } dd { (moment::day(person.created_at)) } }
                }
            }
        }
        @if nothing { (empty("Nothing has this name.")) (hint()) }
        @for (kind, rows) in found {
            @match rows {
                Ok(rows) if !rows.is_empty() => {
                    section.panel aria-label=(kind.title()) {
                        h2 { (kind.title()) }
                        div data-live={ "found-" (kind.subject().name()) } {
                            (rows_table(kind.title(), kind.subject(), rows, now))
                        }
                    }
                },
                Err(why @ Absent::Away) => {
                    section.panel aria-label=(kind.title()) { h2 { (kind.title()) } (absent(why)) }
                },
                _ => {},
            }
        }
    }
}

fn hint() -> Markup {
    html! {
        p.soft {
            "Write a whole id: of a checkout, payment, refund or paid job; a user's id; the order that CLICK knows "
            "(" code { "merchant_trans_id" } ") or its transaction number; Stripe's " code { "cs_…" } ", "
            code { "pi_…" } " or " code { "evt_…" } "; a WhatsApp device's name. Payments and messages of Stripe are found among the newest jobs."
        }
    }
}
