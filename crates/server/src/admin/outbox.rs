//! `/admin/outbox`: what the world has not heard yet, what was given up, and what the world told us that nobody could
//! apply so far. Both can be put back by hand.

use super::counts::away;
use super::gate::see_other;
use super::kinds::{Absent, Deed, segment, short};
use super::pages::{self, Here, Page, absent, ago, cell, effects, empty, reflow};
use super::remarks;
use super::sheet::failed;
use crate::app::App;
use crate::http::{Problem, missing, v1};
use crate::limits::LIST_ROWS;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use maud::{Markup, html};
use sessile::Timestamp;
use sessile_core::generation::KeptEvent;
use sessile_core::ledger::{EffectRow, EffectState};

const OUTBOX: &str = "/admin/outbox";

#[derive(serde::Deserialize)]
pub(super) struct Asked {
    done: Option<String>,
}

async fn rows(app: &App, state: EffectState) -> Result<Vec<EffectRow>, Absent> {
    let money = app.money.kinds.as_ref().map_err(|missing| Absent::Off(missing.clone()))?;
    money.ledger.effects(state, LIST_ROWS).await.map_err(|error| away(&error))
}

async fn waiting(app: &App) -> Result<Vec<KeptEvent>, Absent> {
    let jobs = app.generation.jobs.as_ref().map_err(|missing| Absent::Off(missing.clone()))?;
    jobs.store().waiting(LIST_ROWS).await.map_err(|error| away(&error))
}

/// `GET /admin/outbox`.
pub(super) async fn show(State(app): State<App>, Query(asked): Query<Asked>) -> Response {
    let now = app.clock.now();
    let dead = rows(&app, EffectState::Dead).await;
    let pending = rows(&app, EffectState::Pending).await;
    let inbox = waiting(&app).await;
    let content = html! {
        div.headline { h1 { "Outbox and inbox" } }
        section.panel aria-labelledby="dead" {
            h2 #dead { "Dead letters" }
            p.soft.small { "Tried for three days, or of no use to try again. Mend the cause, then put them back." }
            div data-live="dead" { (table("Dead letters", &dead, "No effect was given up.", now)) }
        }
        section.panel aria-labelledby="pending" {
            h2 #pending { "To be done" }
            p.soft.small { "Carried out by the workers, with growing pauses after each failure." }
            div data-live="pending" { (table("To be done", &pending, "The world has heard everything.", now)) }
        }
        section.panel aria-labelledby="inbox" {
            h2 #inbox { "Inbox: messages of Stripe that wait" }
            p.soft.small { "Kept and answered; applied as soon as their job is there. They are tried for three days." }
            div data-live="inbox" {
                @match &inbox {
                    Err(why) => (absent(why)),
                    Ok(events) if events.is_empty() => (empty("Every message was applied.")),
                    Ok(events) => (messages(events, now)),
                }
            }
        }
    };
    let done = match asked.done.as_deref() {
        Some("requeue") => Some("The effect was put back; a worker carries it out."),
        Some("apply") => Some("The message is tried again, as soon as a worker takes it."),
        _ => None,
    };
    Page { done, ..Page::new("Outbox", Here::Outbox) }.render(&content).into_response()
}

fn table(name: &str, rows: &Result<Vec<EffectRow>, Absent>, none: &str, now: Timestamp) -> Markup {
    match rows {
        Err(why) => absent(why),
        Ok(rows) if rows.is_empty() => empty(none),
        Ok(rows) => effects(name, rows, now),
    }
}

fn messages(events: &[KeptEvent], now: Timestamp) -> Markup {
    let row = |event: &KeptEvent| {
        let address = format!("/admin/inbox/{}/apply", segment(&event.id));
        html! {
            (cell("Message", &html! { code title=(event.id) { (short(&event.id)) } }))
            (cell("Type", &html! { (event.kind) }))
            (cell("Job", &html! { @if let Some(key) = &event.key { code { (short(key.as_str())) } } }))
            (cell("Tries", &html! { span.figure { (event.attempts) } }))
            (cell("Came", &ago(event.received_at, now)))
            (cell("Next", &ago(event.next_at, now)))
            (cell("", &html! { a.button.small href=(address) aria-label={ "Try " (event.id) " again" } { "Try again" } }))
        }
    };
    let rows: Vec<Markup> = events.iter().map(row).collect();
    reflow("Messages of Stripe that wait", &["Message", "Type", "Job", "Tries", "Came", "Next", ""], &rows)
}

fn requeue_deed(row: &EffectRow) -> Deed {
    Deed {
        name: "requeue".to_owned(),
        label: "Put this effect back",
        consequence: format!(
            "A worker carries it out as if it were new ({}, {} tries so far). Whoever hears it hears it under the same \
             id, so that hearing it twice does no harm.",
            row.effect.kind().name(),
            row.attempts
        ),
        note: None,
    }
}

/// `GET /admin/outbox/{id}/requeue`: asks back.
pub(super) async fn ask(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let Ok(rows) = rows(&app, EffectState::Dead).await else {
        return failed(&Problem::ledger_unavailable(), OUTBOX, Here::Outbox);
    };
    let Some(row) = rows.iter().find(|row| row.id == id) else { return missing::route(headers).await };
    let action = format!("{OUTBOX}/{}/requeue", segment(&id));
    let content = pages::asked_back(&id, &requeue_deed(row), &action, OUTBOX, "");
    Page::new("Put back", Here::Outbox).render(&content).into_response()
}

/// `POST /admin/outbox/{id}/requeue`.
pub(super) async fn requeue(State(app): State<App>, Path(id): Path<String>) -> Response {
    let done = async {
        remarks::record(&app, "outbox.requeue_ordered", &id).await?;
        v1::outbox::put_back(&app, &id).await
    };
    match done.await {
        Ok(()) => see_other("/admin/outbox?done=requeue"),
        Err(problem) => failed(&problem, OUTBOX, Here::Outbox),
    }
}

/// `GET /admin/inbox/{id}/apply`: asks back.
pub(super) async fn ask_to_apply(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Ok(events) = waiting(&app).await else {
        return failed(
            &v1::generations::lost(sessile_core::StoreError::unavailable("the inbox")),
            OUTBOX,
            Here::Outbox,
        );
    };
    if !events.iter().any(|event| event.id == id) {
        return missing::route(headers).await;
    }
    let deed = Deed {
        name: "apply".to_owned(),
        label: "Try this message again",
        consequence: "A worker applies it now. If its job is still not there, it goes on waiting.".to_owned(),
        note: None,
    };
    let action = format!("/admin/inbox/{}/apply", segment(&id));
    Page::new("Try again", Here::Outbox)
        .render(&pages::asked_back(&id, &deed, &action, OUTBOX, ""))
        .into_response()
}

/// `POST /admin/inbox/{id}/apply`.
pub(super) async fn apply(State(app): State<App>, Path(id): Path<String>) -> Response {
    let done = async {
        let jobs = app.generation.jobs.as_ref().map_err(|missing| Problem::not_configured(missing))?;
        remarks::record(&app, "inbox.apply_ordered", &id).await?;
        jobs.store().postponed(&id, app.clock.now()).await.map_err(v1::generations::lost)?;
        app.generation.bells.news.notify_one();
        Ok(())
    };
    match done.await {
        Ok(()) => see_other("/admin/outbox?done=apply"),
        Err(problem) => failed(&problem, OUTBOX, Here::Outbox),
    }
}
