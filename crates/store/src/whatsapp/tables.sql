-- WhatsApp devices. Everything that could be used is sealed: whoever reads these tables learns which devices there are,
-- and nothing else. Running this again is safe; a table that an older application made is taken over in place.
create table if not exists whatsapp_sessions (
  id uuid primary key default gen_random_uuid(),
  client_id text not null unique,
  -- Ours says {"sessile": 1}, with the device's wrapped key and its sealed credentials. Another application's is left as it
  -- is until we have something to keep there, and never read.
  session_data jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  is_active boolean not null default true
);
alter table whatsapp_sessions
  -- Who owns the device, until when by this database's clock, and how often that changed.
  add column if not exists owner text,
  add column if not exists epoch bigint not null default 0,
  add column if not exists lease_until timestamptz,
  -- Steps so far, and which one was the last.
  add column if not exists version bigint not null default 0,
  add column if not exists last_step bytea,
  -- Whether the device should run, whatever it does at the moment.
  add column if not exists wanted text not null default 'running' check (wanted in ('running', 'stopped')),
  add column if not exists has_credentials boolean not null default false,
  -- Where the keys went: a tombstone.
  add column if not exists moved_to text,
  -- Bytes of this device's rows in whatsapp_keys.
  add column if not exists size bigint not null default 0,
  -- What session_data was when another application had written it.
  add column if not exists previous_data jsonb;
create table if not exists whatsapp_keys (
  session_id uuid not null references whatsapp_sessions (id) on delete cascade,
  kind text not null,
  -- A keyed hash: what the client looks keys up by holds phone numbers.
  key_hash bytea not null,
  value bytea not null,
  -- The step that wrote it.
  version bigint not null,
  primary key (session_id, kind, key_hash)
);
-- Sealed values do not compress.
alter table whatsapp_keys alter column value set storage external;
do $sessile$
declare
  wanted text;
  who text;
  policy record;
begin
  -- A table that was taken over may lack the constraint.
  if not exists (
    select from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = 'whatsapp_sessions'::regclass and i.indisunique and i.indnkeyatts = 1
      and i.indpred is null and a.attname = 'client_id'
  ) then
    create unique index whatsapp_sessions_client_id on whatsapp_sessions (client_id);
  end if;
  -- Nobody but the owner and the service gets in: no policy, and no rights that a policy could apply to.
  foreach wanted in array array['whatsapp_sessions', 'whatsapp_keys'] loop
    execute format('alter table %I enable row level security', wanted);
    execute format('revoke all on table %I from public', wanted);
    foreach who in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = who) then
        execute format('revoke all on table %I from %I', wanted, who);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant select, insert, update, delete on table %I to service_role', wanted);
    end if;
    for policy in
      select p.polname from pg_policy p
      where p.polrelid = wanted::regclass
        and (p.polroles = '{0}' or exists (
          select from pg_roles r where r.oid = any (p.polroles) and r.rolname in ('anon', 'authenticated')))
    loop
      execute format('drop policy %I on %I', policy.polname, wanted);
    end loop;
  end loop;
end $sessile$;
