do $sessile$
declare
  made text[] := '{}';
  wanted text;
  who text;
begin
  -- Names that we make, and compare with nothing but themselves, need no language's order.
  if to_regnamespace('{s}') is null then
    create schema {s};
  end if;
  if to_regclass('{s}.coupons') is null then
    create table {s}.coupons (
      id text primary key,
      code text not null unique,
      description text,
      discount_type text not null check (discount_type in ('percentage', 'fixed')),
      discount_value bigint not null,
      original_price bigint,
      max_uses bigint,
      used_count bigint not null default 0,
      valid_from timestamptz,
      valid_until timestamptz,
      is_active boolean not null default true,
      created_by text,
      created_at timestamptz not null default now()
    );
    made := made || 'coupons'::text;
  end if;
  if to_regclass('{s}.checkout_sessions') is null then
    create table {s}.checkout_sessions (
      id varchar primary key,
      user_id varchar,
      session_data jsonb not null,
      status varchar not null default 'active' check (status in ('active', 'completed', 'expired', 'invalidated')),
      is_used boolean not null default false,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    made := made || 'checkout_sessions'::text;
  end if;
  if to_regclass('{s}.payment_sessions') is null then
    create table {s}.payment_sessions (
      id text collate "C" primary key,
      user_id text collate "C" not null,
      user_email text not null,
      amount bigint not null,
      original_amount bigint,
      discount_amount bigint default 0,
      coupon_id text references {s}.coupons (id),
      merchant_trans_id text collate "C" not null unique,
      click_trans_id text,
      status text not null default 'pending'
        check (status in ('pending', 'processing', 'completed', 'failed', 'expired')),
      payment_method text not null,
      idempotency_key text collate "C" not null unique,
      metadata jsonb,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      expires_at timestamptz
    );
    made := made || 'payment_sessions'::text;
  end if;
  if to_regclass('{s}.payment_attempts') is null then
    create table {s}.payment_attempts (
      provider text collate "C" not null,
      click_trans_id bigint not null,
      click_paydoc_id bigint not null,
      merchant_prepare_id bigint unique,
      payment_id text collate "C" not null,
      created_at timestamptz not null,
      primary key (provider, click_trans_id)
    );
    made := made || 'payment_attempts'::text;
  end if;
  if to_regclass('{s}.provider_inbox') is null then
    create table {s}.provider_inbox (
      provider text collate "C" not null,
      dedupe_key text collate "C" not null,
      received_at timestamptz not null,
      applied_at timestamptz not null,
      outcome text not null,
      answer text,
      primary key (provider, dedupe_key)
    );
    made := made || 'provider_inbox'::text;
  end if;
  if to_regclass('{s}.coupon_usages') is null then
    create table {s}.coupon_usages (
      coupon_id text not null,
      payment_session_id text not null unique,
      user_id text,
      used_at timestamptz not null default now()
    );
    made := made || 'coupon_usages'::text;
  end if;
  if to_regclass('{s}.grants') is null then
    create table {s}.grants (
      payment_id text collate "C" primary key,
      user_id text collate "C" not null,
      tier text,
      checkout_id text,
      granted_at timestamptz not null,
      revoked_at timestamptz,
      version bigint not null
    );
    made := made || 'grants'::text;
  end if;
  if to_regclass('{s}.refunds') is null then
    create table {s}.refunds (
      id text primary key,
      payment_id text not null,
      amount_minor bigint not null,
      currency text not null,
      reason text not null,
      status text not null check (status in ('requested', 'submitted', 'succeeded', 'failed', 'needs_manual')),
      note text,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      version bigint not null
    );
    made := made || 'refunds'::text;
  end if;
  if to_regclass('{s}.audit_log') is null then
    create table {s}.audit_log (
      seq bigint primary key,
      at timestamptz not null,
      event text not null,
      actor text not null,
      payment_id text collate "C",
      checkout_id text,
      facts text not null,
      previous text not null,
      hash text not null
    );
    made := made || 'audit_log'::text;
  end if;
  if to_regclass('{s}.audit_head') is null then
    create table {s}.audit_head (id int primary key check (id = 1), seq bigint not null, hash text not null)
      with (fillfactor = 10);
    made := made || 'audit_head'::text;
  end if;
  if to_regclass('{s}.outbox') is null then
    create table {s}.outbox (
      id text collate "C" primary key,
      kind text not null,
      payload jsonb not null,
      created_at timestamptz not null,
      attempts bigint not null default 0,
      state text not null default 'pending' check (state in ('pending', 'dead')),
      next_at timestamptz not null,
      error text
    );
    made := made || 'outbox'::text;
  end if;
  if to_regclass('{s}.sessile_tombstones') is null then
    create table {s}.sessile_tombstones (id text primary key, at timestamptz not null);
    made := made || 'sessile_tombstones'::text;
  end if;

  -- Tables that somebody else made keep the rights that their owner chose.
  foreach wanted in array made loop
    execute format('alter table {s}.%I enable row level security', wanted);
    foreach who in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = who) then
        execute format('revoke all on table {s}.%I from %I', wanted, who);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant select, insert, update, delete on table {s}.%I to service_role', wanted);
      execute format(
        'create policy sessile_service on {s}.%I to service_role using (true) with check (true)', wanted);
    end if;
  end loop;
  -- On Supabase a buyer sees the checkouts that are theirs, and changes what the older application's pages change.
  -- Prices, coupons and completion are not theirs to write.
  if 'checkout_sessions' = any (made) and to_regprocedure('auth.uid()') is not null
     and exists (select from pg_roles where rolname = 'authenticated') then
    grant select, insert (id, user_id, session_data, status, is_used, created_at, updated_at),
      update (session_data, status, is_used, updated_at) on {s}.checkout_sessions to authenticated;
    create policy sessile_owner_select on {s}.checkout_sessions for select to authenticated
      using ((select auth.uid())::text = user_id);
    create policy sessile_owner_insert on {s}.checkout_sessions for insert to authenticated
      with check ((select auth.uid())::text = user_id and status = 'active' and not is_used);
    create policy sessile_owner_update on {s}.checkout_sessions for update to authenticated
      using ((select auth.uid())::text = user_id and status <> 'completed')
      with check ((select auth.uid())::text = user_id and status <> 'completed' and not is_used);
  end if;
