//! What callers and people see of a device.

use crate::client::QrCode;
use crate::message::Receipt;
use sessile_core::Timestamp;
use sessile_core::whatsapp::{DeviceId, Epoch, StoreInfo, Version, Wanted};

/// How a device is at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which one.
    pub device: DeviceId,
    /// `connectionStatus`, as the routes say it.
    pub status: &'static str,
    /// Whether messages can be sent.
    pub is_ready: bool,
    /// Whether it should run.
    pub wanted: Wanted,
    /// Whether it is paired, as far as this process knows.
    pub is_paired: bool,
    /// A code to scan.
    pub qr: Option<Qr>,
    /// Reconnects since the last success.
    pub attempts: u8,
    /// Until when another process owns it.
    pub elsewhere_until: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Since when `status` is so.
    pub since: Timestamp,
}

impl Status {
    /// Of a device that this process knows nothing of.
    #[must_use]
    pub fn unknown(device: DeviceId, now: Timestamp) -> Self {
        Self {
            device,
            status: "disconnected",
            is_ready: false,
            wanted: Wanted::Running,
            is_paired: false,
            qr: None,
            attempts: 0,
            elsewhere_until: None,
            last_error: None,
            since: now,
        }
    }
}

/// A code to scan. It is never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    /// What it says.
    pub code: QrCode,
    /// Which one it is since the process began, so that a page knows a new one.
    pub seq: u64,
    /// When the next one takes its place.
    pub expires_at: Timestamp,
}

/// What there is to scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QrAnswer {
    /// This.
    Show(Qr),
    /// Nothing: the device is paired and connected.
    Connected,
    /// Nothing yet.
    NotYet {
        /// `connectionStatus`.
        status: &'static str,
    },
    /// Nothing any more, until somebody reconnects the device.
    UsedUp,
}

/// A code to type into the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// It.
    pub code: crate::client::PairCode,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Whether WhatsApp's server heard of a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlinked {
    /// The phone no longer lists the device.
    AtWhatsApp,
    /// The keys are gone, but WhatsApp could not be told: the phone lists the device until somebody removes it there.
    HereOnly,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Its name.
    pub id: crate::message::MessageId,
    /// When it was sent.
    pub at: Timestamp,
    /// Whether an earlier request with the same idempotency key had sent it.
    pub was_sent_before: bool,
}

/// What an operator wants to know.
#[derive(Debug, Clone)]
pub struct Info {
    /// How it is.
    pub status: Status,
    /// How many reconnects in a row there are at most.
    pub attempts_max: u8,
    /// Under which ownership this process holds it.
    pub epoch: Option<Epoch>,
    /// How many steps its keys have taken.
    pub version: Option<Version>,
    /// Where its keys are.
    pub store: StoreInfo,
    /// How long this process has been running devices, in seconds.
    pub uptime_seconds: u64,
}

/// What happens to devices, for whoever listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    /// A device is otherwise than before.
    Changed(Box<Status>),
    /// A message has come further.
    Receipt(Receipt),
}
