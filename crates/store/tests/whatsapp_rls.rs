//! Who may touch the devices' tables, shown with real roles: Supabase's `anon`, `authenticated` and `service_role`; and
//! tables that an older application made.

mod whatsapp_places;

use sessile_core::whatsapp::{
    DeviceId, DeviceRow, DeviceStore, DeviceStoreError, KeyHash, KeyKind, LEASE_TTL, OwnerId, RowKey, Step,
    StepId, Version,
};
use sessile_core::{OsEntropy, Timestamp};
use sessile_store::contract::Must;
use sessile_store::whatsapp::PostgresDevices;
use sessile_store::{Choice, OpenError};
use std::sync::Arc;
use tokio_postgres::Client;
use whatsapp_places::Place;

/// How often a process is started.
const STARTS_MAX: usize = 5;
const TABLES: [&str; 2] = ["whatsapp_sessions", "whatsapp_keys"];
/// The table that operators know, as open as it was: every signed-in user could read it.
const THEIRS: &str = "
create table whatsapp_sessions (id uuid primary key default gen_random_uuid(), client_id text unique not null,
  session_data jsonb not null, created_at timestamptz default now(), updated_at timestamptz default now(),
  is_active boolean default true);
alter table whatsapp_sessions enable row level security;
create policy everybody on whatsapp_sessions for select to authenticated using (true);
grant all on whatsapp_sessions to anon, authenticated, service_role;
insert into whatsapp_sessions (client_id, session_data, updated_at) values
  ('default-client', '{\"WABrowserId\": \"plain\", \"sessile\": 2}', now() - interval '90 days'),
  ('not a name of ours', '{\"WABrowserId\": \"plain\"}', now());";

/// A database as Supabase makes them: everything new is open to everybody, but for row-level security.
async fn supabase() -> (Place, Client) {
    let place = Place::new("SESSILE_TEST_POSTGRES_URL").await;
    let admin = place.client().await;
    let setup = "
        do $$ begin
          -- Roles belong to the whole server, and another test may be making them at this moment.
          begin create role anon nologin; exception when duplicate_object or unique_violation then null; end;
          begin create role authenticated nologin; exception when duplicate_object or unique_violation then null; end;
          begin create role service_role nologin bypassrls; exception when duplicate_object or unique_violation then null; end;
        end $$;
        grant usage on schema public to anon, authenticated, service_role;
        alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
        alter default privileges in schema public grant all on functions to anon, authenticated, service_role;";
    admin.batch_execute(setup).await.must("what Supabase has");
    (place, admin)
}

fn device() -> DeviceId {
    DeviceId::parse("default-client").must("a name")
}

fn owner() -> OwnerId {
    OwnerId::generate(&OsEntropy).must("random bytes")
}

/// A paired device.
async fn given(store: &PostgresDevices) {
    let acquired = store.acquire(&device(), &owner(), LEASE_TTL).await.must("acquire");
    let key = RowKey { kind: KeyKind::Session, hash: KeyHash([7; 32]) };
    let step = Step {
        id: StepId([1; 16]),
        epoch: acquired.epoch,
        version: Version(acquired.head.version.0 + 1),
        wrapped_key: Some("s1.k.wrapped".to_owned()),
        credentials: Some(Arc::from(*b"sealed")),
        puts: vec![DeviceRow { key, value: Arc::from(*b"sealed too") }],
        deletes: Vec::new(),
        at: Timestamp::from_unix_ms(1_700_000_000_000),
    };
    store.commit_step(&device(), &step).await.must("commit");
}

/// Runs a statement as `role`: how many rows it saw or changed, or why it may not.
async fn as_role(admin: &Client, role: &str, sql: &str) -> Result<u64, String> {
    admin.batch_execute(&format!("begin; set local role {role}")).await.must("a role");
    let done = admin.execute(sql, &[]).await;
    admin.batch_execute("rollback").await.must("the end of the role");
    done.map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned()))
}

