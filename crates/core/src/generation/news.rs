//! What Stripe's events do to a job. Pure.
//!
//! Events come out of order and more than once. One family starts the job: a Checkout Session that is paid. Money that
//! is here absorbs everything that says it is not.

use super::session::{Flag, Generation, Money, Refund, Status, VIDEOS_MAX};
use super::video::Video;
use crate::time::Timestamp;

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The session is complete, and paid or free.
    Paid,
    /// The session is complete, the money is on its way.
    Delayed,
    /// The money on its way did not come.
    DelayedFailed,
    /// The session expired.
    Expired,
    /// A card was declined; the buyer may try another.
    Declined,
    /// Money went back.
    Refunded,
    /// The buyer disputes the charge.
    Disputed,
    /// Nothing that changes a job.
    Other,
}

/// An event for one job.
#[derive(Debug, Clone)]
pub struct StripeNews {
    /// Stripe's id of the event.
    pub event: String,
    /// Its type, for the timeline.
    pub kind: String,
    /// What it says.
    pub news: News,
    /// Stripe's name of the payment, where it tells.
    pub payment_intent: Option<String>,
}

impl Generation {
    /// Applies an event; `None` when it was applied before. `requests` are the names and seeds of new videos.
    #[must_use]
    pub fn on(&self, event: &StripeNews, requests: &[(String, u32)], now: Timestamp) -> Option<Self> {
        if self.knows(&event.event) {
            return None;
        }
        let mut job = self.clone();
        job.remember(&event.event);
        job.note(format!("stripe {} {}", event.kind, event.event), now);
        if let Some(intent) = &event.payment_intent {
            job.own_mut().payment_intent.get_or_insert_with(|| intent.clone());
        }
        let money = job.own().money;
        match event.news {
            News::Paid if money != Money::Paid => job.start(requests, now),
            News::Delayed if money == Money::Awaited => job.own_mut().money = Money::Delayed,
            News::DelayedFailed if money != Money::Paid => {
                job.ends(Money::Failed, "The payment did not go through. Nothing was charged.");
            }
            News::Expired if money != Money::Paid => {
                job.ends(Money::Expired, "The payment page expired before it was paid. Nothing was charged.");
            }
            News::Declined => job.flag(Flag::PaymentFailed),
            News::Refunded => {
                job.flag(Flag::Refunded);
                job.own_mut().refund = Refund::Done;
            }
            News::Disputed => job.flag(Flag::Disputed),
            News::Paid | News::Delayed | News::DelayedFailed | News::Expired | News::Other => {}
        }
        Some(job)
    }

    /// The money is here: the videos are planned, each once.
    fn start(&mut self, requests: &[(String, u32)], now: Timestamp) {
        self.own_mut().money = Money::Paid;
        if self.status == Status::Completed || !self.own().files.is_empty() {
            return;
        }
        self.status = Status::Processing;
        self.error = None;
        let wanted = usize::try_from(self.video_count).unwrap_or(usize::MAX);
        self.own_mut().files = requests
            .iter()
            .take(wanted)
            .map(|(request_id, seed)| Video::planned(request_id.clone(), *seed, now))
            .collect();
    }

    fn ends(&mut self, money: Money, sentence: &str) {
        self.own_mut().money = money;
        self.status = Status::Error;
        self.error = Some(sentence.to_owned());
    }

    fn flag(&mut self, flag: Flag) {
        let flags = &mut self.own_mut().flags;
        if !flags.contains(&flag) {
            flags.push(flag);
        }
    }

    /// An operator wants the failed videos made after all; `false` when there is nothing to retry.
    pub fn retry(&mut self, now: Timestamp) -> bool {
        let own = self.own();
        // The older application did not record whether it had asked for a video.
        let forgotten = own.files.is_empty() && self.status == Status::Processing;
        let failed = own.files.iter().any(|video| video.status == super::VideoStatus::Failed);
        if !(failed || forgotten)
            || own.money != Money::Paid
            || matches!(own.refund, Refund::Ordered | Refund::Done)
        {
            return false;
        }
        self.own_mut().refund = Refund::None;
        if forgotten {
            let id = self.own().id.clone();
            let planned = |n: u32| Video::planned(format!("{}-{n}", id.as_str()), n, now);
            self.own_mut().files = (1..=self.video_count.clamp(1, VIDEOS_MAX)).map(planned).collect();
        }
        self.own_mut().files.iter_mut().for_each(|video| video.retry(now));
        self.status = Status::Processing;
        self.error = None;
        self.note("retried by an operator", now);
        true
    }

    /// An operator wants the money to go back; `false` when there is none, or it goes already.
    pub fn order_refund(&mut self, now: Timestamp) -> bool {
        let own = self.own();
        let open = self.status == Status::Processing;
        if open || own.money != Money::Paid || !matches!(own.refund, Refund::None | Refund::Due) {
            return false;
        }
        self.own_mut().refund = Refund::Ordered;
        self.note("refund ordered", now);
        true
    }
}
