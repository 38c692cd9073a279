//! Buyers order and pay videos while `sessile serve`, two `sessile worker` and Redis are killed (`kill -9`) at random
//! moments, against a Stripe and a generator that lose answers, throttle, stumble, repeat and reorder. In the end every
//! paid prompt is made: no job is lost, none is stuck, and the generator was asked for each video exactly once.
//!
//! The same on a Redis Cluster in which a replica takes a killed master's place, and once on a Redis that forgets: that
//! has to be noticed.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[expect(dead_code, reason = "each test uses its part of the shared shop")]
#[path = "shop/server.rs"]
mod server;

#[path = "kill_generations/books.rs"]
mod books;
#[path = "kill_generations/buyers.rs"]
mod buyers;
#[path = "kill_generations/studio.rs"]
mod studio;

use buyers::Buyers;
use load::{Outcome, is_long, seed};
use sessile_interop::servers::{Persistence, Redis, RedisCluster};
use sessile_sandbox::superduperai::FILES;
use std::time::Duration;
use studio::Studio;

/// The longest that buyers pay before a kill, and that Redis stays away.
const BEFORE_MS: u64 = 900;
const AWAY_MS: u64 = 300;
/// Of so many kills one is the server's, and three are a worker's; the others are the store's.
const DICE: u32 = 8;

/// Jobs of three videos, and kills meanwhile.
fn size() -> (usize, usize) {
    if is_long() { (500, 60) } else { (24, 6) }
}

/// What is killed beside the program.
enum Killed {
    /// A Redis, which comes back.
    Redis(Box<Redis>),
    /// One master of a Cluster, whose replica takes its place; it comes back some kills later.
    Master { cluster: RedisCluster, at: usize, down: Option<usize> },
}

impl Killed {
    /// How many kills of the store there are at the least, and at which wave.
    fn is_due(&self, wave: usize, waves: usize, rng: &mut fastrand::Rng) -> bool {
        match self {
            Self::Redis(_) => wave == waves / 2 || rng.u32(..DICE) >= 4,
            Self::Master { at, .. } => wave == *at,
        }
    }

    async fn kill(&mut self, sync: Persistence, rng: &mut fastrand::Rng) -> Outcome<String> {
        match self {
            Self::Redis(redis) => {
                let away = Duration::from_millis(rng.u64(..AWAY_MS));
                if sync == Persistence::EverySecond {
                    // Only then does the death of the process alone lose nothing.
                    redis.wait_until_written().await?;
                }
                redis.kill_9().await?;
                tokio::time::sleep(away).await;
                redis.restart().await?;
                Ok(format!("Redis, away {away:?}"))
            }
            Self::Master { cluster, down, .. } => {
                let master = rng.usize(..3);
                *down = Some(cluster.fail_over(master).await?);
                Ok(format!("master {master} of the Cluster; its replica took over"))
            }
        }
    }

    /// A master that was killed comes back as a replica.
    async fn mend(&mut self) -> Outcome {
        if let Self::Master { cluster, down, .. } = self
            && let Some(node) = down.take()
        {
            cluster.nodes_mut()[node].restart().await?;
            cluster.wait_until_serving().await?;
        }
        Ok(())
    }
}

/// One wave of buyers after the other, each with a kill in its middle; then everything is made, and held against what
/// Stripe and the generator saw.
async fn lived(name: &str, url: &str, sync: Persistence, mut killed: Killed) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed(name));
    let (jobs, kills) = size();
    let mut studio = Studio::open(name, url).await?;
    let mut buyers = Buyers::new(rng.u64(..));
    for wave in 0..kills {
        let share = (jobs - buyers.count()).div_ceil(kills - wave);
        let moment = Duration::from_millis(rng.u64(..BEFORE_MS));
        let Studio { till, processes } = &mut studio;
        let strike = async {
            tokio::time::sleep(moment).await;
            if killed.is_due(wave, kills, &mut rng) {
                killed.kill(sync, &mut rng).await
            } else {
                processes.kill(rng.usize(..)).await
            }
        };
        let (paid, what) = tokio::join!(buyers.buy(till, share), strike);
        let (paid, what) = (paid?, what?);
        println!("{name}: kill {} after {moment:?}: {what}; {paid} jobs paid in this wave", wave + 1);
        if wave + 2 == kills {
            killed.mend().await?;
        }
    }
    let told = books::settle(url, &studio.till, &buyers).await.map_err(|error| format!("{name}: {error}"))?;
    println!("{name}: {told}");
    let met = buyers.unanswered() + studio.till.maker().count(FILES);
    assert!(met > 0, "no kill met anything under way");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_syncs_always() -> Outcome {
    let sync = Persistence::EveryWrite;
    let redis = Redis::start_with(sync).await?;
    let url = redis.url();
    lived("generations-always", &url, sync, Killed::Redis(Box::new(redis))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_syncs_every_second() -> Outcome {
    let sync = Persistence::EverySecond;
    let redis = Redis::start_with(sync).await?;
    let url = redis.url();
    lived("generations-everysec", &url, sync, Killed::Redis(Box::new(redis))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_a_failover_in_the_middle() -> Outcome {
    let cluster = RedisCluster::start_with(1).await?;
    let url = cluster.url();
    let at = size().1 / 2;
    let killed = Killed::Master { cluster, at, down: None };
    lived("generations-cluster", &url, Persistence::EveryWrite, killed).await
}

/// Holds the tests above against a Redis that keeps nothing over its death: they have to notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_forgets_is_noticed() -> Outcome {
    let sync = Persistence::Nothing;
    let redis = Redis::start_with(sync).await?;
    let url = redis.url();
    let lived = lived("generations-forgetful", &url, sync, Killed::Redis(Box::new(redis))).await;
    let Err(broken) = lived else { return Err("a Redis that forgets passed".into()) };
    println!("generations-forgetful: {broken}");
    assert!(broken.to_string().contains("lost"), "{broken}");
    Ok(())
}
