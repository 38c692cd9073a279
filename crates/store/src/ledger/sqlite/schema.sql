-- The ledger on SQLite. Times are unix milliseconds. Every statement may run on a file that has the table already: an
-- older application's gets the missing columns first (a CHECK cannot be added to a column of a table that is there).
CREATE TABLE IF NOT EXISTS coupons (
  id TEXT PRIMARY KEY,
  code TEXT NOT NULL,
  description TEXT,
  discount_type TEXT NOT NULL CHECK (discount_type IN ('percentage', 'fixed')),
  -- Percent, or whole major units; `discount_minor` is exact.
  discount_value INTEGER NOT NULL,
  original_price INTEGER,
  max_uses INTEGER,
  used_count INTEGER NOT NULL DEFAULT 0,
  valid_from INTEGER,
  valid_until INTEGER,
  is_active INTEGER NOT NULL DEFAULT 1,
  created_by TEXT,
  created_at INTEGER NOT NULL,
  reserved_count INTEGER NOT NULL DEFAULT 0 CHECK (reserved_count >= 0),
  discount_minor INTEGER,
  original_price_minor INTEGER,
  version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS coupons_code ON coupons (code);
-- What people type is compared without regard to case.
CREATE INDEX IF NOT EXISTS coupons_code_upper ON coupons (upper(code));
CREATE INDEX IF NOT EXISTS coupons_created_at ON coupons (created_at, id);

CREATE TABLE IF NOT EXISTS checkout_sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT,
  session_data TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('active', 'completed', 'expired', 'invalidated')),
  is_used INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  guest_hash TEXT,
  slot TEXT NOT NULL DEFAULT 'default',
  version INTEGER NOT NULL DEFAULT 1,
  -- NULL in an older application's row: a day after created_at.
  expires_at INTEGER,
  choice TEXT NOT NULL DEFAULT '',
  price_original INTEGER,
  price_discount INTEGER,
  currency TEXT,
  coupon_id TEXT,
  coupon_state TEXT,
  -- NULL in an older application's row: updated_at.
  left_at INTEGER,
  renewed_from TEXT,
  superseded_by TEXT,
  invalidated_reason TEXT,
  completed_payment_id TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS checkout_sessions_user_id ON checkout_sessions (user_id, status);
CREATE INDEX IF NOT EXISTS checkout_sessions_guest_hash ON checkout_sessions (guest_hash, status)
  WHERE guest_hash IS NOT NULL;
CREATE INDEX IF NOT EXISTS checkout_sessions_status ON checkout_sessions (status);
CREATE INDEX IF NOT EXISTS checkout_sessions_created_at ON checkout_sessions (created_at, id);
CREATE INDEX IF NOT EXISTS checkout_sessions_updated_at ON checkout_sessions (updated_at);
CREATE INDEX IF NOT EXISTS checkout_sessions_expires_at
  ON checkout_sessions (coalesce(expires_at, created_at + 86400000)) WHERE status = 'active';
CREATE INDEX IF NOT EXISTS checkout_sessions_left_at
  ON checkout_sessions (coalesce(left_at, updated_at)) WHERE status IN ('expired', 'invalidated');
CREATE UNIQUE INDEX IF NOT EXISTS checkout_sessions_renewed_from ON checkout_sessions (renewed_from)
  WHERE renewed_from IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS checkout_sessions_completed_payment_id
  ON checkout_sessions (completed_payment_id) WHERE completed_payment_id IS NOT NULL;
-- Names of checkouts that were purged; none is used again.
CREATE TABLE IF NOT EXISTS sessile_tombstones (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS payment_sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT,
  user_email TEXT NOT NULL,
  -- These three are whole major units, for operators; the minor ones below are exact.
  amount INTEGER NOT NULL,
  original_amount INTEGER,
  discount_amount INTEGER DEFAULT 0,
  coupon_id TEXT REFERENCES coupons (id),
  merchant_trans_id TEXT NOT NULL,
  click_trans_id TEXT,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'expired')),
  payment_method TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  metadata TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  expires_at INTEGER,
  version INTEGER NOT NULL DEFAULT 1,
  currency TEXT NOT NULL DEFAULT 'UZS',
  amount_minor INTEGER,
  original_minor INTEGER,
  discount_minor INTEGER,
  click_paydoc_id INTEGER,
  merchant_prepare_id INTEGER,
  reason TEXT,
  how TEXT,
  disposition TEXT,
  refund_reason TEXT,
  allocated_to TEXT,
  state_at INTEGER,
  ask_at INTEGER,
  ask_times INTEGER NOT NULL DEFAULT 0,
  flags TEXT NOT NULL DEFAULT '',
  checkout_id TEXT,
  coupon_state TEXT,
  request_digest TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS payment_sessions_user_id ON payment_sessions (user_id);
