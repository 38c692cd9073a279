//! The program dies at its commit points, one after the other: within each write to the disk, before and after each step
//! is in the database, before it is acknowledged. Afterwards the device logs in, and no key is used twice.

use super::hosts::{Host, Place, Told};
use super::load::{Outcome, is_long, seed};
use super::{PEER, SOON};
use serde_json::json;
use sessile_interop::servers::eventually;
use sessile_sandbox_whatsapp::FakeWhatsApp;
use std::collections::BTreeMap;

/// What lets a debug build die at its K-th failpoint.
const ABORT_AT: &str = "SESSILE_TEST_ABORT_AT";
/// Messages in one life.
const MESSAGES: usize = 3;
/// More commit points than a life has.
const POINTS_MAX: u64 = 2000;
/// Points that are tried where not all of them are, and among how many first ones.
const TRIED: usize = 1;
const AMONG: u64 = 60;

/// The points to try: all of them in a long run.
fn points(name: &str, tried: usize) -> Vec<u64> {
    if is_long() {
        return (1..POINTS_MAX).collect();
    }
    let mut rng = fastrand::Rng::with_seed(seed(name));
    let mut points: Vec<u64> = (1..=AMONG).collect();
    rng.shuffle(&mut points);
    points.truncate(tried);
    points.sort_unstable();
    points
}

/// Which points were met, and how often.
#[derive(Default)]
struct Met {
    names: BTreeMap<String, u32>,
    all: u32,
}

impl Met {
    /// What the program said when it died.
    fn note(&mut self, host: &Host, point: u64) -> Outcome {
        let begin = format!("failpoint {point}: ");
        let said = host.server.said();
        let name = said.lines().rev().find_map(|line| line.strip_prefix(&begin));
        let name = name.ok_or_else(|| format!("it did not die at point {point}; it said:\n{said}"))?;
        *self.names.entry(name.to_owned()).or_default() += 1;
        self.all += 1;
        Ok(())
    }
}

