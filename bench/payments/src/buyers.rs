//! Many buyers at once, each paying again and again, counted for some seconds.

use crate::ours::Ours;
use crate::{peer_postgres, peer_sqlite};
use anyhow::Result;
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Before counting begins.
const WARM_UP: Duration = Duration::from_millis(700);

/// Who is measured.
pub(crate) enum Contender {
    Ours(Ours),
    PeerPostgres(peer_postgres::Peer),
    PeerSqlite(peer_sqlite::Peer),
}

/// One purchase, the same for everybody.
pub(crate) struct Purchase {
    pub(crate) user: String,
    pub(crate) key: String,
    pub(crate) trans: i64,
}

/// What one measurement counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

static NEXT: AtomicI64 = AtomicI64::new(1_000_000);

impl Purchase {
    fn next() -> Self {
        let trans = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { user: uuid::Uuid::new_v4().to_string(), key: format!("bench-{trans}-{}", uuid::Uuid::new_v4()), trans }
    }
}

impl Contender {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "ours",
            Self::PeerPostgres(_) | Self::PeerSqlite(_) => "peer",
        }
    }

    async fn pay(&self, purchase: Purchase) -> Result<()> {
        match self {
            Self::Ours(ours) => ours.pay(purchase).await,
            Self::PeerPostgres(peer) => peer.pay(purchase).await,
            Self::PeerSqlite(peer) => peer.pay(purchase).await,
        }
    }
}

pub(crate) async fn measure(contender: &Contender, buyers: usize, count: Duration) -> Result<Round> {
    let counting = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let done = AtomicU64::new(0);
    let clock = async {
        tokio::time::sleep(WARM_UP).await;
        counting.store(true, Ordering::Relaxed);
        let began = Instant::now();
        tokio::time::sleep(count).await;
        counting.store(false, Ordering::Relaxed);
        let took = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        Ok::<Duration, anyhow::Error>(took)
    };
    let buyer = || async {
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            contender.pay(Purchase::next()).await?;
            if counting.load(Ordering::Relaxed) {
                done.fetch_add(1, Ordering::Relaxed);
                times.push(began.elapsed());
            }
        }
        Ok::<Vec<Duration>, anyhow::Error>(times)
    };
    let everybody = try_join_all((0..buyers).map(|_| buyer()));
    let (took, times) = tokio::try_join!(clock, everybody)?;
    let mut times: Vec<f64> = times.into_iter().flatten().map(|time| time.as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(0.0);
    Ok(Round {
        rate: done.load(Ordering::Relaxed) as f64 / took.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}
