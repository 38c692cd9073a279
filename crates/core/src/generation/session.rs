//! The value of a generation session: one JSON object that holds the whole job, the older application's fields and
//! ours, with what is still to be done inside it.
//!
//! Pure. A value that the older application wrote is read as it is; fields that nobody knows are kept.

use super::id::{GenerationId, GenerationKey, StripeSessionId};
use super::store::Mark;
use super::video::{Video, VideoStatus};
use crate::checkout::Owner;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// How long a session is kept after its last change.
pub const GENERATION_LIFETIME: Duration = Duration::from_secs(2_592_000);
/// The most that a prompt may hold, in bytes. Above it nothing is cut, it is refused.
pub const PROMPT_BYTES_MAX: usize = 1024 * 1024;
/// Videos in one job.
pub const VIDEOS_MAX: u32 = 10;
/// The version of the value that this program writes. The older application's values have none.
pub const VALUE_VERSION: u32 = 1;
/// Entries that the timeline keeps.
const TIMELINE_MAX: usize = 200;
/// Stripe events whose ids are remembered.
const EVENTS_MAX: usize = 100;

/// A paid job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// What is to be seen. Kept whole.
    pub prompt: String,
    /// Videos that were bought.
    pub video_count: u32,
    /// Seconds.
    #[serde(default = "usual_duration")]
    pub duration: u32,
    /// Width and height.
    #[serde(default = "usual_resolution")]
    pub resolution: String,
    /// The look.
    #[serde(default = "usual_style")]
    pub style: String,
    /// The tool's page.
    #[serde(default = "usual_slug")]
    pub tool_slug: String,
    /// The tool's name.
    #[serde(default = "usual_title")]
    pub tool_title: String,
    /// When it was made, as ISO 8601.
    pub created_at: String,
    /// Where it is.
    pub status: Status,
    /// The first video's file, for pages that know only one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file_id: Option<String>,
    /// What went wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// What is ours, on the same level; absent in values of the older application.
    #[serde(flatten)]
    pub ours: Option<Own>,
    /// What nobody knows.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What we keep beside the older application's fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Own {
    /// Of the value.
    pub version: u32,
    /// Ours.
    pub id: GenerationId,
    /// Stripe's, once it is bound.
    #[serde(skip_serializing_if = "Option::is_none", default, rename = "checkoutSessionId")]
    pub stripe: Option<StripeSessionId>,
    /// Whose it is.
    #[serde(default)]
    pub owner: Owner,
    /// What was bought.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price_id: Option<String>,
    /// What is known of the money.
    #[serde(default)]
    pub money: Money,
    /// Stripe's name of the payment, for refunds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment_intent: Option<String>,
    /// The videos, once they are paid.
    #[serde(default)]
    pub files: Vec<Video>,
    /// Stripe events that were applied.
    #[serde(default)]
    pub events: Vec<String>,
    /// What happened.
    #[serde(default)]
    pub timeline: Vec<Entry>,
    /// What an operator should look at.
    #[serde(default)]
    pub flags: Vec<Flag>,
    /// Money that is to go back.
    #[serde(default)]
    pub refund: Refund,
    /// Until when a worker holds it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_until: Option<Timestamp>,
    /// Counts leases: whoever holds an older one may not write.
    #[serde(default)]
    pub fence: u64,
    /// Counts changes: a write is for the revision it was decided on. [`Generation::to_json`] puts it last.
    #[serde(default, skip_serializing)]
    pub revision: u64,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not paid yet.
    Pending,
    /// Paid: videos are being made.
    Processing,
    /// All videos can be seen.
    Completed,
    /// It came to nothing, or to less than was paid.
    Error,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Completed, Self::Error];

    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Error => "error",
        }
    }
}

/// What is known of the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Money {
    /// Nothing.
    #[default]
    Awaited,
    /// The buyer is done, the money is on its way.
    Delayed,
    /// It is here. Absorbing.
    Paid,
    /// It will not come.
    Failed,
    /// The buyer did not pay in time.
    Expired,
}

impl Refund {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Due => "due",
            Self::Ordered => "ordered",
            Self::Done => "done",
        }
    }
}

/// Money that is to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refund {
    /// None.
    #[default]
    None,
    /// Something paid for was not made: an operator refunds or retries.
    Due,
    /// An operator has ordered it; Stripe is being asked.
    Ordered,
    /// Stripe did it.
    Done,
}

/// What an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Stripe tried a card and it was declined.
    PaymentFailed,
    /// Money went back at Stripe.
    Refunded,
    /// The buyer disputes the charge.
    Disputed,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

