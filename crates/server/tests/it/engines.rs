//! The server on Postgres and on Redis, and while its database is cut off. Run by `./test`, which starts the servers.

use crate::world::{World, location};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(60);

fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run ./test, or set it to a server of your own"))
}

fn own_name(kind: &str) -> String {
    let mut random = [0_u8; 8];
    sessile_core::Entropy::fill(&sessile_core::OsEntropy, &mut random).unwrap();
    format!("{kind}_{}", u64::from_ne_bytes(random))
}

/// A wire that can be cut and mended.
struct Wire {
    url: String,
    whole: Arc<watch::Sender<bool>>,
}

impl Wire {
    async fn to(url: &str) -> Self {
        let mut url = Url::parse(url).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let whole = Arc::new(watch::channel(true).0);
        let state = whole.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut state) = (target.clone(), state.subscribe());
                tokio::spawn(async move {
                    if !*state.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { url: url.into(), whole }
    }

    fn cut(&self) {
        self.whole.send_replace(false);
    }

    fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn on_postgres(url: &str) -> World {
    let (table, users) = (own_name("t"), own_name("u"));
    World::start(&[
        ("SESSILE_COOKIE_SECURE", "false"),
        ("DATABASE_URL", url),
        ("SESSILE_LOGIN_TABLE", &table),
        ("SESSILE_USERS_TABLE", &users),
    ])
    .await
}

async fn wait_for_status(world: &World, status: &str) -> Value {
    let began = Instant::now();
    let browser = world.browser();
    loop {
        let ready: Value = browser.get("/readyz").await.json().await.unwrap();
        if ready["status"] == status {
            return ready;
        }
        assert!(began.elapsed() < PATIENCE, "never {status}: {ready}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_on_redis() {
    let url = server("SESSILE_TEST_REDIS_URL");
    let world = World::start(&[("SESSILE_COOKIE_SECURE", "false"), ("SESSILE_LOGIN_STORE", &url)]).await;
    let ada = world.browser();
    ada.sign_in().await;
    assert_eq!(ada.me().await["email"], "ada@sandbox.example");
    assert_eq!(wait_for_status(&world, "ready").await["store"]["engine"], "redis");
    ada.submit("/logout").await;
    assert_eq!(ada.get("/api/me").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_go_on_while_postgres_is_cut_off_and_are_kept() {
    let wire = Wire::to(&server("SESSILE_TEST_POSTGRES_URL")).await;
    let world = on_postgres(&wire.url).await;
    let before = world.browser();
    before.sign_in().await;
    let ada = before.me().await;

    wire.cut();
    let during = world.browser();
    let callback = during.consent("/auth/whop", "grace").await;
    assert_eq!(location(&during.get(&callback).await), "/dashboard");
    assert_eq!(during.me().await["email"], "grace@sandbox.example");
    let dashboard = during.page("/dashboard").await;
    assert_eq!(dashboard.status(), 200);
    assert!(dashboard.text().await.unwrap().contains("database is away"));
    let ready = wait_for_status(&world, "degraded").await;
    assert!(ready["why"].is_string(), "{ready}");
    assert_eq!(before.get("/api/me").await.status(), 503, "nobody looks logged out because of an outage");
    assert_eq!(before.page("/dashboard").await.status(), 503);

    wire.mend();
    wait_for_status(&world, "ready").await;
    assert_eq!(during.get("/dashboard").await.status(), 200, "the sign-in during the outage is kept");
    assert_eq!(before.me().await, ada, "and the one before it");
    let devices: Value = during.get("/api/sessions").await.json().await.unwrap();
    assert_eq!(devices["sessions"].as_array().unwrap().len(), 1);
}
