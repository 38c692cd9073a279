//! What is read of login sessions, and how a row is understood.

use super::changes::Desk;
use rusqlite::{Row, params};
use sessile_core::Timestamp;
use sessile_core::login::{
    Absence, DeviceHandle, LIST_MAX, ListedLogin, LoginCount, LoginData, LoginEvent, LoginEventKind, LoginId,
    Lookup, Stored, UserId, Version,
};
use std::sync::Arc;

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_unix_ms)
}

pub(super) fn user(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<UserId>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.and_then(UserId::parse))
}

/// The session in column 0; `None` when it cannot be read.
pub(super) fn data(row: &Row<'_>) -> Option<LoginData> {
    row.get_ref(0).ok()?.as_str().ok().and_then(|json| LoginData::parse(json).ok())
}

/// A stored counter, which SQLite keeps as a signed number.
pub(super) fn version(row: &Row<'_>, column: usize) -> rusqlite::Result<Version> {
    row.get::<_, i64>(column).map(|n| Version(n.cast_unsigned()))
}

impl Desk<'_> {
    pub(crate) fn look_up(&self, key: &str, id: &LoginId, now: Timestamp) -> rusqlite::Result<Lookup> {
        let mut select = self.db.prepare_cached(&self.setup.sql.select)?;
        let mut rows = select.query([key])?;
        let Some(row) = rows.next()? else {
            let ended = self.has_ended(key)?;
            return Ok(Lookup::Absent(if ended { Absence::Ended } else { Absence::Unknown }));
        };
        let expires_at = time(row, 1)?;
        let retires_at = row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix_ms);
        if expires_at <= now {
            return Ok(Lookup::Absent(if retires_at.is_some() { Absence::Ended } else { Absence::Expired }));
        }
        let Some(data) = data(row) else {
            return Ok(Lookup::Absent(Absence::Undecodable(self.place_of(id))));
        };
        Ok(Lookup::Live(Arc::new(Stored { data, expires_at, version: version(row, 3)?, retires_at })))
    }

    pub(crate) fn has_ended(&self, key: &str) -> rusqlite::Result<bool> {
        self.db.prepare_cached(&self.setup.sql.has_ended)?.exists([key])
    }

    /// Where a value that cannot be read is found, without its id.
    pub(super) fn place_of(&self, id: &LoginId) -> String {
        format!("{}:{}", self.setup.sql.table, id.fingerprint())
    }

    pub(super) fn list(&self, user: &UserId, now: Timestamp) -> rusqlite::Result<Vec<ListedLogin>> {
        let mut select = self.db.prepare_cached(&self.setup.sql.list)?;
        let mut rows = select.query(params![user.as_str(), now.unix_ms(), LIST_MAX as i64])?;
        let mut listed = Vec::new();
        while let Some(row) = rows.next()? {
            let Some(handle) = self.setup.keys.handle(row.get_ref(1)?.as_str()?) else { continue };
            // A session that cannot be read is still one that its owner can end.
            let device = data(row).and_then(|data| data.device());
            listed.push(ListedLogin { handle, expires_at: time(row, 2)?, last_seen: time(row, 3)?, device });
        }
        Ok(listed)
    }

    pub(super) fn count(&self, now: Timestamp) -> rusqlite::Result<LoginCount> {
        let live: i64 =
            self.db.prepare_cached(&self.setup.sql.count)?.query_row([now.unix_ms()], |row| row.get(0))?;
        Ok(LoginCount { live: live.unsigned_abs(), more: false })
    }

    pub(super) fn oldest_events(&self, limit: usize) -> rusqlite::Result<Vec<LoginEvent>> {
        let mut select = self.db.prepare_cached(&self.setup.sql.events)?;
        let mut rows = select.query([limit as i64])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let kind = LoginEventKind::parse(row.get_ref(1)?.as_str()?);
            let handle = DeviceHandle::parse(row.get_ref(2)?.as_str()?);
            if let (Some(kind), Some(handle)) = (kind, handle) {
                let id = row.get::<_, i64>(0)?.to_string();
                events.push(LoginEvent { id, kind, handle, user: user(row, 3)?, at: time(row, 4)? });
            }
        }
        Ok(events)
    }
}