/// A stored value that is no job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored session cannot be read: {what}")]
pub struct Unreadable {
    /// Why.
    pub what: String,
}

const fn usual_duration() -> u32 {
    8
}

fn usual_resolution() -> String {
    "1280x720".to_owned()
}

fn usual_style() -> String {
    "cinematic".to_owned()
}

fn usual_slug() -> String {
    "veo3-prompt-generator".to_owned()
}

fn usual_title() -> String {
    "Free VEO3 Viral Prompt Generator".to_owned()
}

/// What somebody wants made.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    /// What is to be seen.
    pub prompt: String,
    /// How many.
    pub video_count: u32,
    /// The tool's page; `None` is the usual one.
    pub tool_slug: Option<String>,
    /// The tool's name; `None` is the usual one.
    pub tool_title: Option<String>,
    /// What is bought.
    pub price_id: String,
    /// For whom.
    pub owner: Owner,
}

impl Generation {
    /// A job that nobody has paid for.
    #[must_use]
    pub fn new(id: GenerationId, new: NewGeneration, now: Timestamp) -> Self {
        let own = Own {
            owner: new.owner,
            price_id: Some(new.price_id),
            timeline: vec![Entry { at: now, what: "created".to_owned() }],
            ..Own::empty(id, now)
        };
        Self {
            prompt: new.prompt,
            video_count: new.video_count,
            duration: usual_duration(),
            resolution: usual_resolution(),
            style: usual_style(),
            tool_slug: new.tool_slug.unwrap_or_else(usual_slug),
            tool_title: new.tool_title.unwrap_or_else(usual_title),
            created_at: now.to_iso8601(),
            status: Status::Pending,
            file_id: None,
            error: None,
            ours: Some(own),
            other: Map::new(),
        }
    }

    /// Reads a stored value. `key` is what it was stored under: the older application's values know no other name.
    ///
    /// # Errors
    /// [`Unreadable`]; the value is to be kept as it is.
    pub fn read(json: &str, key: &GenerationKey, now: Timestamp) -> Result<Self, Unreadable> {
        let wrong = |what: String| Unreadable { what };
        if matches!(json.trim(), "" | "null" | "{}") {
            return Err(wrong("its data was never stored".to_owned()));
        }
        let mut job: Self = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        match &job.ours {
            Some(own) if own.version > VALUE_VERSION => Err(wrong(format!(
                "it has version {}, this program knows {VALUE_VERSION}; update the program",
                own.version
            ))),
            Some(_) => Ok(job),
            None => {
                job.adopt(key, now);
                Ok(job)
            }
        }
    }

