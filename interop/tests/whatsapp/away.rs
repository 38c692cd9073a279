//! The database is away while a device is paired, idle and sending, for one process with a disk and for many; and somebody
//! else has had the device meanwhile: then the journal is put aside and never merged.

use super::hosts::{Host, Place, Told};
use super::load::{Outcome, is_long};
use super::{PEER, SOON};
use sessile_interop::servers::eventually;
use sessile_sandbox_whatsapp::FakeWhatsApp;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many processes may want the device, as a setting.
const NODES: &str = "SESSILE_WHATSAPP_NODES";
/// Longer than a device waits before it connects anew.
const BACK: Duration = Duration::from_secs(45);
/// How long a look at the database's progress may take.
const LEVEL: Duration = Duration::from_secs(20);

/// How long the database is away.
fn outage() -> Duration {
    Duration::from_secs(if is_long() { 60 } else { 3 })
}

/// How many processes there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nodes {
    One,
    Many,
}

impl Nodes {
    fn setting(self) -> (&'static str, &'static str) {
        (NODES, if self == Self::One { "one" } else { "many" })
    }
}

impl Host {
    async fn status_now(&self) -> Outcome<String> {
        let told = self.get("status").await?;
        Ok(told.body["data"]["connectionStatus"].as_str().unwrap_or_default().to_owned())
    }

    async fn storage(&self) -> Outcome<serde_json::Value> {
        Ok(self.get("session-info").await?.body["data"]["storage"].clone())
    }

    /// The database has every step, and nobody complains any more.
    async fn is_level(&self) -> Outcome {
        let mut last = serde_json::Value::Null;
        let level = eventually("the database to have every step", LEVEL, async || {
            last = self.storage().await.ok()?;
            (last["waitingSteps"] == 0 && last["degraded"] == false).then_some(())
        });
        level.await.map_err(|error| format!("{error}: {last}"))?;
        let stored = self.sql("select version from whatsapp_sessions where client_id = 'shop'").await?;
        let ours = self.storage().await?["version"].to_string();
        assert!(stored.clone().unwrap_or_default().parse::<u64>()? >= last["version"].as_u64().unwrap_or(0));
        println!("the database is at step {}, this process at {ours}", stored.unwrap_or_default());
        Ok(())
    }

