//! Who may touch the ledger's tables, shown with real roles: Supabase's `anon`, `authenticated` and `service_role`.

mod ledger_places;

use ledger_places::Place;
use sessile_store::contract::Must;
use sessile_store::ledger::PostgresLedger;
use tokio_postgres::{Client, NoTls};

const TABLES: [&str; 12] = [
    "checkout_sessions",
    "payment_sessions",
    "payment_attempts",
    "provider_inbox",
    "coupons",
    "coupon_usages",
    "grants",
    "refunds",
    "audit_log",
    "audit_head",
    "outbox",
    "sessile_tombstones",
];
/// What Supabase has in every database.
const SUPABASE: &str = "
do $$ begin
  -- Roles belong to the whole server, and another test may be making them at this moment.
  begin create role anon nologin; exception when duplicate_object or unique_violation then null; end;
  begin create role authenticated nologin; exception when duplicate_object or unique_violation then null; end;
  begin create role service_role nologin bypassrls; exception when duplicate_object or unique_violation then null; end;
  create schema if not exists auth;
  create or replace function auth.uid() returns uuid language sql stable as
    'select nullif(current_setting(''request.jwt.claim.sub'', true), '''')::uuid';
  grant usage on schema auth to anon, authenticated, service_role;
  grant execute on function auth.uid() to anon, authenticated, service_role;
end $$";
const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BOB: &str = "22222222-2222-4222-8222-222222222222";

/// A database of its own, as Supabase makes them: everything new is open to everybody, but for row-level security.
async fn database() -> (Place, Client) {
    let mut place = Place::new("SESSILE_TEST_POSTGRES_URL");
    let name = place.schema().to_owned();
    place.client().await.batch_execute(&format!("create database {name}")).await.must("a database");
    let mut url = url::Url::parse(&place.url).must("a URL");
    url.set_path(&name);
    place.url = url.to_string();
    let admin = place.client().await;
    admin.batch_execute(SUPABASE).await.must("what Supabase has");
    let open = format!(
        "create schema {name}; grant usage on schema {name} to anon, authenticated, service_role;
         alter default privileges in schema {name} grant all on tables to anon, authenticated, service_role;
         alter default privileges in schema {name} grant all on functions to anon, authenticated, service_role;"
    );
    admin.batch_execute(&open).await.must("Supabase's default privileges");
    admin.batch_execute(&format!("set search_path = {name}, public")).await.must("a search path");
    (place, admin)
}

/// Two buyers' checkouts, and a row in every other table that can have one.
async fn given(admin: &Client) {
    let rows = format!(
        "insert into checkout_sessions (id, user_id, session_data) values ('ada', '{ADA}', '{{}}'), ('bob', '{BOB}', '{{}}');
         update checkout_sessions set price_original = 100, price_discount = 0, currency = 'UZS', version = 2
           where id = 'ada';
         insert into payment_sessions (id, user_id, user_email, amount, merchant_trans_id, payment_method, idempotency_key)
           values ('p', '{ADA}', 'a@example.org', 1, 'o', 'click', 'k');
         insert into audit_log values (1, now(), 'e', 'a', null, null, '{{}}', '', '');
         insert into coupons (id, code, discount_type, discount_value) values ('c', 'C', 'fixed', 1);"
    );
    admin.batch_execute(&rows).await.must("rows");
}

/// Runs a statement as `role`: how many rows it saw or changed, or why it may not.
async fn as_role(admin: &Client, role: &str, user: &str, sql: &str) -> Result<u64, String> {
    let become_it = format!("begin; set local role {role}; set local request.jwt.claim.sub = '{user}'");
    admin.batch_execute(&become_it).await.must("a role");
    let done = admin.execute(sql, &[]).await;
    admin.batch_execute("rollback").await.must("the end of the role");
    done.map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned()))
}

#[tokio::test]
async fn strangers_read_nothing_and_write_nothing() {
    let (place, admin) = database().await;
    place.open().await;
    given(&admin).await;
    for table in TABLES {
        for sql in [
            format!("select * from {table}"),
            format!("delete from {table}"),
            format!("truncate {table}"),
            format!("insert into {table} default values"),
        ] {
            let done = as_role(&admin, "anon", "", &sql).await;
            assert!(
                done.as_ref().is_err_and(|why| why.contains("permission denied")),
                "anon: {sql}: {done:?}"
            );
        }
    }
    for function in ["sessile_audit_kept", "sessile_checkout_changed"] {
        for role in ["anon", "authenticated"] {
            let done = as_role(&admin, role, ADA, &format!("select {function}()")).await;
            assert!(done.as_ref().is_err_and(|why| why.contains("permission denied")), "{role}: {done:?}");
        }
    }
}

#[tokio::test]
async fn buyers_see_their_own_checkouts_and_nothing_else() {
    let (place, admin) = database().await;
    place.open().await;
    given(&admin).await;
    for table in TABLES.into_iter().filter(|table| *table != "checkout_sessions") {
        let done = as_role(&admin, "authenticated", ADA, &format!("select * from {table}")).await;
        assert!(done.as_ref().is_err_and(|why| why.contains("permission denied")), "{table}: {done:?}");
    }
    let ada = |sql: &'static str| as_role(&admin, "authenticated", ADA, sql);
    assert_eq!(ada("select * from checkout_sessions").await, Ok(1));
    assert_eq!(ada("select * from checkout_sessions where id = 'bob'").await, Ok(0));
    assert_eq!(ada("update checkout_sessions set status = 'invalidated'").await, Ok(1), "only her own");
    let own =
        format!("insert into checkout_sessions (id, user_id, session_data) values ('new', '{ADA}', '{{}}')");
    assert_eq!(as_role(&admin, "authenticated", ADA, &own).await, Ok(1));
    let refused = [
        ("delete from checkout_sessions", "permission denied"),
        ("truncate checkout_sessions", "permission denied"),
        ("update checkout_sessions set price_original = 0", "permission denied"),
        ("update checkout_sessions set status = 'completed'", "row-level security"),
        (
            "update checkout_sessions set session_data = '{\"tracks\": []}' where id = 'ada'",
            "keeps its choice",
        ),
    ];
    for (sql, why) in refused {
        let done = ada(sql).await;
        assert!(done.as_ref().is_err_and(|told| told.contains(why)), "{sql}: {done:?}");
    }
    let done = as_role(&admin, "authenticated", BOB, &own).await;
    assert!(
        done.as_ref().is_err_and(|why| why.contains("row-level security")),
        "for somebody else: {done:?}"
    );
    assert_eq!(as_role(&admin, "authenticated", "", "select * from checkout_sessions").await, Ok(0));
}

#[tokio::test]
async fn the_service_does_everything_but_change_the_audit() {
    let (place, admin) = database().await;
    place.open().await;
    given(&admin).await;
    for (table, rows) in
        [("checkout_sessions", 2), ("payment_sessions", 1), ("audit_log", 1), ("audit_head", 1)]
    {
        assert_eq!(as_role(&admin, "service_role", "", &format!("select * from {table}")).await, Ok(rows));
    }
    let done = as_role(&admin, "service_role", "", "update payment_sessions set status = 'failed'").await;
    assert_eq!(done, Ok(1));
    for sql in ["update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"] {
        let done = as_role(&admin, "service_role", "", sql).await;
        assert!(done.is_err(), "{sql}");
        // Not even the owner, who is a superuser here.
        let done = admin.execute(sql, &[]).await.map_err(|error| error.to_string());
        assert!(done.is_err(), "{sql}");
    }
    let rows =
        admin.query_one("select count(*) from audit_log where actor = 'a'", &[]).await.must("the audit");
    assert_eq!(rows.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn tables_of_another_application_keep_the_rights_their_owner_chose() {
    let (place, admin) = database().await;
    let theirs = "create table checkout_sessions (id varchar primary key, user_id varchar, session_data jsonb not null,
        status varchar not null default 'active', is_used boolean default false, created_at timestamptz default now(), updated_at timestamptz default now())";
    admin.batch_execute(theirs).await.must("their table");
    place.open().await;
    given(&admin).await;
    assert_eq!(as_role(&admin, "anon", "", "select * from checkout_sessions").await, Ok(2), "as before");
    assert!(as_role(&admin, "anon", "", "select * from payment_sessions").await.is_err(), "ours");
    let sql = "select count(*) from pg_policies where tablename = 'checkout_sessions'";
    assert_eq!(admin.query_one(sql, &[]).await.must("policies").get::<_, i64>(0), 0);
}

#[tokio::test]
async fn without_supabase_only_the_owner_gets_in() {
    let place = Place::new("SESSILE_TEST_POSTGRES_URL");
    place.open().await;
    let admin = place.client().await;
    let (schema, role) = (place.schema(), format!("r_{}", place.schema()));
    let role_sql = format!(
        "create role {role} nologin; grant usage on schema {schema} to {role};
         grant select on all tables in schema {schema} to {role}; set search_path = {schema}"
    );
    admin.batch_execute(&role_sql).await.must("a role");
    given(&admin).await;
    for table in TABLES {
        assert_eq!(as_role(&admin, &role, "", &format!("select * from {table}")).await, Ok(0), "{table}");
    }
    assert_eq!(place.sql("delete from payment_sessions").await, Ok(1), "the owner");
    admin.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.must("no role");
}

#[tokio::test]
async fn the_printed_script_makes_the_same_tables() {
    let (place, admin) = database().await;
    let script = PostgresLedger::sql(&place.options).must("the script");
    let (client, connection) = tokio_postgres::connect(&place.url, NoTls).await.must("connect");
    tokio::spawn(connection);
    client.batch_execute(&script).await.must("the script");
    client.batch_execute(&script).await.must("the script again");
    let options =
        sessile_store::ledger::LedgerOptions { create: sessile_store::Choice::No, ..place.options.clone() };
    PostgresLedger::open(&place.url, &options).await.must("nothing is missing");
    given(&admin).await;
    assert_eq!(as_role(&admin, "authenticated", ADA, "select * from checkout_sessions").await, Ok(1));
}
