//! A million expired sessions are swept by several sweepers in two processes while requests are served: none fails,
//! each sweep takes a batch at most, each row is removed once, and live sessions stay.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;

use load::{Answer, Client, Crowd, Outcome, is_long, note_secret, secret, seed};
use serde_json::{Value, json};
use sessile_interop::peer::PeerApp;
use sessile_interop::servers::Postgres;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What one sweep of the peer asks for.
const BATCH: u64 = 1000;
/// Sweepers in each of the two processes.
const SWEEPERS: usize = 2;
/// Clients at once, and how many more measure how long they wait.
const CLIENTS: usize = 6;
const SAMPLERS: usize = 2;
/// How long the same load is measured without a sweep.
const BEFORE: Duration = Duration::from_secs(2);
/// Nobody waits longer, however busy the machine is.
const CEILING: Duration = Duration::from_secs(5);

/// Two servers on one store that holds `rows` expired sessions already.
struct Scene {
    name: &'static str,
    rows: u64,
    servers: [PeerApp; 2],
}

impl Scene {
    async fn start(name: &'static str, url: &str, rows: u64) -> Outcome<Self> {
        let secret = secret()?;
        let env = [("STORE_URL", url), ("SESSION_SECRET", &*secret), ("MAX_AGE_MS", "3600000")];
        let start = async || PeerApp::start(env!("CARGO_BIN_EXE_peer"), &env).await;
        Ok(Self { name, rows, servers: [start().await?, start().await?] })
    }

    /// Serves and sweeps at once.
    async fn play(&self) -> Outcome<Played> {
        let mut rng = fastrand::Rng::with_seed(seed(&format!("sweep {}", self.name)));
        let mut crowd = Crowd::new(self.name, &self.servers[0].url(), CLIENTS, &mut rng)?;
        let client = crowd.client.clone();
        let played = crowd.during(async {
            let calm = sampled(&client, tokio::time::sleep(BEFORE)).await?.1;
            let began = Instant::now();
            let (removed, busy) = sampled(&client, self.sweep()).await?;
            Outcome::Ok((removed?, calm, busy, began.elapsed()))
        });
        let (removed, calm, busy, took) = played.await??;
        let checked = crowd.check().await?;
        let counts = crowd.counts();
        println!(
            "{}: {removed} rows in {took:?}; a request waited (p50, p99, max) {calm:?} before and {busy:?} \
             during the sweep; {counts:?}, {checked:?}",
            self.name
        );
        assert_eq!(counts.unknown, 0, "requests failed during the sweep");
        assert!(counts.acknowledged > 100 && checked.live > 5, "{counts:?} {checked:?}");
        assert!(busy[2] < CEILING, "a request waited {:?}", busy[2]);
        Ok(Played { removed, renewed: crowd.renewals() })
    }

    /// All sweepers until none finds a full batch any more.
    async fn sweep(&self) -> Outcome<u64> {
        let mut sweepers = JoinSet::new();
        for server in &self.servers {
            for _ in 0..SWEEPERS {
                let client = Client::new(&server.url())?;
                sweepers.spawn(async move { sweep_until_done(&client).await });
            }
        }
        let mut removed = 0;
        while let Some(one) = sweepers.join_next().await {
            removed += one??;
        }
        Ok(removed)
    }

    /// Each expired row was removed once. An id that was regenerated away is such a row as well, when its grace has
    /// ended before the last sweep.
    fn assert_done(&self, played: &Played, left: &Left) {
        assert_eq!(left.expired, 0, "expired rows left");
        assert_eq!(played.removed + left.retired, self.rows + played.renewed, "removed in all");
    }
}

/// What all sweeps together have removed, and how many regenerations there were meanwhile.
struct Played {
    removed: u64,
    renewed: u64,
}

/// Rows in the table afterwards: those made for the sweep, and ids that were regenerated away.
struct Left {
    expired: u64,
    retired: u64,
}

async fn sweep_until_done(client: &Client) -> Outcome<u64> {
    let mut sum = 0;
    loop {
        let answer = client.post("/sweep", None, &json!({})).await;
        let Answer::Acknowledged { body, .. } = answer else {
            return Err(format!("a sweep got {answer:?}").into());
        };
        let removed = body["removed"].as_u64().ok_or("no count in the answer of a sweep")?;
        if removed > BATCH {
            return Err(format!("a sweep removed {removed} rows, its batch is {BATCH}").into());
        }
        sum += removed;
        if body["more"] != Value::Bool(true) {
            return Ok(sum);
        }
    }
}

