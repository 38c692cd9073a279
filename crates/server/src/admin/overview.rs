//! `GET /admin`: gathers what the overview shows. Every store is asked on its own: one that is away leaves its part of
//! the page empty, never the whole.

use super::counts::{self, Count, away};
use super::kinds::{Absent, KINDS, Kind};
use super::pages::{
    self, Axis, Board, Chart, Chip, Here, KindCard, Line, Page, Rate, StoreLine, number, percent,
};
use super::series::{Call, Mark, Sample, Span};
use crate::app::App;
use crate::limits::READY_TIMEOUT;
use crate::stores::reason_of;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use sessile_core::StoreError;
use sessile_core::ledger::{Census, EffectRow, EffectState};
use sessile_core::login::Persistence;

/// Dead letters that the overview shows.
const DEAD_SHOWN: usize = 5;

/// The overview, over the last hour or, with `range=day`, the last day.
pub(super) async fn show(app: &App, query: Option<&str>) -> Response {
    let asked = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(name, value)| name == "range" && value == "day");
    let span = if asked { Span::Day } else { Span::Hour };
    let cards = join_all(KINDS.into_iter().map(|kind| card(app, kind))).await;
    let (census, generations) = (counts::census(app).await, counts::generations(app).await);
    let waiting = generations.as_ref().map_or(0, |count| count.waiting);
    let board = Board {
        now: app.clock.now(),
        began: app.watch.began(),
        span,
        chips: chips(app, census.as_ref().ok()),
        rates: rates(app, &cards, census.as_ref().ok(), waiting),
        charts: charts(app, span),
        stores: stores(app).await,
        dead: dead(app).await,
        sweeps: app.watch.sweeps(),
        kinds: cards,
    };
    Page::new("Overview", Here::Overview).render(&pages::overview(&board)).into_response()
}

async fn card(app: &App, kind: &'static dyn Kind) -> KindCard {
    KindCard {
        subject: kind.subject(),
        title: kind.title(),
        states: kind.states(),
        busy: kind.busy_state(),
        count: kind.count(app).await,
    }
}

async fn dead(app: &App) -> Result<Vec<EffectRow>, Absent> {
    let money = app.money.kinds.as_ref().map_err(|missing| Absent::Off(missing.clone()))?;
    money.ledger.effects(EffectState::Dead, DEAD_SHOWN).await.map_err(|error| away(&error))
}

fn chips(app: &App, census: Option<&Census>) -> Vec<Chip> {
    let mut chips = Vec::new();
    if let Some(why) = app.sessions.logins().store().info().degraded {
        let text = format!("Session store degraded: {why}");
        chips.push(Chip { text, address: "#stores" });
    }
    let Some(census) = census else { return chips };
    for (count, one, many, address) in [
        (census.effects_dead, "dead letter", "dead letters", "/admin/outbox?state=dead"),
        (census.manual_refunds, "refund needs a person", "refunds need a person", "/admin/attention#refunds"),
        (
            census.stale_payments,
            "payment processing too long",
            "payments processing too long",
            "/admin/attention#stale",
        ),
        (
            census.without_email,
            "payment without an address",
            "payments without an address",
            "/admin/attention#nameless",
        ),
    ] {
        let words = if count == 1 { one } else { many };
        if count > 0 {
            chips.push(Chip { text: format!("{} {words}", number(count.unsigned_abs())), address });
        }
    }
    chips
}

