//! A paid job as `sessile inspect` shows it: the session, its timeline, Stripe's messages, every request to the generator,
//! and what would mend it. `--retry` puts back what is safe to put back.

use crate::exit::{Exit, Stop};
use crate::generation::{Advice, staff_view};
use crate::stores::reason_of;
use serde_json::{Value, json};
use sessile_core::generation::{Generation, GenerationKey, GenerationStore, Generations, KeptEvent};
use sessile_core::{Clock as _, OsEntropy, StoreError, SystemClock};
use std::sync::Arc;

/// Waiting messages that are looked through.
const MESSAGES_MAX: usize = 1000;
/// Characters of a prompt that are printed.
const PROMPT_CHARS_MAX: usize = 200;
/// What stands apart from the facts in the text.
const APART: [&str; 6] = ["prompt", "timeline", "requests", "files", "what", "remedy"];

/// How to look.
pub(super) struct Look<'l> {
    pub(super) id: &'l str,
    pub(super) json: bool,
    pub(super) retry: bool,
}

/// Whether this can only be a paid job's name.
fn is_certain(id: &str) -> bool {
    ["gen_", "cs_live_", "cs_test_"].iter().any(|prefix| id.starts_with(prefix))
}

/// Looks up and prints; `None` when the name may be another kind's.
///
/// # Errors
/// [`Stop`] when the store cannot be read.
pub(super) async fn run(
    store: Option<Arc<dyn GenerationStore>>,
    look: Look<'_>,
) -> Result<Option<Exit>, Stop> {
    let Some(store) = store else {
        let nowhere = "generation sessions are not configured here: set REDIS_URL or DATABASE_URL, and STRIPE_SECRET_KEY \
                       with STRIPE_WEBHOOK_SECRET or SUPERDUPERAI_TOKEN with SUPERDUPERAI_URL";
        return if is_certain(look.id) { Err(Stop::failed(nowhere)) } else { Ok(None) };
    };
    let Some(key) = GenerationKey::parse(look.id) else { return Ok(None) };
    let jobs = Generations::new(store, Arc::new(SystemClock), Arc::new(OsEntropy));
    let failed = |error: StoreError| {
        Stop::failed(format!("the store of generation sessions did not answer: {}", reason_of(&error)))
    };
    let job = match jobs.find(&key).await {
        Ok(Some(job)) => Ok(job),
        Ok(None) => Err(Advice::unknown()),
        Err(StoreError::Undecodable { .. }) => Err(Advice::unreadable()),
        Err(error) => return Err(failed(error)),
    };
    let messages = waiting(&jobs, &key, job.as_ref().ok()).await.map_err(failed)?;
    let exit = match job {
        Ok(job) => {
            let (job, retried) =
                if look.retry { retried(&jobs, job, &messages).await.map_err(failed)? } else { (job, None) };
            show(&job, &messages, retried, look.json);
            Exit::Done
        }
        Err(advice) if is_certain(look.id) || advice == Advice::unreadable() || !messages.is_empty() => {
            show_nothing(look.id, &advice, &messages, look.json);
            Exit::Failed
        }
        Err(_) => return Ok(None),
    };
    Ok(Some(exit))
}

/// Stripe's messages for this job that were not applied yet.
async fn waiting(
    jobs: &Generations,
    key: &GenerationKey,
    job: Option<&Generation>,
) -> Result<Vec<KeptEvent>, StoreError> {
    let intent = job.and_then(|job| job.own().payment_intent.clone());
    let stripe = job.map(Generation::key);
    let mut messages = jobs.store().waiting(MESSAGES_MAX).await?;
    messages.retain(|message| {
        message.key.as_ref().is_some_and(|about| about == key || Some(about) == stripe.as_ref())
            || intent.as_ref().is_some_and(|intent| message.body.contains(&format!("\"{intent}\"")))
    });
    Ok(messages)
}

/// What became of `--retry`, as a sentence.
type Retried = Option<&'static str>;

