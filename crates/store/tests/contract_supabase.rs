//! WhatsApp devices over a real PostgREST in front of a real Postgres: the contract, keys of every sort, and answers that
//! must never be taken for "no device". Run by `./test`, which starts the servers.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use sessile_core::whatsapp::{
    DeviceId, DeviceRow, DeviceStore, DeviceStoreError, Epoch, KeyHash, KeyKind, LEASE_TTL, OwnerId, RowKey,
    Step, StepId, Version,
};
use sessile_core::{OsEntropy, Secret, Timestamp};
use sessile_store::contract::whatsapp::{Lapse, Reopen, TestDevices};
use sessile_store::whatsapp::{SupabaseDevices, SupabaseKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

const SERVICE_ROLE: &str = "SESSILE_TEST_POSTGREST_SERVICE_ROLE_KEY";
const SECRET: &str = "SESSILE_TEST_POSTGREST_SECRET_KEY";
const ANON: &str = "SESSILE_TEST_POSTGREST_ANON_KEY";
const AUTHENTICATED: &str = "SESSILE_TEST_POSTGREST_AUTHENTICATED_KEY";

/// How many schemas the server exposes.
const SCHEMAS: usize = 64;

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run ./test, or this under `servers exec --only postgrest`")
    })
}

fn url() -> Url {
    Url::parse(&setting("SESSILE_TEST_POSTGREST_URL")).unwrap()
}

/// A schema of the server that no other test has.
struct Place(String);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        assert!(
            number < SCHEMAS,
            "more tests than schemas: raise SCHEMAS here and where the server is started"
        );
        Self(format!("api_{number:02}"))
    }

    fn store(&self, key: &str) -> SupabaseDevices {
        self.with_key(Secret::new(setting(key)))
    }

    fn with_key(&self, key: Secret) -> SupabaseDevices {
        SupabaseDevices::new(&url(), SupabaseKey::new(key)).unwrap().in_schema(&self.0)
    }

    /// Runs SQL as the database's owner.
    async fn run(&self, sql: &str) {
        let database = setting("SESSILE_TEST_POSTGREST_POSTGRES_URL");
        let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("set search_path = {}; {sql}", self.0)).await.unwrap();
    }
}

async fn engine_with(key: &'static str) -> TestDevices {
    let place = Arc::new(Place::new());
    let (time, again) = (place.clone(), place.clone());
    let lapse: Lapse = Arc::new(move |device: DeviceId| {
        let time = time.clone();
        Box::pin(async move {
            let sql = format!("update whatsapp_sessions set lease_until = null where client_id = '{device}'");
            time.run(&sql).await;
        })
    });
    let reopen: Reopen = Arc::new(move || Box::pin(std::future::ready(Arc::new(again.store(key)) as _)));
    TestDevices::new(Arc::new(place.store(key)), lapse).reopened_by(reopen)
}

mod contract {
    async fn engine() -> super::TestDevices {
        super::engine_with(super::SERVICE_ROLE).await
    }
    sessile_store::device_contract!(engine);
}

fn device() -> DeviceId {
    DeviceId::parse("shop").unwrap()
}

/// A device with credentials and as many rows.
async fn paired(place: &Place, rows: u32) {
    let store = place.store(SERVICE_ROLE);
    let owner = OwnerId::generate(&OsEntropy).unwrap();
    let acquired = store.acquire(&device(), &owner, LEASE_TTL).await.unwrap();
    let row = |number: u32| {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        DeviceRow { key: RowKey { kind: KeyKind::PreKey, hash: KeyHash(hash) }, value: Arc::from(&hash[..]) }
    };
    let step = Step {
        id: StepId([1; 16]),
        epoch: acquired.epoch,
        version: Version(1),
        wrapped_key: Some("wrapped".to_owned()),
        credentials: Some(Arc::from(&b"sealed"[..])),
        puts: (0..rows).map(row).collect(),
        deletes: Vec::new(),
        at: Timestamp::from_unix_ms(1_700_000_000_000),
    };
    store.commit_step(&device(), &step).await.unwrap();
}

/// Nothing may be learnt or done, and nothing is taken for "no device".
async fn check_denied(store: &SupabaseDevices, who: &str) {
    let owner = OwnerId::generate(&OsEntropy).unwrap();
    let answers = [
        ("ping", store.ping().await.map(|()| "an answer")),
        ("head", store.head(&device()).await.map(|_| "an answer")),
        ("load", store.load(&device()).await.map(|_| "an answer")),
        ("acquire", store.acquire(&device(), &owner, LEASE_TTL).await.map(|_| "an answer")),
        ("list", store.list().await.map(|_| "an answer")),
        ("destroy", store.destroy(&device(), Epoch(1)).await.map(|()| "an answer")),
        ("remove", store.remove_unused(Timestamp::FAR).await.map(|_| "an answer")),
    ];
    for (call, answer) in answers {
        assert!(matches!(&answer, Err(DeviceStoreError::Denied(_))), "{who}, {call}: {answer:?}");
    }
}