async fn nobody_gets_in(admin: &Client) {
    for role in ["anon", "authenticated"] {
        for table in TABLES {
            for sql in [
                format!("select * from {table}"),
                format!("select count(*) from {table}"),
                format!("update {table} set version = 0"),
                format!("delete from {table}"),
                format!("truncate {table}"),
                format!("insert into {table} default values"),
            ] {
                let done = as_role(admin, role, &sql).await;
                assert!(
                    done.as_ref().is_err_and(|why| why.contains("permission denied")),
                    "{role}: {sql}: {done:?}"
                );
            }
        }
    }
    let policies = "select from pg_policies where tablename in ('whatsapp_sessions', 'whatsapp_keys')";
    assert_eq!(admin.execute(policies, &[]).await.must("policies"), 0);
    let secured =
        "select from pg_class where relname in ('whatsapp_sessions', 'whatsapp_keys') and relrowsecurity";
    assert_eq!(admin.execute(secured, &[]).await.must("tables"), 2);
    for table in TABLES {
        assert_eq!(as_role(admin, "service_role", &format!("select * from {table}")).await, Ok(1), "{table}");
    }
}

#[tokio::test]
async fn strangers_read_nothing_and_write_nothing() {
    let (place, admin) = supabase().await;
    given(&place.open().await).await;
    nobody_gets_in(&admin).await;
}

#[tokio::test]
async fn the_printed_script_makes_the_same_tables() {
    let (place, admin) = supabase().await;
    for _ in 0..2 {
        admin.batch_execute(PostgresDevices::sql()).await.must("the script");
    }
    given(&PostgresDevices::open(&place.url, Choice::No).await.must("nothing is missing")).await;
    nobody_gets_in(&admin).await;
}

#[tokio::test]
async fn a_table_that_was_open_is_taken_over_and_closed() {
    let (place, admin) = supabase().await;
    admin.batch_execute(THEIRS).await.must("their table");
    assert_eq!(as_role(&admin, "authenticated", "select * from whatsapp_sessions").await, Ok(2), "as it was");
    let store = place.open().await;
    let head = store.head(&device()).await.must("head").must("their device");
    assert_eq!((head.has_credentials, head.wrapped_key, head.version), (false, None, Version(0)));
    let listed = store.list().await.must("list");
    assert_eq!(listed.len(), 1, "a name that cannot be ours is none of ours");
    assert_eq!(store.remove_unused(Timestamp::FAR).await.must("remove_unused"), 0, "not ours to remove");
    let theirs =
        "select session_data->>'WABrowserId' from whatsapp_sessions where client_id = 'default-client'";
    let kept: Option<String> = admin.query_one(theirs, &[]).await.must("their row").get(0);
    assert_eq!(kept.as_deref(), Some("plain"), "kept where it is until we have something to keep");
    let acquired = store.acquire(&device(), &owner(), LEASE_TTL).await.must("acquire");
    let state = store.load(&device()).await.must("load").must("a device");
    assert_eq!((state.credentials, state.rows.len()), (None, 0), "their plain text is no session of ours");
    store.release(&device(), acquired.epoch).await.must("release");
    given(&store).await;
    let state = store.load(&device()).await.must("load").must("a device");
    assert_eq!(state.credentials.as_deref(), Some(b"sealed".as_slice()));
    let put_aside =
        "select previous_data->>'WABrowserId' from whatsapp_sessions where client_id = 'default-client'";
    let kept: Option<String> = admin.query_one(put_aside, &[]).await.must("their row").get(0);
    assert_eq!(kept.as_deref(), Some("plain"), "and then beside it");
    admin
        .batch_execute("delete from whatsapp_sessions where client_id = 'not a name of ours'")
        .await
        .must("delete");
    nobody_gets_in(&admin).await;
}

