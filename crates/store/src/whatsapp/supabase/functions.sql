-- What Sessile calls over PostgREST: one request is one function is one transaction. To be run after the tables, by whoever
-- owns them; running it again is safe. Every function runs with the caller's own rights, and only the service role may call
-- it. Every answer is an object with "sessile": 1, so that nothing that hides rows or is not there can pass for an answer.

-- Seeing this row proves that the caller sees the table. Its name is none that a device may have.
insert into whatsapp_sessions (client_id, session_data, is_active) values ('.sentinel', '{"sentinel": true}', false)
  on conflict (client_id) do nothing;

-- Refuses a caller from whom rows are hidden: what such a caller does not see may be there.
create or replace function sessile_whatsapp_check() returns void language plpgsql stable security invoker
  set search_path from current as $$
begin
  if row_security_active('whatsapp_sessions') or row_security_active('whatsapp_keys')
    or not exists (select from whatsapp_sessions where client_id = '.sentinel') then
    raise sqlstate 'PT403' using
      message = 'whatsapp_sessions is hidden from this key, or its sentinel row is gone',
      hint = 'use the service_role key or an sb_secret_ key, and run the SQL of sessile migrate --print-sql again';
  end if;
end $$;

create or replace function sessile_whatsapp_head_of(s whatsapp_sessions) returns jsonb language sql stable
  security invoker set search_path from current as $$
  select case when s.client_id is not null then jsonb_build_object(
    'device', s.client_id, 'epoch', s.epoch, 'version', s.version, 'last_step', encode(s.last_step, 'hex'),
    'held_until', case when s.lease_until > clock_timestamp() then (extract(epoch from s.lease_until) * 1000)::bigint end,
    'wanted', s.wanted,
    'wrapped_key', case when s.session_data->>'sessile' = '1' then s.session_data->>'key' end,
    'has_credentials', s.has_credentials, 'moved_to', s.moved_to,
    'created_at', coalesce((extract(epoch from s.created_at) * 1000)::bigint, 0),
    'updated_at', coalesce((extract(epoch from s.updated_at) * 1000)::bigint, 0)) end
$$;

create or replace function sessile_whatsapp_ping() returns jsonb language plpgsql volatile security invoker
  set search_path from current as $$
begin
  perform sessile_whatsapp_check();
  return jsonb_build_object('sessile', 1);
end $$;

create or replace function sessile_whatsapp_head(device text) returns jsonb language plpgsql volatile security invoker
  set search_path from current as $$
declare
  s whatsapp_sessions;
begin
  perform sessile_whatsapp_check();
  select * into s from whatsapp_sessions where client_id = device;
  return jsonb_build_object('sessile', 1, 'head', sessile_whatsapp_head_of(s));
end $$;

create or replace function sessile_whatsapp_list() returns jsonb language plpgsql volatile security invoker
  set search_path from current as $$
begin
  perform sessile_whatsapp_check();
  return (select jsonb_build_object('sessile', 1, 'heads',
            coalesce(jsonb_agg(sessile_whatsapp_head_of(s) order by s.client_id), '[]'))
          from whatsapp_sessions s where s.client_id not like '.%');
end $$;

create or replace function sessile_whatsapp_load(device text) returns jsonb language plpgsql volatile security invoker
  set search_path from current as $$
begin
  perform sessile_whatsapp_check();
  -- One statement is one moment.
  return coalesce(
    (select jsonb_build_object('sessile', 1, 'head', sessile_whatsapp_head_of(s),
       'credentials', case when s.session_data->>'sessile' = '1' then s.session_data->>'credentials' end,
       'rows', (select coalesce(jsonb_agg(jsonb_build_array(k.kind, encode(k.key_hash, 'hex'),
                  translate(encode(k.value, 'base64'), E'\n', ''))), '[]')
                from whatsapp_keys k where k.session_id = s.id))
     from whatsapp_sessions s where s.client_id = device),
    jsonb_build_object('sessile', 1, 'head', null));
end $$;

create or replace function sessile_whatsapp_acquire(device text, new_owner text, ttl_ms bigint) returns jsonb
  language plpgsql volatile security invoker set search_path from current as $$
declare
  s whatsapp_sessions;
  taken boolean;
begin
  perform sessile_whatsapp_check();
  insert into whatsapp_sessions as w (client_id, session_data, is_active, owner, epoch, lease_until)
    values (device, '{"sessile": 1}', true, new_owner, 1, clock_timestamp() + ttl_ms * interval '1 millisecond')
    on conflict (client_id) do update set epoch = w.epoch + 1, owner = excluded.owner,
      lease_until = clock_timestamp() + ttl_ms * interval '1 millisecond'
      where w.moved_to is null
        and (w.lease_until is null or w.lease_until <= clock_timestamp() or w.owner = excluded.owner)
    returning * into s;
  taken := found;
  if not taken then
    select * into s from whatsapp_sessions where client_id = device;
  end if;
  return jsonb_build_object('sessile', 1, 'done', taken, 'head', sessile_whatsapp_head_of(s));
