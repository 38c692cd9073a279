//! A directory that goes on while its primary is away: arrivals are kept in a local SQLite file and handed over when
//! the primary answers again. Ids are derived, so both sides give one person the same one.
//!
//! Used around Postgres by the server, as the login store's fallback is. It never overwrites what the primary knows
//! better: handing over is an ordinary sign-in there.

use super::sqlite::SqliteUsers;
use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::StoreError;
use sessile_core::user::{Arrival, User, UserDirectory, UserUuid};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long the primary may take before the spool answers.
const PRIMARY_TIMEOUT: Duration = Duration::from_secs(2);
/// After a failure the primary is left alone for so long, so that nobody waits for the timeout in vain.
const PAUSE: Duration = Duration::from_secs(2);

/// A primary directory and its local spool.
pub struct SpooledUsers {
    primary: Arc<dyn UserDirectory>,
    spool: SqliteUsers,
    away_until: Mutex<Option<Instant>>,
}

impl SpooledUsers {
    /// Puts the two together.
    #[must_use]
    pub fn new(primary: Arc<dyn UserDirectory>, spool: SqliteUsers) -> Self {
        Self { primary, spool, away_until: Mutex::new(None) }
    }

    /// Hands what was spooled over to the primary, a batch at a time, and says how many are done. To be called now
    /// and then.
    ///
    /// # Errors
    /// [`StoreError`] of whichever side failed; nothing is lost, call it again later.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let arrivals = self.spool.arrivals().await?;
        for arrival in &arrivals {
            self.ask(self.primary.sign_in(arrival)).await?;
            self.spool.forget(&arrival.who).await?;
        }
        Ok(arrivals.len())
    }

    async fn ask<T: Send>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        if self.away_until.lock().is_some_and(|until| Instant::now() < until) {
            return Err(StoreError::unavailable("the user directory failed moments ago"));
        }
        let answer = match tokio::time::timeout(PRIMARY_TIMEOUT, call).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(StoreError::unavailable(elapsed)),
        };
        let away = matches!(answer, Err(StoreError::Unavailable(_)));
        *self.away_until.lock() = away.then(|| Instant::now() + PAUSE);
        answer
    }
}

#[async_trait]
impl UserDirectory for SpooledUsers {
    async fn sign_in(&self, arrival: &Arrival) -> Result<User, StoreError> {
        match self.ask(self.primary.sign_in(arrival)).await {
            Err(StoreError::Unavailable(cause)) => {
                tracing::warn!(%cause, "the user directory is away; this sign-in is recorded in the local spool");
                self.spool.sign_in(arrival).await
            }
            answer => answer,
        }
    }

    async fn find(&self, id: &UserUuid) -> Result<Option<User>, StoreError> {
        match self.ask(self.primary.find(id)).await {
            Ok(Some(user)) => Ok(Some(user)),
            Ok(None) => self.spool.find(id).await,
            // Somebody whom only the primary knows stays unknown, not absent.
            Err(error) => self.spool.find(id).await?.map_or(Err(error), |user| Ok(Some(user))),
        }
    }
}