/// Measures requests for as long as `work` takes: how long half of them, 99 of 100 and all of them waited at most.
async fn sampled<T>(client: &Client, work: impl Future<Output = T>) -> Outcome<(T, [Duration; 3])> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut samplers = JoinSet::new();
    for _ in 0..SAMPLERS {
        let (client, stop) = (client.clone(), stop.clone());
        samplers.spawn(async move { sample(&client, &stop).await });
    }
    let done = work.await;
    stop.store(true, Ordering::Relaxed);
    let mut waits = Vec::new();
    while let Some(sampler) = samplers.join_next().await {
        waits.extend(sampler??);
    }
    waits.sort();
    let at = |percent: usize| waits[(waits.len() * percent / 100).min(waits.len() - 1)];
    Ok((done, [at(50), at(99), at(100)]))
}

/// One session, read and changed in turns.
async fn sample(client: &Client, stop: &AtomicBool) -> Outcome<Vec<Duration>> {
    let signed_in = client.post("/set", None, &json!({"n": 0})).await;
    let Answer::Acknowledged { cookie: Some(cookie), .. } = signed_in else {
        return Err(format!("a sign-in got {signed_in:?}").into());
    };
    let (mut waits, mut n) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) || waits.is_empty() {
        let began = Instant::now();
        let seen = client.get("/get", Some(&cookie)).await;
        waits.push(began.elapsed());
        if !matches!(&seen, Answer::Acknowledged { body, .. } if body["session"]["n"] == json!(n)) {
            return Err(format!("a live session should show n={n}: {seen:?}").into());
        }
        n += 1;
        let began = Instant::now();
        let changed = client.post("/late", Some(&cookie), &json!({"delay_ms": 0, "set": {"n": n}})).await;
        waits.push(began.elapsed());
        if !matches!(changed, Answer::Acknowledged { .. }) {
            return Err(format!("a change got {changed:?}").into());
        }
    }
    Ok(waits)
}

fn rows_of_sqlite() -> u64 {
    if is_long() { 1_000_000 } else { 200_000 }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_million_rows_on_postgres() -> Outcome {
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    note_secret(url::Url::parse(&url)?.password().ok_or("a password")?)?;
    let scene = Scene::start("postgres", &url, 1_000_000).await?;
    let began = Instant::now();
    // Rows as Express leaves them; as a replica's they pass the triggers, whose work is not under test here.
    let fill = format!(
        r#"set session_replication_role = replica;
           insert into session (sid, sess, expire, sessile_user)
           select 'expired-' || n,
                  '{{"cookie":{{"originalMaxAge":1000,"expires":"2020-01-01T00:00:00.000Z","path":"/"}},"userId":"u"}}',
                  timestamp '2020-01-01' + n * interval '1 second',
                  'u' || n
           from generate_series(1, {}) n;
           reset session_replication_role;
           analyze session;"#,
        scene.rows
    );
    postgres.execute(&fill).await?;
    println!("postgres: {} rows made in {:?}", scene.rows, began.elapsed());
    let played = scene.play().await?;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let count = "select count(*) filter (where expire < timestamp '2021-01-01'),
                        count(*) filter (where sessile_retires_at is not null) from session";
    let row = client.query_one(count, &[]).await?;
    let [expired, retired] = [0, 1].map(|column| row.get::<_, i64>(column).unsigned_abs());
    scene.assert_done(&played, &Left { expired, retired });
    drop(client);
    connection.await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_rows_on_sqlite() -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("logins.db");
    let scene = Scene::start("sqlite", &format!("sqlite:{}", file.display()), rows_of_sqlite()).await?;
    let began = Instant::now();
    fill_sqlite(&file, scene.rows)?;
    println!("sqlite: {} rows made in {:?}", scene.rows, began.elapsed());
    let played = scene.play().await?;
    let db = rusqlite::Connection::open(&file)?;
    let count =
        "select count(*) filter (where expires_at < 1600000000000), count(retires_at) from sessile_login";
    let left = db.query_row(count, [], |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Left { expired: number(0)?, retired: number(1)? })
    })?;
    scene.assert_done(&played, &left);
    Ok(())
}

fn fill_sqlite(file: &Path, rows: u64) -> Outcome {
    let db = rusqlite::Connection::open(file)?;
    let fill = format!(
        r#"with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {rows})
           insert into sessile_login (sid, sess, user_id, expires_at, seen_at, version)
           select 'expired-' || n, '{{"cookie":{{"originalMaxAge":1000,"expires":null,"path":"/"}},"userId":"u"}}',
                  'u' || n, 1500000000000 + n, 1500000000000, 1 from numbers"#
    );
    db.execute_batch(&fill)?;
    Ok(())
}
