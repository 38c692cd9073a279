//! The jobs, read behind the program's back, held against what Stripe took and what the generator was asked for.

use crate::buyers::{Buyers, VIDEOS};
use crate::load::is_long;
use crate::studio::Till;
use sessile_core::generation::{
    Generation, GenerationKey, GenerationStore, Money, Status, Video, VideoStatus,
};
use sessile_core::{Clock as _, SystemClock};
use sessile_sandbox::stripe::{CheckoutSession, PaymentStatus};
use sessile_sandbox::superduperai::{FILES, GENERATE};
use sessile_store::generation::open_generations;
use std::time::{Duration, Instant};

/// How long the workers may take until everything is made.
fn settle_limit() -> Duration {
    Duration::from_secs(if is_long() { 600 } else { 90 })
}

const PAUSE: Duration = Duration::from_millis(300);

/// Waits until every paid job is done, and says the first thing that is not as it should be; else what there was.
pub(crate) async fn settle(url: &str, till: &Till, buyers: &Buyers) -> Result<String, String> {
    let store = open_generations(url).await.map_err(|error| error.to_string())?;
    let began = Instant::now();
    let jobs = loop {
        match under_way(&*store, till, buyers).await? {
            Progress::Done(jobs) => break jobs,
            Progress::UnderWay(what) if began.elapsed() > settle_limit() => {
                return Err(format!("stuck after {:?}: {what}", began.elapsed()));
            }
            Progress::UnderWay(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    for (session, job) in &jobs {
        hold(till, session, job).map_err(|what| format!("{}: {what}; the job is {job:?}", session.id))?;
    }
    let (made, wanted) = (till.maker().count("generations"), (jobs.len() * VIDEOS) as u64);
    if made != wanted {
        return Err(format!("{wanted} videos were paid for and the generator made {made}"));
    }
    let taken_over = jobs.iter().filter(|(_, job)| was_asked_about(job)).count();
    Ok(format!(
        "{} jobs paid and made, {wanted} videos once each; {} calls and {} questions to the generator, of {taken_over} \
         jobs it was asked whether it had them; {} pages at Stripe, {} requests without an answer",
        jobs.len(),
        till.maker().count(GENERATE),
        till.maker().count(FILES),
        till.stripe().sessions().len(),
        buyers.unanswered(),
    ))
}

enum Progress {
    Done(Vec<(CheckoutSession, Generation)>),
    UnderWay(String),
}

/// Every job that was paid, once all of them are done and nothing of Stripe's waits any more.
async fn under_way(store: &dyn GenerationStore, till: &Till, buyers: &Buyers) -> Result<Progress, String> {
    let (now, ordered) = (SystemClock.now(), buyers.ordered());
    let mut jobs = Vec::new();
    for session in till.stripe().sessions() {
        let prompt = ordered.get(&session.id);
        if session.payment_status != PaymentStatus::Paid {
            if prompt.is_some() {
                return Err(format!("{} was not paid", session.id));
            }
            continue;
        }
        let own = session.client_reference_id.clone().ok_or("a page without our name")?;
        let key = GenerationKey::parse(&own).ok_or("a page with another name")?;
        let job = match store.load(&key, now).await {
            Ok(Some(job)) => job,
            Ok(None) => return Err(format!("{} was paid and its job is lost", session.id)),
            Err(error) => return Ok(Progress::UnderWay(error.to_string())),
        };
        if prompt.is_some_and(|prompt| *prompt != job.prompt) {
            return Err(format!("{}: the prompt is another one", session.id));
        }
        match job.status {
            Status::Completed => jobs.push((session, job)),
            Status::Error => return Err(format!("{} failed: {job:?}", session.id)),
            Status::Pending | Status::Processing => {
                return Ok(Progress::UnderWay(format!("{} is not done: {job:?}", session.id)));
            }
        }
    }
    let missing = ordered.keys().find(|page| !jobs.iter().any(|(session, _)| session.id == **page));
    if let Some(page) = missing {
        return Err(format!("Stripe does not know {page}"));
    }
    match store.waiting(10).await {
        Ok(waiting) if waiting.is_empty() => Ok(Progress::Done(jobs)),
        Ok(waiting) => Ok(Progress::UnderWay(format!("messages of Stripe wait: {waiting:?}"))),
        Err(error) => Ok(Progress::UnderWay(error.to_string())),
    }
}

/// One job: paid once, every video made once, each under its own request.
fn hold(till: &Till, session: &CheckoutSession, job: &Generation) -> Result<(), String> {
    let own = job.own();
    if own.money != Money::Paid || own.stripe.as_ref().is_none_or(|stripe| stripe.as_str() != session.id) {
        return Err("it is not bound to its payment".to_owned());
    }
    if till.stripe().sessions_of(own.id.as_str()).len() != 1 {
        return Err("it has several pages".to_owned());
    }
    let made = till.maker().generations_of(&job.prompt);
    if own.files.len() != VIDEOS || made.len() != VIDEOS {
        return Err(format!("{} videos are known and {} were made", own.files.len(), made.len()));
    }
    own.files.iter().try_for_each(|video| hold_video(till, video))
}

fn hold_video(till: &Till, video: &Video) -> Result<(), String> {
    let made = till.maker().generations_with_seed(i64::from(video.seed));
    match made.as_slice() {
        [one] if video.status == VideoStatus::Done && video.file_id.as_ref() == Some(&one.file_id) => Ok(()),
        other => Err(format!("{} was made {} times: {other:?}", video.request_id, other.len())),
    }
}

fn was_asked_about(job: &Generation) -> bool {
    job.own().timeline.iter().any(|entry| entry.what.contains("asking"))
}
