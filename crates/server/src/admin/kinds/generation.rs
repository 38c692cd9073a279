//! Paid jobs: generation sessions.

use super::{Absent, Deed, Fact, Form, Kind, Listed, Moment, Row, Sheet, Table, Wanted, short};
use crate::admin::counts::{self, Count, away};
use crate::admin::remarks;
use crate::admin::series::{Mark, Subject};
use crate::app::App;
use crate::generation::Advice;
use crate::http::{Problem, v1};
use crate::limits::{LIST_ROWS, SEARCHED_JOBS_MAX};
use async_trait::async_trait;
use sessile::Timestamp;
use sessile_core::StoreError;
use sessile_core::checkout::Caller;
use sessile_core::generation::{self, Generation, GenerationKey, KeptEvent, Status, Video};

/// Paid jobs.
pub(super) struct Generations;

/// Characters of a prompt that a sheet shows.
const PROMPT_CHARS_SHOWN: usize = 600;
const LIST_NOTE: &str = "The newest jobs. Older ones are found by their id.";
const TIMELINE_NOTE: &str = "Kept inside the job. What operators order stands in the audit log too.";

fn jobs(app: &App) -> Result<&generation::Generations, Absent> {
    app.generation.jobs.as_ref().map_err(|missing| Absent::Off(missing.clone()))
}

/// As lists show it.
pub(in crate::admin) fn row_of(job: &Generation) -> Row {
    let key = job.key();
    let videos = if job.video_count == 1 { "1 video" } else { "videos" };
    Row {
        id: key.as_str().to_owned(),
        name: short(key.as_str()),
        state: job.status.name().to_owned(),
        user: job.own().owner.user.as_ref().map(|user| user.as_str().to_owned()),
        what: if job.video_count == 1 { videos.to_owned() } else { format!("{} {videos}", job.video_count) },
        created_at: Timestamp::from_iso8601(&job.created_at),
        updated_at: job.own().updated_at,
    }
}

#[async_trait]
impl Kind for Generations {
    fn subject(&self) -> Subject {
        Subject::Generation
    }

    fn title(&self) -> &'static str {
        "Paid jobs"
    }

    fn states(&self) -> &'static [&'static str] {
        &["pending", "processing", "completed", "error"]
    }

    fn busy_state(&self) -> &'static str {
        "processing"
    }

    fn marks(&self) -> &'static [(Mark, &'static str)] {
        &[(Mark::Created, "created"), (Mark::Completed, "completed"), (Mark::Failed, "failed")]
    }

    async fn count(&self, app: &App) -> Result<Count, Absent> {
        let count = counts::generations(app).await?;
        let states = count.jobs.iter().map(|(status, count)| (status.name().to_owned(), *count));
        Ok(Count { states: states.collect(), more: false })
    }

    async fn list(&self, app: &App, wanted: &Wanted) -> Result<Listed, Absent> {
        let found = jobs(app)?.store().recent(wanted.status.as_deref(), LIST_ROWS).await;
        let rows = found.map_err(|error| away(&error))?.iter().map(row_of).collect();
        Ok(Listed { rows, next: None, note: Some(LIST_NOTE) })
    }

    /// By Stripe's or our own id; by user, payment or message of Stripe among the newest jobs.
    async fn search(&self, app: &App, needle: &str) -> Result<Vec<Row>, Absent> {
        let jobs = jobs(app)?;
        let named = match GenerationKey::parse(needle) {
            Some(key) => jobs.find(&key).await,
            None => Ok(None),
        };
        match named {
            Ok(Some(job)) => return Ok(vec![row_of(&job)]),
            Ok(None) | Err(StoreError::Undecodable { .. }) => {}
            Err(error) => return Err(away(&error)),
        }
        let recent = jobs.store().recent(None, SEARCHED_JOBS_MAX).await.map_err(|error| away(&error))?;
        let about = |job: &&Generation| {
            let own = job.own();
            own.payment_intent.as_deref() == Some(needle)
                || own.owner.user.as_ref().is_some_and(|user| user.as_str() == needle)
                || own.events.iter().any(|event| event == needle)
        };
        Ok(recent.iter().filter(about).map(row_of).collect())
    }

    async fn sheet(&self, app: &App, id: &str) -> Result<Option<Sheet>, Absent> {
        let Some(key) = GenerationKey::parse(id) else { return Ok(None) };
        let jobs = jobs(app)?;
        let job = match jobs.find(&key).await {
            Ok(Some(job)) => job,
            Ok(None) => return Ok(None),
            Err(StoreError::Undecodable { .. }) => return Ok(Some(unreadable(&key))),
            Err(error) => return Err(away(&error)),
        };
        let waiting = jobs.store().waiting(LIST_ROWS).await.map_err(|error| away(&error))?;
        let ours = waiting.iter().filter(|event| event.key.as_ref() == Some(&job.key()));
        let now = app.clock.now();
        let Advice { what, remedy } = Advice::of(&job, now);
        Ok(Some(Sheet {
            name: job.key().as_str().to_owned(),
            state: job.status.name().to_owned(),
            says: Some(format!("{what} {remedy}")),
            facts: facts(&job),
            tables: [videos(&job), messages(ours)].into_iter().flatten().collect(),
            timeline: timeline(&job),
            timeline_note: Some(TIMELINE_NOTE),
            deeds: deeds(&job, now),
        }))
    }

    async fn act(&self, app: &App, id: &str, deed: &str, _form: &Form) -> Result<Option<String>, Problem> {
        let by = Caller::Operator;
        if deed == "refund" {
            remarks::record(app, "generation.refund_ordered", id).await?;
            v1::generations::refund_job(app, id, &by).await?;
        } else {
            remarks::record(app, "generation.retry_ordered", id).await?;
            v1::generations::retry_job(app, id, &by).await?;
        }
        Ok(None)
    }
}

