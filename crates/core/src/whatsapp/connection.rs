//! A device's connection as a state machine: what the client's news, the timer, the store and people do to it.
//!
//! Pure: chance is an argument, waiting is an effect. Whether a device *should* run is kept apart from how it is, so that
//! one that was stopped on purpose stays stopped. One connect is in flight at most: `Connect` is only ever decided where
//! no connection can be, or right after `Disconnect`. News of a connection that was told to disconnect must not be handed
//! in. What cannot happen in a state changes nothing: outside parties say things late and twice.

use super::store::Wanted;
use std::time::Duration;

/// Reconnects in a row before it is left to a person.
pub const RECONNECTS_MAX: u8 = 5;
/// Before the first reconnect; doubled before each next one.
const BACKOFF_FIRST: Duration = Duration::from_secs(2);

/// A device's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Whether it should be there.
    pub wanted: Wanted,
    /// How it is.
    pub state: ConnectionState,
}

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// There is none, and none is being made.
    Idle,
    /// One is being made.
    Connecting(Effort),
    /// One will be made when the timer says so.
    Waiting(Effort),
    /// A code waits to be scanned.
    QrReady(Effort),
    /// Nobody scanned any of the codes.
    QrUsedUp,
    /// The phone demands a passkey.
    PasskeyRequired(Effort),
    /// Paired or logged in, not yet ready.
    Authenticated,
    /// Messages can be sent.
    Ready,
    /// Not connected because the keys' store is away.
    Degraded,
    /// Not connected because the keys' store answers and the keys cannot be used: hidden, damaged, an old copy, moved.
    Unusable,
    /// Another client took the connection over.
    Replaced,
    /// The device was unlinked, here or on the phone.
    LoggedOut,
    /// Reconnecting was given up.
    Exhausted,
    /// Something that reconnecting does not mend.
    Failed,
}

/// What was tried so far, since the last success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Effort {
    /// Which reconnect this is; 0 is the first connect.
    pub attempt: u8,
    /// Whether the server has refused our credentials.
    pub doubt: Doubt,
}

/// Whether the server still knows us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Doubt {
    /// It has not said otherwise.
    #[default]
    None,
    /// It answered 401 once. Another one in a row means that we were unlinked.
    RefusedOnce,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionEvent {
    /// The process begins, and owns the device.
    Start,
    /// A person stops it.
    Stop,
    /// A person wants it connected anew.
    Reconnect,
    /// A person unlinks it.
    Logout,
    /// The timer.
    RetryDue,
    /// There is a code to be scanned.
    QrShown,
    /// There are no more codes.
    QrUsedUp,
    /// The phone demands a passkey.
    PasskeyDemanded,
    /// Paired or logged in.
    Authenticated,
    /// Ready to send.
    Ready,
    /// No connection, or not any more; another attempt may help.
    Lost,
    /// The server refused our credentials.
    Unauthorized,
    /// Another client took the connection over.
    Replaced,
    /// Another attempt will not help: this client is too old, or the number is banned.
    Broken,
    /// The keys' store has been away for too long.
    StorageLost,
    /// The keys' store answers, but the keys cannot be used.
    StorageRefused,
    /// The keys' store answers, and the device is ours.
    StorageBack,
    /// Another process owns the device.
    Fenced,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Connect.
    Connect,
    /// End the connection, and listen to it no longer.
    Disconnect,
    /// Come back with [`ConnectionEvent::RetryDue`] after this long.
    RetryAfter(Duration),
    /// Ask the server to forget the device.
    Unlink,
    /// Remove the device's keys for good.
    DestroyKeys,
    /// Keep whether it should run.
    Want(Wanted),
}

/// A number that nobody can foresee, for jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance(pub u32);

/// What an event leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// How it is afterwards.
    pub next: Connection,
    /// What to do, in this order.
    pub effects: Vec<Effect>,
}

/// What comes before reconnect number `attempt`: half of it is certain, half is chance.
#[must_use]
pub fn backoff(attempt: u8, chance: Chance) -> Duration {
    let doublings = u32::from(attempt.clamp(1, RECONNECTS_MAX) - 1);
    let half = BACKOFF_FIRST * 2_u32.pow(doublings) / 2;
    half + half.mul_f64(f64::from(chance.0) / f64::from(u32::MAX))
}

impl Effort {
    fn doubting(self) -> Self {
        Self { doubt: Doubt::RefusedOnce, ..self }
    }
}

impl ConnectionState {
    /// `connectionStatus` as the routes say it.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Idle => "disconnected",
            Self::Connecting(Effort { doubt: Doubt::RefusedOnce, .. })
            | Self::Waiting(Effort { doubt: Doubt::RefusedOnce, .. }) => "auth_failure",
            Self::Connecting(Effort { attempt: 0, .. }) => "loading",
            Self::Connecting(_) | Self::Waiting(_) => "reconnecting",
            Self::QrReady(_) => "qr_ready",
            Self::QrUsedUp => "qr_error",
            Self::PasskeyRequired(_) => "passkey_required",
            Self::Authenticated => "authenticated",
            Self::Ready => "ready",
            Self::Degraded => "degraded_storage",
            Self::Replaced => "replaced",
            Self::LoggedOut => "logged_out",
            Self::Exhausted => "max_reconnect_exceeded",
            Self::Unusable | Self::Failed => "error",
        }
    }

    /// Whether a connection is there or being made.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Connecting(_)
                | Self::QrReady(_)
                | Self::PasskeyRequired(_)
                | Self::Authenticated
                | Self::Ready
        )
    }

    /// What was tried so far; nothing, once it had succeeded.
    #[must_use]
    pub fn effort(self) -> Effort {
        match self {
            Self::Connecting(effort)
            | Self::Waiting(effort)
            | Self::QrReady(effort)
            | Self::PasskeyRequired(effort) => effort,
            Self::Exhausted => Effort { attempt: RECONNECTS_MAX, doubt: Doubt::None },
            _ => Effort::default(),
        }
    }
}