#[tokio::test]
async fn credentials_that_another_application_wrote_over_are_damage_and_not_absence() {
    let (place, admin) = supabase().await;
    let store = place.open().await;
    given(&store).await;
    let over = "update whatsapp_sessions set session_data = '{\"WABrowserId\": \"plain\"}'";
    admin.batch_execute(over).await.must("what an older application does");
    let loaded = store.load(&device()).await;
    assert!(matches!(loaded, Err(DeviceStoreError::Damaged(_))), "{loaded:?}");
    assert!(store.head(&device()).await.must("head").must("a device").has_credentials);
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused_with_the_remedy() {
    let place = Place::new("SESSILE_TEST_POSTGRES_URL").await;
    place.sql("create table whatsapp_sessions (id uuid primary key, name text)").await;
    let refused = PostgresDevices::open(&place.url, Choice::Yes).await.err();
    let is_named = matches!(&refused, Some(OpenError::Schema { what, .. }) if what.contains("client_id"));
    assert!(is_named, "{refused:?}");
    let place = Place::new("SESSILE_TEST_POSTGRES_URL").await;
    let refused = PostgresDevices::open(&place.url, Choice::No).await.err();
    assert!(
        matches!(&refused, Some(OpenError::Schema { what, .. }) if what.contains("sessile migrate")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn rows_that_row_level_security_hides_are_denied_and_never_absent() {
    let (place, admin) = supabase().await;
    given(&place.open().await).await;
    // Somebody who may log in and has every right, but is neither the owner nor allowed past row-level security.
    let role = format!("r_{}", place.url.rsplit('_').next().must("a name"));
    let make = format!(
        "create role {role} login password 'p'; grant all on whatsapp_sessions, whatsapp_keys to {role}"
    );
    admin.batch_execute(&make).await.must("a role");
    let mut url = url::Url::parse(&place.url).must("a URL");
    url.set_username(&role).must("a user");
    url.set_password(Some("p")).must("a password");
    let hidden = PostgresDevices::open(url.as_str(), Choice::No).await.must("open");
    let acquired = hidden.acquire(&device(), &owner(), LEASE_TTL).await.err();
    let step = Step {
        id: StepId([2; 16]),
        epoch: sessile_core::whatsapp::Epoch(1),
        version: Version(2),
        wrapped_key: None,
        credentials: None,
        puts: Vec::new(),
        deletes: Vec::new(),
        at: Timestamp::EPOCH,
    };
    let answers = [
        ("ping", hidden.ping().await.err()),
        ("head", hidden.head(&device()).await.err()),
        ("load", hidden.load(&device()).await.err()),
        ("list", hidden.list().await.err()),
        ("acquire", acquired),
        ("commit", hidden.commit_step(&device(), &step).await.err()),
        ("renew", hidden.renew(&device(), step.epoch, LEASE_TTL).await.err()),
    ];
    for (call, error) in answers {
        assert!(matches!(error, Some(DeviceStoreError::Denied(_))), "{call}: {error:?}");
    }
    admin
        .batch_execute(&format!("revoke all on whatsapp_sessions, whatsapp_keys from {role}"))
        .await
        .must("revoke");
    let denied = hidden.load(&device()).await;
    assert!(matches!(denied, Err(DeviceStoreError::Denied(_))), "{denied:?}");
    admin.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.must("no role");
}

#[tokio::test]
async fn sixteen_processes_start_on_an_empty_database() {
    let place = Place::new("SESSILE_TEST_POSTGRES_URL").await;
    let starts = (0..16).map(|_| {
        let url = place.url.clone();
        tokio::spawn(async move {
            let mut opened = PostgresDevices::open(&url, Choice::Yes).await;
            for _ in 0..STARTS_MAX {
                // A busy server that does not answer is tried again, as whoever runs the process does.
                if !matches!(opened, Err(OpenError::Unreachable { .. })) {
                    break;
                }
                opened = PostgresDevices::open(&url, Choice::Yes).await;
            }
            opened.map(drop)
        })
    });
    for start in futures_util::future::join_all(starts).await {
        start.must("no panic").must("open");
    }
}
