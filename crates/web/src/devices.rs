//! "Where am I signed in?": a user's sessions, and ending them from another one.
//!
//! A row names its session by a handle that is worthless as a cookie. Ending works across processes at once: the
//! store refuses the id from then on.

use crate::error::Error;
use crate::session::Session;
use serde::{Serialize, Serializer};
use sessile_core::Timestamp;
use sessile_core::login::{Device, DeviceHandle, ListedLogin, Revoked, UserId};

/// One of a user's sessions, ready to be shown or sent as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedInDevice {
    /// Names the session to [`Session::revoke`].
    #[serde(serialize_with = "as_text")]
    pub handle: DeviceHandle,
    /// Whether it is the session that asks.
    pub this_device: bool,
    /// When it signed in, where that is known.
    #[serde(serialize_with = "as_iso_or_null")]
    pub created_at: Option<Timestamp>,
    /// About when it was last used, as exact as the touch interval.
    #[serde(serialize_with = "as_iso")]
    pub last_seen: Timestamp,
    /// When it ends unless it is used again.
    #[serde(serialize_with = "as_iso")]
    pub expires_at: Timestamp,
    /// The browser's `User-Agent` at sign-in, shortened.
    pub agent: Option<String>,
    /// The coarse network address at sign-in (`203.0.113.0/24`).
    pub address: Option<String>,
}

impl SignedInDevice {
    fn new(listed: ListedLogin, this: Option<&DeviceHandle>) -> Self {
        let created_at = listed.device.as_ref().map(Device::created);
        let (agent, address) = listed.device.map_or((None, None), |device| (device.agent, device.address));
        Self {
            this_device: this == Some(&listed.handle),
            handle: listed.handle,
            created_at,
            last_seen: listed.last_seen,
            expires_at: listed.expires_at,
            agent,
            address,
        }
    }
}

impl Session {
    /// The signed-in user's sessions, the most recently used first, 100 at most.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// async fn devices(session: Session) -> Result<String, Error> {
    ///     let others = session.devices().await?.into_iter().filter(|device| !device.this_device);
    ///     Ok(format!("also signed in on {} devices", others.count()))
    /// }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run_signed_in(axum::routing::get(devices)) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotSignedIn`]; [`Error::Login`] when the store does not answer.
    pub async fn devices(&self) -> Result<Vec<SignedInDevice>, Error> {
        let this = self.stored_id().map(|id| id.handle());
        let listed = self.shared().logins.list(&self.require_user()?).await?;
        Ok(listed.into_iter().map(|login| SignedInDevice::new(login, this.as_ref())).collect())
    }

    /// Ends one of the signed-in user's sessions, at once. When it is this one, the cookie is cleared too.
    ///
    /// ```
    /// # use sessile::{Error, Revoked, Session};
    /// async fn end_first(session: Session) -> Result<&'static str, Error> {
    ///     let devices = session.devices().await?;
    ///     let ended = session.revoke(&devices[0].handle).await?;
    ///     assert_eq!(ended, Revoked::Yes);
    ///     Ok("ended")
    /// }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run_signed_in(axum::routing::get(end_first)) }
    /// ```
    ///
    /// # Errors
    /// As [`Session::devices`].
    pub async fn revoke(&self, handle: &DeviceHandle) -> Result<Revoked, Error> {
        let user = self.require_user()?;
        let revoked = self.shared().logins.revoke(&user, handle).await?;
        if self.stored_id().is_some_and(|id| id.handle() == *handle) {
            self.destroy()?;
        }
        Ok(revoked)
    }

    /// Ends all of the signed-in user's sessions but this one, and says how many there were.
    ///
    /// # Errors
    /// As [`Session::devices`].
    pub async fn revoke_others(&self) -> Result<u64, Error> {
        let user = self.require_user()?;
        Ok(self.shared().logins.revoke_all(&user, self.stored_id().as_ref()).await?)
    }

    /// Ends all of the signed-in user's sessions, this one included, and says how many there were.
    ///
    /// ```
    /// # use sessile::{Error, Session};
    /// async fn log_out_everywhere(session: Session) -> Result<String, Error> {
    ///     Ok(format!("ended {} sessions", session.revoke_all().await?))
    /// }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/run.rs"));
    /// # fn main() { run_signed_in(axum::routing::get(log_out_everywhere)) }
    /// ```
    ///
    /// # Errors
    /// As [`Session::devices`].
    pub async fn revoke_all(&self) -> Result<u64, Error> {
        let user = self.require_user()?;
        let ended = self.shared().logins.revoke_all(&user, None).await?;
        self.destroy()?;
        Ok(ended)
    }

    fn require_user(&self) -> Result<UserId, Error> {
        self.user().ok_or(Error::NotSignedIn)
    }
}

fn as_text<S: Serializer>(handle: &DeviceHandle, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(handle.as_str())
}

fn as_iso<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&at.to_iso8601())
}

#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
fn as_iso_or_null<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::to_iso8601).serialize(to)
}