end $sessile$;

alter table {s}.coupons
  add column if not exists description text,
  add column if not exists original_price bigint,
  add column if not exists max_uses bigint,
  add column if not exists used_count bigint default 0,
  add column if not exists valid_from timestamptz,
  add column if not exists valid_until timestamptz,
  add column if not exists is_active boolean default true,
  add column if not exists created_by text,
  add column if not exists created_at timestamptz default now(),
  add column if not exists reserved_count bigint not null default 0 check (reserved_count >= 0),
  add column if not exists discount_minor bigint,
  add column if not exists original_price_minor bigint,
  add column if not exists version bigint not null default 1;
alter table {s}.checkout_sessions
  alter column user_id drop not null,
  add column if not exists is_used boolean not null default false,
  add column if not exists created_at timestamptz default now(),
  add column if not exists updated_at timestamptz default now(),
  add column if not exists guest_hash text,
  add column if not exists slot text not null default 'default',
  add column if not exists version bigint not null default 1,
  add column if not exists expires_at timestamptz,
  add column if not exists choice text not null default '',
  add column if not exists price_original bigint,
  add column if not exists price_discount bigint,
  add column if not exists currency text,
  add column if not exists coupon_id text,
  add column if not exists coupon_state text,
  add column if not exists left_at timestamptz,
  add column if not exists renewed_from varchar,
  add column if not exists superseded_by varchar,
  add column if not exists invalidated_reason text,
  add column if not exists completed_payment_id text,
  add column if not exists touched_at timestamptz;
alter table {s}.payment_sessions
  add column if not exists user_id text,
  add column if not exists user_email text not null default '',
  add column if not exists original_amount bigint,
  add column if not exists discount_amount bigint default 0,
  add column if not exists coupon_id text,
  add column if not exists click_trans_id text,
  add column if not exists payment_method text not null default 'click',
  add column if not exists metadata jsonb,
  add column if not exists created_at timestamptz default now(),
  add column if not exists updated_at timestamptz default now(),
  add column if not exists expires_at timestamptz,
  add column if not exists version bigint not null default 1,
  add column if not exists currency text not null default 'UZS',
  add column if not exists amount_minor bigint,
  add column if not exists original_minor bigint,
  add column if not exists discount_minor bigint,
  add column if not exists click_paydoc_id bigint,
  add column if not exists merchant_prepare_id bigint,
  add column if not exists reason text,
  add column if not exists how text,
  add column if not exists disposition text,
  add column if not exists refund_reason text,
  add column if not exists allocated_to text,
  add column if not exists state_at timestamptz,
  add column if not exists ask_at timestamptz,
  add column if not exists ask_times int not null default 0,
  add column if not exists flags text not null default '',
  add column if not exists checkout_id text,
  add column if not exists coupon_state text,
  add column if not exists request_digest text not null default '',
  add column if not exists touched_at timestamptz;
alter table {s}.coupon_usages
  add column if not exists user_id text,
  add column if not exists used_at timestamptz default now();

-- What an older application has indexed already is not indexed again.
do $sessile$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('coupons', 'code', true), ('coupons', 'created_at', false),
      ('checkout_sessions', 'user_id', false), ('checkout_sessions', 'status', false),
      ('checkout_sessions', 'created_at', false), ('checkout_sessions', 'updated_at', false),
      ('payment_sessions', 'user_id', false),
      ('payment_sessions', 'merchant_trans_id', true), ('payment_sessions', 'idempotency_key', true),
      ('payment_sessions', 'created_at', false),
      ('coupon_usages', 'payment_session_id', true), ('coupon_usages', 'coupon_id', false)
    ) as v (tab, col, is_unique)
  loop
    if not exists (
      select from pg_index i
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      where i.indrelid = ('{s}.' || wanted.tab)::regclass and a.attname = wanted.col and i.indnkeyatts = 1
        and i.indpred is null and i.indisvalid and (i.indisunique or not wanted.is_unique)
    ) then
      execute format('create %s index %I on {s}.%I (%I)', case when wanted.is_unique then 'unique' else '' end,
        wanted.tab || '_sessile_' || wanted.col, wanted.tab, wanted.col);
    end if;
  end loop;
