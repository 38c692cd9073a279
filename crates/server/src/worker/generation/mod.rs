//! The workers of paid jobs: Stripe's kept messages are applied, due work is done, what is over is removed, and what there
//! is is counted.
//!
//! Any number of processes may run them: messages and jobs are taken under a lease in the store, and a job's fence keeps a
//! worker that slept through its lease from writing.

mod census;
mod events;
mod tidy;
mod work;

use super::Running;
use super::pace::Stopping;
use crate::admin::Watch;
use crate::app::App;
use crate::generation::{Bells, MoneyBack, VideoMaker};
use sessile_core::generation::Generations;
use sessile_core::{Clock, Entropy};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Everything that they need; cheap to clone.
#[derive(Clone)]
pub struct GenerationWorkers(Arc<Parts>);

struct Parts {
    jobs: Generations,
    providers: Option<Providers>,
    bells: Arc<Bells>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    watch: Arc<Watch>,
}

/// Who makes videos and who gives money back; without both, work waits.
struct Providers {
    generator: VideoMaker,
    refunder: MoneyBack,
}

impl GenerationWorkers {
    /// For the jobs of an application; `None` where none are kept.
    #[must_use]
    pub fn new(app: &App) -> Option<Self> {
        let parts = &app.generation;
        let jobs = parts.jobs.as_ref().ok()?.clone();
        let providers = match (&parts.generator, &parts.stripe) {
            (Ok(generator), Ok(stripe)) => Some(Providers {
                generator: VideoMaker::new(
                    generator.clone(),
                    app.clock.clone(),
                    parts.settled_after,
                    jobs.call_timeout(),
                ),
                refunder: MoneyBack::new(stripe.client.clone()),
            }),
            _ => {
                tracing::warn!(missing = ?parts.missing, "paid videos wait until these variables are set");
                None
            }
        };
        Some(Self(Arc::new(Parts {
            jobs,
            providers,
            bells: parts.bells.clone(),
            clock: app.clock.clone(),
            entropy: app.entropy.clone(),
            watch: app.watch.clone(),
        })))
    }

    /// Starts all of them.
    #[must_use]
    pub fn start(&self) -> Running {
        let (stop, asked) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(events::run(self.clone(), Stopping::new(asked.clone())));
        tasks.spawn(census::run(self.clone(), Stopping::new(asked.clone())));
        tasks.spawn(tidy::run(self.clone(), Stopping::new(asked.clone())));
        if self.0.providers.is_some() {
            for _ in 0..work::TASKS {
                tasks.spawn(work::run(self.clone(), Stopping::new(asked.clone())));
            }
        }
        Running { stop, tasks }
    }
}
