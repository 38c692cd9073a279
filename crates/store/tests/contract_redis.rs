//! The contract suite against Redis, on one server and on a Cluster, and what only Redis has: Express's own keys, late
//! writers, expiry by the server, lost scripts and cut connections. Each case has a key prefix of its own. Run by
//! `./test`, which starts the servers.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use redis::cluster::ClusterClient;
use redis::{Cmd, FromRedisValue, IntoConnectionInfo};
use sessile_core::login::{
    Absence, EndReason, LoginData, LoginEventKind, LoginId, LoginStore, Lookup, NewLogin, Stored, UserId,
};
use sessile_core::{Clock, OsEntropy, StoreError, SystemClock, Timestamp};
use sessile_store::contract::{Capabilities, Corrupt, EventLog, Expiry, Reopen, TestStore};
use sessile_store::redis::RedisLogins;
use sessile_store::{Choice, Layout, LoginOptions};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

const SINGLE: &str = "SESSILE_TEST_REDIS_URL";
const CLUSTER: &str = "SESSILE_TEST_REDIS_CLUSTER_URL";

/// A server under test, and a key prefix of our own on it.
#[derive(Clone)]
struct Place {
    url: String,
    is_cluster: bool,
    options: LoginOptions,
}

impl Place {
    fn new(variable: &str) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run ./test, or set it to a Redis of your own")
        });
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).unwrap();
        let prefix = format!("t{:016x}:", u64::from_ne_bytes(random));
        let options = LoginOptions { prefix, events: Choice::Yes, ..LoginOptions::default() };
        Self { url, is_cluster: variable == CLUSTER, options }
    }

    async fn open(&self) -> RedisLogins {
        RedisLogins::open(&self.url, &self.options).await.unwrap()
    }

    /// The same with hashed ids.
    fn stand_alone(mut self) -> Self {
        self.options.layout = Layout::StandAlone;
        self
    }

    fn key(&self, id: &LoginId) -> String {
        match self.options.layout {
            Layout::Shared => format!("{}{}", self.options.prefix, id.expose()),
            Layout::StandAlone => format!("{}{}", self.options.prefix, id.hashed()),
        }
    }

    /// Runs a command as somebody else would.
    async fn run<T: FromRedisValue>(&self, cmd: &Cmd) -> T {
        if self.is_cluster {
            let (_, hosts) = self.url.split_once("://").unwrap();
            let nodes =
                hosts.split(',').map(|host| format!("redis://{}", host.trim_start_matches("redis://")));
            let nodes: Vec<_> = nodes.map(|url| url.into_connection_info().unwrap()).collect();
            let client = ClusterClient::new(nodes).unwrap();
            cmd.query_async(&mut client.get_async_connection().await.unwrap()).await.unwrap()
        } else {
            let client = redis::Client::open(self.url.as_str()).unwrap();
            cmd.query_async(&mut client.get_multiplexed_async_connection().await.unwrap()).await.unwrap()
        }
    }
}

async fn store(place: Place) -> TestStore {
    let store = Arc::new(place.open().await);
    let again = place.clone();
    let reopen: Reopen = Arc::new(move || {
        let again = again.clone();
        Box::pin(async move { Arc::new(again.open().await) as _ })
    });
    let corrupt: Corrupt = Arc::new(move |id: LoginId| {
        let place = place.clone();
        Box::pin(async move {
            let mut cmd = redis::cmd("SET");
            cmd.arg(place.key(&id)).arg("[\"not a session\"]").arg("KEEPTTL");
            place.run::<()>(&cmd).await;
        })
    });
    // Redis removes keys by its own clock: the cases' present is the real one, and a session may be forgotten before
    // any sweep sees it.
    TestStore::new(store.clone()).giving_and_taking(store).at(SystemClock.now()).with(Capabilities {
        events: EventLog::Recorded,
        expiry: Expiry::ByEngine,
        corrupt: Some(corrupt),
        reopen: Some(reopen),
    })
}

mod single {
    async fn engine() -> sessile_store::contract::TestStore {
        super::store(super::Place::new(super::SINGLE)).await
    }
    sessile_store::contract!(engine);
}

mod stand_alone {
    async fn engine() -> sessile_store::contract::TestStore {
        super::store(super::Place::new(super::SINGLE).stand_alone()).await
    }
    sessile_store::contract!(engine);
}

mod cluster {
    async fn engine() -> sessile_store::contract::TestStore {
        super::store(super::Place::new(super::CLUSTER)).await
    }
    sessile_store::contract!(engine);
}

