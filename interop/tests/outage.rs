//! The store goes away for a while under load, behind a spool, in three ways: the network is cut, the store hangs, or
//! it does everything and no answer arrives. Sign-ins go on, what is spooled is read and changed, nothing that was
//! acknowledged is lost, the spool is empty in the end, and the server says the truth about it at every moment.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;

use load::{Answer, Crowd, Outcome, Program, Renewal, SignIn, is_long, note_secret, secret, seed};
use serde_json::json;
use sessile::{Clock as _, LoginStore, SystemClock, UserId};
use sessile_interop::peer::PeerApp;
use sessile_interop::servers::{Persistence, Postgres, Proxy, Redis, eventually};
use sessile_store::{LoginOptions, open_logins};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Clients at once in each of the variants, which run side by side.
const CLIENTS: usize = 8;
/// Load before the outage.
const BEFORE: Duration = Duration::from_millis(500);
/// How often the server is asked how it is doing.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
/// How long a sign-in may take that begins when the outage is known: it waits for nobody.
const SPOOLED_LIMIT: Duration = Duration::from_secs(3);
/// How long the way back may take: an id within its grace waits for its end in the spool.
const DRAIN_LIMIT: Duration = Duration::from_secs(40);
/// People who sign in to the program at the same time.
const SIGNING_IN: usize = 4;
/// For a busy machine, on top of the timeouts that the product promises.
const SLACK: Duration = Duration::from_secs(5);
/// The load goes on for this long at least once the outage is known.
const KNOWN_FOR: Duration = Duration::from_secs(2);

/// How the store goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Cut,
    Hang,
    NoReplies,
}

impl Fault {
    async fn begin(self, proxy: &Proxy) -> Outcome {
        match self {
            Self::Cut => proxy.cut().await?,
            Self::Hang => proxy.stall().await?,
            Self::NoReplies => proxy.stall_replies().await?,
        }
        Ok(())
    }

    /// How long it takes to notice: nothing but a timeout tells that somebody is silent.
    fn noticed_within(self, timeout: Duration) -> Duration {
        match self {
            Self::Cut => SLACK,
            Self::Hang | Self::NoReplies => timeout + SLACK,
        }
    }
}

/// How long an outage lasts at least; one that only a timeout tells lasts longer.
fn outage() -> Duration {
    if is_long() { Duration::from_secs(30) } else { Duration::from_secs(3) }
}

/// A store that can go away.
struct Engine<'a> {
    name: &'a str,
    url: &'a str,
    port: u16,
    /// After how long the product calls it silent.
    timeout: Duration,
    renewal: Renewal,
}

/// What the server said of itself.
#[derive(Debug, Clone)]
struct Said {
    asked: Instant,
    answered: Instant,
    degraded: Option<String>,
}