CREATE INDEX IF NOT EXISTS payment_sessions_status ON payment_sessions (status);
CREATE UNIQUE INDEX IF NOT EXISTS payment_sessions_merchant_trans_id ON payment_sessions (merchant_trans_id);
CREATE INDEX IF NOT EXISTS payment_sessions_click_trans_id ON payment_sessions (click_trans_id);
CREATE UNIQUE INDEX IF NOT EXISTS payment_sessions_idempotency_key ON payment_sessions (idempotency_key);
CREATE INDEX IF NOT EXISTS payment_sessions_expires_at ON payment_sessions (expires_at);
CREATE INDEX IF NOT EXISTS payment_sessions_created_at ON payment_sessions (created_at, id);
CREATE INDEX IF NOT EXISTS payment_sessions_overdue
  ON payment_sessions (coalesce(expires_at, created_at + 1800000)) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS payment_sessions_ask_at ON payment_sessions (ask_at) WHERE ask_at IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS payment_sessions_merchant_prepare_id
  ON payment_sessions (merchant_prepare_id) WHERE merchant_prepare_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS payment_sessions_checkout_id ON payment_sessions (checkout_id)
  WHERE checkout_id IS NOT NULL;
-- One open payment for a checkout.
CREATE UNIQUE INDEX IF NOT EXISTS payment_sessions_one_open ON payment_sessions (checkout_id)
  WHERE status IN ('pending', 'processing') AND checkout_id IS NOT NULL;

-- The memory of numbers that were used; never purged.
CREATE TABLE IF NOT EXISTS payment_attempts (
  provider TEXT NOT NULL,
  click_trans_id INTEGER NOT NULL,
  click_paydoc_id INTEGER NOT NULL,
  merchant_prepare_id INTEGER UNIQUE,
  payment_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (provider, click_trans_id)
) STRICT, WITHOUT ROWID;

-- Messages that were heard.
CREATE TABLE IF NOT EXISTS provider_inbox (
  provider TEXT NOT NULL,
  dedupe_key TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  applied_at INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  answer TEXT,
  PRIMARY KEY (provider, dedupe_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS coupon_usages (
  coupon_id TEXT NOT NULL,
  payment_session_id TEXT NOT NULL,
  user_id TEXT,
  used_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS coupon_usages_payment_session_id ON coupon_usages (payment_session_id);
CREATE INDEX IF NOT EXISTS coupon_usages_coupon_id ON coupon_usages (coupon_id);

CREATE TABLE IF NOT EXISTS grants (
  payment_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  tier TEXT,
  checkout_id TEXT,
  granted_at INTEGER NOT NULL,
  revoked_at INTEGER,
  version INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS grants_user_id ON grants (user_id);
CREATE INDEX IF NOT EXISTS grants_granted_at ON grants (granted_at, payment_id);

CREATE TABLE IF NOT EXISTS refunds (
  id TEXT PRIMARY KEY,
  payment_id TEXT NOT NULL,
  amount_minor INTEGER NOT NULL,
  currency TEXT NOT NULL,
  reason TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('requested', 'submitted', 'succeeded', 'failed', 'needs_manual')),
  note TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS refunds_payment_id ON refunds (payment_id);
CREATE INDEX IF NOT EXISTS refunds_status ON refunds (status, created_at)
  WHERE status IN ('requested', 'submitted', 'needs_manual');
CREATE INDEX IF NOT EXISTS refunds_created_at ON refunds (created_at, id);

CREATE TABLE IF NOT EXISTS audit_log (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  actor TEXT NOT NULL,
  payment_id TEXT,
  checkout_id TEXT,
  facts TEXT NOT NULL,
  previous TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS audit_log_payment_id ON audit_log (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS audit_log_checkout_id ON audit_log (checkout_id) WHERE checkout_id IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT raise(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT raise(ABORT, 'audit_log is append-only'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER IF NOT EXISTS audit_log_no_replace BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE seq = new.seq)
BEGIN SELECT raise(ABORT, 'audit_log is append-only'); END;
CREATE TABLE IF NOT EXISTS audit_head (
  id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT;
INSERT OR IGNORE INTO audit_head (id, seq, hash)
  VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE IF NOT EXISTS outbox (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead')),
  next_at INTEGER NOT NULL,
  error TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_next_at ON outbox (next_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS outbox_state ON outbox (state, created_at);
