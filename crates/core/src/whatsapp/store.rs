//! The contract of device stores. An engine is a [`DeviceStore`] when it passes the contract suite.
//!
//! Everything that an engine sees is sealed: it knows devices by name, rows by a kind and a keyed hash, and the order of
//! steps. It is written for four engines that differ much (files, SQLite, Postgres, Supabase over REST), so it is small.

use super::id::{DeviceId, OwnerId, StepId};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// How long an owner holds a device without renewing, by the engine's own clock.
pub const LEASE_TTL: Duration = Duration::from_secs(30);
/// Bytes of one device's state, all rows together.
pub const DEVICE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows that one step may put or delete; a first login stores 812 pre-keys at once.
pub const STEP_ROWS_MAX: usize = 4096;

/// Grows each time a device gets an owner. A write under an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// Counts the steps of a device, over all epochs, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

/// What a row is about: one for each of the client's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the client's own")]
pub enum KeyKind {
    Identity,
    Session,
    PreKey,
    SignedPreKey,
    SenderKey,
    SyncKey,
    SyncVersion,
    MutationMac,
    SenderKeyDevice,
    LidMapping,
    BaseKey,
    DeviceList,
    GroupMetadata,
    TcToken,
    SentMessage,
    PendingInbound,
    MessageSecret,
}

impl KeyKind {
    /// Every kind there is.
    pub const ALL: [Self; 17] = [
        Self::Identity,
        Self::Session,
        Self::PreKey,
        Self::SignedPreKey,
        Self::SenderKey,
        Self::SyncKey,
        Self::SyncVersion,
        Self::MutationMac,
        Self::SenderKeyDevice,
        Self::LidMapping,
        Self::BaseKey,
        Self::DeviceList,
        Self::GroupMetadata,
        Self::TcToken,
        Self::SentMessage,
        Self::PendingInbound,
        Self::MessageSecret,
    ];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Session => "session",
            Self::PreKey => "pre_key",
            Self::SignedPreKey => "signed_pre_key",
            Self::SenderKey => "sender_key",
            Self::SyncKey => "sync_key",
            Self::SyncVersion => "sync_version",
            Self::MutationMac => "mutation_mac",
            Self::SenderKeyDevice => "sender_key_device",
            Self::LidMapping => "lid_mapping",
            Self::BaseKey => "base_key",
            Self::DeviceList => "device_list",
            Self::GroupMetadata => "group_metadata",
            Self::TcToken => "tc_token",
            Self::SentMessage => "sent_message",
            Self::PendingInbound => "pending_inbound",
            Self::MessageSecret => "message_secret",
        }
    }

    /// Reads what [`KeyKind::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A keyed hash of what the client looks a row up by: those texts hold phone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// Names a row within a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// What it is about.
    pub kind: KeyKind,
    /// Which one.
    pub hash: KeyHash,
}

/// A stored row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its name.
    pub key: RowKey,
    /// Sealed: the look-up text and the value.
    pub value: Arc<[u8]>,
}

/// Whether somebody wants the device to run; what it does is another matter. Kept, so that a device that was stopped on
/// purpose stays stopped after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Wanted {
    /// It should be connected.
    #[default]
    Running,
    /// It should not.
    Stopped,
}

/// What is known of a device without its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceHead {
    /// Its name.
    pub device: DeviceId,
    /// Of its last owner.
    pub epoch: Epoch,
    /// Steps so far.
    pub version: Version,
    /// The step that made `version`; `None` before the first one.
    pub last_step: Option<StepId>,
    /// Until when its owner holds it, by the engine's clock; `None`: nobody does.
    pub held_until: Option<Timestamp>,
    /// Whether it should run.
    pub wanted: Wanted,
    /// The device's data key, wrapped by a key from the environment; `None` before the first step.
    pub wrapped_key: Option<String>,
    /// Whether there are credentials: it has been paired, or is being paired.
    pub has_credentials: bool,
    /// Where its keys went when they moved to another store; this one refuses to be used from then on.
    pub moved_to: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its last step was.
    pub updated_at: Timestamp,
}

/// All of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// What is known without its keys.
    pub head: DeviceHead,
    /// Sealed credentials: the client's own record of its identity.
    pub credentials: Option<Arc<[u8]>>,
    /// Sealed rows, in no order.
    pub rows: Vec<DeviceRow>,
}

/// One step: everything that changes together. Applied whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// Under which ownership.
    pub epoch: Epoch,
    /// The version that it makes: the one before plus one.
    pub version: Version,
    /// The wrapped data key, when it is new or was wrapped anew.
    pub wrapped_key: Option<String>,
    /// New credentials, sealed.
    pub credentials: Option<Arc<[u8]>>,
    /// Rows that are there afterwards. No key twice, nor in `deletes`.
    pub puts: Vec<DeviceRow>,
    /// Rows that are gone afterwards.
    pub deletes: Vec<RowKey>,
    /// When it was decided, for `updated_at`.
    pub at: Timestamp,
}

/// Who a device belongs to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquired {
    /// The new owner's epoch.
    pub epoch: Epoch,
    /// How the device stands; a device that was never seen is at version 0 without credentials, and that is *proven*.
    pub head: DeviceHead,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Applied,
    /// It was durable before: this was a repetition.
    Again,
}

/// When a step counts as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreMode {
    /// When the engine has it; there is nothing in front of it.
    Direct,
    /// When the journal on this machine has it. The database follows, and may be away for hours.
    OneNode,
    /// When the journal on this machine has it and, for what must never be forgotten, the database too.
    ManyNodes,
}