fn rates(app: &App, cards: &[KindCard], census: Option<&Census>, waiting: u64) -> Vec<Rate> {
    let mut rates = Vec::new();
    for (name, title) in [("checkout", "Checkouts completed"), ("payment", "Payments completed")] {
        let count =
            cards.iter().find(|card| card.subject.name() == name).and_then(|card| card.count.as_ref().ok());
        rates.push(completion(title, count));
    }
    let (tried, succeeded) = app.watch.recoveries();
    rates.push(Rate {
        name: "Recoveries that succeeded",
        value: if tried == 0 { "–".to_owned() } else { percent(succeeded as f64 / tried as f64) },
        note: format!("{} of {} in this process", number(succeeded), number(tried)),
    });
    if app.whatsapp.devices.is_ok() {
        let (steps, stored) = app.watch.steps();
        rates.push(Rate {
            name: "WhatsApp keys stored",
            value: if steps == 0 { "–".to_owned() } else { percent(stored as f64 / steps as f64) },
            note: format!("{} of {} changes in this process", number(stored), number(steps)),
        });
    }
    let (pending, dead) = census.map_or((0, 0), |census| (census.effects_pending, census.effects_dead));
    rates.push(Rate {
        name: "Outbox",
        value: number(pending.unsigned_abs()),
        note: format!("to be done, {} dead", number(dead.unsigned_abs())),
    });
    rates.push(Rate { name: "Inbox", value: number(waiting), note: "messages of Stripe wait".to_owned() });
    rates
}

fn completion(name: &'static str, count: Option<&Count>) -> Rate {
    let share = count.and_then(Count::completion);
    Rate {
        name,
        value: share.map_or_else(|| "–".to_owned(), percent),
        note: "of all that came to an end".to_owned(),
    }
}

fn charts(app: &App, span: Span) -> Vec<Chart> {
    let now = app.clock.now();
    let (from, samples) = (now.minus(span.length()), app.watch.samples(span));
    let begins = if span == Span::Hour { "an hour ago" } else { "a day ago" };
    let axis = Axis { from, until: now, begins };
    let buckets = Buckets::of(app, span, axis, &samples);
    let mut charts: Vec<Chart> = KINDS.into_iter().map(|kind| marks_chart(kind, axis, &buckets)).collect();
    charts.push(calls_chart(axis, &buckets));
    charts.push(latency_chart(axis, &buckets));
    charts
}

/// Samples gathered into the points of a chart; `None` before this process began.
struct Buckets<'s>(Vec<Option<Vec<&'s Sample>>>, f64);

impl<'s> Buckets<'s> {
    fn of(app: &App, span: Span, axis: Axis, samples: &'s [Sample]) -> Self {
        let width = span.length() / span.points();
        let mut buckets: Vec<Option<Vec<&Sample>>> = Vec::new();
        let mut ends = axis.from;
        for _ in 0..span.points() {
            let began = ends;
            ends = ends.plus(width);
            let here = samples.iter().filter(|sample| sample.at > began && sample.at <= ends).collect();
            buckets.push((ends > app.watch.began()).then_some(here));
        }
        Self(buckets, width.as_secs_f64())
    }

    fn line(&self, value: impl Fn(&[&Sample]) -> Option<f64>) -> Vec<Option<f64>> {
        self.0.iter().map(|bucket| bucket.as_ref().and_then(|samples| value(samples))).collect()
    }
}

fn marks_chart(kind: &'static dyn Kind, axis: Axis, buckets: &Buckets<'_>) -> Chart {
    let line = |(mark, name): &(Mark, &'static str)| {
        let count = |samples: &[&Sample]| -> u64 {
            samples.iter().map(|sample| sample.marked(kind.subject(), *mark)).sum()
        };
        let values = buckets.line(|samples| Some(count(samples) as f64));
        let total: f64 = values.iter().flatten().sum();
        Line { name, said: format!("{total:.0}"), values }
    };
    let unit = if buckets.1 > 60.0 { "each quarter of an hour" } else { "each minute" };
    Chart { title: kind.title().to_owned(), unit, lines: kind.marks().iter().map(line).collect(), axis }
}

fn calls_chart(axis: Axis, buckets: &Buckets<'_>) -> Chart {
    let line = |name, call: Call| {
        let values = buckets.line(|samples| {
            let count: u64 = samples.iter().map(|sample| calls_of(sample, call).0).sum();
            Some(count as f64 / buckets.1)
        });
        Line { name, said: last(&values, |value| format!("{value:.1}")), values }
    };
    let lines = vec![line("loads", Call::Load), line("commits", Call::Commit)];
    Chart { title: "Loads and commits".to_owned(), unit: "a second", lines, axis }
}