/// What only Redis has, each on one server and on a Cluster.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_one_server { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(super::Place::new(super::SINGLE)).await;
        })+ }
        mod on_a_cluster { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            super::$name(super::Place::new(super::CLUSTER)).await;
        })+ }
    };
}

on_both!(
    a_session_that_express_wrote_is_found_listed_and_touched,
    what_express_writes_late_stays_dead_and_is_swept,
    a_value_that_is_no_text_is_kept_and_reported,
    a_session_that_redis_removed_is_told_once,
    a_lost_note_of_an_event_is_found_again,
    lost_scripts_come_back,
    express_sees_no_key_of_ours,
    a_retired_id_ends_for_express_too,
    a_regeneration_does_not_escape_a_revocation,
);

const EXPRESS: &str = r#"{"cookie":{"originalMaxAge":3600000,"expires":"2030-01-01T00:00:00.000Z","httpOnly":true,"path":"/"},"userId":"u1","views":3}"#;

fn id() -> LoginId {
    LoginId::generate(&OsEntropy).unwrap()
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn user() -> UserId {
    UserId::parse("u1").unwrap()
}

fn cmd(parts: &[&str]) -> Cmd {
    let mut cmd = redis::cmd(parts[0]);
    cmd.arg(&parts[1..]);
    cmd
}

fn hour(json: &str) -> NewLogin {
    let data = LoginData::parse(json).unwrap();
    NewLogin { id: id(), data, expires_at: now().plus(Duration::from_secs(3600)) }
}

async fn sweep_all(store: &RedisLogins, now: Timestamp) -> u64 {
    let mut removed = 0;
    // Others' keys are on the server, too: many steps may find nothing.
    for _ in 0..100_000 {
        let swept = store.sweep(now, 1000).await.unwrap();
        removed += swept.removed;
        if !swept.more {
            return removed;
        }
    }
    panic!("the sweep does not end");
}

async fn live(store: &RedisLogins, id: &LoginId) -> Option<Arc<Stored>> {
    match store.load(id, now()).await.unwrap() {
        Lookup::Live(stored) => Some(stored),
        Lookup::Absent(_) => None,
    }
}

async fn a_session_that_express_wrote_is_found_listed_and_touched(place: Place) {
    let (store, id) = (place.open().await, id());
    place.run::<()>(&cmd(&["SET", &place.key(&id), EXPRESS, "EX", "600"])).await;
    let stored = live(&store, &id).await.unwrap();
    assert_eq!(stored.data.to_json(), EXPRESS);
    let left = stored.expires_at.since(now()).as_secs();
    assert!((590..=600).contains(&left), "{left}");

    assert!(store.list(&user(), now()).await.unwrap().is_empty(), "nobody has indexed it yet");
    sweep_all(&store, now()).await;
    let listed = store.list(&user(), now()).await.unwrap();
    assert_eq!(listed.iter().map(|l| l.handle.clone()).collect::<Vec<_>>(), [id.handle()]);

    // A touch by Express changes nothing but the expiry.
    place.run::<()>(&cmd(&["EXPIRE", &place.key(&id), "6000"])).await;
    let touched = live(&store, &id).await.unwrap();
    assert!(touched.expires_at.since(now()).as_secs() > 5900 && touched.version == stored.version);
    // Without an expiry (`disableTTL`) it lives for ever, and a touch leaves it at that.
    place.run::<()>(&cmd(&["PERSIST", &place.key(&id)])).await;
    store.touch(&id, now().plus(Duration::from_secs(60)), now()).await.unwrap();
    assert_eq!(live(&store, &id).await.unwrap().expires_at, Timestamp::FAR);
}

async fn what_express_writes_late_stays_dead_and_is_swept(place: Place) {
    let store = place.open().await;
    let (destroyed, retired) = (hour(EXPRESS), hour(EXPRESS));
    for login in [&destroyed, &retired] {
        store.create(login.clone(), now()).await.unwrap();
    }
    store.destroy(&destroyed.id, EndReason::Destroyed, now()).await.unwrap();
    let renewed = hour(EXPRESS);
    store.replace(&retired.id, now(), renewed.clone(), now()).await.unwrap();
    for login in [&destroyed, &retired] {
        place.run::<()>(&cmd(&["SET", &place.key(&login.id), EXPRESS, "EX", "600"])).await;
        let found = store.load(&login.id, now()).await.unwrap();
        assert!(matches!(found, Lookup::Absent(Absence::Ended)), "{found:?}");
        let touch = store.touch(&login.id, now().plus(Duration::from_secs(9999)), now()).await;
        assert!(matches!(touch, Err(StoreError::Gone)), "{touch:?}");
    }
    let listed = store.list(&user(), now()).await.unwrap();
    assert_eq!(listed.iter().map(|l| l.handle.clone()).collect::<Vec<_>>(), [renewed.id.handle()]);
    assert_eq!(sweep_all(&store, now()).await, 2);
    for login in [&destroyed, &retired] {
        assert!(!place.run::<bool>(&cmd(&["EXISTS", &place.key(&login.id)])).await);
    }
    assert!(live(&store, &renewed.id).await.is_some());
}

async fn a_value_that_is_no_text_is_kept_and_reported(place: Place) {
    let (store, list, bytes) = (place.open().await, id(), id());
    let good = hour(EXPRESS);
    store.create(good.clone(), now()).await.unwrap();
    place.run::<()>(&cmd(&["RPUSH", &place.key(&list), "x"])).await;
    let mut set = redis::cmd("SET");
    set.arg(place.key(&bytes)).arg(&[0xff_u8, 0xfe][..]);
    place.run::<()>(&set).await;
    let (a, b, c) =
        tokio::join!(store.load(&list, now()), store.load(&bytes, now()), store.load(&good.id, now()));
    for found in [a.unwrap(), b.unwrap()] {
        let Lookup::Absent(Absence::Undecodable(place)) = found else { panic!("{found:?}") };
        assert!(place.starts_with("redis key t"), "{place}");
    }
    assert!(matches!(c, Ok(Lookup::Live(_))));
    assert_eq!(sweep_all(&store, now()).await, 0);
    assert!(place.run::<bool>(&cmd(&["EXISTS", &place.key(&list)])).await, "it was not kept");
}

async fn a_session_that_redis_removed_is_told_once(place: Place) {
    let store = place.open().await;
    let gone = hour(EXPRESS);
    store.create(gone.clone(), now()).await.unwrap();
    store.settle(&store.events(10).await.unwrap()).await.unwrap();
    // As the server does when the time is up.
    place.run::<()>(&cmd(&["DEL", &place.key(&gone.id)])).await;
    sweep_all(&store, now()).await;
    assert!(store.events(10).await.unwrap().is_empty(), "its time was not up");
    let late = now().plus(Duration::from_secs(7200));
    let other = place.open().await;
    let (a, b) = tokio::join!(sweep_all(&store, late), sweep_all(&other, late));
    assert_eq!(a + b, 0, "there was nothing left to remove");
    sweep_all(&store, late).await;
    let told = store.events(10).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].kind, &told[0].handle), (LoginEventKind::Expired, &gone.id.handle()));
    assert_eq!(told[0].user, Some(user()));
}

