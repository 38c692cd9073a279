//! The handle for tests and `sessile dev`: read what was asked for, end generations by hand, switch.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Switch;
use super::error::SuperDuperAiError;
use super::generation::Generation;
use super::render;
use super::state::{App, Entry};

/// A running stand-in SuperDuperAI.
#[derive(Clone)]
pub struct SuperDuperAiControl(App);

impl SuperDuperAiControl {
    pub(crate) fn new(app: App) -> Self {
        Self(app)
    }

    /// Every accepted request, oldest first.
    #[must_use]
    pub fn generations(&self) -> Vec<Generation> {
        self.some(|_| true)
    }

    /// The accepted requests with exactly this prompt, oldest first.
    #[must_use]
    pub fn generations_of(&self, prompt: &str) -> Vec<Generation> {
        self.some(|generation| generation.prompt == prompt)
    }

    /// The accepted requests with this seed, oldest first.
    #[must_use]
    pub fn generations_with_seed(&self, seed: i64) -> Vec<Generation> {
        self.some(|generation| generation.seed == Some(seed))
    }

    fn some(&self, wanted: impl Fn(&Generation) -> bool) -> Vec<Generation> {
        let entries = self.0.entries.lock();
        let of = |entry: &Entry| wanted(&entry.generation).then(|| entry.generation.clone());
        entries.iter().filter_map(of).collect()
    }

    /// One of them.
    #[must_use]
    pub fn generation(&self, file_id: &str) -> Option<Generation> {
        self.0.generation(file_id)
    }

    /// Ends a generation with its video, now.
    ///
    /// # Errors
    /// [`SuperDuperAiError`] when there is none or it is over.
    pub fn finish(&self, file_id: &str) -> Result<(), SuperDuperAiError> {
        self.ended(file_id, render::finish(&self.0, file_id))
    }

    /// Ends a generation without a video, now.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn fail(&self, file_id: &str, message: &str) -> Result<(), SuperDuperAiError> {
        self.ended(file_id, render::fail(&self.0, file_id, "error", message))
    }

    fn ended(&self, file_id: &str, ended: bool) -> Result<(), SuperDuperAiError> {
        match self.0.generation(file_id) {
            _ if ended => Ok(()),
            Some(_) => Err(SuperDuperAiError::Over(file_id.to_owned())),
            None => Err(SuperDuperAiError::NoFile(file_id.to_owned())),
        }
    }

    /// Waits until nothing is being rendered any more; stalled generations do not count. False when it takes longer.
    pub async fn rendered(&self, within: Duration) -> bool {
        let mut rendering = self.0.rendering.subscribe();
        let idle = rendering.wait_for(|count| *count == 0);
        tokio::time::timeout(within, idle).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Replaces what is switched on.
    ///
    /// # Errors
    /// [`SuperDuperAiError::Switch`] above a limit; nothing changes then.
    pub fn misbehave(&self, switches: &[Switch]) -> Result<(), SuperDuperAiError> {
        self.0.active.lock().replace(switches).map_err(SuperDuperAiError::Switch)
    }

    /// Switches one more on.
    ///
    /// # Errors
    /// [`SuperDuperAiError::Switch`] above a limit.
    pub fn set(&self, switch: &Switch) -> Result<(), SuperDuperAiError> {
        self.0.active.lock().add(switch).map_err(SuperDuperAiError::Switch)
    }

    /// What is still switched on.
    #[must_use]
    pub fn active(&self) -> Vec<Switch> {
        self.0.active.lock().snapshot()
    }

    /// How often something happened: a route such as [`super::GENERATE`], or `generations`, which counts those that
    /// were accepted.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.0.counts().get(what).copied().unwrap_or(0)
    }

    /// Every count.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.counts()
    }
}

impl fmt::Debug for SuperDuperAiControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuperDuperAiControl").field("active", &self.active()).finish_non_exhaustive()
    }
}
