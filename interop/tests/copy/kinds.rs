//! The other kinds on their way: paid jobs, money, WhatsApp devices.

use super::program::{Copy, Outcome};
use sessile_core::checkout::{Caller, Owner};
use sessile_core::generation::{
    Generation, GenerationId, GenerationKey, GenerationStore, KeptEvent, NewGeneration, News, StripeNews,
    StripeSessionId,
};
use sessile_core::payment::{NewPayment, Payments, Terms};
use sessile_core::whatsapp::{
    DeviceId, DeviceStore, DeviceStoreError, KeyHash, KeyKind, LEASE_TTL, OwnerId, RowKey, Step, StepId,
    Version,
};
use sessile_core::{Clock, OsEntropy, SystemClock};
use sessile_interop::servers::{Postgres, Redis};
use sessile_store::Choice;
use sessile_store::generation::open_generations;
use sessile_store::ledger::{LedgerOptions, open_ledger};
use sessile_store::whatsapp::{PostgresDevices, SqliteDevices};
use std::path::Path;
use std::sync::Arc;

const JOBS: usize = 40;

fn sqlite(folder: &Path, name: &str) -> String {
    format!("sqlite:{}", folder.join(name).display())
}

fn stripe_id(number: usize) -> Outcome<StripeSessionId> {
    Ok(StripeSessionId::of_stripe(&format!("cs_test_copy{number}")).ok_or("Stripe's name")?)
}

/// Every third job has only our name, every third has Stripe's, every third is paid and has work to do.
async fn jobs(store: &dyn GenerationStore) -> Outcome<Vec<GenerationId>> {
    let now = SystemClock.now();
    let mut ids = Vec::new();
    for number in 0..JOBS {
        let id = GenerationId::generate(&OsEntropy)?;
        let new = NewGeneration {
            prompt: format!("a prompt with \"quotes\", é and 😀, number {number}"),
            video_count: 2,
            tool_slug: None,
            tool_title: None,
            price_id: "price_1".to_owned(),
            owner: Owner::default(),
        };
        store.create(&Generation::new(id.clone(), new, now), now).await?;
        ids.push(id.clone());
        if number % 3 == 0 {
            continue;
        }
        let bound = store.bind(&id, &stripe_id(number)?, now).await?.ok_or("a bound job")?;
        if number % 3 == 2 {
            let news = StripeNews {
                event: format!("evt_{number}"),
                kind: "checkout.session.completed".to_owned(),
                news: News::Paid,
                payment_intent: Some(format!("pi_{number}")),
            };
            let requests = [("req_1".to_owned(), 1), ("req_2".to_owned(), 2)];
            let paid = bound.on(&news, &requests, now).ok_or("news")?.next_revision(now);
            store.commit(&paid, now).await?;
        }
    }
    for number in 0..JOBS {
        let event = KeptEvent {
            id: format!("evt_{number}"),
            kind: "checkout.session.completed".to_owned(),
            key: Some(GenerationKey::Stripe(stripe_id(number)?)),
            body: format!("{{\"id\":\"evt_{number}\"}}"),
            received_at: now,
            attempts: 0,
            next_at: now,
        };
        store.keep(&event).await?;
        if number % 2 == 0 {
            store.applied(&event.id, now).await?;
        }
    }
    Ok(ids)
}

pub(crate) async fn generations() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (postgres, redis) = (Postgres::start().await?, Redis::start().await?);
    let (first, last) = (sqlite(folder.path(), "first.db"), sqlite(folder.path(), "last.db"));
    let store = open_generations(&first).await?;
    let ids = jobs(&*store).await?;
    let mut digests = Vec::new();
    for (from, to) in [
        (first.as_str(), postgres.url()),
        (postgres.url().as_str(), redis.url()),
        (redis.url().as_str(), last.clone()),
    ] {
        let copy = Copy::new(folder.path(), from, &to).with(&["--kind", "generation", "--batch", "7"]);
        let told = copy.run(0).await?;
        assert_eq!((told.number("new"), told.number("missing")), (2 * JOBS as u64, 0));
        digests.push(told.digest().to_owned());
        // A second time there is nothing to do.
        assert_eq!(copy.run(0).await?.number("new"), 0);
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");

    let (there, now) = (open_generations(&last).await?, SystemClock.now());
    for (number, id) in ids.iter().enumerate() {
        let key = GenerationKey::Own(id.clone());
        let (before, after) = (store.load(&key, now).await?, there.load(&key, now).await?);
        assert_eq!(before.map(|job| job.to_json()), after.map(|job| job.to_json()), "job {number}");
    }
    assert_eq!(store.tally(now).await?, there.tally(now).await?);
    assert_eq!(store.waiting(100).await?, there.waiting(100).await?);

    // A job that has gone on at the destination stays there.
    let key = GenerationKey::Own(ids[0].clone());
    let job = there.load(&key, now).await?.ok_or("a job")?.next_revision(now);
    there.commit(&job, now).await?;
    let copy = Copy::new(folder.path(), &first, &last).with(&["--kind", "generation"]);
    let told = copy.run(0).await?;
    assert_eq!((told.number("newer"), told.number("renewed")), (1, 0));
    assert_eq!(there.load(&key, now).await?.map(|job| job.to_json()), Some(job.to_json()));
    Ok(())
}

