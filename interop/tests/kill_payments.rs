//! Buyers pay by hundreds while the server is killed (`kill -9`) again and again, on SQLite and on Postgres, and while
//! Postgres is killed under a living server. In the end CLICK's books and ours tell the same: whatever money was taken
//! bought its thing once, every coupon is within its limit, nothing is left under way, and the audit holds.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[expect(dead_code, reason = "each test uses its part of the shared shop")]
mod shop;

#[path = "kill_payments/books.rs"]
mod books;
#[path = "kill_payments/buyers.rs"]
mod buyers;

use books::Books;
use buyers::{Buyer, Buyers, COUPONS, STEPS};
use load::{Outcome, is_long, note_secret, seed};
use sessile_interop::servers::{Postgres, eventually};
use shop::{PATIENT, Server, Shop};
use std::ops::Range;
use std::time::Duration;

/// The longest that buyers pay before a kill, and how long Postgres stays away.
const BEFORE_LIMIT: Duration = Duration::from_secs(60);
const AWAY_MS: Range<u64> = 0..300;
/// And a moment more, so that a kill meets requests at any of their stages.
const MOMENT_US: Range<u64> = 0..10_000;
/// How long a server that is killed while it starts has had for that.
const STARTING_MS: Range<u64> = 0..200;
/// Tries of one message where it is refused because what was promised is gone.
const IMPATIENT: u32 = 8;
/// One kill in so many is followed by another one while the server starts.
const AGAIN: u32 = 3;

/// Payments that are completed, and kills meanwhile.
fn size() -> (usize, usize) {
    if is_long() { (1000, 40) } else { (160, 5) }
}

async fn open(name: &str, database: Option<&str>, tries_max: u32) -> Outcome<Shop> {
    let shop = Shop::open(name, database, tries_max).await?;
    let (payments, _) = size();
    for coupon in COUPONS {
        shop.till.make_coupon(&coupon.as_json(payments)).await?;
    }
    Ok(shop)
}

/// One wave of buyers after the other, with `kill` in the middle of each.
async fn waves(
    name: &str,
    shop: &mut Shop,
    rng: &mut fastrand::Rng,
    mut kill: impl AsyncFnMut(&mut Server, &mut fastrand::Rng) -> Outcome<String>,
) -> Outcome<Buyers> {
    let (payments, kills) = size();
    let mut buyers = Buyers::new(payments, is_long());
    let Shop { till, server } = shop;
    for number in 1..=kills {
        let wave: Vec<Buyer> = buyers.wave(payments.div_ceil(kills));
        // So many of the wave's steps are made before the kill: some time in its first two thirds.
        let before = rng.usize(..STEPS * wave.len() * 2 / 3);
        let until = buyers.steps() + before;
        let moment = Duration::from_micros(rng.u64(MOMENT_US));
        let killed = async {
            eventually("buyers to pay", BEFORE_LIMIT, async || (buyers.steps() >= until).then_some(()))
                .await?;
            tokio::time::sleep(moment).await;
            kill(server, rng).await
        };
        let (paid, how) = tokio::join!(buyers.pay(till, wave), killed);
        let (paid, how) = (paid?, how?);
        println!("{name}: kill {number} after {before} steps{how}: {paid} payments in this wave");
    }
    Ok(buyers)
}

/// The end: the server dies once more, and the books are opened behind it.
async fn hold(name: &str, shop: &mut Shop, url: &str, buyers: Buyers) -> Outcome {
    let Shop { till, server } = shop;
    let books = Books::settled(url).await?;
    server.kill_9().await?;
    books.hold_against(till, &buyers).map_err(|error| format!("{name}: {error}"))?;
    let verified = server.run(&["audit", "verify"]).await?;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    if !verified.status.success() {
        return Err(format!("{name}: the audit does not hold ({}): {said}", verified.status).into());
    }
    println!("{name}: {}", said.lines().collect::<Vec<_>>().join(" "));
    let lost = till.click().count("unanswered") + buyers.unanswered();
    println!("{name}: {lost} requests without an answer");
    assert!(lost > 0, "no kill met a request under way");
    Ok(())
}

async fn kill_server(server: &mut Server, rng: &mut fastrand::Rng) -> Outcome<String> {
    server.kill_9().await?;
    let mut how = String::new();
    if rng.u32(..AGAIN) == 0 {
        let starting = Duration::from_millis(rng.u64(STARTING_MS));
        server.spawn().await?;
        tokio::time::sleep(starting).await;
        server.kill_9().await?;
        how = format!(" and {starting:?} into its start");
    }
    server.start().await?;
    Ok(how)
}

async fn kill_postgres(postgres: &mut Postgres, rng: &mut fastrand::Rng) -> Outcome<String> {
    let away = Duration::from_millis(rng.u64(AWAY_MS));
    postgres.kill_9().await?;
    tokio::time::sleep(away).await;
    postgres.restart().await?;
    Ok(format!(", away {away:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_on_sqlite() -> Outcome {
    let name = "payments-sqlite";
    let mut rng = fastrand::Rng::with_seed(seed(name));
    let mut shop = open(name, None, PATIENT).await?;
    let buyers = waves(name, &mut shop, &mut rng, kill_server).await?;
    let url = shop.server.file_url();
    hold(name, &mut shop, &url, buyers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_on_postgres() -> Outcome {
    let name = "payments-postgres";
    let mut rng = fastrand::Rng::with_seed(seed(name));
    let postgres = Postgres::start().await?;
    let url = noted(postgres.url())?;
    let mut shop = open(name, Some(&url), PATIENT).await?;
    let buyers = waves(name, &mut shop, &mut rng, kill_server).await?;
    hold(name, &mut shop, &url, buyers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_under_a_living_server() -> Outcome {
    let name = "payments-postgres-killed";
    let mut rng = fastrand::Rng::with_seed(seed(name));
    let mut postgres = Postgres::start().await?;
    let url = noted(postgres.url())?;
    let mut shop = open(name, Some(&url), PATIENT).await?;
    let kill = async |_: &mut Server, rng: &mut fastrand::Rng| kill_postgres(&mut postgres, rng).await;
    let buyers = waves(name, &mut shop, &mut rng, kill).await?;
    hold(name, &mut shop, &url, buyers).await
}

/// Holds the test above against a Postgres that acknowledges before it has written: it has to notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_forgets_is_noticed() -> Outcome {
    let name = "payments-forgetful";
    let mut rng = fastrand::Rng::with_seed(seed(name));
    let mut postgres = Postgres::start().await?;
    postgres.execute("alter role sessile set synchronous_commit = off").await?;
    let url = noted(postgres.url())?;
    let mut shop = open(name, Some(&url), IMPATIENT).await?;
    let kill = async |_: &mut Server, rng: &mut fastrand::Rng| kill_postgres(&mut postgres, rng).await;
    let lived = async {
        let buyers = waves(name, &mut shop, &mut rng, kill).await?;
        hold(name, &mut shop, &url, buyers).await
    };
    let Err(broken) = lived.await else { return Err("a Postgres that forgets passed".into()) };
    println!("{name}: {broken}");
    let told = broken.to_string();
    let noticed = ["could not pay", "CLICK", "processing", "requests made", "got no Prepare", "two answers"];
    assert!(noticed.iter().any(|word| told.contains(word)), "{told}");
    Ok(())
}

fn noted(url: String) -> Outcome<String> {
    note_secret(url::Url::parse(&url)?.password().ok_or("a password")?)?;
    Ok(url)
}