#[tokio::test]
async fn old_keys_and_new_keys_open_the_same_devices() {
    let place = Place::new();
    paired(&place, 1501).await;
    for key in [SERVICE_ROLE, SECRET] {
        let state = place.store(key).load(&device()).await.unwrap().unwrap();
        assert_eq!(state.rows.len(), 1501, "{key}");
    }
}

#[tokio::test]
async fn wrong_keys_and_public_keys_see_nothing_and_are_told_so() {
    let place = Place::new();
    paired(&place, 3).await;
    for who in [ANON, AUTHENTICATED] {
        check_denied(&place.store(who), who).await;
    }
    for wrong in ["sb_secret_wrong", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"] {
        check_denied(&place.with_key(Secret::new(wrong)), wrong).await;
    }
    let publishable = SupabaseDevices::new(&url(), SupabaseKey::new(Secret::new("sb_publishable_x")));
    assert!(matches!(publishable, Err(DeviceStoreError::Denied(what)) if what.contains("publishable")));
    let state = place.store(SERVICE_ROLE).load(&device()).await.unwrap().unwrap();
    assert_eq!((state.head.version.0, state.rows.len()), (1, 3), "nothing happened");
}

#[tokio::test]
async fn rows_that_row_level_security_hides_are_not_absent() {
    let place = Place::new();
    paired(&place, 3).await;
    // A key that may call everything, but from whom the rows are hidden.
    let everything = "grant select, insert, update, delete on all tables in schema";
    place
        .run(&format!(
            "{everything} {0} to authenticated; grant execute on all functions in schema {0} to authenticated;",
            place.0
        ))
        .await;
    check_denied(&place.store(AUTHENTICATED), "hidden by row-level security").await;
    // The same for a table that is not the one that was set up.
    place.run("delete from whatsapp_sessions").await;
    check_denied(&place.store(SERVICE_ROLE), "an emptied table").await;
}

#[tokio::test]
async fn a_project_without_the_functions_is_not_an_empty_one() {
    let place = Place(String::from("api_without"));
    check_denied(&place.store(SERVICE_ROLE), "no such schema").await;
}

#[tokio::test]
async fn public_roles_read_nothing_past_the_functions_either() {
    let place = Place::new();
    paired(&place, 3).await;
    let http = reqwest_client();
    for key in [ANON, AUTHENTICATED] {
        for path in ["whatsapp_sessions", "whatsapp_keys", "rpc/sessile_whatsapp_check"] {
            let address = format!("{}rest/v1/{path}", url());
            let key = setting(key);
            let request = http.get(address).header("apikey", &key).header("accept-profile", &place.0);
            let answer = request.header("authorization", format!("Bearer {key}")).send().await.unwrap();
            let status = answer.status().as_u16();
            assert!((400..500).contains(&status), "{path}: {status} {}", answer.text().await.unwrap());
        }
    }
}

fn reqwest_client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

/// Answers requests one after the other with these, and the last one for ever; counts them.
async fn scripted(answers: Vec<String>) -> (SupabaseDevices, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let at = counted.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let mut request = [0; 8192];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answers[at].as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (SupabaseDevices::new(&url, SupabaseKey::new(Secret::new("sb_secret_x"))).unwrap(), count)
}

fn answer(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{more}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn put_off_is_asked_again_and_in_the_end_unknown() {
    let later = || answer("503 Service Unavailable", "retry-after: 0\r\n", "{}");
    let (store, count) = scripted(vec![later(), later(), answer("200 OK", "", r#"{"sessile":1}"#)]).await;
    store.ping().await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let (store, count) = scripted(vec![later()]).await;
    let away = store.load(&device()).await;
    assert!(matches!(&away, Err(DeviceStoreError::Unavailable(_))), "{away:?}");
    assert_eq!(count.load(Ordering::SeqCst), 4, "it is not asked for ever");
}

#[tokio::test]
async fn an_answer_that_is_not_ours_is_not_an_absence() {
    for body in ["[]", "null", "{}", r#"{"head":null}"#, "<html>", ""] {
        let (store, _) = scripted(vec![answer("200 OK", "", body)]).await;
        let found = store.load(&device()).await;
        assert!(matches!(&found, Err(DeviceStoreError::Denied(_))), "{body}: {found:?}");
    }
}