impl Connection {
    /// How a process finds a device that it has just taken.
    #[must_use]
    pub const fn found(wanted: Wanted) -> Self {
        Self { wanted, state: ConnectionState::Idle }
    }

    /// Decides what an event does.
    #[must_use]
    pub fn on(self, event: ConnectionEvent, chance: Chance) -> Decided {
        use ConnectionEvent as E;
        match event {
            E::Start | E::Stop | E::Reconnect | E::Logout | E::RetryDue => self.on_order(event),
            E::StorageLost | E::StorageRefused | E::StorageBack | E::Fenced => self.on_storage(event),
            // News of a connection that is over.
            _ if !self.state.is_live() => self.to(self.state, &[]),
            _ => self.on_news(event, chance),
        }
    }

    /// What people and the timer say.
    fn on_order(self, event: ConnectionEvent) -> Decided {
        use {ConnectionEvent as E, ConnectionState as S, Effect as F};
        let first = S::Connecting(Effort::default());
        match (self.state, event) {
            (S::Idle, E::Start) if self.wanted == Wanted::Running => self.to(first, &[F::Connect]),
            (S::Waiting(effort), E::RetryDue) => self.to(S::Connecting(effort), &[F::Connect]),
            (_, E::Stop) => {
                let stopped = Self { wanted: Wanted::Stopped, ..self };
                stopped.to(S::Idle, &[F::Want(Wanted::Stopped), F::Disconnect])
            }
            (_, E::Logout) => self.to(S::LoggedOut, &[F::Unlink, F::Disconnect, F::DestroyKeys]),
            // It is on its way; there is no second one.
            (S::Connecting(effort), E::Reconnect) => {
                self.running().to(S::Connecting(Effort { attempt: 0, ..effort }), &[F::Want(Wanted::Running)])
            }
            // Without its keys it cannot; it will by itself when they are back.
            (S::Degraded, E::Reconnect) => self.running().to(S::Degraded, &[F::Want(Wanted::Running)]),
            (state, E::Reconnect) if state.is_live() => {
                self.running().to(first, &[F::Want(Wanted::Running), F::Disconnect, F::Connect])
            }
            (_, E::Reconnect) => self.running().to(first, &[F::Want(Wanted::Running), F::Connect]),
            (state, _) => self.to(state, &[]),
        }
    }

    /// What the store of the keys leads to.
    fn on_storage(self, event: ConnectionEvent) -> Decided {
        use {ConnectionEvent as E, ConnectionState as S, Effect as F};
        let acts = self.state.is_live() || matches!(self.state, S::Waiting(_));
        let waits = matches!(self.state, S::Degraded | S::Unusable);
        // One that should run and that nobody could open yet says why it does not.
        let is_due = self.state == S::Idle && self.wanted == Wanted::Running;
        match event {
            E::StorageLost if acts || waits || is_due => self.to(S::Degraded, &[F::Disconnect]),
            E::StorageRefused if acts || waits || is_due => self.to(S::Unusable, &[F::Disconnect]),
            E::StorageBack if waits => self.to(S::Connecting(Effort::default()), &[F::Connect]),
            E::Fenced if acts || waits => self.to(S::Idle, &[F::Disconnect]),
            _ => self.to(self.state, &[]),
        }
    }

    /// What a connection that is there or being made says.
    fn on_news(self, event: ConnectionEvent, chance: Chance) -> Decided {
        use {ConnectionEvent as E, ConnectionState as S, Effect as F};
        let effort = self.state.effort();
        let was_known = matches!(self.state, S::Connecting(_) | S::Authenticated | S::Ready);
        match event {
            E::QrShown => self.to(S::QrReady(effort), &[]),
            E::QrUsedUp => self.to(S::QrUsedUp, &[F::Disconnect]),
            E::PasskeyDemanded => self.to(S::PasskeyRequired(effort), &[]),
            // Late: it is more than that already.
            E::Authenticated if self.state == S::Ready => self.to(S::Ready, &[]),
            E::Authenticated => self.to(S::Authenticated, &[]),
            E::Ready => self.to(S::Ready, &[]),
            E::Unauthorized if effort.doubt == Doubt::RefusedOnce => {
                self.to(S::LoggedOut, &[F::Disconnect, F::DestroyKeys])
            }
            // Servers err, and keys that are gone are gone: one more try tells.
            E::Unauthorized if was_known => {
                self.to(S::Connecting(effort.doubting()), &[F::Disconnect, F::Connect])
            }
            E::Lost | E::Unauthorized => self.again(effort, chance),
            E::Replaced => self.to(S::Replaced, &[F::Disconnect]),
            E::Broken => self.to(S::Failed, &[F::Disconnect]),
            _ => self.to(self.state, &[]),
        }
    }

    /// Another attempt after a while, unless there were enough.
    fn again(self, so_far: Effort, chance: Chance) -> Decided {
        let attempt = so_far.attempt + 1;
        if attempt > RECONNECTS_MAX {
            return self.to(ConnectionState::Exhausted, &[Effect::Disconnect]);
        }
        let effort = Effort { attempt, ..so_far };
        let wait = Effect::RetryAfter(backoff(attempt, chance));
        self.to(ConnectionState::Waiting(effort), &[Effect::Disconnect, wait])
    }

    fn running(self) -> Self {
        Self { wanted: Wanted::Running, ..self }
    }

    fn to(self, state: ConnectionState, effects: &[Effect]) -> Decided {
        Decided { next: Self { state, ..self }, effects: effects.to_vec() }
    }
}
