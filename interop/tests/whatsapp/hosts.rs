//! A program that hosts a device, and what a person and a backend do with it: look at the code, scan it, send, ask.

use super::load::{Outcome, note_secret};
use super::rest::Project;
use super::shop::Server;
use super::{PEER, SOON};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sessile_interop::servers::{Proxy, eventually, free_port};
use sessile_sandbox_whatsapp::FakeWhatsApp;
use std::path::Path;
use std::time::Duration;
use tokio_postgres::NoTls;

/// Letters and digits of a key.
const SECRET_CHARS: usize = 48;
/// Longer than any timeout of the program.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

/// Where devices live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Files,
    Sqlite,
    Postgres,
    PgBouncer,
    /// Postgres at the end of a network that a test can cut.
    Shaky,
    /// Supabase over REST.
    Supabase,
}

/// The program, with one device.
pub(crate) struct Host {
    pub(crate) server: Server,
    home: String,
    api_key: String,
    http: Client,
    /// The database of its own, where it has one; as a person reaches it, whatever the program's way there does.
    pub(crate) database: Option<String>,
    /// The program's way to it, where a test may cut it.
    network: Option<Proxy>,
    /// The project of its own, where it has one.
    project: Option<Project>,
    env: Vec<(&'static str, String)>,
}

/// Where the keys are, for the program and for the test.
#[derive(Default)]
struct Home {
    database: Option<String>,
    network: Option<Proxy>,
    project: Option<Project>,
    env: Vec<(&'static str, String)>,
}

impl Home {
    async fn at(place: Place) -> Outcome<Self> {
        const POSTGRES: &str = "SESSILE_TEST_POSTGRES_URL";
        let mut home = Self::default();
        match place {
            Place::Files => {}
            Place::Sqlite => {
                home.env.push(("SESSILE_WHATSAPP_STORE", "database".to_owned()));
                home.env.push(("DATABASE_URL", "sqlite:data/devices.db".to_owned()));
            }
            Place::Postgres | Place::Shaky => {
                let url = own_database(POSTGRES, POSTGRES).await?;
                let through = if place == Place::Shaky {
                    let network = Proxy::start(&address_of(&url)?).await?;
                    home.network.insert(network).url_of(&url)?
                } else {
                    url.clone()
                };
                home.env.push(("DATABASE_URL", through));
                home.database = Some(url);
            }
            Place::PgBouncer => {
                let url = own_database(POSTGRES, "SESSILE_TEST_PGBOUNCER_URL").await?;
                home.env.push(("DATABASE_URL", url.clone()));
                home.database = Some(url);
            }
            Place::Supabase => {
                let project = Project::start().await?;
                home.env.extend(project.settings()?);
                home.project = Some(project);
            }
        }
        Ok(home)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Host {
    pub(crate) async fn start(whatsapp: &FakeWhatsApp, place: Place) -> Outcome<Self> {
        Self::start_with(whatsapp, place, &[]).await
    }

    /// The same, with more settings.
    pub(crate) async fn start_with(
        whatsapp: &FakeWhatsApp,
        place: Place,
        settings: &[(&'static str, &str)],
    ) -> Outcome<Self> {
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?;
        let [session, api_key] = [secret()?, secret()?];
        let sealing: String = std::iter::repeat_with(|| fastrand::digit(16)).take(64).collect();
        note_secret(&sealing)?;
        let mut place = Home::at(place).await?;
        let mut env = vec![
            ("SESSILE_ENV", "production".to_owned()),
            ("HOST", "127.0.0.1".to_owned()),
            ("SESSION_SECRET", session),
            ("SESSILE_SEALING_KEY", sealing),
            ("SESSILE_API_KEYS", format!("tests:{api_key}")),
            ("SESSILE_WHATSAPP_SERVER", whatsapp.url()),
            ("CLIENT_ID", "shop".to_owned()),
        ];
        env.append(&mut place.env);
        env.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Self::with(Home { env, ..place }, api_key, http).await
    }

    /// Another program on the same database.
    pub(crate) async fn beside(&self) -> Outcome<Self> {
        let (env, database) = (self.env.clone(), self.database.clone());
        let place = Home { env, database, ..Home::default() };
        Self::with(place, self.api_key.clone(), self.http.clone()).await
    }

    async fn with(place: Home, api_key: String, http: Client) -> Outcome<Self> {
        let Home { database, network, project, env } = place;
        let port = free_port()?;
        let home = format!("http://127.0.0.1:{port}");
        let mut own = env.clone();
        own.extend([("PORT", port.to_string()), ("APP_URL", home.clone())]);
        let mut server = Server::new(&format!("whatsapp-{port}"), port, own, http.clone())?;
        server.start().await?;
        Ok(Self { server, home, api_key, http, database, network, project, env })
    }

    /// The program's way to its database.
    pub(crate) fn network(&self) -> Outcome<&Proxy> {
        Ok(self.network.as_ref().ok_or("this place has no network to cut")?)
    }

    /// Its project.
    pub(crate) fn project(&self) -> Outcome<&Project> {
        Ok(self.project.as_ref().ok_or("this place is no project")?)
    }

    /// Runs SQL in its database, as another program would, and answers the first column of the first row.
    pub(crate) async fn sql(&self, script: &str) -> Outcome<Option<String>> {
        let url = self.database.as_ref().ok_or("this place has no database")?;
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let driving = tokio::spawn(connection);
        let answers = client.simple_query(script).await?;
        drop(client);
        driving.await??;
        Ok(answers.iter().find_map(|answer| match answer {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Outcome<Told> {
        let url = format!("{}/api/whatsapp/{path}", self.home);
        let mut request = self.http.request(method, url).bearer_auth(&self.api_key);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await?;
        Ok(Told { status: answer.status().as_u16(), body: answer.json().await.unwrap_or_default() })
    }

    pub(crate) async fn get(&self, path: &str) -> Outcome<Told> {
        self.call(Method::GET, path, None, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Outcome<Told> {
        self.call(Method::POST, path, Some(body), None).await
    }

    pub(crate) async fn send(&self, to: &str, message: &str, key: Option<&str>) -> Outcome<Told> {
        let body = json!({ "number": to, "message": message });
        self.call(Method::POST, "send", Some(&body), key).await
    }

    /// Looks at the picture with the phone's camera until the device is ready.
    pub(crate) async fn pair(&mut self, whatsapp: &FakeWhatsApp) -> Outcome {
        whatsapp.phone().scan(&self.code().await?).await?;
        self.ready().await
    }

    /// What a camera reads from the picture, as soon as there is one.
    pub(crate) async fn code(&self) -> Outcome<String> {
        Ok(eventually("a QR code", SOON, async || self.code_now().await).await?)
    }

    /// What a camera reads from the picture, if there is one.
    pub(crate) async fn code_now(&self) -> Option<String> {
        let told = self.get("qr").await.ok()?;
        seen(told.body["data"]["qrCode"].as_str()?)
    }

    /// The device cannot be used, somebody who looks is told why, and there is no code to scan.
    pub(crate) async fn is_refused(&self, why: &str) -> Outcome {
        self.is("error").await?;
        let status = self.get("status").await?;
        let said = status.body["message"].as_str().unwrap_or_default();
        assert!(said.contains(why), "the status does not say {why:?}: {}", status.body);
        let qr = self.get("qr").await?;
        assert_eq!(qr.status, 404, "{}", qr.body);
        assert_eq!(qr.body["data"]["qrCode"], Value::Null, "{}", qr.body);
        let info = self.get("session-info").await?.body;
        let last = info["data"]["storage"]["lastError"].as_str().unwrap_or_default();
        assert!(last.contains(why), "session-info does not say {why:?}: {info}");
        Ok(())
    }

    pub(crate) async fn ready(&self) -> Outcome {
        self.ready_within(SOON).await
    }

    pub(crate) async fn ready_within(&self, patience: Duration) -> Outcome {
        self.is_within("ready", patience).await
    }

    pub(crate) async fn is(&self, status: &str) -> Outcome {
        self.is_within(status, SOON).await
    }

    async fn is_within(&self, status: &str, patience: Duration) -> Outcome {
        let mut last = Value::Null;
        let looking = eventually("the device's status", patience, async || {
            last = self.get("status").await.ok()?.body;
            (last["data"]["connectionStatus"] == status).then_some(())
        });
        looking.await.map_err(|error| format!("{error}: not {status} but {last}").into())
    }

    /// Another process has the device.
    pub(crate) async fn is_elsewhere(&self) -> Outcome {
        eventually("the device to be elsewhere", SOON, async || {
            let told = self.send(PEER, "whose is it", None).await.ok()?;
            (told.body["error"] == "WhatsApp runs in another process").then_some(())
        })
        .await?;
        Ok(())
    }

    /// Sends, is acknowledged, and the peer reads it.
    pub(crate) async fn sends(&self, whatsapp: &FakeWhatsApp, text: &str) -> Outcome {
        let key = text.replace(' ', "-");
        let mut told = self.send(PEER, text, Some(key.as_str())).await?;
        // "Outcome unknown": repeated under the same key, as the answer says, it is shown once.
        while told.status == 502 {
            told = self.send(PEER, text, Some(key.as_str())).await?;
        }
        assert_eq!(told.status, 200, "{}", told.body);
        let peer = whatsapp.peer(PEER);
        let read = whatsapp.until(SOON, |_| {
            peer.messages().into_iter().any(|message| message.text.as_deref() == Some(text)).then_some(())
        });
        read.await.ok_or_else(|| format!("the peer never read {text:?}").into())
    }

    /// Every byte of the place where devices live.
    pub(crate) async fn everything_stored(&self) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        match &self.database {
            None => read_all(&self.server.data(), &mut bytes)?,
            Some(url) => {
                let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
                let driving = tokio::spawn(connection);
                for table in ["whatsapp_sessions", "whatsapp_keys"] {
                    let rows = client.simple_query(&format!("select * from {table}")).await?;
                    for row in rows {
                        if let tokio_postgres::SimpleQueryMessage::Row(row) = row {
                            for column in 0..row.len() {
                                bytes.extend_from_slice(
                                    readable(row.get(column).unwrap_or_default()).as_slice(),
                                );
                                bytes.push(b'\n');
                            }
                        }
                    }
                }
                drop(client);
                driving.await??;
            }
        }
        Ok(bytes)
    }
}

/// A value as a person would look at it: bytes that Postgres shows in hexadecimal are looked at as bytes.
fn readable(text: &str) -> Vec<u8> {
    let Some(hex) = text.strip_prefix("\\x") else { return text.as_bytes().to_vec() };
    hex.as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn read_all(folder: &Path, bytes: &mut Vec<u8>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, bytes)?;
        } else {
            bytes.extend(std::fs::read(&path)?);
        }
    }
    Ok(())
}

/// What a camera reads from the picture in a data URL.
fn seen(picture: &str) -> Option<String> {
    use base64::Engine as _;
    let encoded = picture.strip_prefix("data:image/png;base64,")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut pixels).ok()?;
    let (width, height) = (usize::try_from(info.width).ok()?, usize::try_from(info.height).ok()?);
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * info.line_size + x]);
    let grid = image.detect_grids().into_iter().next()?;
    Some(grid.decode().ok()?.1)
}

/// Host and port.
fn address_of(url: &str) -> Outcome<String> {
    let url = url::Url::parse(url)?;
    let host = url.host_str().ok_or("the URL has no host")?;
    // As the proxy wants it: a number.
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    Ok(format!("{host}:{}", url.port().unwrap_or(5432)))
}

/// A database of its own on the shared server: its address through `through`.
async fn own_database(server: &str, through: &str) -> Outcome<String> {
    let needs = |name: &str| {
        std::env::var(name).map_err(|_| format!("{name} is not set: run this under `servers exec`"))
    };
    let (server, through) = (needs(server)?, needs(through)?);
    let name: String = std::iter::repeat_with(fastrand::lowercase).take(12).collect();
    let name = format!("wa_{name}");
    let (client, connection) = tokio_postgres::connect(&server, NoTls).await?;
    let driving = tokio::spawn(connection);
    client.batch_execute(&format!("create database {name}")).await?;
    drop(client);
    driving.await??;
    let mut url = url::Url::parse(&through)?;
    url.set_path(&name);
    Ok(url.into())
}

fn secret() -> Outcome<String> {
    let secret: String = std::iter::repeat_with(fastrand::alphanumeric).take(SECRET_CHARS).collect();
    note_secret(&secret)?;
    Ok(secret)
}
