//! WhatsApp devices end to end: the program as it is released but for the check of WhatsApp's certificates, the real
//! client inside it, and the stand-in server with its phone and its peers. Devices are paired by reading the QR code's
//! picture, the program is killed, its disk is taken away, two of them want one device; and the peers watch that no
//! (chain, counter) ever comes twice.

#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared load")]
mod load;
#[expect(dead_code, unused_imports, reason = "each test uses its part of the shared shop")]
mod shop;

#[path = "whatsapp/away.rs"]
mod away;
#[path = "whatsapp/hosts.rs"]
mod hosts;
#[path = "whatsapp/moves.rs"]
mod moves;
#[path = "whatsapp/points.rs"]
mod points;
#[path = "whatsapp/rest.rs"]
mod rest;

use hosts::{Host, Place, Told};
use load::{Outcome, is_long, seed};
use serde_json::json;
use sessile_sandbox_whatsapp::{FakeWhatsApp, Misbehaviour, Switch};
use std::time::{Duration, Instant};

/// Somebody to write to.
const PEER: &str = "491700000099";
/// How long anything may take that should take a moment.
const SOON: Duration = Duration::from_secs(30);
/// How often a device that was linked once is killed and started again.
const STARTS: usize = 3;
/// How long another process may take to own a device whose owner is gone: the lease, and the rounds that look.
const TAKEOVER: Duration = Duration::from_secs(60);

