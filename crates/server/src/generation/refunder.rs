//! Stripe as the core's `Refunder`. A refund that Stripe will not make now is asked for again, at a pace that it can bear:
//! an order that stands is due at once, whatever came of it before.

use async_trait::async_trait;
use sessile_core::generation::{CALL_TIMEOUT, Refunder};
use sessile_providers::stripe::{Client, IdempotencyKey, NewRefund, StripeError};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long Stripe is left alone about a refund that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long a worker rests with an order that cannot be carried out yet.
const REST: Duration = Duration::from_secs(1);
/// Failures that are remembered.
const FAILURES_MAX: usize = 10_000;

/// Whoever gives money back.
pub(crate) struct MoneyBack {
    client: Client,
    failed: Mutex<HashMap<String, Instant>>,
}

impl MoneyBack {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, failed: Mutex::new(HashMap::new()) }
    }

    fn failed_lately(&self, key: &str) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(key).is_some_and(|at| at.elapsed() < AGAIN_AFTER)
    }

    fn note(&self, key: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= FAILURES_MAX {
            failed.retain(|_, at| at.elapsed() < AGAIN_AFTER);
        }
        failed.insert(key.to_owned(), Instant::now());
    }

    async fn asked(&self, payment_intent: &str, key: &str) -> bool {
        let Ok(key) = IdempotencyKey::new(key) else { return false };
        match timeout(CALL_TIMEOUT, self.client.refund(&NewRefund::whole(payment_intent), &key)).await {
            Ok(Ok(refund)) => {
                tracing::info!(refund = refund.id, "Stripe gives money back");
                true
            }
            Ok(Err(StripeError::Refused(refusal)))
                if refusal.code.as_deref() == Some("charge_already_refunded") =>
            {
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "Stripe did not make a refund; it is asked again");
                false
            }
            Err(_) => false,
        }
    }
}

#[async_trait]
impl Refunder for MoneyBack {
    async fn refund(&self, payment_intent: &str, key: &str) -> bool {
        if !self.failed_lately(key) {
            if self.asked(payment_intent, key).await {
                return true;
            }
            self.note(key);
        }
        sleep(REST).await;
        false
    }
}
