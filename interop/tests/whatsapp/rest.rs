//! Devices in Supabase: a real PostgREST before a real Postgres, reached through a way that a test can spoil; and keys,
//! rights and answers that must never be taken for "no device".

use super::hosts::{Host, Place};
use super::load::{Outcome, is_long};
use super::{PEER, SOON, comes_back};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use sessile_interop::servers::{SCHEMAS, eventually, schema_name};
use sessile_sandbox_whatsapp::FakeWhatsApp;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

/// Rows above which PostgREST cuts a plain answer.
const CUT_AT: usize = 1000;
/// Rows that a device has in a long run.
const ROWS_LONG: usize = 1501;

/// A project of a test's own: one of the shared server's schemas.
pub(crate) struct Project {
    port: u16,
    way: Arc<Way>,
    serving: JoinHandle<()>,
}

/// How requests get there.
struct Way {
    http: reqwest::Client,
    upstream: String,
    schema: String,
    /// Requests that are put off, and until when that is said to last.
    put_off: Mutex<Option<(u32, u32)>>,
    /// Requests that were put off.
    refused: AtomicUsize,
}

fn setting(name: &str) -> Outcome<String> {
    let name = format!("SESSILE_TEST_POSTGREST_{name}");
    Ok(std::env::var(&name)
        .map_err(|_| format!("{name} is not set: run this under `servers exec --only postgres,postgrest`"))?)
}