/// Paired once, killed, started: logged in without a code, and quickly.
async fn comes_back(place: Place) -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, place).await?;
    host.pair(&whatsapp).await?;
    host.sends(&whatsapp, "before the kill").await?;
    let (mut starts, mut logins) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        host.server.kill_9().await?;
        let started = Instant::now();
        host.server.start().await?;
        let up = started.elapsed();
        host.ready().await?;
        starts.push(up.as_millis());
        logins.push((started.elapsed() - up).as_millis());
    }
    println!("{place:?}: ready to serve after {starts:?} ms, logged in {logins:?} ms later");
    let connected =
        |purpose| whatsapp.connections().into_iter().filter(|each| each.purpose == purpose).count();
    // Once when it had been linked, and once for each start: no first attempt failed.
    assert_eq!(connected("device"), 1 + STARTS, "{:?}", whatsapp.connections());
    assert_eq!(connected("link"), 1, "it was linked once and never again");
    host.sends(&whatsapp, "after the kill").await?;
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_files_survives_a_kill() -> Outcome {
    comes_back(Place::Files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_sqlite_survives_a_kill() -> Outcome {
    comes_back(Place::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_postgres_survives_a_kill() -> Outcome {
    comes_back(Place::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_behind_pgbouncer_survives_a_kill() -> Outcome {
    comes_back(Place::PgBouncer).await
}

/// The disk is gone, as after every deploy; the database is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_in_postgres_survives_a_redeploy() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Postgres).await?;
    host.pair(&whatsapp).await?;
    host.server.kill_9().await?;
    host.server.lose_disk()?;
    host.server.start().await?;
    host.ready().await?;
    host.sends(&whatsapp, "from a new disk").await
}

/// Kills at random moments while messages are sent; every message that was acknowledged has arrived, and none came twice
/// under one key.
async fn kills(place: Place) -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, place).await?;
    host.pair(&whatsapp).await?;
    let mut rng = fastrand::Rng::with_seed(seed("kills while sending"));
    let kills = if is_long() { 200 } else { 8 };
    let mut acknowledged = Vec::new();
    for number in 0..kills {
        host.ready().await?;
        let pause = Duration::from_micros(rng.u64(0..500_000));
        let sending = async {
            for part in 0.. {
                let text = format!("message {number}.{part}");
                match host.send(PEER, &text, None).await {
                    Ok(Told { status: 200, .. }) => acknowledged.push(text),
                    Ok(_) | Err(_) => return,
                }
            }
        };
        // Cut off in the middle, as the process is.
        let _ = tokio::time::timeout(pause, sending).await;
        host.server.kill_9().await?;
        host.server.start().await?;
    }
    host.ready().await?;
    let peer = whatsapp.peer(PEER);
    let arrived = whatsapp.until(SOON, |_| {
        let texts: Vec<_> = peer.messages().into_iter().filter_map(|message| message.text).collect();
        acknowledged.iter().all(|text| texts.contains(text)).then_some(texts.len())
    });
    let arrived = arrived.await.ok_or("an acknowledged message did not arrive")?;
    let steps = whatsapp.ratchet_steps().len();
    println!(
        "{place:?}: {kills} kills, {} acknowledged, {arrived} arrived, {steps} ratchet steps",
        acknowledged.len()
    );
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_used_twice_by_a_device_in_files_that_is_killed() -> Outcome {
    kills(Place::Files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_used_twice_by_a_device_in_postgres_that_is_killed() -> Outcome {
    kills(Place::Postgres).await
}

/// One device, two programs: one of them has it; when that one dies the other takes over; one that was paused wakes up
/// fenced and sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn two_programs_and_one_device() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut first = Host::start(&whatsapp, Place::Postgres).await?;
    first.pair(&whatsapp).await?;
    let second = first.beside().await?;
    second.is_elsewhere().await?;
    let refused = second.send(PEER, "not mine", None).await?;
    assert_eq!(refused.status, 503, "{}", refused.body);

    let killed = Instant::now();
    first.server.kill_9().await?;
    second.ready_within(TAKEOVER).await?;
    println!("taken over {} ms after the kill", killed.elapsed().as_millis());
    second.sends(&whatsapp, "from the second").await?;

    // The second falls asleep for longer than its lease; the first comes back and takes over.
    second.server.pause()?;
    first.server.start().await?;
    first.ready_within(TAKEOVER).await?;
    let before = whatsapp.sent().len();
    second.server.resume()?;
    second.is_elsewhere().await?;
    let refused = second.send(PEER, "from a dream", None).await?;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(whatsapp.sent().len(), before, "whoever woke up sent something");
    first.sends(&whatsapp, "from the first again").await?;
    assert!(whatsapp.ratchet_reuse().is_empty(), "{:?}", whatsapp.ratchet_reuse());
    Ok(())
}

/// The phone removes the device; a person logs it out; another client takes its connection.
#[tokio::test(flavor = "multi_thread")]
async fn how_a_device_ends() -> Outcome {
    let whatsapp = FakeWhatsApp::start().await?;
    let mut host = Host::start(&whatsapp, Place::Sqlite).await?;
    host.pair(&whatsapp).await?;
    whatsapp.switch(Switch::new(Misbehaviour::Replaced))?;
    host.is("replaced").await?;
    let again = host.post("reconnect", &json!({})).await?;
    assert_eq!(again.status, 200, "{}", again.body);
    host.ready().await?;

    let linked = whatsapp.phone().devices();
    whatsapp.phone().unlink(linked.first().ok_or("a linked device")?.device)?;
    host.is("logged_out").await?;
    // Started again it is a device that has to be paired.
    host.server.kill_9().await?;
    host.server.start().await?;
    host.pair(&whatsapp).await?;
    let out = host.post("logout", &json!({})).await?;
    assert_eq!((out.status, &out.body["data"]["unlinked"]), (200, &json!(true)), "{}", out.body);
    assert!(whatsapp.phone().devices().is_empty(), "the phone still lists it");
    Ok(())
}

/// Whoever reads the database, or the files, learns neither numbers nor keys.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_read_where_devices_live() -> Outcome {
    for place in [Place::Files, Place::Postgres] {
        let whatsapp = FakeWhatsApp::start().await?;
        let mut host = Host::start(&whatsapp, place).await?;
        host.pair(&whatsapp).await?;
        host.sends(&whatsapp, "a very readable sentence").await?;
        let stored = host.everything_stored().await?;
        assert!(stored.len() > 10_000, "{place:?}: only {} bytes are stored", stored.len());
        let found = |needle: &str| stored.windows(needle.len()).any(|window| window == needle.as_bytes());
        for needle in
            [PEER, sessile_sandbox_whatsapp::PHONE_NUMBER, "a very readable sentence", "s.whatsapp.net"]
        {
            assert!(!found(needle), "{place:?}: {needle} can be read");
        }
    }
    Ok(())
}