end $$;

create or replace function sessile_whatsapp_renew(device text, of_epoch bigint, ttl_ms bigint) returns jsonb
  language plpgsql volatile security invoker set search_path from current as $$
declare
  s whatsapp_sessions;
  renewed boolean;
begin
  perform sessile_whatsapp_check();
  update whatsapp_sessions set lease_until = clock_timestamp() + ttl_ms * interval '1 millisecond'
    where client_id = device and epoch = of_epoch and moved_to is null;
  renewed := found;
  select * into s from whatsapp_sessions where client_id = device;
  return jsonb_build_object('sessile', 1, 'done', renewed, 'head', sessile_whatsapp_head_of(s));
end $$;

create or replace function sessile_whatsapp_release(device text, of_epoch bigint) returns jsonb
  language plpgsql volatile security invoker set search_path from current as $$
declare
  s whatsapp_sessions;
begin
  perform sessile_whatsapp_check();
  update whatsapp_sessions set lease_until = null where client_id = device and epoch = of_epoch and moved_to is null;
  select * into s from whatsapp_sessions where client_id = device;
  return jsonb_build_object('sessile', 1, 'done', true, 'head', sessile_whatsapp_head_of(s));
end $$;

create or replace function sessile_whatsapp_want(device text, what text) returns jsonb
  language plpgsql volatile security invoker set search_path from current as $$
declare
  s whatsapp_sessions;
begin
  perform sessile_whatsapp_check();
  update whatsapp_sessions set wanted = what where client_id = device and moved_to is null;
  select * into s from whatsapp_sessions where client_id = device;
  return jsonb_build_object('sessile', 1, 'done', true, 'head', sessile_whatsapp_head_of(s));
end $$;

-- Rows come as [[kind, hash in hexadecimal, value in base64]], rows to delete as [[kind, hash]]; bytes_put is what the values
-- come to, so that nothing is decoded twice within the eight seconds that a statement has.
create or replace function sessile_whatsapp_commit_step(
  device text, of_epoch bigint, makes bigint, step text, at_ms bigint, wrapped_key text, credentials text,
  bytes_put bigint, bytes_max bigint, puts jsonb, deletes jsonb
) returns jsonb language plpgsql volatile security invoker set search_path from current as $$
declare
  s whatsapp_sessions;
  sealed jsonb := jsonb_strip_nulls(jsonb_build_object('key', wrapped_key, 'credentials', credentials));
  freed bigint;
begin
  perform sessile_whatsapp_check();
  select * into s from whatsapp_sessions where client_id = device for update;
  if s.id is null or s.epoch <> of_epoch or s.version <> makes - 1 or s.moved_to is not null then
    return jsonb_build_object('sessile', 1, 'done', false, 'head', sessile_whatsapp_head_of(s));
  end if;
  select coalesce(sum(octet_length(k.value)), 0) into freed
    from jsonb_array_elements(puts || deletes) r
    join whatsapp_keys k on k.session_id = s.id and k.kind = r->>0 and k.key_hash = decode(r->>1, 'hex');
  if s.size + bytes_put - freed > bytes_max then
    return jsonb_build_object('sessile', 1, 'done', false, 'head', sessile_whatsapp_head_of(s),
      'size', s.size + bytes_put - freed);
  end if;
  delete from whatsapp_keys k using jsonb_array_elements(deletes) r
    where k.session_id = s.id and k.kind = r->>0 and k.key_hash = decode(r->>1, 'hex');
  insert into whatsapp_keys (session_id, kind, key_hash, value, version)
    select s.id, r->>0, decode(r->>1, 'hex'), decode(r->>2, 'base64'), makes from jsonb_array_elements(puts) r
    on conflict (session_id, kind, key_hash) do update set value = excluded.value, version = excluded.version;
  update whatsapp_sessions w set version = makes, last_step = decode(step, 'hex'),
      updated_at = timestamptz 'epoch' + at_ms * interval '1 millisecond', size = w.size + bytes_put - freed,
      has_credentials = w.has_credentials or credentials is not null,
      is_active = w.is_active or credentials is not null,
      session_data = case when sealed = '{}' then w.session_data
        when w.session_data->>'sessile' = '1' then w.session_data || sealed
        else '{"sessile": 1}' || sealed end,
      previous_data = case when sealed = '{}' or w.session_data->>'sessile' = '1' then w.previous_data
        else w.session_data end
    where w.id = s.id;
  return jsonb_build_object('sessile', 1, 'done', true, 'head', sessile_whatsapp_head_of(s));
