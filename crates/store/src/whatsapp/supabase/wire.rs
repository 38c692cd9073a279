//! What the functions are told and what they answer. Bytes travel as base64, names of keys as hexadecimal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    DeviceHead, DeviceId, DeviceRow, DeviceState, DeviceStoreError, Epoch, KeyHash, KeyKind, RowKey, StepId,
    Version, Wanted,
};
use std::fmt::Write as _;

/// The answer of any function. `sessile` has no default: what lacks it is not an answer of ours.
#[derive(Debug, Deserialize)]
pub(super) struct Answered {
    pub(super) sessile: u32,
    #[serde(default)]
    pub(super) done: bool,
    pub(super) size: Option<usize>,
    pub(super) removed: Option<u64>,
    head: Option<Head>,
    heads: Option<Vec<Head>>,
    credentials: Option<String>,
    rows: Option<Vec<(String, String, String)>>,
}

#[derive(Debug, Deserialize)]
struct Head {
    device: String,
    epoch: u64,
    version: u64,
    last_step: Option<String>,
    held_until: Option<i64>,
    wanted: String,
    wrapped_key: Option<String>,
    has_credentials: bool,
    moved_to: Option<String>,
    created_at: i64,
    updated_at: i64,
}

pub(super) fn unreadable() -> DeviceStoreError {
    DeviceStoreError::Damaged(
        "Supabase answered in a form that this program does not know; run the SQL of sessile migrate --print-sql again"
            .to_owned(),
    )
}

impl Head {
    fn read(&self) -> Option<DeviceHead> {
        let last_step = match &self.last_step {
            Some(text) => Some(StepId(bytes_of(text)?)),
            None => None,
        };
        Some(DeviceHead {
            device: DeviceId::parse(&self.device)?,
            epoch: Epoch(self.epoch),
            version: Version(self.version),
            last_step,
            held_until: self.held_until.map(Timestamp::from_unix_ms),
            wanted: match self.wanted.as_str() {
                "running" => Wanted::Running,
                "stopped" => Wanted::Stopped,
                _ => return None,
            },
            wrapped_key: self.wrapped_key.clone(),
            has_credentials: self.has_credentials,
            moved_to: self.moved_to.clone(),
            created_at: Timestamp::from_unix_ms(self.created_at),
            updated_at: Timestamp::from_unix_ms(self.updated_at),
        })
    }
}

impl Answered {
    /// The device, when there is one.
    pub(super) fn head(&self) -> Result<Option<DeviceHead>, DeviceStoreError> {
        match &self.head {
            Some(head) => head.read().ok_or_else(unreadable).map(Some),
            None => Ok(None),
        }
    }

    /// Every device. Rows that another application named as no device of ours can be are not ours.
    pub(super) fn heads(&self) -> Result<Vec<DeviceHead>, DeviceStoreError> {
        let heads = self.heads.as_ref().ok_or_else(unreadable)?;
        let ours = heads.iter().filter(|head| DeviceId::parse(&head.device).is_some());
        ours.map(|head| head.read().ok_or_else(unreadable)).collect()
    }

    pub(super) fn into_state(self, head: DeviceHead) -> Result<DeviceState, DeviceStoreError> {
        let credentials = match self.credentials {
            Some(text) => Some(STANDARD.decode(text).map_err(|_| unreadable())?.into()),
            None => None,
        };
        if head.has_credentials && credentials.is_none() {
            return Err(DeviceStoreError::Damaged(format!(
                "another application has written over session_data of {}, and the credentials with it; stop that \
                 application and restore the row from a backup, or log the device out",
                head.device
            )));
        }
        let rows = self.rows.ok_or_else(unreadable)?;
        let rows = rows.iter().map(row_of).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
        Ok(DeviceState { head, credentials, rows })
    }
}

fn row_of((kind, hash, value): &(String, String, String)) -> Option<DeviceRow> {
    let key = RowKey { kind: KeyKind::parse(kind)?, hash: KeyHash(bytes_of(hash)?) };
    Some(DeviceRow { key, value: STANDARD.decode(value).ok()?.into() })
}

pub(super) fn rows(rows: &[DeviceRow]) -> Vec<Value> {
    let row =
        |row: &DeviceRow| json!([row.key.kind.as_str(), hex(&row.key.hash.0), STANDARD.encode(&row.value)]);
    rows.iter().map(row).collect()
}

pub(super) fn key(key: &RowKey) -> Value {
    json!([key.kind.as_str(), hex(&key.hash.0)])
}

pub(super) const fn wanted(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Running => "running",
        Wanted::Stopped => "stopped",
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}
