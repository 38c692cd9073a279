//! How many of what there are, asked of the stores and kept for a moment: pages that are live ask often, and many
//! operators may look at once.

use super::kinds::Absent;
use crate::app::App;
use crate::limits::{COUNT_TIMEOUT, COUNTS_AGE};
use crate::stores::reason_of;
use sessile_core::StoreError;
use sessile_core::generation::Tally;
use sessile_core::ledger::Census;
use sessile_core::login::LoginCount;
use sessile_core::whatsapp::DeviceHead;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Sessions of one kind, by state.
#[derive(Debug, Clone, Default)]
pub(super) struct Count {
    pub(super) states: Vec<(String, u64)>,
    /// There may be more than were counted.
    pub(super) more: bool,
}

impl Count {
    /// How many are in a state.
    pub(super) fn of(&self, state: &str) -> u64 {
        self.states.iter().filter(|(name, _)| name == state).map(|(_, count)| count).sum()
    }

    /// Of what came to an end, the share that completed; `None` before anything did.
    pub(super) fn completion(&self) -> Option<f64> {
        let completed = self.of("completed");
        let others: u64 =
            ["failed", "expired", "invalidated", "error"].iter().map(|state| self.of(state)).sum();
        let ended = completed + others;
        (ended > 0).then(|| completed as f64 / ended as f64)
    }
}

/// What was counted last.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    ledger: Kept<Census>,
    logins: Kept<LoginCount>,
    generations: Kept<Tally>,
    devices: Kept<Vec<DeviceHead>>,
}

impl Counts {
    /// A device was just told to do something: the next page shows how it is then.
    pub(super) async fn forget_devices(&self) {
        *self.devices.0.lock().await = None;
    }
}

/// An answer that is good for a moment: the longer it took, the longer. Whoever finds it too old asks, and everybody
/// else waits for that.
#[derive(Debug)]
struct Kept<T>(Mutex<Option<(Instant, T)>>);

/// Counting may take this share of a store's time: a twentieth.
const REST: u32 = 20;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Kept<T> {
    async fn get(&self, ask: impl Future<Output = Result<T, StoreError>>) -> Result<T, Absent> {
        let mut kept = self.0.lock().await;
        if let Some((until, known)) = &*kept
            && Instant::now() < *until
        {
            return Ok(known.clone());
        }
        *kept = None;
        let began = Instant::now();
        let answer =
            tokio::time::timeout(COUNT_TIMEOUT, ask).await.map_err(StoreError::unavailable).flatten();
        let fresh = answer.map_err(|error| away(&error))?;
        *kept = Some((Instant::now() + COUNTS_AGE.max(began.elapsed() * REST), fresh.clone()));
        Ok(fresh)
    }
}

/// Why a page about a store stays empty: one line for the log.
pub(super) fn away(error: &StoreError) -> Absent {
    tracing::warn!(error = reason_of(error), "the dashboard's question to a store was not answered");
    Absent::Away
}

/// Of checkouts, payments, refunds and the outbox.
pub(super) async fn census(app: &App) -> Result<Census, Absent> {
    let money = app.money.kinds.as_ref().map_err(|missing| Absent::Off(missing.clone()))?;
    app.counts.ledger.get(money.ledger.census(app.clock.now())).await
}

/// Of login sessions.
pub(super) async fn logins(app: &App) -> Result<LoginCount, Absent> {
    app.counts.logins.get(app.sessions.logins().store().count(app.clock.now())).await
}

/// Of paid jobs and Stripe's messages.
pub(super) async fn generations(app: &App) -> Result<Tally, Absent> {
    let jobs = app.generation.jobs.as_ref().map_err(|missing| Absent::Off(missing.clone()))?;
    app.counts.generations.get(jobs.store().tally(app.clock.now())).await
}

/// Of WhatsApp devices: all of them, without their keys.
pub(super) async fn devices(app: &App) -> Result<Vec<DeviceHead>, Absent> {
    let needs = |names: &Vec<&str>| Absent::Off(format!("WhatsApp devices need {}.", names.join(" and ")));
    let devices = app.whatsapp.devices.as_ref().map_err(needs)?;
    let asked = async { devices.list().await.map_err(StoreError::unavailable) };
    app.counts.devices.get(asked).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_a_moment_and_a_failure_is_not() {
        let kept = Kept::default();
        let ask = |answer| async move { Ok::<u32, StoreError>(answer) };
        assert_eq!(kept.get(ask(1)).await.unwrap(), 1);
        assert_eq!(kept.get(ask(2)).await.unwrap(), 1);
        tokio::time::advance(COUNTS_AGE).await;
        let failing = async { Err::<u32, _>(StoreError::unavailable("away")) };
        assert!(matches!(kept.get(failing).await, Err(Absent::Away)));
        assert_eq!(kept.get(ask(3)).await.unwrap(), 3);
        let never = std::future::pending::<Result<u32, StoreError>>();
        tokio::time::advance(COUNTS_AGE).await;
        assert!(matches!(kept.get(never).await, Err(Absent::Away)), "a count has an end");
    }

    #[test]
    fn completion_is_of_what_came_to_an_end() {
        let states = [("completed", 3), ("expired", 1), ("pending", 90)];
        let states = states.map(|(state, count)| (state.to_owned(), count)).into();
        assert_eq!(Count { states, more: false }.completion(), Some(0.75));
        assert_eq!(Count::default().completion(), None);
    }
}
