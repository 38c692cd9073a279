//! The statements. Each is one round trip and one transaction, so they work behind a transaction-mode pooler; each holds
//! its own condition, and reads the lease by the database's clock.

/// A moment as a parameter of unix milliseconds; exact, and independent of every time zone.
macro_rules! at {
    ($n:literal) => {
        concat!("(timestamptz 'epoch' + $", $n, "::bigint * interval '1 millisecond')")
    };
}

/// When a lease ends that lasts for a parameter of milliseconds. Not `now()`: that stood still while we waited for a lock.
macro_rules! lease {
    ($n:literal) => {
        concat!("(clock_timestamp() + $", $n, "::bigint * interval '1 millisecond')")
    };
}

/// Whether the value is ours: another application's is never read.
macro_rules! ours {
    () => {
        "session_data->>'sessile' = '1'"
    };
}

/// The wrapped key and the sealed credentials that two parameters hold, as far as they do.
macro_rules! sealed {
    ($key:literal, $credentials:literal) => {
        concat!(
            "jsonb_strip_nulls(jsonb_build_object('key', $",
            $key,
            "::text, 'credentials', replace(encode($",
            $credentials,
            "::bytea, 'base64'), chr(10), '')))"
        )
    };
}

/// What [`super::head_of`] reads.
macro_rules! head {
    () => {
        concat!(
            "client_id::text, epoch, version, last_step, \
             case when lease_until > clock_timestamp() then (extract(epoch from lease_until) * 1000)::bigint end, \
             wanted, case when ",
            ours!(),
            " then session_data->>'key' end, has_credentials, moved_to, \
             coalesce((extract(epoch from created_at) * 1000)::bigint, 0), \
             coalesce((extract(epoch from updated_at) * 1000)::bigint, 0)"
        )
    };
}

/// Whether row-level security hides rows from this role, so that seeing none proves nothing.
macro_rules! hidden {
    () => {
        "row_security_active('whatsapp_sessions') or row_security_active('whatsapp_keys')"
    };
}

pub(super) const HIDDEN: &str = concat!("select ", hidden!());

pub(super) const HEAD: &str = concat!("select ", head!(), " from whatsapp_sessions where client_id = $1");

pub(super) const LIST: &str = concat!("select ", head!(), " from whatsapp_sessions order by client_id");

/// Device, owner, milliseconds.
pub(super) const ACQUIRE: &str = concat!(
    "insert into whatsapp_sessions as s (id, client_id, session_data, is_active, owner, epoch, lease_until) \
     values (gen_random_uuid(), $1, '{\"sessile\": 1}', true, $2, 1, ",
    lease!(3),
    ") on conflict (client_id) do update set epoch = s.epoch + 1, owner = excluded.owner, lease_until = ",
    lease!(3),
    " where s.moved_to is null \
     and (s.lease_until is null or s.lease_until <= clock_timestamp() or s.owner = excluded.owner) \
     returning ",
    head!()
);

/// Device, epoch, milliseconds.
pub(super) const RENEW: &str = concat!(
    "update whatsapp_sessions set lease_until = ",
    lease!(3),
    " where client_id = $1 and epoch = $2 and moved_to is null returning 1"
);

/// Device, epoch.
pub(super) const RELEASE: &str = "update whatsapp_sessions set lease_until = null where client_id = $1 and epoch = $2 and moved_to is null \
     returning 1";

/// Device, wanted.
pub(super) const WANT: &str =
    "update whatsapp_sessions set wanted = $2 where client_id = $1 and moved_to is null returning 1";

/// A device and all of its keys as of one moment, in one row.
pub(super) const LOAD: &str = concat!(
    "select ",
    head!(),
    ", case when ",
    ours!(),
    " then decode(session_data->>'credentials', 'base64') end, k.kinds, k.hashes, k.sealed, ",
    hidden!(),
    " from whatsapp_sessions s, lateral (select array_agg(kind) as kinds, array_agg(key_hash) as hashes, \
     array_agg(value) as sealed from whatsapp_keys where session_id = s.id) k where client_id = $1"
);