end $$;

create or replace function sessile_whatsapp_adopt(
  device text, new_owner text, ttl_ms bigint, there bigint, at_version bigint, step text, wanted_there text,
  created_ms bigint, updated_ms bigint, wrapped_key text, credentials text, puts jsonb
) returns jsonb language plpgsql volatile security invoker set search_path from current as $$
declare
  s whatsapp_sessions;
  sealed jsonb := '{"sessile": 1}'
    || jsonb_strip_nulls(jsonb_build_object('key', wrapped_key, 'credentials', credentials));
begin
  perform sessile_whatsapp_check();
  insert into whatsapp_sessions (client_id, session_data, epoch) values (device, '{"sessile": 1}', 0)
    on conflict (client_id) do nothing;
  select * into s from whatsapp_sessions where client_id = device for update;
  if (s.lease_until > clock_timestamp() and s.owner is distinct from new_owner)
    or not (case when s.moved_to is not null then at_version >= s.version
      when s.has_credentials then at_version = s.version and s.last_step is not distinct from decode(step, 'hex')
      else true end) then
    return jsonb_build_object('sessile', 1, 'done', false, 'head', sessile_whatsapp_head_of(s));
  end if;
  delete from whatsapp_keys where session_id = s.id;
  insert into whatsapp_keys (session_id, kind, key_hash, value, version)
    select s.id, r->>0, decode(r->>1, 'hex'), decode(r->>2, 'base64'), at_version from jsonb_array_elements(puts) r;
  update whatsapp_sessions w set session_data = sealed,
      previous_data = case when s.session_data->>'sessile' = '1' then s.previous_data else s.session_data end,
      created_at = timestamptz 'epoch' + created_ms * interval '1 millisecond',
      updated_at = timestamptz 'epoch' + updated_ms * interval '1 millisecond',
      is_active = true, has_credentials = credentials is not null, owner = new_owner,
      epoch = greatest(s.epoch, there) + 1, lease_until = clock_timestamp() + ttl_ms * interval '1 millisecond',
      version = greatest(s.version, at_version), last_step = decode(step, 'hex'), wanted = wanted_there,
      size = (select coalesce(sum(octet_length(value)), 0) from whatsapp_keys where session_id = s.id), moved_to = null
    where w.id = s.id returning * into s;
  return jsonb_build_object('sessile', 1, 'done', true, 'head', sessile_whatsapp_head_of(s));
end $$;

-- Forgets the keys: for good (gone_to is null), or because they moved. The same call again finds its own tombstone.
create or replace function sessile_whatsapp_forget(device text, of_epoch bigint, gone_to text) returns jsonb
  language plpgsql volatile security invoker set search_path from current as $$
declare
  s whatsapp_sessions;
  done boolean;
begin
  perform sessile_whatsapp_check();
  select * into s from whatsapp_sessions where client_id = device for update;
  done := s.id is not null and s.epoch = of_epoch and coalesce(s.moved_to = gone_to, s.moved_to is null);
  if done then
    delete from whatsapp_keys where session_id = s.id;
    update whatsapp_sessions set has_credentials = false, is_active = false, size = 0, moved_to = gone_to,
        lease_until = case when gone_to is null then lease_until end,
        session_data = case when session_data->>'sessile' = '1' then '{"sessile": 1}' else session_data end
      where id = s.id returning * into s;
  end if;
  return jsonb_build_object('sessile', 1, 'done', done, 'head', sessile_whatsapp_head_of(s));
end $$;

create or replace function sessile_whatsapp_remove_unused(before_ms bigint) returns jsonb
  language plpgsql volatile security invoker set search_path from current as $$
declare
  removed bigint;
begin
  perform sessile_whatsapp_check();
  delete from whatsapp_sessions where (not has_credentials or wanted = 'stopped')
    and session_data->>'sessile' = '1' and (lease_until is null or lease_until <= clock_timestamp())
    and moved_to is null and updated_at < timestamptz 'epoch' + before_ms * interval '1 millisecond';
  get diagnostics removed = row_count;
  return jsonb_build_object('sessile', 1, 'removed', removed);
end $$;

-- A function may be called by everybody unless that is taken away; Supabase gives it to anon and authenticated besides.
do $sessile$
declare
  called regprocedure;
  who text;
begin
  for called in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = current_schema()::regnamespace and p.proname like 'sessile\_whatsapp\_%'
  loop
    execute format('revoke all on function %s from public', called);
    foreach who in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = who) then
        execute format('revoke all on function %s from %I', called, who);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant execute on function %s to service_role', called);
    end if;
  end loop;
end $sessile$;
-- PostgREST reads which functions there are once, and again when it is told.
notify pgrst, 'reload schema';