async fn payments(url: &str, some: std::ops::Range<usize>) -> Outcome {
    let ledger = open_ledger(url, &LedgerOptions::default()).await?;
    let payments =
        Payments::new(ledger, Arc::new(Terms::default()), Arc::new(SystemClock), Arc::new(OsEntropy));
    for number in some {
        let new = NewPayment {
            amount: Some(1000),
            user: Some(format!("00000000-0000-4000-8000-{number:012}")),
            email: "ada@shop.example".to_owned(),
            coupon: None,
            checkout: None,
            key: Some(format!("key-{number}")),
        };
        payments.create(&Caller::Backend("shop".to_owned()), new).await?;
    }
    Ok(())
}

pub(crate) async fn money() -> Outcome {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    let (first, last) = (sqlite(folder.path(), "first.db"), sqlite(folder.path(), "last.db"));
    payments(&first, 0..25).await?;
    let kind = ["--kind", "checkout-payment", "--batch", "10"];
    let there = Copy::new(folder.path(), &first, &postgres.url()).with(&kind);
    let (one, two) =
        (there.run(0).await?, Copy::new(folder.path(), &postgres.url(), &last).with(&kind).run(0).await?);
    assert_eq!(one.digest(), two.digest());
    let head = open_ledger(&first, &LedgerOptions::default()).await?.audit_head().await?;
    for told in [&one, &two] {
        let audit = told.lines.iter().find(|line| line["step"] == "audit").ok_or("the audit's line")?;
        assert_eq!(
            (audit["seq"].as_i64(), audit["hash"].as_str()),
            (Some(head.seq), Some(head.hash.as_str()))
        );
    }

    // The source goes on for a while, and so does the copy.
    payments(&first, 25..30).await?;
    let more = there.run(0).await?;
    assert!(more.number("new") >= 10 && more.number("missing") == 0, "{:?}", more.lines);

    // The destination has lived: nothing is overwritten, and it is said why.
    payments(&postgres.url(), 100..101).await?;
    let before = open_ledger(&postgres.url(), &LedgerOptions::default()).await?.audit_head().await?;
    payments(&first, 30..31).await?;
    let refused = there.refused(1).await?;
    assert!(refused.contains("an audit log of its own") && refused.contains("empty ledger"), "{refused}");
    let after = open_ledger(&postgres.url(), &LedgerOptions::default()).await?.audit_head().await?;
    assert_eq!(before, after);
    // Redis holds no money.
    let redis = Copy::new(folder.path(), &first, "redis://127.0.0.1:1").with(&kind);
    assert!(redis.refused(2).await?.contains("not kept in Redis"));
    Ok(())
}

fn step(epoch: sessile_core::whatsapp::Epoch, version: u64) -> Outcome<Step> {
    let key = RowKey { kind: KeyKind::Session, hash: KeyHash([7; 32]) };
    Ok(Step {
        id: StepId::generate(&OsEntropy)?,
        epoch,
        version: Version(version),
        wrapped_key: (version == 1).then(|| "s1.k.wrapped".to_owned()),
        credentials: (version == 1).then(|| b"sealed credentials".as_slice().into()),
        puts: vec![sessile_core::whatsapp::DeviceRow { key, value: vec![1, 2, 3].into() }],
        deletes: Vec::new(),
        at: SystemClock.now(),
    })
}

pub(crate) async fn devices() -> Outcome {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start().await?;
    let device = DeviceId::parse("shop").ok_or("a device")?;
    let here = SqliteDevices::open(&folder.path().join("from.db"), Choice::Yes)?;
    let acquired = here.acquire(&device, &OwnerId::generate(&OsEntropy)?, LEASE_TTL).await?;
    here.commit_step(&device, &step(acquired.epoch, 1)?).await?;
    let copy = Copy::new(folder.path(), &sqlite(folder.path(), "from.db"), &postgres.url())
        .with(&["--kind", "whatsapp"]);
    // Nobody takes a device from a process that runs it.
    assert!(copy.refused(1).await?.contains("another process owns this device"));
    here.release(&device, acquired.epoch).await?;
    let moved = copy.run(0).await?;
    assert_eq!(moved.lines.iter().filter(|line| line["moved"][0]["device"] == "shop").count(), 1);
    let refused = here.load(&device).await;
    assert!(matches!(refused, Err(DeviceStoreError::Moved { .. })), "{refused:?}");
    let there = PostgresDevices::open(&postgres.url(), Choice::No).await?;
    let state = there.load(&device).await?.ok_or("the device")?;
    assert_eq!((state.credentials.as_deref(), state.rows.len()), (Some(b"sealed credentials".as_slice()), 1));
    assert!(state.head.epoch > acquired.epoch, "{:?}", state.head);
    let again = copy.run(0).await?;
    assert_eq!(again.lines.iter().filter(|line| line["were_there"] == 1).count(), 1);
    Ok(())
}
