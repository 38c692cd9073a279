//! Which job a payment is for. Stripe's messages about charges and disputes name a payment and no session.
//!
//! What this process has seen is remembered; else the newest sessions are looked through, once a round. A payment of an
//! older session is not found that way: its message stays listed for the operator.

use sessile_core::StoreError;
use sessile_core::generation::{GenerationKey, GenerationStore};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The newest sessions that are looked through.
const SESSIONS_SEARCHED_MAX: usize = 500;
/// Payments that are remembered; above that all are looked up again.
const PAYMENTS_MAX: usize = 100_000;

/// What is known of payments.
pub(super) struct Payments {
    store: Arc<dyn GenerationStore>,
    known: Mutex<HashMap<String, GenerationKey>>,
    /// Whether the sessions were looked through in this round.
    looked: tokio::sync::Mutex<bool>,
}

impl Payments {
    pub(super) fn new(store: Arc<dyn GenerationStore>) -> Self {
        Self { store, known: Mutex::default(), looked: tokio::sync::Mutex::new(false) }
    }

    /// A session was paid, or tried to be, with this payment.
    pub(super) fn note(&self, intent: &str, key: GenerationKey) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= PAYMENTS_MAX {
            known.clear();
        }
        known.insert(intent.to_owned(), key);
    }

    /// A new round: what was not there may be there now.
    pub(super) fn forget_the_look(&self) {
        if let Ok(mut looked) = self.looked.try_lock() {
            *looked = false;
        }
    }

    pub(super) async fn job_of(&self, intent: &str) -> Result<Option<GenerationKey>, StoreError> {
        if let Some(key) = self.get(intent) {
            return Ok(Some(key));
        }
        let mut looked = self.looked.lock().await;
        if !*looked {
            for job in self.store.recent(None, SESSIONS_SEARCHED_MAX).await? {
                if let Some(intent) = &job.own().payment_intent {
                    self.note(intent, job.key());
                }
            }
            *looked = true;
        }
        Ok(self.get(intent))
    }

    fn get(&self, intent: &str) -> Option<GenerationKey> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(intent).cloned()
    }
}
