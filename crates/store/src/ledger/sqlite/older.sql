-- The tables that an application had before, as its developers made them, with rows in them.
CREATE TABLE coupons (
  id VARCHAR PRIMARY KEY, code VARCHAR UNIQUE NOT NULL, description TEXT,
  discount_type VARCHAR NOT NULL CHECK (discount_type IN ('percentage', 'fixed')), discount_value NUMERIC NOT NULL,
  original_price NUMERIC, max_uses INTEGER, used_count INTEGER DEFAULT 0, valid_from TIMESTAMP, valid_until TIMESTAMP,
  is_active BOOLEAN DEFAULT TRUE, created_by VARCHAR, created_at TIMESTAMP NOT NULL
);
CREATE TABLE checkout_sessions (
  id VARCHAR PRIMARY KEY, user_id VARCHAR, session_data JSONB NOT NULL,
  status VARCHAR NOT NULL CHECK (status IN ('active', 'completed', 'expired', 'invalidated')),
  is_used BOOLEAN NOT NULL DEFAULT FALSE, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL
);
CREATE TABLE payment_sessions (
  id TEXT PRIMARY KEY, user_id TEXT, user_email TEXT NOT NULL, amount INTEGER NOT NULL, original_amount INTEGER,
  discount_amount INTEGER DEFAULT 0, coupon_id TEXT REFERENCES coupons (id), merchant_trans_id TEXT UNIQUE NOT NULL,
  click_trans_id TEXT, status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'expired')),
  payment_method TEXT NOT NULL, idempotency_key TEXT NOT NULL, metadata JSONB,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, expires_at TIMESTAMP
);
CREATE UNIQUE INDEX payment_key ON payment_sessions (idempotency_key);
INSERT INTO coupons (id, code, discount_type, discount_value, used_count, created_at)
  VALUES ('c-1', 'spring', 'percentage', 10, 3, 1800000000000);
INSERT INTO checkout_sessions (id, user_id, session_data, status, created_at, updated_at) VALUES
  ('cs-old-active', 'ada', '{"tracks":[1],"selectedPackages":{"0":"basic"}}', 'active', 1800000000000, 1800000000000),
  ('cs-old-invalid', NULL, '{}', 'invalidated', 1800000000000, 1800000000005);
INSERT INTO payment_sessions (id, user_id, user_email, amount, original_amount, coupon_id, merchant_trans_id,
  click_trans_id, status, payment_method, idempotency_key, metadata, created_at, updated_at) VALUES
  ('p-pending', NULL, 'ada@example.org', 10000, 15000, 'c-1', 'order-pending', NULL, 'pending', 'click', 'k1', NULL,
   1800000000000, 1800000000005),
  ('p-processing', 'ada', 'ada@example.org', 10000, NULL, NULL, 'order-processing', '777', 'processing', 'payme', 'k2',
   '{"ip":"::1"}', 1800000000000, 1800000000005),
  ('p-paid', 'ada', 'ada@example.org', 10000, NULL, NULL, 'order-paid', 'not a number', 'completed', 'click', 'k3',
   NULL, 1800000000000, 1800000000005);
