//! What waits to become durable: changes that were asked for, and the step that is being taken.

use super::mirror::{Changes, Delta};
use super::store::Step;
use super::vault_error::VaultError;
use futures_channel::oneshot;

/// Changes and whoever waits for them.
pub(super) struct Asked {
    pub(super) changes: Changes,
    pub(super) reply: oneshot::Sender<Result<(), VaultError>>,
}

impl Asked {
    pub(super) fn answer(self, answer: Result<(), VaultError>) {
        // Whoever went away does not want it.
        let _ = self.reply.send(answer);
    }
}

/// A step whose outcome is not known yet. It is repeated as it is until it is.
pub(super) struct Pending {
    pub(super) step: Step,
    pub(super) delta: Delta,
    pub(super) asked: Vec<Asked>,
}

/// One step at a time.
pub(super) struct Line {
    pub(super) pending: Option<Pending>,
    /// Changes that go alone, the next one last.
    pub(super) retry: Vec<Asked>,
    /// The wrapped key, until a step has stored it.
    pub(super) wrapped: Option<String>,
}

impl Line {
    pub(super) fn beginning_with(wrapped: Option<String>) -> Self {
        Self { pending: None, retry: Vec::new(), wrapped }
    }
}