async fn retried(
    jobs: &Generations,
    job: Generation,
    messages: &[KeptEvent],
) -> Result<(Generation, Retried), StoreError> {
    for message in messages {
        jobs.store().postponed(&message.id, SystemClock.now()).await?;
    }
    let (job, changed) = jobs.change(&job.key(), Generation::retry).await?;
    let sentence = match (changed, messages.is_empty()) {
        (true, _) => "The failed videos are made after all, as soon as a worker takes the job.",
        (false, false) => "Stripe's waiting messages are applied again, as soon as a worker takes them.",
        (false, true) => {
            "There is nothing to put back: nothing failed that is paid for, or its money goes back."
        }
    };
    Ok((job, Some(sentence)))
}

fn show(job: &Generation, messages: &[KeptEvent], retried: Retried, as_json: bool) {
    let view = staff_view(job, SystemClock.now());
    if as_json {
        println!("{}", json!({ "session": view, "waiting": told(messages), "retried": retried }));
        return;
    }
    let mut lines = vec!["generation session".to_owned()];
    for (name, value) in view.as_object().into_iter().flatten() {
        if !APART.contains(&name.as_str()) && !value.is_null() {
            lines.push(format!("  {name:<16} {}", plain(value)));
        }
    }
    let start: String = job.prompt.chars().take(PROMPT_CHARS_MAX).flat_map(char::escape_debug).collect();
    lines.push(format!("  {:<16} {} bytes: {start}", "prompt", job.prompt.len()));
    lines.push("requests to the generator".to_owned());
    lines.extend(view["requests"].as_array().into_iter().flatten().map(request));
    lines.push("timeline".to_owned());
    for entry in &job.own().timeline {
        lines.push(format!("  {}  {}", entry.at, entry.what));
    }
    lines.extend(waiting_lines(messages));
    lines.push(format!("what happened\n  {}", plain(&view["what"])));
    lines.push(format!("what to do\n  {}", plain(&view["remedy"])));
    if let Some(sentence) = retried {
        lines.push(format!("retry\n  {sentence}"));
    }
    println!("{}", lines.join("\n"));
}

fn show_nothing(id: &str, advice: &Advice, messages: &[KeptEvent], as_json: bool) {
    if as_json {
        let view = json!({ "sessionId": id, "what": advice.what, "remedy": advice.remedy });
        println!("{}", json!({ "session": view, "waiting": told(messages), "retried": null }));
        return;
    }
    let mut lines = vec![format!("generation session {id}")];
    lines.extend(waiting_lines(messages));
    lines.push(format!("what happened\n  {}", advice.what));
    lines.push(format!("what to do\n  {}", advice.remedy));
    println!("{}", lines.join("\n"));
}

fn request(request: &Value) -> String {
    let mut parts = vec![format!("  {}", plain(&request["requestId"]))];
    for name in
        ["status", "progress", "attempts", "asks", "seed", "fileId", "calledAt", "nextAt", "url", "error"]
    {
        if let Some(value) = request.get(name).filter(|value| !value.is_null()) {
            parts.push(format!("{name} {}", plain(value)));
        }
    }
    parts.join(", ")
}

fn waiting_lines(messages: &[KeptEvent]) -> Vec<String> {
    let line = |message: &KeptEvent| {
        format!(
            "  {}  {} {} (tried {} times, again {})",
            message.received_at, message.id, message.kind, message.attempts, message.next_at
        )
    };
    let heading = (!messages.is_empty()).then(|| "messages of Stripe that wait".to_owned());
    heading.into_iter().chain(messages.iter().map(line)).collect()
}

fn told(messages: &[KeptEvent]) -> Vec<Value> {
    let view = |message: &KeptEvent| {
        json!({
            "id": message.id,
            "type": message.kind,
            "receivedAt": message.received_at.to_iso8601(),
            "attempts": message.attempts,
            "nextAt": message.next_at.to_iso8601(),
        })
    };
    messages.iter().map(view).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
