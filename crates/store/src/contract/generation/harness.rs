//! What a case is given: an engine, and the moment that counts as the present.

use crate::contract::Must;
use futures_util::future::BoxFuture;
use sessile_core::checkout::Owner;
use sessile_core::generation::{
    Generation, GenerationId, GenerationKey, GenerationStore, NewGeneration, News, StripeNews,
    StripeSessionId,
};
use sessile_core::{OsEntropy, Timestamp};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// Stores any text under a key, as an older application would.
pub type Plant = Arc<dyn Fn(String, String) -> BoxFuture<'static, ()> + Send + Sync>;
/// Loses every index that is only a hint.
pub type Lose = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// An engine under test.
pub struct TestGenerations {
    /// The engine.
    pub store: Arc<dyn GenerationStore>,
    /// The moment that counts as the present: the clock's for an engine with a clock of its own.
    pub base: Timestamp,
    /// How an older application writes.
    pub plant: Option<Plant>,
    /// How hints are lost; `None`: there are none.
    pub lose_hints: Option<Lose>,
    guard: Box<dyn Any + Send + Sync>,
}

impl TestGenerations {
    /// An engine without hints, at a fixed moment of 2030.
    #[must_use]
    pub fn new(store: Arc<dyn GenerationStore>) -> Self {
        let base = Timestamp::from_unix_ms(1_900_000_000_000);
        Self { store, base, plant: None, lose_hints: None, guard: Box::new(()) }
    }

    /// With another present moment; cut to whole seconds.
    #[must_use]
    pub fn at(mut self, base: Timestamp) -> Self {
        self.base = Timestamp::from_unix_ms(base.unix_seconds() * 1000);
        self
    }

    /// With a way to write as an older application does.
    #[must_use]
    pub fn planting(mut self, plant: Plant) -> Self {
        self.plant = Some(plant);
        self
    }

    /// With a way to lose hints.
    #[must_use]
    pub fn losing(mut self, lose: Lose) -> Self {
        self.lose_hints = Some(lose);
        self
    }

    /// Keeps `guard` until the case is over; its drop cleans up.
    #[must_use]
    pub fn guarded_by(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Box::new(guard);
        self
    }

    pub(super) fn after(&self, seconds: u64) -> Timestamp {
        self.base.plus(Duration::from_secs(seconds))
    }

    /// A new job that nobody has paid for.
    pub(super) async fn given(&self, prompt: &str) -> Generation {
        self.given_to(prompt, Owner::default()).await
    }

    /// A new job of somebody's.
    pub(super) async fn given_to(&self, prompt: &str, owner: Owner) -> Generation {
        let id = GenerationId::generate(&OsEntropy).must("an id");
        let new = NewGeneration {
            prompt: prompt.to_owned(),
            video_count: 2,
            tool_slug: None,
            tool_title: None,
            price_id: "price_1".to_owned(),
            owner,
        };
        let job = Generation::new(id, new, self.base);
        self.store.create(&job, self.base).await.must("create");
        job
    }

    /// A job that is bound and paid: its work is due.
    pub(super) async fn paid(&self) -> Generation {
        let job = self.given("a paid prompt").await;
        let bound = self.bound(&job).await;
        let news = StripeNews {
            event: "evt_paid".to_owned(),
            kind: "checkout.session.completed".to_owned(),
            news: News::Paid,
            payment_intent: None,
        };
        let requests = [("req_1".to_owned(), 1), ("req_2".to_owned(), 2)];
        let paid = bound.on(&news, &requests, self.base).must("news").next_revision(self.base);
        self.store.commit(&paid, self.base).await.must("commit");
        paid
    }

    pub(super) async fn bound(&self, job: &Generation) -> Generation {
        let bound = self.store.bind(&job.own().id, &stripe_id(), self.base).await;
        bound.must("bind").must("a job")
    }

    pub(super) async fn found(&self, key: &GenerationKey, now: Timestamp) -> Option<Generation> {
        self.store.load(key, now).await.must("load")
    }
}

/// A name as Stripe makes them.
pub(super) fn stripe_id() -> StripeSessionId {
    let id = GenerationId::generate(&OsEntropy).must("an id");
    let tail: String = id.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
    StripeSessionId::of_stripe(&format!("cs_test_{tail}")).must("Stripe's name")
}
