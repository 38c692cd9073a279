//! What happened to a job, and what would mend it, as sentences for an operator. Pure.

use sessile_core::Timestamp;
use sessile_core::generation::{Flag, Generation, Money, Refund, Status, VideoStatus};
use std::time::Duration;

/// Work that is overdue for so long is stuck: no worker takes it.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// Two sentences about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// What happened.
    pub(crate) what: String,
    /// What to do.
    pub(crate) remedy: String,
}

impl Advice {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// About a job as it is at `now`.
    pub(crate) fn of(job: &Generation, now: Timestamp) -> Self {
        let own = job.own();
        let mut advice = match job.status {
            Status::Pending => pending(job),
            Status::Processing => processing(job, now),
            Status::Completed => {
                Self::new("It was paid for, and all of its videos can be seen.", "Nothing has to be done.")
            }
            Status::Error => failed(job),
        };
        if own.flags.contains(&Flag::Disputed) {
            advice.what.push_str(" The buyer disputes the charge.");
            advice.remedy.push_str(" Answer the dispute in Stripe's dashboard.");
        }
        if own.flags.contains(&Flag::Refunded) && job.status != Status::Error {
            advice.what.push_str(" Money went back to the buyer.");
        }
        advice
    }

    /// About a value that is there and cannot be read.
    pub(crate) fn unreadable() -> Self {
        Self::new(
            "A value is stored under this name that is no session: its data was never stored, or it was written by a \
             newer program or by hand.",
            "Look up the payment in Stripe's dashboard; give the money back there, or ask the buyer for the prompt. \
             The value is kept as it is.",
        )
    }

    /// About a name that nothing is stored under.
    pub(crate) fn unknown() -> Self {
        Self::new(
            "No session is stored under this name: it never existed here, or nobody changed it for 30 days.",
            "Look up the Checkout Session in Stripe's dashboard: its client_reference_id (gen_…) is our name for it; \
             inspect that. If it was paid and is nowhere here, give the money back in Stripe's dashboard.",
        )
    }
}

fn pending(job: &Generation) -> Advice {
    let own = job.own();
    match own.money {
        _ if own.stripe.is_none() => Advice::new(
            "It was stored, and Stripe's answer about its payment page was never recorded; the buyer was not sent there.",
            "Nothing has to be done: it binds itself when Stripe reports it, and is forgotten after 30 days.",
        ),
        Money::Delayed => Advice::new(
            "The buyer is done; the money is on its way, which takes days with some methods.",
            "Wait for Stripe's checkout.session.async_payment_succeeded or _failed.",
        ),
        _ if own.flags.contains(&Flag::PaymentFailed) => Advice::new(
            "A card was declined, and nothing is paid yet.",
            "Nothing has to be done: the buyer may try another card until the page expires.",
        ),
        _ => Advice::new(
            "It was created, and nothing is paid yet.",
            "Nothing has to be done. If Stripe's dashboard says it is paid, send the event again from there: \
             Developers, Webhooks.",
        ),
    }
}

fn processing(job: &Generation, now: Timestamp) -> Advice {
    let files = &job.own().files;
    if files.is_empty() {
        return Advice::new(
            "The older application took the payment and did not record whether it asked for a video.",
            "Look into the generator's account. If the video is not there, retry it: sessile inspect <id> --retry.",
        );
    }
    let done = files.iter().filter(|video| video.status == VideoStatus::Done).count();
    let asking = files.iter().filter(|video| video.status == VideoStatus::Asking).count();
    let what = format!("It was paid for; {done} of {} videos are done.", files.len());
    match job.due_at() {
        Some(due) if now.since(due) >= STUCK_AFTER => Advice::new(
            format!("{what} Its work has been due since {due} and no worker took it."),
            "Start a worker (sessile serve, or sessile worker) with STRIPE_SECRET_KEY and SUPERDUPERAI_TOKEN set, and \
             look for its warnings in the log. Nothing is lost: the work goes on where it stopped.",
        ),
        _ if asking > 0 => Advice::new(
            format!(
                "{what} The answer to {asking} request(s) was lost; the generator is being asked for them."
            ),
            "Wait: a request is made again only when the generator says that it does not have it.",
        ),
        _ => Advice::new(what, "Wait: the generator is at work."),
    }
}

fn failed(job: &Generation) -> Advice {
    let own = job.own();
    let sentence = job.error.as_deref().unwrap_or("It failed.");
    match (own.money, own.refund) {
        (Money::Paid, Refund::Due) => Advice::new(
            format!("It was paid for and failed: {sentence} The payment is marked for a refund."),
            "Make the failed videos after all (sessile inspect <id> --retry), or give the money back \
             (POST /v1/generations/<id>/refund).",
        ),
        (Money::Paid, Refund::Ordered) => Advice::new(
            format!("It was paid for and failed: {sentence} A refund is ordered."),
            "Wait: a worker asks Stripe for it.",
        ),
        (Money::Paid, Refund::Done) => Advice::new(
            format!("It was paid for and failed: {sentence} The money went back."),
            "Nothing has to be done.",
        ),
        (Money::Paid, Refund::None) => Advice::new(
            format!("It was paid for and failed: {sentence}"),
            "Make the failed videos after all: sessile inspect <id> --retry.",
        ),
        (Money::Awaited | Money::Delayed | Money::Failed | Money::Expired, _) => Advice::new(
            format!("It ended without a payment: {sentence}"),
            "Nothing has to be done; the buyer may order again.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::checkout::Owner;
    use sessile_core::generation::{GenerationId, GenerationKey, NewGeneration, News, StripeNews};

    fn job(now: Timestamp) -> Generation {
        let new = NewGeneration {
            prompt: "a cat".into(),
            video_count: 2,
            tool_slug: None,
            tool_title: None,
            price_id: "price_1".into(),
            owner: Owner::default(),
        };
        Generation::new(GenerationId::parse("gen_1").unwrap(), new, now)
    }

    #[test]
    fn every_state_says_what_happened_and_what_to_do() {
        let now = Timestamp::from_unix_ms(1_800_000_000_000);
        let fresh = job(now);
        assert!(Advice::of(&fresh, now).what.contains("never recorded"));
        let paid = StripeNews {
            event: "evt_1".into(),
            kind: "checkout.session.completed".into(),
            news: News::Paid,
            payment_intent: None,
        };
        let working = fresh.on(&paid, &[("req_1".into(), 1), ("req_2".into(), 2)], now).unwrap();
        assert!(Advice::of(&working, now).what.contains("0 of 2 videos"));
        let late = now.plus(STUCK_AFTER);
        assert!(Advice::of(&working, late).remedy.starts_with("Start a worker"));
        let old =
            r#"{"prompt":"a","videoCount":1,"createdAt":"2026-01-01T00:00:00.000Z","status":"processing"}"#;
        let key = GenerationKey::parse("cs_live_old").unwrap();
        let old = Generation::read(old, &key, now).unwrap();
        assert!(Advice::of(&old, now).what.contains("older application"));
    }
}
