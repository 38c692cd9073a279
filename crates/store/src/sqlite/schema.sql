-- One row per session. `sid` is SHA-256 of the id in base64url. Times are unix milliseconds.
-- WITHOUT ROWID: the row lies in the primary key's own tree, so a load is one descent.
CREATE TABLE sessile_login (
  sid TEXT PRIMARY KEY,
  sess TEXT NOT NULL,
  user_id TEXT,
  expires_at INTEGER NOT NULL,
  -- Set when the id was regenerated away; it answers until then. `expires_at` is never later.
  retires_at INTEGER,
  seen_at INTEGER NOT NULL,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessile_login_expires_at ON sessile_login (expires_at);
CREATE INDEX sessile_login_user_id ON sessile_login (user_id) WHERE user_id IS NOT NULL;
-- Ids that were ended, so that nothing brings them back.
CREATE TABLE sessile_login_ended (sid TEXT PRIMARY KEY, kept_until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX sessile_login_ended_kept_until ON sessile_login_ended (kept_until);
-- What happened, until somebody has taken it.
CREATE TABLE sessile_login_event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  handle TEXT NOT NULL,
  user_id TEXT,
  at INTEGER NOT NULL
) STRICT;