async fn a_lost_note_of_an_event_is_found_again(place: Place) {
    let store = place.open().await;
    store.create(hour(EXPRESS), now()).await.unwrap();
    let told = store.events(10).await.unwrap();
    assert_eq!(told.len(), 1);
    // The note is the one key that all sessions of a prefix share.
    let digest = Sha256::digest(place.options.prefix.as_bytes());
    let note = format!("sessile:due:{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    assert!(place.run::<bool>(&cmd(&["DEL", &note])).await, "the note has another name");
    assert!(store.events(10).await.unwrap().is_empty());
    sweep_all(&store, now()).await;
    assert_eq!(store.events(10).await.unwrap(), told);
}

async fn lost_scripts_come_back(place: Place) {
    let store = place.open().await;
    for _ in 0..3 {
        place.run::<()>(&cmd(&["SCRIPT", "FLUSH"])).await;
        let login = hour(EXPRESS);
        store.create(login.clone(), now()).await.unwrap();
        store.touch(&login.id, now().plus(Duration::from_secs(9000)), now()).await.unwrap();
        store.destroy(&login.id, EndReason::Destroyed, now()).await.unwrap();
    }
    assert_eq!(store.events(10).await.unwrap().len(), 6);
}

async fn express_sees_no_key_of_ours(place: Place) {
    let store = place.open().await;
    let (kept, ended) = (hour(EXPRESS), hour(EXPRESS));
    store.create(kept.clone(), now()).await.unwrap();
    store.create(ended.clone(), now()).await.unwrap();
    store.destroy(&ended.id, EndReason::Destroyed, now()).await.unwrap();
    assert_eq!(place.run::<String>(&cmd(&["GET", &place.key(&kept.id)])).await, EXPRESS);
    let left: i64 = place.run(&cmd(&["PTTL", &place.key(&kept.id)])).await;
    assert!((3_590_000..=3_600_000).contains(&left), "{left}");
    if !place.is_cluster {
        let pattern = format!("{}*", place.options.prefix);
        let keys: Vec<String> = place.run(&cmd(&["KEYS", &pattern])).await;
        assert_eq!(keys, [place.key(&kept.id)]);
    }
}

async fn a_retired_id_ends_for_express_too(place: Place) {
    let store = place.open().await;
    let (old, other) = (hour(EXPRESS), hour(EXPRESS));
    for login in [&old, &other] {
        store.create(login.clone(), now()).await.unwrap();
    }
    let grace = now().plus(Duration::from_secs(10));
    store.replace(&old.id, grace, hour(EXPRESS), now()).await.unwrap();
    let left: i64 = place.run(&cmd(&["PTTL", &place.key(&old.id)])).await;
    assert!((1..=10_000).contains(&left), "{left}");
    store.replace(&other.id, now(), hour(EXPRESS), now()).await.unwrap();
    assert!(!place.run::<bool>(&cmd(&["EXISTS", &place.key(&other.id)])).await);
}

/// Two slots, two steps: whichever way they interleave, nobody stays signed in.
async fn a_regeneration_does_not_escape_a_revocation(place: Place) {
    let store = Arc::new(place.open().await);
    for _ in 0..200 {
        let (old, new) = (hour(EXPRESS), hour(EXPRESS));
        store.create(old.clone(), now()).await.unwrap();
        let (regenerating, from, to) = (store.clone(), old.id.clone(), new.clone());
        let replace = tokio::spawn(async move { regenerating.replace(&from, now(), to, now()).await });
        store.revoke_all(&user(), None, now()).await.unwrap();
        let answer = replace.await.unwrap();
        assert!(matches!(answer, Ok(_) | Err(StoreError::Gone)), "{answer:?}");
        for login in [old, new] {
            assert!(live(&store, &login.id).await.is_none(), "a session outlived the revocation");
        }
    }
}

#[tokio::test]
async fn a_cut_connection_is_mended_and_the_password_stays_inside() {
    let mut place = Place::new(SINGLE);
    let name = place.options.prefix.trim_end_matches(':').to_owned();
    let rule = cmd(&["ACL", "SETUSER", &name, "on", ">hunter2", "~*", "&*", "+@all"]);
    place.run::<()>(&rule).await;
    let admin = place.clone();
    place.url = place.url.replace("redis://", &format!("redis://{name}:hunter2@"));
    let store = place.open().await;
    let login = hour(EXPRESS);
    store.create(login.clone(), now()).await.unwrap();
    for _ in 0..3 {
        admin.run::<()>(&cmd(&["CLIENT", "KILL", "USER", &name])).await;
        // The call that meets the cut may fail; it says so, and the next ones go through.
        let mut answered = false;
        for _ in 0..20 {
            match store.load(&login.id, now()).await {
                Ok(found) => {
                    assert!(matches!(found, Lookup::Live(_)), "{found:?}");
                    answered = true;
                    break;
                }
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
            }
        }
        assert!(answered, "the connection did not come back");
    }
    assert!(!format!("{:?}", store.info()).contains("hunter2"));
    place.url = place.url.replace("hunter2", "hunter3");
    let refused = RedisLogins::open(&place.url, &place.options).await.err().unwrap().to_string();
    assert!(!refused.contains("hunter3") && refused.contains("credentials"), "{refused}");
    admin.run::<()>(&cmd(&["ACL", "DELUSER", &name])).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("redis://u:hunter2@127.0.0.1:{port}");
    let error = RedisLogins::open(&url, &LoginOptions::default()).await.err().unwrap().to_string();
    assert!(error.contains(&port.to_string()) && error.contains("does not answer"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn the_facts_are_told() {
    for (variable, is_cluster) in [(SINGLE, false), (CLUSTER, true)] {
        let place = Place::new(variable);
        let facts = RedisLogins::inspect(&place.url, &place.options).await.unwrap();
        assert_eq!(facts.cluster, is_cluster);
        assert_eq!(facts.maxmemory_policy.as_deref(), Some("noeviction"));
        assert!(facts.version.is_some() && facts.appendonly.is_some(), "{facts:?}");
    }
    // One node of a Cluster is enough to find the others.
    let mut place = Place::new(CLUSTER);
    let (_, hosts) = place.url.split_once("://").unwrap();
    place.url = format!("redis://{}", hosts.split(',').next().unwrap().trim_start_matches("redis://"));
    assert!(place.open().await.diagnose().await.unwrap().cluster);
}