impl Project {
    /// The last schema that no test has yet: the contract's tests begin with the first.
    pub(crate) async fn start() -> Outcome<Self> {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let number = (SCHEMAS - 1)
            .checked_sub(TAKEN.fetch_add(1, Ordering::SeqCst))
            .ok_or("more tests than schemas: raise SCHEMAS where the server is started")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let way = Arc::new(Way {
            http: reqwest::Client::builder().no_proxy().build()?,
            upstream: setting("URL")?,
            schema: schema_name(number),
            put_off: Mutex::default(),
            refused: AtomicUsize::new(0),
        });
        let app = Router::new().fallback(forward).with_state(way.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        let project = Self { port, way, serving };
        // A run before this one on the same server may have left devices.
        project.sql("delete from whatsapp_sessions where client_id <> '.sentinel'").await?;
        Ok(project)
    }

    /// What the program is told, with the old service key.
    pub(crate) fn settings(&self) -> Outcome<[(&'static str, String); 3]> {
        Ok([
            ("USE_SUPABASE", "true".to_owned()),
            ("SUPABASE_URL", format!("http://127.0.0.1:{}", self.port)),
            ("SUPABASE_SERVICE_ROLE_KEY", setting("SERVICE_ROLE_KEY")?),
        ])
    }

    /// Runs SQL as the database's owner, and answers the first column of the first row.
    async fn sql(&self, script: &str) -> Outcome<Option<String>> {
        let (client, connection) = tokio_postgres::connect(&setting("POSTGRES_URL")?, NoTls).await?;
        let driving = tokio::spawn(connection);
        let script = format!("set search_path = {}; {script}", self.way.schema);
        let answers = client.simple_query(&script).await?;
        drop(client);
        driving.await??;
        Ok(answers.iter().find_map(|answer| match answer {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// The next requests are answered 503, with a `Retry-After` of so many seconds.
    fn puts_off(&self, requests: u32, seconds: u32) {
        *self.way.put_off.lock() = Some((requests, seconds));
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Way {
    /// What a request is told that is put off.
    fn refusal(&self) -> Option<Response> {
        let mut put_off = self.put_off.lock();
        let (left, seconds) = (*put_off)?;
        *put_off = left.checked_sub(1).filter(|left| *left > 0).map(|left| (left, seconds));
        self.refused.fetch_add(1, Ordering::SeqCst);
        let after = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
        Some((StatusCode::SERVICE_UNAVAILABLE, after, "{}").into_response())
    }
}

async fn forward(
    State(way): State<Arc<Way>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refusal) = way.refusal() {
        return refusal;
    }
    for hop in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(hop);
    }
    if let Ok(schema) = HeaderValue::from_str(&way.schema) {
        headers.insert("content-profile", schema);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", way.upstream.trim_end_matches('/'));
    let passed_on = async {
        let answer = way.http.request(method, url).headers(headers).body(body).send().await?;
        let status = answer.status();
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        let mut response = (status, answer.bytes().await?).into_response();
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Ok::<_, reqwest::Error>(response)
    };
    passed_on.await.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_supabase_survives_a_kill() -> Outcome {
    comes_back(Place::Supabase).await
}

/// Connections on which somebody wanted to link a device.
fn links(whatsapp: &FakeWhatsApp) -> usize {
    whatsapp.connections().into_iter().filter(|each| each.purpose == "link").count()
}

impl Host {
    async fn starts_with_key(&mut self, key: &str) -> Outcome {
        self.server.kill_9().await?;
        self.server.set("SUPABASE_SERVICE_ROLE_KEY", Some(key));
        self.server.start().await
    }
}

/// Keys of both styles have the device; a wrong one, a public one, and one from whom the rows are hidden are told so, are
/// offered no code, and change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_key_that_sees_the_device_says_whether_there_is_one() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Supabase).await?;
    host.pair(&whatsapp).await?;
    assert_eq!(links(&whatsapp), 1);

    host.starts_with_key(&setting("SECRET_KEY")?).await?;
    host.ready().await?;
    host.sends(&whatsapp, "with the new key").await?;

    for wrong in ["sb_secret_of_another_project", &setting("ANON_KEY")?, &setting("AUTHENTICATED_KEY")?] {
        host.starts_with_key(wrong).await?;
        host.is_refused("SUPABASE_SERVICE_ROLE_KEY").await?;
        let asked = host.post("reconnect", &serde_json::json!({})).await?;
        assert_eq!(asked.status, 500, "{}", asked.body);
    }

    // May call everything and see nothing: row-level security.
    let schema = host.project()?.way.schema.clone();
    let grant = format!(
        "grant select, insert, update, delete on all tables in schema {schema} to authenticated;
         grant execute on all functions in schema {schema} to authenticated;"
    );
    host.project()?.sql(&grant).await?;
    host.starts_with_key(&setting("AUTHENTICATED_KEY")?).await?;
    host.is_refused("hidden from this key").await?;

    host.starts_with_key(&setting("SERVICE_ROLE_KEY")?).await?;
    host.ready().await?;
    host.sends(&whatsapp, "with the old key again").await?;
    assert_eq!(links(&whatsapp), 1, "it was linked once and never again");
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
    Ok(())
}

/// A plain select would be cut at 1000 rows, without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_more_rows_than_one_answer_has_comes_back_whole() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Supabase).await?;
    host.pair(&whatsapp).await?;
    let rows = async |host: &Host| {
        let count = host.project()?.sql("select count(*) from whatsapp_keys").await?;
        Ok::<usize, Box<dyn std::error::Error + Send + Sync>>(count.ok_or("no count")?.parse()?)
    };
    let wanted = if is_long() { ROWS_LONG } else { CUT_AT + 1 };
    let mut sent = 0;
    while rows(&host).await? < wanted {
        for _ in 0..20 {
            let key = format!("order-{sent}");
            let mut told = host.send(PEER, "many rows", Some(&key)).await?;
            // As the answer says: repeated under the same key, it is shown once.
            while told.status == 502 {
                told = host.send(PEER, "many rows", Some(&key)).await?;
            }
            assert_eq!(told.status, 200, "{}", told.body);
            sent += 1;
        }
    }
    println!("{} rows after {sent} messages with keys of their own", rows(&host).await?);
    let before = whatsapp.sent().len();
    host.server.kill_9().await?;
    host.server.start().await?;
    host.ready().await?;
    for number in [0, sent / 2, sent - 1] {
        let told = host.send(PEER, "many rows", Some(&format!("order-{number}"))).await?;
        assert_eq!(told.body["message"], "Message was sent before", "{}", told.body);
    }
    assert_eq!(whatsapp.sent().len(), before, "a row was lost: a message was sent again");
    host.sends(&whatsapp, "and it goes on").await?;
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
    Ok(())
}

/// 503 with `Retry-After` is waited for, at the start and while sending; it is never "no device".
#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_puts_requests_off_is_asked_again() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Supabase).await?;
    host.pair(&whatsapp).await?;
    host.server.kill_9().await?;
    // More than one call tries: the first ones are given up, and asked anew.
    host.project()?.puts_off(12, 0);
    host.server.start().await?;
    host.ready().await?;
    host.project()?.puts_off(3, 1);
    host.sends(&whatsapp, "a moment later").await?;
    let way = host.project()?.way.clone();
    let met = async || (way.refused.load(Ordering::SeqCst) == 15).then_some(());
    eventually("every refusal to be met", SOON, met).await?;
    assert_eq!(links(&whatsapp), 1);
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
    Ok(())
}