fn unreadable(key: &GenerationKey) -> Sheet {
    let Advice { what, remedy } = Advice::unreadable();
    Sheet {
        name: key.as_str().to_owned(),
        state: "unreadable".to_owned(),
        says: Some(format!("{what} {remedy}")),
        facts: Vec::new(),
        tables: Vec::new(),
        timeline: Vec::new(),
        timeline_note: None,
        deeds: Vec::new(),
    }
}

/// The word under which an enum is stored.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn facts(job: &Generation) -> Vec<(&'static str, Fact)> {
    let own = job.own();
    let mut facts = vec![("Our id", Fact::code(own.id.as_str()))];
    facts.extend(own.stripe.as_ref().map(|id| ("Stripe's session", Fact::code(id.as_str()))));
    facts.extend(own.payment_intent.as_ref().map(|id| ("Stripe's payment", Fact::code(id))));
    facts.push(match &own.owner.user {
        Some(user) => ("User", Fact::find(user.as_str())),
        None => ("User", Fact::text("a guest")),
    });
    facts.push(("Money", Fact::text(word(own.money))));
    facts.push(("Refund", Fact::text(word(own.refund))));
    facts.extend(own.price_id.as_ref().map(|id| ("Price", Fact::code(id))));
    facts.push(("Videos", Fact::text(job.video_count.to_string())));
    facts.push(("Progress", Fact::text(format!("{} %", job.progress()))));
    facts.extend(own.flags.iter().map(|flag| ("Look at", Fact::text(word(flag)))));
    let shown: String = job.prompt.chars().take(PROMPT_CHARS_SHOWN).collect();
    let cut = if shown.len() < job.prompt.len() { "…" } else { "" };
    facts.push(("Prompt", Fact::text(format!("{shown}{cut}"))));
    facts.push(("Prompt's length", Fact::text(format!("{} bytes", job.prompt.len()))));
    facts.extend(Timestamp::from_iso8601(&job.created_at).map(|at| ("Created", Fact::At(at))));
    facts.push(("Changed", Fact::At(own.updated_at)));
    facts.push(("Forgotten", Fact::At(job.expires_at())));
    facts
}

fn videos(job: &Generation) -> Option<Table> {
    let row = |video: &Video| {
        vec![
            Fact::code(&video.request_id),
            Fact::text(word(video.status)),
            Fact::text(format!("{} %", video.progress)),
            Fact::text(video.attempts.to_string()),
            Fact::code(video.file_id.clone().unwrap_or_default()),
            Fact::text(video.error.clone().unwrap_or_default()),
        ]
    };
    let files = &job.own().files;
    (!files.is_empty()).then(|| Table {
        title: "Requests to the generator",
        heads: &["Request", "State", "Progress", "Calls", "File", "Error"],
        rows: files.iter().map(row).collect(),
    })
}

fn messages<'e>(events: impl Iterator<Item = &'e KeptEvent>) -> Option<Table> {
    let row = |event: &KeptEvent| {
        vec![
            Fact::code(&event.id),
            Fact::text(&event.kind),
            Fact::text(event.attempts.to_string()),
            Fact::At(event.next_at),
        ]
    };
    let rows: Vec<Vec<Fact>> = events.map(row).collect();
    (!rows.is_empty()).then_some(Table {
        title: "Messages of Stripe that wait",
        heads: &["Message", "Type", "Tries", "Next"],
        rows,
    })
}

fn timeline(job: &Generation) -> Vec<Moment> {
    let entries = job.own().timeline.iter();
    entries.map(|entry| Moment { at: entry.at, what: entry.what.clone(), by: None, seq: None }).collect()
}

/// What would change the job is offered; the service decides again when it is done.
fn deeds(job: &Generation, now: Timestamp) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if job.clone().retry(now) {
        deeds.push(Deed {
            name: "retry".to_owned(),
            label: "Retry the failed videos",
            consequence:
                "The videos that failed are asked for again. Those that are done stay, and nothing is paid \
                          twice."
                    .to_owned(),
            note: None,
        });
    }
    if job.own().payment_intent.is_some() && job.clone().order_refund(now) {
        let warning =
            if job.status == Status::Completed { " The videos were made and can still be seen." } else { "" };
        deeds.push(Deed {
            name: "refund".to_owned(),
            label: "Refund this job",
            consequence: format!(
                "All of the money goes back to the buyer through Stripe.{warning} This cannot be undone."
            ),
            note: None,
        });
    }
    deeds
}