end $sessile$;
drop index if exists {s}.payment_sessions_sessile_status;
-- Every change of a payment writes a row anew, and with it an entry in each index that holds the row: an index that
-- only some rows need holds only these. Whoever looks for payments by expires_at looks for pending ones; one that is
-- being processed has the time of its next question, unless an older application made it so; and numbers of attempts
-- are in payment_attempts, but for those that an older application took.
do $sessile$
begin
  if not exists (
    select from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = '{s}.payment_sessions'::regclass and a.attname = 'click_trans_id' and i.indnkeyatts = 1
      and i.indisvalid
  ) then
    create index payment_sessions_sessile_click_trans_id on {s}.payment_sessions (click_trans_id)
      where click_trans_id is not null and click_paydoc_id is null;
  end if;
end $sessile$;
create index if not exists coupons_sessile_upper on {s}.coupons (upper(code));
create index if not exists checkout_sessions_sessile_guest on {s}.checkout_sessions (guest_hash)
  where guest_hash is not null;
create index if not exists checkout_sessions_sessile_expires on {s}.checkout_sessions (expires_at)
  where status = 'active';
create index if not exists checkout_sessions_sessile_left on {s}.checkout_sessions (left_at)
  where status in ('expired', 'invalidated');
create unique index if not exists checkout_sessions_sessile_renewed on {s}.checkout_sessions (renewed_from)
  where renewed_from is not null;
create unique index if not exists checkout_sessions_sessile_paid on {s}.checkout_sessions (completed_payment_id)
  where completed_payment_id is not null;
create index if not exists payment_sessions_sessile_pending on {s}.payment_sessions (expires_at)
  where status = 'pending';
create index if not exists payment_sessions_sessile_processing on {s}.payment_sessions (updated_at)
  where status = 'processing' and ask_at is null;
create index if not exists payment_sessions_sessile_ask on {s}.payment_sessions (ask_at)
  where ask_at is not null;
create index if not exists payment_sessions_sessile_checkout on {s}.payment_sessions (checkout_id)
  where checkout_id is not null;
create unique index if not exists payment_sessions_sessile_open on {s}.payment_sessions (checkout_id)
  where status in ('pending', 'processing') and checkout_id is not null;
create unique index if not exists payment_sessions_sessile_prepare on {s}.payment_sessions (merchant_prepare_id)
  where merchant_prepare_id is not null;
create index if not exists grants_sessile_user on {s}.grants (user_id);
create index if not exists grants_sessile_granted on {s}.grants (granted_at);
create index if not exists refunds_sessile_payment on {s}.refunds (payment_id);
create index if not exists refunds_sessile_created on {s}.refunds (created_at);
create index if not exists refunds_sessile_open on {s}.refunds (status, created_at)
  where status in ('requested', 'submitted', 'needs_manual');
create index if not exists audit_log_sessile_payment on {s}.audit_log (payment_id) where payment_id is not null;
create index if not exists audit_log_sessile_checkout on {s}.audit_log (checkout_id) where checkout_id is not null;
create index if not exists outbox_sessile_next on {s}.outbox (next_at) where state = 'pending';
insert into {s}.audit_head (id, seq, hash) values (1, 0, repeat('0', 64)) on conflict do nothing;

create or replace function {s}.sessile_audit_kept() returns trigger language plpgsql as $sessile$
begin
  raise exception 'audit_log is append-only';
end $sessile$;
create or replace trigger audit_log_sessile_kept before update or delete or truncate on {s}.audit_log
  for each statement execute function {s}.sessile_audit_kept();

-- Changes that are not ours: ours count the version up.
create or replace function {s}.sessile_checkout_changed() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $sessile$
begin
  if old.price_original is not null and new.session_data::text is distinct from old.session_data::text then
    raise exception 'a checkout that has a price keeps its choice: another choice is another row';
  end if;
  if new.updated_at is not distinct from old.updated_at then
    new.updated_at := clock_timestamp();
  end if;
  new.touched_at := null;
  if new.status is distinct from old.status then
    new.is_used := new.status = 'completed';
    new.left_at := null;
  end if;
  return new;
end $sessile$;
create or replace trigger checkout_sessions_sessile_changed before update on {s}.checkout_sessions
  for each row when (new.version is not distinct from old.version)
  execute function {s}.sessile_checkout_changed();
revoke all on function {s}.sessile_audit_kept(), {s}.sessile_checkout_changed() from public;
do $sessile$
declare
  who text;
begin
  foreach who in array array['anon', 'authenticated', 'service_role'] loop
    if exists (select from pg_roles where rolname = who) then
      execute format('revoke all on function {s}.sessile_audit_kept(), {s}.sessile_checkout_changed() from %I', who);
    end if;
  end loop;
end $sessile$;
