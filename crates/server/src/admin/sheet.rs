//! The pages of a kind and of its sessions: the list, the sheet, and what an operator does - asked back, then done once.

use super::gate::see_other;
use super::kinds::{Absent, Deed, Form, Kind, Sheet, Wanted, kind_of, sheet_address};
use super::pages::{self, Here, Page, absent, empty, number, rows_table};
use crate::app::App;
use crate::http::v1::list::{cursor_of, text_of};
use crate::http::{Problem, missing};
use axum::extract::{Form as Body, Path, Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;

/// Bytes of a form's own key.
const KEY_BYTES: usize = 18;

/// What a list's address says.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    status: Option<String>,
    cursor: Option<String>,
    /// What was just done.
    done: Option<String>,
}

/// `GET /admin/{kind}`.
pub(super) async fn list(
    State(app): State<App>,
    Path(kind): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Some(kind) = kind_of(&kind) else { return missing::route(headers).await };
    let status = asked.status.filter(|status| kind.states().contains(&status.as_str()));
    let wanted = Wanted { status, after: asked.cursor.as_deref().and_then(cursor_of) };
    let (counted, listed) = (kind.count(&app).await, kind.list(&app, &wanted).await);
    let now = app.clock.now();
    let content = html! {
        div.headline { h1 { (kind.title()) } }
        @if let Ok(count) = &counted { (states(kind, count, wanted.status.as_deref())) }
        @match &listed {
            Err(why) => (absent(why)),
            Ok(listed) => {
                @if let Some(note) = listed.note { p.soft { (note) } }
                @if listed.rows.is_empty() && listed.note.is_none() { (empty("None.")) }
                @if !listed.rows.is_empty() {
                    div data-live="rows" { (rows_table(kind.title(), kind.subject(), &listed.rows, now)) }
                }
                @if let Some(next) = &listed.next { (older(kind, &wanted, &text_of(next))) }
            },
        }
    };
    Page::new(kind.title(), Here::Kind(kind.subject().name())).render(&content).into_response()
}

fn states(kind: &dyn Kind, count: &super::counts::Count, chosen: Option<&str>) -> Markup {
    let name = kind.subject().name();
    html! {
        nav.range aria-label="State" {
            a href={ "/admin/" (name) } aria-current=[chosen.is_none().then_some("true")] { "all" }
            @for state in kind.states() {
                a href={ "/admin/" (name) "?status=" (state) } aria-current=[(chosen == Some(state)).then_some("true")] {
                    (state) " " span.figure { (number(count.of(state))) }
                }
            }
        }
    }
}

fn older(kind: &dyn Kind, wanted: &Wanted, cursor: &str) -> Markup {
    let status = wanted.status.as_ref().map(|status| format!("&status={status}")).unwrap_or_default();
    let address = format!("/admin/{}?cursor={cursor}{status}", kind.subject().name());
    html! { div.actions { a.button href=(address) { "Older" } } }
}

/// `GET /admin/{kind}/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Some(kind) = kind_of(&kind) else { return missing::route(headers).await };
    match kind.sheet(&app, &id).await {
        Err(why) => unshown(kind, &why),
        Ok(None) => missing::route(headers).await,
        Ok(Some(sheet)) => {
            let address = sheet_address(kind.subject(), &id);
            let content = pages::sheet(kind.title(), &address, &sheet, app.clock.now());
            let page = Page::new(&sheet.name, Here::Kind(kind.subject().name()));
            Page { done: asked.done.as_deref().and_then(done), ..page }.render(&content).into_response()
        }
    }
}

/// Only sentences of ours: an address is anybody's to write.
pub(super) fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "cancel" => "It was cancelled.",
        "refund" => "The refund was ordered; a worker carries it out.",
        "settle" => "The refund counts as done.",
        "retry" => "The failed videos are made after all, as soon as a worker takes the job.",
        "reconnect" => "The device connects anew.",
        "stop" => "The device stops, and stays stopped.",
        "revoke" => "The login was revoked.",
        "revoke-all" => "All logins of this user were revoked.",
        _ => return None,
    })
}

