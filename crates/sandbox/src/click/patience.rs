//! How long an unanswered message is repeated: doubling waits, a number of tries, and an end in time.

use std::time::Duration;
use tokio::time::Instant;

use super::config::Retry;

/// Counts one message's tries.
#[derive(Debug)]
pub(crate) struct Tries {
    made: u32,
    delay: Duration,
}

/// The rule for one payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    retry: Retry,
    tries_max: u32,
    until: Instant,
}

impl Patience {
    /// So many tries of each message.
    pub(crate) fn ordinary(retry: Retry) -> Self {
        Self { retry, tries_max: retry.tries_max, until: Instant::now() + retry.total_time }
    }

    /// Unanswered messages are repeated until the time is up.
    pub(crate) fn until(retry: Retry, until: Instant) -> Self {
        Self { retry, tries_max: u32::MAX, until }
    }

    pub(crate) fn tries(&self) -> Tries {
        Tries { made: 0, delay: self.retry.first_delay }
    }

    /// After a message got no answer: waits and says whether to repeat it.
    pub(crate) async fn after_silence(&self, tries: &mut Tries) -> bool {
        self.wait(tries, self.tries_max).await
    }

    /// After a message was refused that must not be: "several attempts", then it is a case for people.
    pub(crate) async fn after_refusal(&self, tries: &mut Tries) -> bool {
        self.wait(tries, self.retry.tries_max).await
    }

    async fn wait(&self, tries: &mut Tries, tries_max: u32) -> bool {
        tries.made = tries.made.saturating_add(1);
        if tries.made >= tries_max || Instant::now() + tries.delay > self.until {
            return false;
        }
        tokio::time::sleep(tries.delay).await;
        tries.delay = (tries.delay * 2).min(self.retry.delay_max);
        true
    }
}
