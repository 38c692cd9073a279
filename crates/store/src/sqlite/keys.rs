//! What stands in the `sid` column.

use sessile_core::login::{DeviceHandle, LoginId};

/// How ids are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// [`LoginId::hashed`]: whoever reads the file cannot use what is in it.
    Hashed,
    /// The id itself. Only for the fallback's spool, which has to hand the sessions on.
    Plain,
}

impl Keys {
    pub(crate) fn key(self, id: &LoginId) -> String {
        match self {
            Self::Hashed => id.hashed(),
            Self::Plain => id.expose().to_owned(),
        }
    }

    /// The handle of the session under `key`; `None` when the column holds no id.
    pub(crate) fn handle(self, key: &str) -> Option<DeviceHandle> {
        match self {
            Self::Hashed => Some(DeviceHandle::of_hash(key)),
            Self::Plain => LoginId::parse(key).map(|id| id.handle()),
        }
    }
}