/// Asks the server how it is doing, all the time.
fn watch(crowd: &Crowd, said: Arc<parking_lot::Mutex<Vec<Said>>>) -> JoinHandle<()> {
    let client = crowd.client.clone();
    tokio::spawn(async move {
        loop {
            let asked = Instant::now();
            if let Answer::Acknowledged { body, .. } = client.get("/store", None).await {
                let answered = Instant::now();
                said.lock().push(Said {
                    asked,
                    answered,
                    degraded: body["degraded"].as_str().map(str::to_owned),
                });
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    })
}

async fn survives(engine: &Engine<'_>, fault: Fault) -> Outcome {
    let name = format!("{}-{fault:?}", engine.name);
    let mut rng = fastrand::Rng::with_seed(seed(&format!("outage {name}")));
    let proxy = Proxy::start(&format!("127.0.0.1:{}", engine.port)).await?;
    let (behind, secret, folder) = (proxy.url_of(engine.url)?, secret()?, tempfile::tempdir()?);
    let spool = folder.path().join("spool.db");
    let env = [
        ("STORE_URL", &*behind),
        ("SESSION_SECRET", &secret),
        ("MAX_AGE_MS", "3600000"),
        ("SPOOL", spool.to_str().ok_or("a path in UTF-8")?),
    ];
    let server = PeerApp::start(env!("CARGO_BIN_EXE_peer"), &env).await?;
    let store = open_logins(engine.url, &LoginOptions::default()).await?;
    let mut crowd = Crowd::new(&name, &server.url(), CLIENTS, &mut rng)?;
    let said = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let watching = watch(&crowd, said.clone());
    let client = crowd.client.clone();
    let times = crowd.during(async {
        tokio::time::sleep(BEFORE).await;
        let began = Instant::now();
        fault.begin(&proxy).await?;
        let known = eventually("the outage to be known", fault.noticed_within(engine.timeout), async || {
            said.lock().last().is_some_and(|said| said.degraded.is_some()).then(Instant::now)
        });
        let known = known.await?;
        let user = goes_on(&client, &name).await?;
        tokio::time::sleep_until((began + outage()).max(known + KNOWN_FOR).into()).await;
        let over = Instant::now();
        proxy.restore().await?;
        let whole = eventually("the store to be whole", DRAIN_LIMIT, async || {
            said.lock().last().is_some_and(|said| said.degraded.is_none()).then(Instant::now)
        });
        let whole = whole.await?;
        is_handed_over(&*store, &user).await?;
        Outcome::Ok(Times { began, known, over, whole })
    });
    let times = times.await??;
    let finished = eventually("the store to be whole for good", DRAIN_LIMIT, async || {
        let Answer::Acknowledged { body, .. } = client.get("/store", None).await else { return None };
        body["degraded"].is_null().then_some(())
    });
    finished.await?;
    is_empty(&spool)?;
    watching.abort();
    told_the_truth(&said.lock(), &times)?;
    let sign_ins: Vec<SignIn> = crowd.sign_ins().collect();
    let during = sign_ins_went_on(&sign_ins, &times)?;
    let checked = crowd.check_for_good(&*store, engine.renewal).await?;
    let Times { began, known, over, whole } = times;
    println!(
        "{name}: known after {:?}, away {:?}, whole {:?} later; {during}; {:?}, in the end {checked:?}",
        known - began,
        over - began,
        whole - over,
        crowd.counts()
    );
    Ok(())
}

/// The moments of one outage.
struct Times {
    began: Instant,
    known: Instant,
    over: Instant,
    whole: Instant,
}

/// Somebody signs in while the store is away, is known, changes the session, and is answered right each time.
async fn goes_on(client: &load::Client, name: &str) -> Outcome<String> {
    let user = format!("{name}-meanwhile");
    let signed_in = client.post("/set", None, &json!({"userId": user, "n": 1})).await;
    let Answer::Acknowledged { cookie: Some(cookie), .. } = signed_in else {
        return Err(format!("{name}: a sign-in during the outage got {signed_in:?}").into());
    };
    for n in 2..5 {
        let changed = client.post("/late", Some(&cookie), &json!({"delay_ms": 0, "set": {"n": n}})).await;
        let seen = client.get("/get", Some(&cookie)).await;
        let shows = matches!(&seen, Answer::Acknowledged { body, .. } if body["session"]["n"] == json!(n));
        if !matches!(changed, Answer::Acknowledged { .. }) || !shows {
            return Err(
                format!("{name}: a spooled session: change {n} got {changed:?}, then {seen:?}").into()
            );
        }
    }
    Ok(user)
}

/// Asked the moment the server says that all is well: what it kept meanwhile is in the store itself.
async fn is_handed_over(store: &dyn LoginStore, user: &str) -> Outcome {
    let user = UserId::parse(user).ok_or("a user")?;
    match store.list(&user, SystemClock.now()).await?.len() {
        1 => Ok(()),
        count => Err(format!("called whole with {count} sessions of {} in the store", user.as_str()).into()),
    }
}

/// Looks into the spool's file itself, as nobody's word should count for it.
fn is_empty(spool: &Path) -> Outcome {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(spool, flags)?;
    for table in ["sessile_login", "spool_end", "spool_unreadable"] {
        let rows: i64 = db.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0))?;
        if rows != 0 {
            return Err(format!("{rows} rows are left in {table} of the spool").into());
        }
    }
    Ok(())
}

/// Well before the outage, degraded from the moment it was noticed until the store was back.
fn told_the_truth(said: &[Said], times: &Times) -> Outcome {
    for said in said {
        let is_degraded = said.degraded.is_some();
        let too_early = is_degraded && said.answered < times.began;
        let hidden = !is_degraded && said.asked >= times.known && said.answered <= times.over;
        if too_early || hidden {
            let at = said.asked.saturating_duration_since(times.began);
            return Err(format!("{at:?} after the outage began it said {said:?}").into());
        }
    }
    Ok(())
}

/// Every sign-in since the outage was known succeeded, and quickly.
fn sign_ins_went_on(sign_ins: &[SignIn], times: &Times) -> Outcome<String> {
    let during: Vec<&SignIn> =
        sign_ins.iter().filter(|sign_in| (times.known..times.over).contains(&sign_in.at)).collect();
    let failed = sign_ins.iter().filter(|sign_in| !sign_in.acknowledged).count();
    let slowest = during.iter().map(|sign_in| sign_in.took).max().unwrap_or_default();
    let told = format!("{} sign-ins meanwhile, the slowest {slowest:?}", during.len());
    if failed > 0 || slowest > SPOOLED_LIMIT {
        return Err(format!("{failed} of {} sign-ins failed; {told}", sign_ins.len()).into());
    }
    Ok(told)
}

