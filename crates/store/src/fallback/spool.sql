-- Sessions that ended during an outage and have still to end in the primary.
CREATE TABLE IF NOT EXISTS spool_end (sid TEXT PRIMARY KEY, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- Each spooled session as it was first spooled: what the primary holds if the call that was not answered had landed.
CREATE TABLE IF NOT EXISTS spool_origin (sid TEXT PRIMARY KEY, sess TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- What could not be read when its turn came; kept for whoever looks into it.
CREATE TABLE IF NOT EXISTS spool_unreadable (sid TEXT PRIMARY KEY, sess TEXT NOT NULL) STRICT, WITHOUT ROWID;
