//! One contract for every user directory: memory, SQLite, Postgres, and a spool in front of one that fails.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a test that fails must stop the test"
)]

use async_trait::async_trait;
use sessile_core::user::{Arrival, ProviderId, User, UserDirectory, UserUuid};
use sessile_core::{StoreError, Timestamp};
use sessile_store::Choice;
use sessile_store::users::{MemoryUsers, PostgresUsers, SpooledUsers, SqliteUsers, USERS_TABLE};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn arrival(subject: &str, email: Option<&str>, at: i64) -> Arrival {
    let who = ProviderId::new("whop", subject).unwrap();
    Arrival::new(who, email.map(str::to_owned), Timestamp::from_unix_ms(at))
}

async fn keeps_the_contract(users: Arc<dyn UserDirectory>) {
    let first = users.sign_in(&arrival("ada", Some("ada@one.example"), 1000)).await.unwrap();
    assert_eq!((first.tier.as_str(), first.created_at), ("free", Timestamp::from_unix_ms(1000)));
    assert_eq!(users.find(&first.id).await.unwrap(), Some(first.clone()));

    let again = users.sign_in(&arrival("ada", None, 2000)).await.unwrap();
    assert_eq!(again, first, "a sign-in without an email changes nothing");
    let moved = users.sign_in(&arrival("ada", Some("ada@two.example"), 3000)).await.unwrap();
    assert_eq!((moved.id, moved.email.as_deref()), (first.id.clone(), Some("ada@two.example")));
    assert_eq!(moved.created_at, first.created_at);

    // The same address is not the same person.
    let other = users.sign_in(&arrival("grace", Some("ada@two.example"), 4000)).await.unwrap();
    assert_ne!(other.id, first.id);

    let many = (0..16).map(|_| {
        let users = users.clone();
        tokio::spawn(async move { users.sign_in(&arrival("alan", None, 5000)).await.unwrap().id })
    });
    let mut ids = Vec::new();
    for one in many {
        ids.push(one.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "sixteen sign-ins at once are one person");
    let nobody = ProviderId::new("whop", "nobody").unwrap().derived_user();
    assert_eq!(users.find(&nobody).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    keeps_the_contract(Arc::new(MemoryUsers::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessile.db");
    keeps_the_contract(Arc::new(SqliteUsers::open(&file, USERS_TABLE).unwrap())).await;
    let reopened = SqliteUsers::open(&file, USERS_TABLE).unwrap();
    let ada = ProviderId::new("whop", "ada").unwrap().derived_user();
    assert_eq!(reopened.find(&ada).await.unwrap().unwrap().email.as_deref(), Some("ada@two.example"));
    assert!(SqliteUsers::open(&file, "users; drop table users").is_err());
}

fn postgres() -> String {
    std::env::var("SESSILE_TEST_POSTGRES_URL").expect("SESSILE_TEST_POSTGRES_URL is not set: run ./test")
}

fn own_table() -> String {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).unwrap();
    format!("u_{}", u64::from_ne_bytes(random))
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_contract_and_sixteen_may_create_it_at_once() {
    let (url, table) = (postgres(), own_table());
    assert!(PostgresUsers::open(&url, &table, Choice::No).await.is_err());
    let starts: Vec<_> = (0..16)
        .map(|_| {
            let (url, table) = (url.clone(), table.clone());
            tokio::spawn(async move { PostgresUsers::open(&url, &table, Choice::Yes).await.map(drop) })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let users = PostgresUsers::open(&url, &table, Choice::No).await.unwrap();
    keeps_the_contract(Arc::new(users)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_table_is_refused_with_a_remedy() {
    let (url, table) = (postgres(), own_table());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("create table {table} (id bigint, name text)")).await.unwrap();
    let error = PostgresUsers::open(&url, &table, Choice::Yes).await.err().unwrap().to_string();
    assert!(error.contains("SESSILE_USERS_TABLE") && error.contains("bigint"), "{error}");
}

/// A directory that can be cut off.
struct Cut(MemoryUsers, AtomicBool);

#[async_trait]
impl UserDirectory for Cut {
    async fn sign_in(&self, arrival: &Arrival) -> Result<User, StoreError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("cut"));
        }
        self.0.sign_in(arrival).await
    }

    async fn find(&self, id: &UserUuid) -> Result<Option<User>, StoreError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("cut"));
        }
        self.0.find(id).await
    }
}

#[tokio::test]
async fn sign_ins_go_on_while_the_primary_is_away_and_are_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let primary = Arc::new(Cut(MemoryUsers::default(), AtomicBool::new(false)));
    let spool = SqliteUsers::open(&folder.path().join("users.db"), USERS_TABLE).unwrap();
    let users = SpooledUsers::new(primary.clone(), spool);
    let known = users.sign_in(&arrival("known", None, 1)).await.unwrap();

    primary.1.store(true, Ordering::SeqCst);
    let ada = users.sign_in(&arrival("ada", Some("ada@x.example"), 2)).await.unwrap();
    assert_eq!(users.find(&ada.id).await.unwrap(), Some(ada.clone()));
    assert!(users.find(&known.id).await.is_err(), "unknown is not absent");
    assert!(users.drain().await.is_err());

    primary.1.store(false, Ordering::SeqCst);
    // Only here: a clock that stands still would end the wait for the file's writer, which is a thread of its own.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(3)).await;
    tokio::time::resume();
    assert_eq!(users.drain().await.unwrap(), 1);
    assert_eq!(users.drain().await.unwrap(), 0);
    assert_eq!(primary.0.find(&ada.id).await.unwrap(), Some(ada));
}
