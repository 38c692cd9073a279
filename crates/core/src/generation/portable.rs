//! Paid jobs, and Stripe's messages about them, on their way from one engine to another.

use super::id::GenerationKey;
use super::session::{Generation, Unreadable};
use super::store::KeptEvent;
use crate::portable::{Portable, canonical_json};
use crate::time::Timestamp;

/// What moves.
#[derive(Debug, Clone, PartialEq)]
pub enum PortableGeneration {
    /// A job, under the name that it has now.
    Job(Box<Generation>),
    /// A message of Stripe.
    Event(PortableEvent),
}

/// A message, and whether it was applied: then its body is gone, and its id is remembered for as long as a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortableEvent {
    /// The message.
    pub event: KeptEvent,
    /// When it was applied, about; `None`: it waits.
    pub applied_at: Option<Timestamp>,
}

impl PortableGeneration {
    /// Reads a stored job in a way that does not depend on when it is read: what an older application left unsaid counts as
    /// of the job's own beginning.
    ///
    /// # Errors
    /// [`Unreadable`]; the value is to be kept as it is.
    pub fn job(json: &str, key: &GenerationKey) -> Result<Self, Unreadable> {
        let job = Generation::read(json, key, Timestamp::EPOCH)?;
        if job.own().revision > 0 {
            return Ok(Self::Job(Box::new(job)));
        }
        let began = Timestamp::from_iso8601(&job.created_at).unwrap_or(Timestamp::EPOCH);
        Generation::read(json, key, began).map(|job| Self::Job(Box::new(job)))
    }
}

impl Portable for PortableGeneration {
    fn canonical(&self) -> Option<String> {
        Some(match self {
            Self::Job(job) => format!("job {} {}", job.key().as_str(), canonical_json(&job.to_json())),
            // Of a message that was applied, engines remember little more than that it was.
            Self::Event(PortableEvent { event, applied_at: Some(_) }) => {
                format!("event {} {} applied", event.id, event.kind)
            }
            Self::Event(PortableEvent { event, applied_at: None }) => {
                let KeptEvent { id, kind, key, body, received_at, attempts, next_at } = event;
                let key = key.as_ref().map_or("", GenerationKey::as_str);
                let (received, next) = (received_at.unix_ms(), next_at.unix_ms());
                format!("event {id} {kind} {key} {received} {attempts} {next} {body}")
            }
        })
    }

    fn fingerprint(&self) -> String {
        match self {
            Self::Job(job) => format!("job {}", job.key().fingerprint()),
            Self::Event(event) => format!("message {}", event.event.id),
        }
    }

    fn ends_before(&self, at: Timestamp) -> bool {
        match self {
            Self::Job(job) => job.expires_at() < at,
            Self::Event(event) => event.forgotten_at() < at,
        }
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Job(ours), Self::Job(theirs)) => ours.own().revision > theirs.own().revision,
            (Self::Event(ours), Self::Event(theirs)) => ours.rank() > theirs.rank(),
            _ => false,
        }
    }
}

impl PortableEvent {
    /// How far it is: applied outweighs any number of attempts.
    #[must_use]
    pub const fn rank(&self) -> (bool, u32) {
        match self.applied_at {
            Some(_) => (true, 0),
            None => (false, self.event.attempts),
        }
    }

    /// When its id is forgotten.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.event.received_at.plus(super::GENERATION_LIFETIME)
    }
}
