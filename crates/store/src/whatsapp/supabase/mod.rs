//! WhatsApp devices in a Supabase project, over its REST interface (PostgREST), for machines that get no Postgres connection.
//!
//! One request is one function is one transaction: a step is one call, and so is a load, whose rows come as one value and
//! are never cut at a number of rows. Whoever sees nothing has proven nothing, so every answer carries our mark, and the
//! functions refuse callers from whom row-level security hides rows. Tables and functions are made by their owner, with the
//! SQL of [`SupabaseDevices::sql`]; this engine never creates anything.

mod line;
mod wire;

pub use line::SupabaseKey;

use super::failpoint;
use super::rules::{self, Verdict};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use line::Line;
use serde_json::{Value, json};
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    Acquired, Committed, DEVICE_BYTES_MAX, DeviceHead, DeviceId, DeviceState, DeviceStore, DeviceStoreError,
    Epoch, OwnerId, Step, StoreInfo, StoreMode, Wanted,
};
use std::time::Duration;
use url::Url;
use wire::Answered;

/// The functions, to be pasted into an editor behind the tables.
const FUNCTIONS: &str = include_str!("functions.sql");

type Answer<T> = Result<T, DeviceStoreError>;

/// WhatsApp devices in a Supabase project.
pub struct SupabaseDevices {
    line: Line,
}

impl SupabaseDevices {
    /// Of the project at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`DeviceStoreError::Denied`] says what is wrong with the settings.
    pub fn new(url: &Url, key: SupabaseKey) -> Result<Self, DeviceStoreError> {
        Ok(Self { line: Line::new(url, key)? })
    }

    /// In another schema than the first one that the project exposes (`public`).
    #[must_use]
    pub fn in_schema(mut self, schema: &str) -> Self {
        self.line.schema = Some(schema.to_owned());
        self
    }

    /// The SQL of the functions; it belongs behind that of the tables.
    #[must_use]
    pub const fn sql() -> &'static str {
        FUNCTIONS
    }

    async fn call(&self, function: &str, parameters: Value) -> Answer<Answered> {
        self.line.call(&format!("sessile_whatsapp_{function}"), &parameters).await
    }

    /// Calls what only an owner may.
    async fn owned(&self, function: &str, device: &DeviceId, epoch: Epoch, mut more: Value) -> Answer<()> {
        more["device"] = json!(device.as_str());
        more["of_epoch"] = json!(epoch.0);
        let answered = self.call(function, more).await?;
        if answered.done {
            return Ok(());
        }
        rules::fence(answered.head()?.as_ref(), epoch)?;
        Err(DeviceStoreError::unavailable("the device changed hands meanwhile"))
    }
}

fn ms_of(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

fn acquired(answered: &Answered) -> Answer<Acquired> {
    let head = answered.head()?.ok_or_else(wire::unreadable)?;
    Ok(Acquired { epoch: head.epoch, head })
}

#[async_trait]
impl DeviceStore for SupabaseDevices {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            engine: "supabase",
            mode: StoreMode::Direct,
            place: format!("{}, whatsapp_sessions", self.line.place()),
        }
    }

    async fn ping(&self) -> Answer<()> {
        self.call("ping", json!({})).await.map(|_| ())
    }

    async fn acquire(&self, device: &DeviceId, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        let asked = json!({ "device": device.as_str(), "new_owner": owner.as_str(), "ttl_ms": ms_of(ttl) });
        let answered = self.call("acquire", asked).await?;
        let found = acquired(&answered)?;
        if answered.done {
            return Ok(found);
        }
        rules::here(&found.head)?;
        // A lease that ran out between the two looks is nobody's: ask again soon.
        let until = found.head.held_until.unwrap_or(found.head.updated_at);
        Err(DeviceStoreError::Held { until })
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Answer<()> {
        self.owned("renew", device, epoch, json!({ "ttl_ms": ms_of(ttl) })).await
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        let asked = json!({ "device": device.as_str(), "of_epoch": epoch.0 });
        self.call("release", asked).await?.head()?.as_ref().map_or(Ok(()), rules::here)
    }

    async fn head(&self, device: &DeviceId) -> Answer<Option<DeviceHead>> {
        self.call("head", json!({ "device": device.as_str() })).await?.head()
    }

    async fn load(&self, device: &DeviceId) -> Answer<Option<DeviceState>> {
        let answered = self.call("load", json!({ "device": device.as_str() })).await?;
        let Some(head) = answered.head()? else { return Ok(None) };
        rules::here(&head)?;
        answered.into_state(head).map(Some)
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Answer<Committed> {
        rules::fits_a_step(step)?;
        let deletes: Vec<_> = step.deletes.iter().map(wire::key).collect();
        let asked = json!({
            "device": device.as_str(), "of_epoch": step.epoch.0, "makes": step.version.0,
            "step": wire::hex(&step.id.0), "at_ms": step.at.unix_ms(), "wrapped_key": step.wrapped_key,
            "credentials": step.credentials.as_ref().map(|sealed| STANDARD.encode(sealed)),
            "bytes_put": rules::bytes_of(step), "bytes_max": DEVICE_BYTES_MAX, "puts": wire::rows(&step.puts), "deletes": deletes,
        });
        failpoint::reach("a step, before Supabase has it");
        let answered = self.call("commit_step", asked).await?;
        failpoint::reach("a step, in Supabase, before it is acknowledged");
        if answered.done {
            return Ok(Committed::Applied);
        }
        if rules::judge(answered.head()?.as_ref(), step)? == Verdict::Again {
            return Ok(Committed::Again);
        }
        rules::fits(answered.size.unwrap_or(0))?;
        Err(DeviceStoreError::unavailable("the step was not taken, and nothing says why"))
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Answer<()> {
        let asked = json!({ "device": device.as_str(), "what": wire::wanted(wanted) });
        self.call("want", asked).await?.head()?.as_ref().map_or(Ok(()), rules::here)
    }

    async fn adopt(&self, state: &DeviceState, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        rules::fits(rules::bytes_of_state(state))?;
        let head = &state.head;
        let asked = json!({
            "device": head.device.as_str(), "new_owner": owner.as_str(), "ttl_ms": ms_of(ttl),
            "there": head.epoch.0, "at_version": head.version.0,
            "step": head.last_step.map(|id| wire::hex(&id.0)), "wanted_there": wire::wanted(head.wanted),
            "created_ms": head.created_at.unix_ms(), "updated_ms": head.updated_at.unix_ms(),
            "wrapped_key": head.wrapped_key,
            "credentials": state.credentials.as_ref().map(|sealed| STANDARD.encode(sealed)),
            "puts": wire::rows(&state.rows),
        });
        let answered = self.call("adopt", asked).await?;
        let found = acquired(&answered)?;
        if answered.done {
            return Ok(found);
        }
        rules::may_adopt(&found.head, state)?;
        Err(DeviceStoreError::Held { until: found.head.held_until.unwrap_or(found.head.updated_at) })
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Answer<()> {
        self.owned("forget", device, epoch, json!({ "gone_to": to })).await
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        self.owned("forget", device, epoch, json!({ "gone_to": null })).await
    }

    async fn list(&self) -> Answer<Vec<DeviceHead>> {
        self.call("list", json!({})).await?.heads()
    }

    async fn remove_unused(&self, before: Timestamp) -> Answer<u64> {
        let answered = self.call("remove_unused", json!({ "before_ms": before.unix_ms() })).await?;
        answered.removed.ok_or_else(wire::unreadable)
    }
}

impl std::fmt::Debug for SupabaseDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SupabaseDevices({})", self.line.place())
    }
}