    /// As it is stored. The revision is the last field, where an engine finds it without reading a large value.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string(self).unwrap_or_default();
        if json.pop() == Some('}') {
            json.push_str(&format!(",\"revision\":{}}}", self.own().revision));
        }
        json
    }

    /// What is ours.
    ///
    /// Every value that [`Generation::new`] or [`Generation::read`] gave has it.
    #[must_use]
    pub fn own(&self) -> &Own {
        // A value without it can only be built by hand.
        static NOBODY: std::sync::LazyLock<Own> =
            std::sync::LazyLock::new(|| Own::empty(GenerationId::unnamed(), Timestamp::EPOCH));
        self.ours.as_ref().unwrap_or(&NOBODY)
    }

    /// What is ours, to be changed.
    pub fn own_mut(&mut self) -> &mut Own {
        self.ours.get_or_insert_with(|| Own::empty(GenerationId::unnamed(), Timestamp::EPOCH))
    }

    /// What it is stored under: Stripe's name once it has one.
    #[must_use]
    pub fn key(&self) -> GenerationKey {
        let own = self.own();
        match &own.stripe {
            Some(stripe) => GenerationKey::Stripe(stripe.clone()),
            None => GenerationKey::Own(own.id.clone()),
        }
    }

    /// The same job with Stripe's name, as its next revision.
    #[must_use]
    pub fn bound_to(&self, stripe: &StripeSessionId, now: Timestamp) -> Self {
        let mut job = self.clone();
        job.own_mut().stripe = Some(stripe.clone());
        job.note("bound to Stripe's session", now);
        job.next_revision(now)
    }

    /// The same job, held by a worker, as its next revision.
    #[must_use]
    pub fn leased(&self, until: Timestamp, now: Timestamp) -> Self {
        let mut job = self.clone();
        let own = job.own_mut();
        own.lease_until = Some(until);
        own.fence += 1;
        job.next_revision(now)
    }

    /// The next revision.
    #[must_use]
    pub fn next_revision(mut self, now: Timestamp) -> Self {
        let own = self.own_mut();
        own.revision += 1;
        own.updated_at = now.max(own.updated_at);
        self
    }

    /// When a worker has to look at it; `None` when there is nothing to do.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        let own = self.own();
        let work = match (self.status, own.refund) {
            (Status::Processing, _) => own.files.iter().filter_map(|video| video.next_at).min(),
            (_, Refund::Ordered) => Some(own.updated_at),
            _ => None,
        };
        work.map(|at| own.lease_until.map_or(at, |lease| lease.max(at)))
    }

    /// By what else than its names it is found.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let Own { owner, payment_intent, .. } = self.own();
        let guest = owner.guest.clone().filter(|_| owner.user.is_none());
        guest.map(Mark::Guest).into_iter().chain(payment_intent.clone().map(Mark::Payment)).collect()
    }

    /// When it is forgotten.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.own().updated_at.plus(GENERATION_LIFETIME)
    }

    /// How far it is, 0 to 100.
    #[must_use]
    pub fn progress(&self) -> u8 {
        let files = &self.own().files;
        let sum: usize = files.iter().map(|video| usize::from(video.progress)).sum();
        match (self.status, files.len()) {
            (Status::Completed, _) => 100,
            (_, 0) => 0,
            (_, count) => u8::try_from(sum / count).unwrap_or(100),
        }
    }

    /// One more line of the timeline.
    pub fn note(&mut self, what: impl Into<String>, now: Timestamp) {
        let timeline = &mut self.own_mut().timeline;
        if timeline.len() >= TIMELINE_MAX {
            timeline.remove(1);
        }
        timeline.push(Entry { at: now, what: what.into() });
    }

    /// Whether an event of Stripe was applied before.
    #[must_use]
    pub fn knows(&self, event: &str) -> bool {
        self.own().events.iter().any(|known| known == event)
    }

    /// Remembers an event of Stripe.
    pub(super) fn remember(&mut self, event: &str) {
        let events = &mut self.own_mut().events;
        if events.len() >= EVENTS_MAX {
            events.remove(0);
        }
        events.push(event.to_owned());
    }

    /// Status, first file and error follow from the videos.
    pub(super) fn conclude(&mut self, now: Timestamp) {
        let own = self.own();
        self.file_id = own.files.first().and_then(|video| video.file_id.clone()).or(self.file_id.take());
        let files = &self.own().files;
        if self.status != Status::Processing || files.is_empty() || !files.iter().all(Video::is_settled) {
            return;
        }
        let failed = self.own().files.iter().find(|video| video.status == VideoStatus::Failed);
        match failed.map(|video| video.error.clone()) {
            None => {
                self.status = Status::Completed;
                self.error = None;
                self.note("completed", now);
            }
            Some(error) => {
                self.status = Status::Error;
                self.error = Some(error.unwrap_or_else(|| "The video could not be made.".to_owned()));
                if self.own().refund == Refund::None && self.own().money == Money::Paid {
                    self.own_mut().refund = Refund::Due;
                }
                self.note("failed", now);
            }
        }
    }

    /// A value of the older application: what it did is taken over, what it left undone is done.
    fn adopt(&mut self, key: &GenerationKey, now: Timestamp) {
        let id = GenerationId::parse(key.as_str()).unwrap_or_else(GenerationId::unnamed);
        let mut own = Own::empty(id, now);
        own.updated_at = Timestamp::from_iso8601(&self.created_at).unwrap_or(now);
        if let GenerationKey::Stripe(stripe) = key {
            own.stripe = Some(stripe.clone());
        }
        own.money = match self.status {
            Status::Pending | Status::Error => Money::Awaited,
            Status::Processing | Status::Completed => Money::Paid,
        };
        if let Some(file) = &self.file_id {
            let done = self.status == Status::Completed;
            own.files.push(Video {
                file_id: Some(file.clone()),
                status: if done { VideoStatus::Done } else { VideoStatus::Running },
                progress: if done { 100 } else { 0 },
                next_at: (!done).then_some(now),
                ..Video::planned(format!("{}-1", own.id.as_str()), 1, now)
            });
        }
        self.ours = Some(own);
    }
}

impl Own {
    fn empty(id: GenerationId, now: Timestamp) -> Self {
        Self {
            version: VALUE_VERSION,
            id,
            stripe: None,
            owner: Owner::default(),
            price_id: None,
            money: Money::Awaited,
            payment_intent: None,
            files: Vec::new(),
            events: Vec::new(),
            timeline: Vec::new(),
            flags: Vec::new(),
            refund: Refund::None,
            lease_until: None,
            fence: 0,
            revision: 0,
            updated_at: now,
        }
    }
}