/// Device, epoch, version, step, moment, wrapped key or null, credentials or null, bytes put, bytes allowed; kinds, hashes
/// and values put; kinds and hashes deleted. Answers how the device stood before, how many rows took the step, its size.
///
/// What another application wrote in `session_data` is put aside by the first step that has something to keep there.
pub(super) const COMMIT: &str = concat!(
    "with put as (select * from unnest($10::text[], $11::bytea[], $12::bytea[]) as g(kind, hash, value)), \
     gone as (select * from unnest($13::text[], $14::bytea[]) as g(kind, hash)), \
     freed as (select coalesce(sum(octet_length(k.value)), 0) as bytes from whatsapp_sessions s \
       join whatsapp_keys k on k.session_id = s.id \
       join (select kind, hash from put union all select kind, hash from gone) t \
         on k.kind = t.kind and k.key_hash = t.hash \
       where s.client_id = $1), \
     patch as (select ",
    sealed!(6, 7),
    " as sealed), \
     stepped as (update whatsapp_sessions s set version = $3, last_step = $4, updated_at = ",
    at!(5),
    ", size = s.size + $8 - freed.bytes, has_credentials = s.has_credentials or $7 is not null, \
       is_active = s.is_active or $7 is not null, \
       session_data = case when patch.sealed = '{}' then s.session_data \
         when s.session_data->>'sessile' = '1' then s.session_data || patch.sealed \
         else '{\"sessile\": 1}' || patch.sealed end, \
       previous_data = case when patch.sealed = '{}' or s.session_data->>'sessile' = '1' then s.previous_data \
         else s.session_data end \
       from freed, patch where s.client_id = $1 and s.epoch = $2 and s.version = $3 - 1 and s.moved_to is null \
       and s.size + $8 - freed.bytes <= $9 returning s.id), \
     written as (insert into whatsapp_keys (session_id, kind, key_hash, value, version) \
       select stepped.id, put.kind, put.hash, put.value, $3 from stepped, put \
       on conflict (session_id, kind, key_hash) do update set value = excluded.value, version = excluded.version), \
     deleted as (delete from whatsapp_keys k using stepped, gone \
       where k.session_id = stepped.id and k.kind = gone.kind and k.key_hash = gone.hash) \
     select ",
    head!(),
    ", (select count(*) from stepped), size, ",
    hidden!(),
    " from (select 1) as one left join whatsapp_sessions on client_id = $1"
);

/// Device, wrapped key or null, credentials or null, created, updated, owner, epoch there, milliseconds, version, step or
/// null, wanted, bytes; kinds, hashes and values.
pub(super) const ADOPT: &str = concat!(
    "with put as (select * from unnest($13::text[], $14::bytea[], $15::bytea[]) as g(kind, hash, value)), \
     adopted as (insert into whatsapp_sessions as s (id, client_id, session_data, created_at, updated_at, is_active, \
       has_credentials, owner, epoch, lease_until, version, last_step, wanted, size) \
       values (gen_random_uuid(), $1, '{\"sessile\": 1}' || ",
    sealed!(2, 3),
    ", ",
    at!(4),
    ", ",
    at!(5),
    ", true, $3 is not null, $6, $7 + 1, ",
    lease!(8),
    ", $9, $10, $11, $12) on conflict (client_id) do update set session_data = excluded.session_data, \
       previous_data = case when s.session_data->>'sessile' = '1' then s.previous_data else s.session_data end, \
       created_at = excluded.created_at, updated_at = excluded.updated_at, is_active = true, \
       has_credentials = excluded.has_credentials, owner = excluded.owner, \
       epoch = greatest(s.epoch + 1, excluded.epoch), lease_until = excluded.lease_until, \
       version = greatest(s.version, excluded.version), last_step = excluded.last_step, wanted = excluded.wanted, \
       size = excluded.size, moved_to = null \
       where (s.lease_until is null or s.lease_until <= clock_timestamp() or s.owner = excluded.owner) \
       and case when s.moved_to is not null then excluded.version >= s.version \
         when s.has_credentials then excluded.version = s.version and excluded.last_step is not distinct from s.last_step \
         else true end \
       returning s.*), \
     dropped as (delete from whatsapp_keys k using adopted where k.session_id = adopted.id \
       and not exists (select from put where put.kind = k.kind and put.hash = k.key_hash)), \
     written as (insert into whatsapp_keys (session_id, kind, key_hash, value, version) \
       select adopted.id, put.kind, put.hash, put.value, $9 from adopted, put \
       on conflict (session_id, kind, key_hash) do update set value = excluded.value, version = excluded.version) \
     select ",
    head!(),
    " from adopted"
);

/// Forgets a device's keys; what another application wrote stays.
macro_rules! forget {
    ($also:literal, $condition:literal) => {
        concat!(
            "with forgotten as (update whatsapp_sessions set session_data = case when ",
            ours!(),
            " then '{\"sessile\": 1}' else session_data end, has_credentials = false, is_active = false, size = 0",
            $also,
            " where client_id = $1 and epoch = $2 and ",
            $condition,
            " returning id), dropped as (delete from whatsapp_keys k using forgotten where k.session_id = forgotten.id) \
             select 1 from forgotten"
        )
    };
}

/// Device, epoch.
pub(super) const DESTROY: &str = forget!("", "moved_to is null");

/// Device, epoch, where to. The same call again finds its own tombstone.
pub(super) const RETIRE: &str =
    forget!(", lease_until = null, moved_to = $3", "(moved_to is null or moved_to = $3)");

/// Before when. What another application wrote is not ours to remove.
pub(super) const REMOVE: &str = concat!(
    "delete from whatsapp_sessions where (not has_credentials or wanted = 'stopped') and ",
    ours!(),
    " and (lease_until is null or lease_until <= clock_timestamp()) and moved_to is null and updated_at < ",
    at!(1),
    " returning 1"
);
