//! Paid jobs as they are shown: to a page that waits, to the buyer, and to an operator. Nothing of this names a lease, a
//! fence or a cookie.

use super::Advice;
use serde_json::{Map, Value, json};
use sessile_core::Timestamp;
use sessile_core::generation::{Entry, Generation, Video};

/// A field that is left out when there is nothing to say.
fn put(fields: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}

/// One video.
fn file_view(video: &Video) -> Value {
    let mut fields = Map::new();
    fields.insert("requestId".to_owned(), json!(video.request_id));
    put(&mut fields, "fileId", video.file_id.as_deref());
    fields.insert("status".to_owned(), json!(video.status));
    put(&mut fields, "url", video.url.as_deref());
    fields.insert("progress".to_owned(), json!(video.progress));
    put(&mut fields, "error", video.error.as_deref());
    Value::Object(fields)
}

/// State and progress: what changes while a page waits.
pub(crate) fn progress_view(job: &Generation) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("status".to_owned(), json!(job.status));
    put(&mut fields, "fileId", job.file_id.as_deref());
    put(&mut fields, "error", job.error.as_deref());
    fields.insert("videoCount".to_owned(), json!(job.video_count));
    fields.insert("progress".to_owned(), json!(job.progress()));
    fields.insert("files".to_owned(), job.own().files.iter().map(file_view).collect());
    fields
}

/// The session, for whoever owns it.
pub(crate) fn owner_view(job: &Generation) -> Value {
    let mut fields = progress_view(job);
    let own = job.own();
    for (name, value) in [
        ("prompt", json!(job.prompt)),
        ("duration", json!(job.duration)),
        ("resolution", json!(job.resolution)),
        ("style", json!(job.style)),
        ("toolSlug", json!(job.tool_slug)),
        ("toolTitle", json!(job.tool_title)),
        ("createdAt", json!(job.created_at)),
        ("updatedAt", json!(own.updated_at.to_iso8601())),
        ("version", json!(own.version)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    put(&mut fields, "sessionId", own.stripe.as_ref().map(|id| id.as_str()));
    Value::Object(fields)
}

/// The session with what an operator needs; `prompt` only where it is asked for one job.
pub(crate) fn staff_view(job: &Generation, now: Timestamp) -> Value {
    let own = job.own();
    let mut view = owner_view(job);
    let advice = Advice::of(job, now);
    for (name, value) in [
        ("id", json!(own.id.as_str())),
        ("userId", json!(own.owner.user)),
        ("priceId", json!(own.price_id)),
        ("money", json!(own.money)),
        ("paymentIntent", json!(own.payment_intent)),
        ("refund", json!(own.refund)),
        ("flags", json!(own.flags)),
        ("events", json!(own.events)),
        ("timeline", own.timeline.iter().map(entry).collect()),
        ("requests", own.files.iter().map(request).collect()),
        ("expiresAt", json!(job.expires_at().to_iso8601())),
        ("what", json!(advice.what)),
        ("remedy", json!(advice.remedy)),
    ] {
        view[name] = value;
    }
    view
}

fn entry(entry: &Entry) -> Value {
    json!({ "at": entry.at.to_iso8601(), "what": entry.what })
}

/// A generation request as an operator sees it.
fn request(video: &Video) -> Value {
    let mut view = file_view(video);
    view["seed"] = json!(video.seed);
    view["attempts"] = json!(video.attempts);
    view["asks"] = json!(video.asks);
    view["calledAt"] = json!(video.called_at.map(Timestamp::to_iso8601));
    view["nextAt"] = json!(video.next_at.map(Timestamp::to_iso8601));
    view
}
