//! The tables, their migrations, and every statement, spelled once for one table name.

use crate::open::OpenError;

/// The schema that [`SCHEMA`] describes. A file may hold several tables of ours, so each keeps its own version in
/// `sessile_schema` rather than in the file's one `user_version`.
pub const SCHEMA_VERSION: i64 = 1;

/// The tables under their default names, for whoever wants to create or read them by hand.
pub const SCHEMA: &str = include_str!("schema.sql");

const TABLE: &str = "sessile_login";
const TABLE_CHARS_MAX: usize = 48;

/// Every statement of the engine.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(super) table: String,
    pub(super) create: String,
    pub(super) insert: String,
    pub(super) select: String,
    pub(super) update: String,
    pub(super) update_user: String,
    pub(super) extend: String,
    pub(super) retire: String,
    pub(super) delete: String,
    pub(super) end: String,
    pub(super) has_ended: String,
    pub(super) list: String,
    pub(super) keys_of: String,
    pub(super) sweep: String,
    pub(super) sweep_ended: String,
    pub(super) tell: String,
    pub(super) count: String,
    pub(super) events: String,
    pub(super) forget_event: String,
}

impl Sql {
    /// The statements for `table`, or for the default name.
    pub(super) fn for_table(table: Option<&str>) -> Result<Self, OpenError> {
        let table = table.unwrap_or(TABLE);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let named = table.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        if !named || table.len() > TABLE_CHARS_MAX || !table.bytes().all(plain) {
            let what = format!(
                "a table's name is 1 to {TABLE_CHARS_MAX} letters, digits and underscores, not beginning with a digit"
            );
            return Err(OpenError::Unusable { what });
        }
        let for_this = |text: &str| text.replace(TABLE, table);
        Ok(Self {
            table: table.to_owned(),
            create: for_this(SCHEMA),
            insert: for_this(
                "INSERT INTO sessile_login (sid, sess, user_id, expires_at, seen_at, version) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
                 WHERE NOT EXISTS (SELECT 1 FROM sessile_login_ended WHERE sid = ?1) ON CONFLICT DO NOTHING",
            ),
            select: for_this(
                "SELECT sess, expires_at, retires_at, version, user_id FROM sessile_login WHERE sid = ?1",
            ),
            update: for_this(
                "UPDATE sessile_login SET sess = ?2, expires_at = ?3, seen_at = ?4, version = ?5 WHERE sid = ?1",
            ),
            update_user: for_this(
                "UPDATE sessile_login SET sess = ?2, expires_at = ?3, seen_at = ?4, version = ?5, user_id = ?6 \
                 WHERE sid = ?1",
            ),
            extend: for_this(
                "UPDATE sessile_login SET expires_at = max(expires_at, ?2), seen_at = max(seen_at, ?3), \
                 version = version + 1 WHERE sid = ?1 AND expires_at > ?3 AND retires_at IS NULL",
            ),
            retire: for_this(
                "UPDATE sessile_login SET expires_at = min(expires_at, ?2), retires_at = min(expires_at, ?2), \
                 version = version + 1 WHERE sid = ?1",
            ),
            delete: for_this(
                "DELETE FROM sessile_login WHERE sid = ?1 RETURNING user_id, expires_at, retires_at",
            ),
            end: for_this(
                "INSERT INTO sessile_login_ended (sid, kept_until) VALUES (?1, ?2) \
                 ON CONFLICT (sid) DO UPDATE SET kept_until = max(kept_until, excluded.kept_until)",
            ),
            has_ended: for_this("SELECT 1 FROM sessile_login_ended WHERE sid = ?1"),
            list: for_this(
                "SELECT sess, sid, expires_at, seen_at FROM sessile_login \
                 WHERE user_id = ?1 AND expires_at > ?2 AND retires_at IS NULL ORDER BY seen_at DESC LIMIT ?3",
            ),
            keys_of: for_this(
                "SELECT sid, retires_at FROM sessile_login WHERE user_id = ?1 AND expires_at > ?2",
            ),
            sweep: for_this(
                "DELETE FROM sessile_login WHERE sid IN (SELECT sid FROM sessile_login WHERE expires_at <= ?1 \
                 ORDER BY expires_at LIMIT ?2) RETURNING sid, user_id, retires_at",
            ),
            sweep_ended: for_this(
                "DELETE FROM sessile_login_ended WHERE sid IN \
                 (SELECT sid FROM sessile_login_ended WHERE kept_until <= ?1 LIMIT ?2)",
            ),
            tell: for_this(
                "INSERT INTO sessile_login_event (kind, handle, user_id, at) VALUES (?1, ?2, ?3, ?4)",
            ),
            count: for_this(
                "SELECT count(*) FROM sessile_login WHERE expires_at > ?1 AND retires_at IS NULL",
            ),
            events: for_this(
                "SELECT id, kind, handle, user_id, at FROM sessile_login_event ORDER BY id LIMIT ?1",
            ),
            forget_event: for_this("DELETE FROM sessile_login_event WHERE id = ?1"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_reach_a_statement() {
        for bad in ["", "1a", "a b", "a\"b", "a;drop", "é", &"x".repeat(49)] {
            assert!(Sql::for_table(Some(bad)).is_err(), "{bad:?}");
        }
        let named = Sql::for_table(Some("my_login")).unwrap();
        assert!(named.has_ended.contains("my_login_ended") && !named.create.contains(TABLE));
    }
}
