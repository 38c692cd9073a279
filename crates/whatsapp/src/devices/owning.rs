//! Owning a device: taking it, holding it, giving it up before somebody else can have it, and taking it over.

use super::keeper::Keeper;
use crate::observer::Counted;
use sessile_core::whatsapp::connection::{ConnectionEvent, ConnectionState};
use sessile_core::whatsapp::{LeaseStanding, Opening, Vault, VaultError, Wanted};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait before an owner's lease is looked at again; it may let go before it ends.
const STANDBY_MIN: Duration = Duration::from_millis(500);
const STANDBY_MAX: Duration = Duration::from_secs(3);
/// How long to wait for a store that is away: each time twice as long as before, up to the longest.
pub(super) const STORE_PAUSE_FIRST: Duration = Duration::from_millis(200);
const STORE_PAUSE_MAX: Duration = Duration::from_secs(4);

impl Keeper {
    /// Asks for the device, on a task of its own.
    pub(super) fn begin_opening(&mut self) {
        if self.vault.is_some() || self.opening.is_some() {
            return;
        }
        let shared = &self.shared;
        let opening = Opening {
            store: Arc::clone(&shared.store),
            keys: shared.keys.clone(),
            device: self.device.clone(),
            owner: shared.owner.clone(),
            clock: Arc::clone(&shared.clock),
            pace: Arc::clone(&shared.pace),
            entropy: Arc::clone(&shared.entropy),
        };
        self.opening = Some(tokio::spawn(Vault::open(opening)));
    }

    /// The device is ours, or not.
    pub(super) async fn opened(&mut self, opened: Result<Vault, VaultError>) {
        match opened {
            Ok(vault) => {
                self.elsewhere_until = None;
                self.store_pause = STORE_PAUSE_FIRST;
                if self.connection.wanted == Wanted::Stopped {
                    return vault.release().await;
                }
                self.vault = Some(Arc::new(vault));
                match self.connection.state {
                    ConnectionState::Connecting(_) => self.redial(),
                    ConnectionState::Degraded | ConnectionState::Unusable => {
                        self.due.push_back(ConnectionEvent::StorageBack);
                    }
                    _ => self.due.push_back(ConnectionEvent::Start),
                }
            }
            Err(error) => self.not_opened(error),
        }
    }

    pub(super) fn not_opened(&mut self, error: VaultError) {
        self.elsewhere_until = None;
        match error {
            VaultError::Held { until } => {
                self.elsewhere_until = Some(until);
                let left = until.since(self.shared.clock.now());
                self.reopen_at = Some(Instant::now() + left.clamp(STANDBY_MIN, STANDBY_MAX));
                self.due.push_back(ConnectionEvent::Fenced);
            }
            VaultError::Unavailable(_) | VaultError::Fenced { .. } => {
                self.reopen_at = Some(Instant::now() + self.store_pause);
                self.store_pause = (self.store_pause * 2).min(STORE_PAUSE_MAX);
                self.away(&error);
            }
            error => self.refused(&error),
        }
    }

    /// Nobody here has the device, nobody is about to, and no connection is wanted or there.
    pub(super) fn is_asleep(&self) -> bool {
        use ConnectionState as S;
        let is_still = matches!(self.connection.state, S::Idle | S::Degraded | S::Unusable);
        is_still && self.vault.is_none() && self.opening.is_none() && self.reopen_at.is_none()
    }

    /// What the store said when it was asked about a device that nobody here has.
    pub(super) fn troubled(&mut self, error: &VaultError) {
        match error {
            _ if !self.is_asleep() => {}
            VaultError::Unavailable(_) => self.away(error),
            _ => self.refused(error),
        }
    }

    fn away(&mut self, error: &VaultError) {
        let why = error.to_string();
        if self.last_error.as_ref() != Some(&why) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(device = %self.device, %error, cause, "a device waits for the store of its keys");
        }
        self.last_error = Some(why);
        self.due.push_back(ConnectionEvent::StorageLost);
    }

    /// Never "no device": it is shown as it is, and asked for again at each round.
    fn refused(&mut self, error: &VaultError) {
        let why = error.to_string();
        if self.last_error.as_ref() != Some(&why) {
            tracing::error!(device = %self.device, %error, "a device's keys cannot be used");
        }
        self.last_error = Some(why);
        self.due.push_back(ConnectionEvent::StorageRefused);
    }

    /// Renews in time; gives up in time when that does not succeed.
    pub(super) fn look_at_the_lease(&mut self) {
        let Some(vault) = &self.vault else { return };
        if vault.is_fenced() {
            return self.disowned();
        }
        match vault.lease() {
            LeaseStanding::Held(_) => {}
            LeaseStanding::Due(_) if self.renewal.is_some() => {}
            LeaseStanding::Due(_) => {
                let vault = Arc::clone(vault);
                self.renewal = Some(tokio::spawn(async move { vault.renew().await }));
            }
            LeaseStanding::GivenUp => {
                self.last_error =
                    Some("the lease could not be renewed: the store of the keys is away".to_owned());
                self.let_go(ConnectionEvent::StorageLost);
            }
        }
    }

    pub(super) fn renewed(&mut self, renewed: Result<(), VaultError>) {
        match renewed {
            Ok(()) => {}
            // Once more at the next look, until the lease is given up.
            Err(error) if !error.is_final() => self.last_error = Some(error.to_string()),
            Err(_) => self.disowned(),
        }
    }

    /// Somebody else has the device.
    fn disowned(&mut self) {
        self.shared.observer.count(Counted::Fenced);
        self.last_error = Some("another process has taken this device over".to_owned());
        self.let_go(ConnectionEvent::Fenced);
    }

    /// Nothing is sent from this moment on; the device is asked for anew.
    fn let_go(&mut self, why: ConnectionEvent) {
        if let Some(live) = &self.live {
            live.gate.shut();
        }
        if why == ConnectionEvent::StorageLost {
            self.shared.observer.count(Counted::StorageLost);
        }
        self.vault = None;
        self.renewal = None;
        self.reopen_at = Some(Instant::now() + STANDBY_MIN);
        self.due.push_back(why);
    }
}