impl Host {
    /// Whether the program has died before `what` was so.
    async fn dies_before(&mut self, what: &str) -> Outcome<bool> {
        let begun = std::time::Instant::now();
        loop {
            if self.server.has_ended()? {
                return Ok(true);
            }
            if self.get("status").await.is_ok_and(|told| told.body["data"]["connectionStatus"] == what) {
                return Ok(false);
            }
            if begun.elapsed() > SOON {
                return Err(format!("neither dead nor {what}: {}", self.server.said()).into());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Logs in and sends, unless it dies before; says whether it did.
    async fn lives(&mut self, life: u64, acknowledged: &mut Vec<String>) -> Outcome<bool> {
        if self.dies_before("ready").await? {
            return Ok(true);
        }
        for number in 0..MESSAGES {
            let text = format!("life {life}, message {number}");
            match self.send(PEER, &text, Some(&format!("{life}.{number}"))).await {
                Ok(Told { status: 200, .. }) => acknowledged.push(text),
                // Dead, or about to be.
                Ok(_) | Err(_) => break,
            }
        }
        // Receipts are stored after the answer: the last points of a life come then.
        let dead = async || self.server.has_ended().unwrap_or(false).then_some(());
        Ok(eventually("its death", std::time::Duration::from_millis(300), dead).await.is_ok())
    }
}

/// A device that is paired dies at a point of its next life, and comes back.
async fn dies_while_it_runs(place: Place) -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, place).await?;
    host.pair(&whatsapp).await?;
    let (mut met, mut acknowledged) = (Met::default(), Vec::new());
    for point in points("points while it runs", TRIED) {
        host.server.kill_9().await?;
        host.server.set(ABORT_AT, Some(&point.to_string()));
        host.server.spawn().await?;
        if !host.lives(point, &mut acknowledged).await? {
            break;
        }
        met.note(&host, point)?;
        host.server.set(ABORT_AT, None);
        host.server.start().await?;
        host.ready().await?;
        host.sends(&whatsapp, &format!("after point {point}")).await?;
        assert!(whatsapp.ratchet_reuse().is_empty(), "point {point}: {:?}", whatsapp.ratchet_reuse());
    }
    println!("{place:?}: died at {} commit points while it ran: {:?}", met.all, met.names);
    assert!(met.all > 0, "it never died");
    let links = whatsapp.connections().into_iter().filter(|each| each.purpose == "link").count();
    assert_eq!(links, 1, "it was linked once and never again");
    let peer = whatsapp.peer(PEER);
    let arrived = whatsapp.until(SOON, |_| {
        let texts: Vec<_> = peer.messages().into_iter().filter_map(|message| message.text).collect();
        acknowledged.iter().all(|text| texts.contains(text)).then_some(())
    });
    arrived.await.ok_or_else(|| "an acknowledged message did not arrive".into())
}

/// A device dies at a point of its pairing. If the phone lists it, it logs in without a code; if not, it can be paired.
async fn dies_while_it_is_paired(place: Place, tried: usize) -> Outcome {
    let mut met = Met::default();
    let (mut linked, mut not_linked) = (0, 0);
    for point in points("points while it is paired", tried) {
        let whatsapp = FakeWhatsApp::start().await?;
        let mut host = Host::start(&whatsapp, place).await?;
        host.server.kill_9().await?;
        host.server.set(ABORT_AT, Some(&point.to_string()));
        host.server.spawn().await?;
        if !host.is_paired_unless_it_dies(&whatsapp).await? {
            break;
        }
        met.note(&host, point)?;
        host.server.set(ABORT_AT, None);
        host.server.start().await?;
        if whatsapp.phone().devices().is_empty() {
            not_linked += 1;
            host.is_paired_anew(&whatsapp).await?;
        } else {
            linked += 1;
            host.ready().await.map_err(|error| format!("point {point}, linked: {error}"))?;
        }
        host.sends(&whatsapp, "after the pairing").await?;
        assert!(whatsapp.ratchet_reuse().is_empty(), "point {point}: {:?}", whatsapp.ratchet_reuse());
    }
    println!(
        "{place:?}: died at {} commit points of a pairing, {linked} after the phone had linked it and {not_linked} before: {:?}",
        met.all, met.names
    );
    assert!(met.all > 0, "it never died");
    Ok(())
}

impl Host {
    /// Shows its code and is scanned; whether it died before it was ready.
    async fn is_paired_unless_it_dies(&mut self, whatsapp: &FakeWhatsApp) -> Outcome<bool> {
        let begun = std::time::Instant::now();
        let code = loop {
            if let Some(code) = self.code_now().await {
                break code;
            }
            if self.server.has_ended()? {
                return Ok(true);
            }
            if begun.elapsed() > SOON {
                return Err(format!("neither dead nor a code: {}", self.server.said()).into());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        // The phone waits for what a dead device cannot say.
        let scanned = whatsapp.phone().scan(&code).await;
        let died = self.dies_before("ready").await?;
        if died { Ok(true) } else { scanned.map(|_| false).map_err(Into::into) }
    }

    /// A device that the phone does not know: its keys, if it has any, are refused and destroyed, and it is linked.
    async fn is_paired_anew(&mut self, whatsapp: &FakeWhatsApp) -> Outcome {
        eventually("a device that can be linked", SOON, async || {
            let told = self.get("qr").await.ok()?;
            if told.body["data"]["qrCode"].is_string() {
                return Some(());
            }
            if told.body["data"]["connectionStatus"] == "logged_out" {
                self.post("reconnect", &json!({})).await.ok()?;
            }
            None
        })
        .await?;
        self.pair(whatsapp).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_files_dies_at_its_commit_points() -> Outcome {
    dies_while_it_runs(Place::Files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_sqlite_dies_at_its_commit_points() -> Outcome {
    dies_while_it_runs(Place::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_postgres_dies_at_its_commit_points() -> Outcome {
    dies_while_it_runs(Place::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pairing_into_files_dies_at_its_commit_points() -> Outcome {
    dies_while_it_is_paired(Place::Files, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pairing_into_postgres_dies_at_its_commit_points() -> Outcome {
    dies_while_it_is_paired(Place::Postgres, 1).await
}
