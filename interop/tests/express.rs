//! The Express application keeps sessions in both stores, so that the other tests may put it beside Sessile; and the guides
//! for those who come from Express or from tower-sessions do what they say.

mod guide;

use std::path::Path;

use guide::{Block, Reader, blocks};
use reqwest::{Client, Method, header};
use serde_json::{Value, json};
use sessile_interop::servers::{NodeApp, Postgres, Redis, ServerError, free_port};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

async fn express(env: &[(&str, &str)]) -> Result<NodeApp, ServerError> {
    let fixed =
        [("SESSION_SECRET", "new secret,old secret"), ("MAX_AGE_MS", "60000"), ("CREATE_TABLE", "true")];
    let env: Vec<_> = fixed.iter().chain(env).copied().collect();
    NodeApp::start(Path::new(env!("CARGO_MANIFEST_DIR")).join("express"), &env).await
}

/// A browser with one cookie.
struct Browser<'a> {
    client: Client,
    app: &'a NodeApp,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    fn new(app: &'a NodeApp) -> Outcome<Self> {
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { client: Client::builder().build()?, app, cookie: None })
    }

    async fn ask(&mut self, method: Method, path: &str, body: &Value) -> Outcome<Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.app.url()));
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?.error_for_status()?;
        if let Some(set) = answer.headers().get(header::SET_COOKIE) {
            self.cookie = set.to_str()?.split(';').next().map(str::to_owned);
        }
        Ok(answer.json().await?)
    }

    async fn session(&mut self) -> Outcome<Value> {
        Ok(self.ask(Method::GET, "/get", &Value::Null).await?["session"].clone())
    }
}

async fn keeps_sessions(app: &NodeApp) -> Outcome {
    let mut browser = Browser::new(app)?;
    assert_eq!(browser.session().await?, json!({}));
    assert_eq!(browser.cookie, None, "an empty session sets no cookie");

    browser.ask(Method::POST, "/set", &json!({"user": "ann", "cart": [1, {"n": 2}]})).await?;
    assert!(
        browser.cookie.as_ref().is_some_and(|cookie| cookie.starts_with("sid=s%3A")),
        "{:?}",
        browser.cookie
    );
    assert_eq!(browser.session().await?, json!({"user": "ann", "cart": [1, {"n": 2}]}));
    browser.ask(Method::POST, "/remove", &json!({"keys": ["cart"]})).await?;
    assert_eq!(browser.session().await?, json!({"user": "ann"}));
    assert_eq!(browser.ask(Method::GET, "/touch", &Value::Null).await?, json!({"ok": true}));

    let before = browser.cookie.clone();
    browser.ask(Method::POST, "/regenerate", &json!({"set": {"user": "bob"}})).await?;
    assert_ne!(browser.cookie, before, "regenerate keeps the id");
    assert_eq!(browser.session().await?, json!({"user": "bob"}));
    let mut old = Browser { cookie: before, ..Browser::new(app)? };
    assert_eq!(old.session().await?, json!({}), "the old id answers after regenerate");

    let late = browser.ask(Method::POST, "/late", &json!({"delay_ms": 50, "set": {"late": true}})).await?;
    assert_eq!(late["session"], json!({"user": "bob", "late": true}));
    let cookie = browser.cookie.clone();
    browser.ask(Method::POST, "/destroy", &json!({})).await?;
    browser.cookie = cookie;
    assert_eq!(browser.session().await?, json!({}));
    Ok(())
}

#[tokio::test]
async fn express_keeps_sessions_in_postgres() -> Outcome {
    let postgres = Postgres::start().await?;
    let url = postgres.create_database("express").await?;
    let app = express(&[("STORE", "postgres"), ("DATABASE_URL", &url), ("TABLE", "web_session")]).await?;
    keeps_sessions(&app).await.map_err(|error| format!("{error}; {}", app.log()))?;

    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let rows: i64 = client.query_one("select count(*) from web_session", &[]).await?.get(0);
    assert_eq!(rows, 0, "destroy and regenerate remove their rows");
    Ok(())
}

#[tokio::test]
async fn express_keeps_sessions_in_redis() -> Outcome {
    let redis = Redis::start().await?;
    let app = express(&[("STORE", "redis"), ("REDIS_URL", &redis.url()), ("ROLLING", "true")]).await?;
    keeps_sessions(&app).await.map_err(|error| format!("{error}; {}", app.log()))?;
    Ok(())
}

#[tokio::test]
async fn a_program_that_ends_shows_its_log() -> Outcome {
    let Err(error) = express(&[("STORE", "nowhere")]).await else {
        return Err("it started".into());
    };
    assert!(error.to_string().contains("set STORE to postgres or redis"), "{error}");
    Ok(())
}

/// Where a guide's programs listen, and where they do here: Sessile or the application, and Express.
fn places(sessile: u16, express: u16) -> Vec<(String, String)> {
    let at = |port: u16| format!("127.0.0.1:{port}");
    let listen = |port: u16| format!("listen({port},");
    vec![(at(3000), at(sessile)), (at(4000), at(express)), (listen(4000), listen(express))]
}

/// Asserts that the packages which a guide installs are those that are here, by name and major version.
fn check_packages(command: &str, here: &Path) -> Outcome {
    let package: Value = serde_json::from_str(&std::fs::read_to_string(here.join("package.json"))?)?;
    for wanted in command.split_whitespace().skip(2) {
        let (name, major) = wanted.rsplit_once('@').ok_or("a version")?;
        let version = package["dependencies"][name].as_str().unwrap_or_default();
        assert_eq!(version.split('.').next(), Some(major), "{wanted} is {version} in package.json");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_from_express_does_what_it_says() -> Outcome {
    let postgres = Postgres::start().await?;
    let url = postgres.create_database("shop").await?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("express");
    let guide = guide::guide("express.md")?;
    let install = guide.lines().find(|line| line.starts_with("npm install ")).ok_or("what it installs")?;
    check_packages(install, &here)?;
    let port = free_port()?;
    let mut means = places(port, free_port()?);
    means.push(("postgresql://user:password@127.0.0.1:5432/shop".to_owned(), url));
    means.push((install.to_owned(), "true".to_owned()));
    let mut reader = Reader::new(&[("PORT", port.to_string())], means)?;
    reader.has_packages(&here)?;
    assert_eq!(reader.follow(&guide).await?, 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_from_tower_sessions_does_what_it_says() -> Outcome {
    let example = include_str!("../examples/from_tower_sessions.rs");
    let guide = guide::guide("tower-sessions.md")?;
    let file = blocks(&guide).into_iter().find_map(|block| match block {
        Block::File { text, .. } => Some(text),
        _ => None,
    });
    // All but the line that says what the example is for.
    let (_, compiled) = example.split_once("\n\n").ok_or("an application")?;
    assert_eq!(file.as_deref(), Some(compiled), "the guide's application is the one that is compiled");
    let programs = Path::new(env!("CARGO_BIN_EXE_peer")).parent().ok_or("a folder of programs")?;
    let program = programs.join("examples/from_tower_sessions");
    assert!(program.exists(), "build it: cargo build -p sessile-interop --example from_tower_sessions");
    let port = free_port()?;
    let mut means = places(port, free_port()?);
    means.push(("cargo run".to_owned(), program.display().to_string()));
    let mut reader = Reader::new(&[("PORT", port.to_string())], means)?;
    assert_eq!(reader.follow(&guide).await?, 2);
    Ok(())
}