/// The three ways at once, each with a server, a proxy and clients of its own.
async fn survives_all(engine: &Engine<'_>) -> Outcome {
    let (cut, hang, no_replies) = tokio::join!(
        Box::pin(survives(engine, Fault::Cut)),
        Box::pin(survives(engine, Fault::Hang)),
        Box::pin(survives(engine, Fault::NoReplies)),
    );
    let failed: Vec<String> = [("cut", cut), ("hang", hang), ("no replies", no_replies)]
        .into_iter()
        .filter_map(|(fault, outcome)| Some(format!("{fault}: {}", outcome.err()?)))
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_postgres() -> Outcome {
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    note_secret(url::Url::parse(&url)?.password().ok_or("a password")?)?;
    let timeout = Duration::from_secs(10);
    let engine =
        Engine { name: "postgres", url: &url, port: postgres.port(), timeout, renewal: Renewal::OneStep };
    survives_all(&engine).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_redis() -> Outcome {
    let redis = Redis::start_with(Persistence::EveryWrite).await?;
    let url = redis.url();
    let timeout = Duration::from_secs(5);
    let engine = Engine { name: "redis", url: &url, port: redis.port(), timeout, renewal: Renewal::TwoSteps };
    survives_all(&engine).await
}

/// People who sign in one after another, each with the answer.
async fn sign_in_until(
    program: Arc<Program>,
    number: usize,
    stop: Arc<AtomicBool>,
) -> Vec<(SignIn, String, Result<String, String>)> {
    let mut signed_in = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let (email, at) = (format!("person-{number}-{}@example.com", signed_in.len()), Instant::now());
        let answer = program.sign_in(&email).await;
        let sign_in = SignIn { at, took: at.elapsed(), acknowledged: answer.is_ok() };
        signed_in.push((sign_in, email, answer));
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
    signed_in
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_signs_people_in_and_tells_the_truth_in_readyz() -> Outcome {
    let postgres = Postgres::start().await?;
    let url = postgres.url();
    note_secret(url::Url::parse(&url)?.password().ok_or("a password")?)?;
    let proxy = Proxy::start(&format!("127.0.0.1:{}", postgres.port())).await?;
    let program = Arc::new(Program::start(&proxy.url_of(&url)?, &secret()?).await?);
    let (said, stop) = (Arc::new(parking_lot::Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let watching = tokio::spawn({
        let (program, said) = (program.clone(), said.clone());
        async move {
            loop {
                let asked = Instant::now();
                let answer = program.readiness().await.unwrap_or_default();
                // Also no answer at all is one, and a wrong one: sign-ins go on, so it can serve.
                let degraded = (answer["status"] != "ready").then(|| answer["status"].to_string());
                said.lock().push(Said { asked, answered: Instant::now(), degraded });
                tokio::time::sleep(WATCH_INTERVAL).await;
            }
        }
    });
    let people: Vec<_> = (0..SIGNING_IN)
        .map(|number| tokio::spawn(sign_in_until(program.clone(), number, stop.clone())))
        .collect();
    tokio::time::sleep(BEFORE).await;
    let began = Instant::now();
    proxy.cut().await?;
    let is_degraded = |degraded: bool| {
        let said = said.clone();
        async move || {
            let last = said.lock().last().is_some_and(|said| said.degraded.is_some() == degraded);
            last.then(Instant::now)
        }
    };
    let known =
        eventually("the outage to be known", Fault::Cut.noticed_within(SLACK), is_degraded(true)).await?;
    tokio::time::sleep_until((began + outage()).max(known + KNOWN_FOR).into()).await;
    let over = Instant::now();
    proxy.restore().await?;
    let whole = eventually("the store to be whole", DRAIN_LIMIT, is_degraded(false)).await?;
    stop.store(true, Ordering::Relaxed);
    watching.abort();
    let times = Times { began, known, over, whole };
    told_the_truth(&said.lock(), &times)?;
    let other = said
        .lock()
        .iter()
        .find(|said| said.degraded.as_deref().is_some_and(|it| it != "\"degraded\""))
        .cloned();
    assert!(other.is_none(), "neither ready nor degraded: {other:?}");
    let mut sign_ins = Vec::new();
    for person in people {
        for (sign_in, email, answer) in person.await? {
            sign_ins.push(sign_in);
            let cookie = answer?;
            // The directory of users has a spool and a pause of its own.
            let shown = eventually("the users to be known", DRAIN_LIMIT, async || {
                program.email_of(&cookie).await.ok()
            });
            let shown = shown.await.map_err(|error| format!("{email}: {error}"))?;
            assert_eq!(shown, email, "afterwards everybody is who they signed in as");
        }
    }
    let during = sign_ins_went_on(&sign_ins, &times)?;
    println!("program: known after {:?}, whole {:?} after the end; {during}", known - began, whole - over);
    Ok(())
}