impl StoreMode {
    /// As the routes say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::OneNode => "one_node",
            Self::ManyNodes => "many_nodes",
        }
    }
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    /// `file`, `sqlite`, `postgres`, `supabase`, `memory`.
    pub engine: &'static str,
    /// When a step counts.
    pub mode: StoreMode,
    /// Where: a path, or a host and a table; never a password.
    pub place: String,
}

/// Why a store did not do what it was asked. One variant per thing a caller can do.
#[derive(Debug, thiserror::Error)]
pub enum DeviceStoreError {
    /// Another process owns the device. Wait until then, or for its lease to be released.
    #[error("another process owns this device until {until}")]
    Held {
        /// Until when, unless it renews.
        until: Timestamp,
    },
    /// The device has a newer owner: whatever this one still wants to write is void. Stop, and write nothing more.
    #[error("another process has taken this device over (epoch {now}, ours was {ours})")]
    Fenced {
        /// The epoch of whoever tried.
        ours: u64,
        /// The epoch that is stored.
        now: u64,
    },
    /// The step does not follow the stored version: this copy of the keys is older or newer than the store's.
    #[error("the stored keys are at step {stored}, this step is number {step}")]
    OutOfOrder {
        /// What is stored.
        stored: u64,
        /// What was to be applied.
        step: u64,
    },
    /// The keys live elsewhere since a migration.
    #[error("the keys of this device moved to {to}; start with that store, or migrate back")]
    Moved {
        /// Where they are.
        to: String,
    },
    /// The store answers, but does not show us our rows: a wrong key or row-level security. Never "no device".
    #[error("the store does not let us see the devices: {0}")]
    Denied(String),
    /// What is stored cannot be read. It was put aside under a name that the message says, or is kept as it is.
    #[error("stored keys cannot be read: {0}")]
    Damaged(String),
    /// More than a device may hold, or more rows than one step may change. Nothing changed.
    #[error("the device would hold {bytes} bytes or more; {limit} is the limit")]
    TooLarge {
        /// What it would hold.
        bytes: usize,
        /// What it may hold.
        limit: usize,
    },
    /// The engine did not answer: the outcome is *unknown*. Repeating the same call is safe.
    #[error("the device store did not answer")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl DeviceStoreError {
    /// A [`DeviceStoreError::Unavailable`] that keeps its cause for the log.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }
}

/// Durable home of WhatsApp devices.
///
/// 1. `acquire` gives a device to one owner at a time: epoch + 1, for `ttl` by the engine's own clock. Whoever holds it
///    already gets it again under a new epoch; others are `Held` until the lease has run out. A device that nobody has
///    seen is made, without credentials.
/// 2. `commit_step` applies a step whose epoch is the stored one and whose version is the stored one plus one, whole and
///    durable, or nothing. The step that made the stored version is recognised by its id: `Again`. An older epoch, or one
///    whose lease another took, is `Fenced`; any other version is `OutOfOrder`. A lease that ran out but that nobody took
///    does not fence.
/// 3. `load` answers the whole state as of one moment, however many rows there are. Absence is an answer only when it is
///    proven; what is hidden by a wrong key or row-level security is `Denied`.
/// 4. `retire` leaves a tombstone: from then on every other call but `head` and `list` is `Moved`. `adopt` is the other
///    side: it takes a whole state over, where the device has no credentials yet or the very same version, or after a
///    tombstone, at epoch + 1, in one transaction.
/// 5. `destroy` removes keys and credentials for good, under the fence; the device's name, epoch and version stay, so that
///    nothing older ever fits again.
/// 6. `Unavailable` means unknown; repeating the same call is safe.
#[async_trait]
pub trait DeviceStore: Send + Sync + 'static {
    /// What and where it is.
    fn info(&self) -> StoreInfo;

    /// Whether it answers, and shows us what is ours.
    async fn ping(&self) -> Result<(), DeviceStoreError>;

    /// Makes `owner` the one that may write.
    async fn acquire(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError>;

    /// Holds the device for another `ttl`; `Fenced` when somebody else has it.
    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Result<(), DeviceStoreError>;

    /// Lets go, so that another owner need not wait. Nothing happens when somebody else has it.
    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError>;

    /// What is known of a device; `None` when there is none, proven.
    async fn head(&self, device: &DeviceId) -> Result<Option<DeviceHead>, DeviceStoreError>;

    /// All of a device; `None` when there is none, proven.
    async fn load(&self, device: &DeviceId) -> Result<Option<DeviceState>, DeviceStoreError>;

    /// Applies one step.
    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Result<Committed, DeviceStoreError>;

    /// Notes whether the device should run; anybody may, whoever owns it.
    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Result<(), DeviceStoreError>;

    /// Takes a whole device over from another store; answers its head here.
    async fn adopt(
        &self,
        state: &DeviceState,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError>;

    /// The keys moved to the store called `to`.
    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Result<(), DeviceStoreError>;

    /// Forgets keys and credentials: the device was logged out.
    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError>;

    /// Every device, by name, without its keys.
    async fn list(&self) -> Result<Vec<DeviceHead>, DeviceStoreError>;

    /// Removes devices that have no credentials or should not run, that nobody holds, and that changed last before
    /// `before`; answers how many there were.
    async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceStoreError>;
}