fn latency_chart(axis: Axis, buckets: &Buckets<'_>) -> Chart {
    let line = |name, call: Call, pick: fn((u64, u64, u64)) -> u64| {
        let values = buckets.line(|samples| {
            let slowest = samples.iter().map(|sample| calls_of(sample, call)).filter(|calls| calls.0 > 0);
            slowest.map(pick).max().map(|us| us as f64 / 1000.0)
        });
        Line { name, said: last(&values, |value| format!("{value:.2} ms")), values }
    };
    let lines = vec![
        line("loads, half", Call::Load, |(_, p50, _)| p50),
        line("loads, 99 %", Call::Load, |(_, _, p99)| p99),
        line("commits, half", Call::Commit, |(_, p50, _)| p50),
        line("commits, 99 %", Call::Commit, |(_, _, p99)| p99),
    ];
    Chart { title: "Store latency".to_owned(), unit: "milliseconds, at most", lines, axis }
}

/// Count, median and 99th percentile.
const fn calls_of(sample: &Sample, call: Call) -> (u64, u64, u64) {
    let calls = match call {
        Call::Load => sample.loads,
        Call::Commit => sample.commits,
    };
    (calls.count, calls.p50_us, calls.p99_us)
}

/// The last value that is known.
fn last(values: &[Option<f64>], said: impl Fn(f64) -> String) -> String {
    values.iter().rev().flatten().next().map_or_else(|| "–".to_owned(), |value| said(*value))
}

async fn stores(app: &App) -> Vec<StoreLine> {
    let logins = app.sessions.logins().store();
    let info = logins.info();
    let answer = answers(logins.ping()).await;
    let (state, mut note) = match (&info.degraded, &answer) {
        (Some(why), _) => ("degraded", why.clone()),
        (None, Err(why)) => ("away", why.clone()),
        (None, Ok(())) => ("ready", String::new()),
    };
    if info.persistence == Persistence::Ephemeral {
        note = "sessions do not outlive this process".to_owned();
    }
    if let Some(Ok(spooled)) = app.fallback.as_ref().map(|fallback| fallback.spooled())
        && spooled.sessions + spooled.ends > 0
    {
        note = format!("{note} ({} sessions and {} ends wait in the spool)", spooled.sessions, spooled.ends);
    }
    let engine = info.engine.to_owned();
    let mut lines = vec![StoreLine { what: "Login sessions", engine, place: info.place, state, note }];
    for place in &app.places {
        let answer = match (place.what, &app.money.kinds, &app.generation.jobs) {
            ("Paid jobs", _, Ok(jobs)) => answers(jobs.store().ping()).await,
            (_, Ok(money), _) => answers(money.ledger.ping()).await,
            _ => Err("it is not open".to_owned()),
        };
        lines.push(StoreLine {
            what: place.what,
            engine: place.engine.to_owned(),
            place: place.place.clone(),
            state: if answer.is_ok() { "ready" } else { "away" },
            note: answer.err().unwrap_or_default(),
        });
    }
    lines.extend(device_store(app).await);
    lines
}

/// That of WhatsApp devices, which is no other kind's.
async fn device_store(app: &App) -> Option<StoreLine> {
    let devices = app.whatsapp.devices.as_ref().ok()?;
    let store = devices.info(&app.whatsapp.device).store;
    let known = counts::devices(app).await;
    Some(StoreLine {
        what: "WhatsApp devices",
        engine: store.engine.to_owned(),
        place: store.place,
        state: if known.is_ok() { "ready" } else { "away" },
        note: known.err().map(|_| "it did not answer".to_owned()).unwrap_or_default(),
    })
}

async fn answers(ping: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    let answer = tokio::time::timeout(READY_TIMEOUT, ping).await.map_err(StoreError::unavailable).flatten();
    answer.map_err(|error| reason_of(&error))
}
