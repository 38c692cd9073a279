//! `<client id>.json`: what an operator may know of a device, and who holds it. No secret is in it, sealed or not.
//!
//! The journal is the truth of everything here but the lease. A file that is missing or cannot be read is written anew from
//! the journal; a file without a journal proves that there was one.

use serde::{Deserialize, Serialize};
use sessile_core::Timestamp;
use sessile_core::whatsapp::{DeviceHead, OwnerId, Wanted};

/// Written into the file, for a later program.
const FORMAT: u32 = 1;

/// The file, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    format: u32,
    pub(super) client_id: String,
    pub(super) epoch: u64,
    pub(super) version: u64,
    pub(super) has_credentials: bool,
    wanted: String,
    moved_to: Option<String>,
    created_at: String,
    updated_at: String,
    lease: Option<Lease>,
}

/// Who holds a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lease {
    pub(super) owner: Option<OwnerId>,
    pub(super) until_ms: i64,
}

impl Lease {
    pub(super) fn until(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.until_ms)
    }
}

impl Metadata {
    pub(super) fn of(head: &DeviceHead, lease: Option<Lease>) -> Self {
        Self {
            format: FORMAT,
            client_id: head.device.to_string(),
            epoch: head.epoch.0,
            version: head.version.0,
            has_credentials: head.has_credentials,
            wanted: match head.wanted {
                Wanted::Running => "running",
                Wanted::Stopped => "stopped",
            }
            .to_owned(),
            moved_to: head.moved_to.clone(),
            created_at: head.created_at.to_iso8601(),
            updated_at: head.updated_at.to_iso8601(),
            lease,
        }
    }

    /// `None` for a file that cannot be read.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|read: &Self| read.format == FORMAT)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The lease that still runs.
    pub(super) fn held(&self, now: Timestamp) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.until() > now)
    }

    pub(super) fn into_lease(self) -> Option<Lease> {
        self.lease
    }
}