fn unshown(kind: &dyn Kind, why: &Absent) -> Response {
    let status = match why {
        Absent::Off(_) => StatusCode::NOT_FOUND,
        Absent::Away => StatusCode::SERVICE_UNAVAILABLE,
    };
    let page = Page::new(kind.title(), Here::Kind(kind.subject().name()));
    (status, page.render(&absent(why))).into_response()
}

/// The sheet with the deed that is asked for; or what to answer instead.
async fn found(
    app: &App,
    kind: &dyn Kind,
    id: &str,
    deed: &str,
    headers: HeaderMap,
) -> Result<(Sheet, Deed), Response> {
    let mut sheet = match kind.sheet(app, id).await {
        Err(why) => return Err(unshown(kind, &why)),
        Ok(None) => return Err(missing::route(headers).await),
        Ok(Some(sheet)) => sheet,
    };
    match sheet.deeds.iter().position(|offered| offered.name == deed) {
        Some(at) => {
            let deed = sheet.deeds.swap_remove(at);
            Ok((sheet, deed))
        }
        None => Err(not_now(kind, &sheet_address(kind.subject(), id))),
    }
}

fn not_now(kind: &dyn Kind, back: &str) -> Response {
    let content = html! {
        section.card.ask {
            h1 { "This cannot be done now" }
            p { "The session has changed since the page was made, or it was done already." }
            div.actions { a.button href=(back) { "See how it is" } }
        }
    };
    let page = Page::new("Not now", Here::Kind(kind.subject().name()));
    (StatusCode::CONFLICT, page.render(&content)).into_response()
}

/// `GET /admin/{kind}/{id}/{deed}`: asks back.
pub(super) async fn ask(
    State(app): State<App>,
    Path((kind, id, deed)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(kind) = kind_of(&kind) else { return missing::route(headers).await };
    let (sheet, deed) = match found(&app, kind, &id, &deed, headers).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let Some(key) = new_key(&app) else { return Problem::overloaded().into_response() };
    let back = sheet_address(kind.subject(), &id);
    let action = format!("{back}/{}", deed.name);
    let content = pages::asked_back(&sheet.name, &deed, &action, &back, &key);
    Page::new(deed.label, Here::Kind(kind.subject().name())).render(&content).into_response()
}

/// A key of one form, so that sending it twice does one thing.
pub(super) fn new_key(app: &App) -> Option<String> {
    let mut bytes = [0_u8; KEY_BYTES];
    app.entropy.fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// `POST /admin/{kind}/{id}/{deed}`: does it.
pub(super) async fn act(
    State(app): State<App>,
    Path((kind, id, deed)): Path<(String, String, String)>,
    headers: HeaderMap,
    Body(fields): Body<Vec<(String, String)>>,
) -> Response {
    let Some(kind) = kind_of(&kind) else { return missing::route(headers).await };
    let (_, deed) = match found(&app, kind, &id, &deed, headers).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let back = sheet_address(kind.subject(), &id);
    match kind.act(&app, &id, &deed.name, &Form::of(fields)).await {
        Ok(elsewhere) => see_other(&told_done(elsewhere.as_deref().unwrap_or(&back), &deed.name)),
        Err(problem) => failed(&problem, &back, Here::Kind(kind.subject().name())),
    }
}

/// The address with what was done, for the page to say.
fn told_done(address: &str, deed: &str) -> String {
    let word = deed.split('.').next().unwrap_or_default();
    let glue = if address.contains('?') { '&' } else { '?' };
    format!("{address}{glue}done={word}")
}

/// The page that says why something was not done.
pub(super) fn failed(problem: &Problem, back: &str, here: Here) -> Response {
    let (status, title, ..) = problem.told();
    (status, Page::new(title, here).render(&pages::problem(problem, back))).into_response()
}