    /// Sends one message after the other for so long; those that were acknowledged.
    async fn sends_for(&self, how_long: Duration, name: &str) -> Vec<String> {
        let (begun, mut acknowledged) = (Instant::now(), Vec::new());
        for number in 0.. {
            let Some(left) = how_long.checked_sub(begun.elapsed()) else { break };
            let (text, key) = (format!("{name} {number}"), format!("{name}-{number}"));
            let sending = tokio::time::timeout(left, self.send(PEER, &text, Some(&key)));
            if let Ok(Ok(Told { status: 200, .. })) = sending.await {
                acknowledged.push(text);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        acknowledged
    }
}

/// What was acknowledged is read, the device was linked once, and no key came twice.
async fn check(whatsapp: &FakeWhatsApp, acknowledged: &[String], links_at_most: usize) -> Outcome {
    let peer = whatsapp.peer(PEER);
    let arrived = whatsapp.until(SOON, |_| {
        let texts: Vec<_> = peer.messages().into_iter().filter_map(|message| message.text).collect();
        acknowledged.iter().all(|text| texts.contains(text)).then_some(())
    });
    arrived.await.ok_or("an acknowledged message did not arrive")?;
    let links = whatsapp.connections().into_iter().filter(|each| each.purpose == "link").count();
    assert!(links <= links_at_most, "it was linked {links} times");
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
    Ok(())
}

/// Paired while the database is away: one process has the keys on its own disk and goes on; of many, none tells the phone
/// that it is linked before the database has the keys.
async fn away_while_it_is_paired(nodes: Nodes) -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start_with(&whatsapp, Place::Shaky, &[nodes.setting()]).await?;
    let code = host.code().await?;
    host.network()?.cut().await?;
    let phone = whatsapp.phone();
    let scanning = tokio::spawn(async move { phone.scan(&code).await });
    let cut = Instant::now();
    if nodes == Nodes::One {
        host.ready().await?;
        assert!(cut.elapsed() < outage() + SOON);
        host.sends(&whatsapp, "while the database is away").await?;
        let storage = host.storage().await?;
        assert_eq!((&storage["mode"], &storage["degraded"]), (&"one_node".into(), &true.into()), "{storage}");
    }
    while cut.elapsed() < outage() {
        if nodes == Nodes::Many {
            assert!(whatsapp.phone().devices().is_empty(), "linked, and the database has no keys");
            assert_ne!(host.status_now().await?, "ready");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    host.network()?.restore().await?;
    let scanned = scanning.await?;
    println!("{nodes:?}: paired while the database was away: {scanned:?}");
    if host.ready_within(BACK).await.is_err() {
        assert!(scanned.is_err(), "linked, and never ready");
        if whatsapp.phone().devices().is_empty() {
            host.post("reconnect", &serde_json::json!({})).await?;
            host.pair(&whatsapp).await?;
        }
    }
    host.is_level().await?;
    host.server.kill_9().await?;
    host.server.start().await?;
    host.ready().await?;
    host.sends(&whatsapp, "after the outage").await?;
    // In a long outage the first code may have died with its connection.
    check(&whatsapp, &[], if is_long() { usize::MAX } else { 1 }).await
}

/// Away while the device is idle, and while it sends.
async fn away_while_it_runs(nodes: Nodes) -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start_with(&whatsapp, Place::Shaky, &[nodes.setting()]).await?;
    host.pair(&whatsapp).await?;
    host.sends(&whatsapp, "before").await?;

    host.network()?.cut().await?;
    let (cut, mut seen) = (Instant::now(), std::collections::BTreeSet::new());
    while cut.elapsed() < outage() {
        seen.insert(host.status_now().await?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let gives_up = nodes == Nodes::Many && is_long();
    assert_eq!(seen.contains("degraded_storage"), gives_up, "while idle: {seen:?}");
    host.network()?.restore().await?;
    host.ready_within(BACK).await?;
    host.is_level().await?;

    host.network()?.cut().await?;
    let mut acknowledged = host.sends_for(outage(), "away").await;
    if nodes == Nodes::One {
        assert!(!acknowledged.is_empty(), "one process with its disk goes on");
        assert_eq!(host.status_now().await?, "ready");
    }
    println!("{nodes:?}: {} messages acknowledged while the database was away", acknowledged.len());
    host.network()?.restore().await?;
    host.ready_within(BACK).await?;
    host.is_level().await?;
    host.server.kill_9().await?;
    host.server.start().await?;
    host.ready().await?;
    host.sends(&whatsapp, "after the outage").await?;
    acknowledged.push("after the outage".to_owned());
    check(&whatsapp, &acknowledged, 1).await
}

/// While the database is away from this process somebody else gets the device there.
async fn another_owner_meanwhile(nodes: Nodes) -> Outcome {
    const TAKE: &str = "update whatsapp_sessions set epoch = epoch + 1, owner = 'somebody else', \
        lease_until = now() + interval '1 hour' where client_id = 'shop' returning version";
    const VERSION: &str = "select version from whatsapp_sessions where client_id = 'shop'";
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start_with(&whatsapp, Place::Shaky, &[nodes.setting()]).await?;
    host.pair(&whatsapp).await?;
    host.sends(&whatsapp, "before").await?;
    host.is_level().await?;
    host.network()?.cut().await?;
    let acknowledged = host.sends_for(Duration::from_secs(2), "away").await;
    let taken = host.sql(TAKE).await?.ok_or("no device")?;
    host.network()?.restore().await?;
    host.is_elsewhere().await?;

    let journal = host.server.data().join("whatsapp/journal");
    let aside = || -> Outcome<Vec<PathBuf>> {
        let names = std::fs::read_dir(&journal)?.collect::<Result<Vec<_>, _>>()?;
        let fenced = names.iter().map(std::fs::DirEntry::path);
        Ok(fenced.filter(|path| path.to_string_lossy().contains(".journal.fenced")).collect())
    };
    assert_eq!(
        aside()?.len(),
        1,
        "the journal was not put aside: {:?}",
        std::fs::read_dir(&journal)?.count()
    );
    assert!(host.server.said().contains("is put aside and never merged"), "nobody was told");
    assert_eq!(host.sql(VERSION).await?.ok_or("no device")?, taken, "a step was merged");
    println!("{nodes:?}: {} acknowledged messages before the journal was put aside", acknowledged.len());

    // With many nodes nothing that left is missing in the database, so it goes on when it is free again.
    if nodes == Nodes::Many {
        host.sql("update whatsapp_sessions set lease_until = null where client_id = 'shop'").await?;
        host.ready_within(BACK).await?;
        host.sends(&whatsapp, "with what the database has").await?;
    }
    host.server.kill_9().await?;
    check(&whatsapp, &acknowledged, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_is_paired_while_its_database_is_away() -> Outcome {
    away_while_it_is_paired(Nodes::One).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_nodes_none_is_paired_before_the_database_has_its_keys() -> Outcome {
    away_while_it_is_paired(Nodes::Many).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_goes_on_while_its_database_is_away() -> Outcome {
    away_while_it_runs(Nodes::One).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_nodes_one_comes_back_with_its_database() -> Outcome {
    away_while_it_runs(Nodes::Many).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_one_node_is_put_aside_when_somebody_else_had_the_device() -> Outcome {
    another_owner_meanwhile(Nodes::One).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_many_nodes_is_put_aside_when_somebody_else_had_the_device() -> Outcome {
    another_owner_meanwhile(Nodes::Many).await
}
