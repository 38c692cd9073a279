//! The vault over an engine: what it seals, how steps gather, and what becomes of it when the store fails at any call.

use async_trait::async_trait;
use futures_util::future::join_all;
use sessile_core::whatsapp::{
    Changes, DeviceId, DeviceState, DeviceStore, KeyKind, LeaseStanding, Opening, OwnerId, Pace,
    STEP_ROWS_MAX, Vault, VaultError, Version,
};
use sessile_core::{ManualClock, OsEntropy, SealingKeys, SystemClock, Timestamp};
use sessile_store::contract::whatsapp::FaultyDevices;
use sessile_store::contract::{Fault, Moment, Must};
use sessile_store::whatsapp::MemoryDevices;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const OLD: &str = "old:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "new:f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const PHONE: &[u8] = b"998901234567@s.whatsapp.net";
const RATCHET: &[u8] = b"the private half of a ratchet key";
/// More calls than any test's store gets.
const CALLS_MAX: u64 = 100;

/// A clock that moves when somebody waits.
#[derive(Default)]
struct StandingPace(AtomicU64);

#[async_trait]
impl Pace for StandingPace {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn pause(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_millis()).must("a pause"), Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

impl StandingPace {
    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

fn memory() -> Arc<MemoryDevices> {
    Arc::new(MemoryDevices::new(Arc::new(SystemClock)))
}

fn device() -> DeviceId {
    DeviceId::parse("default-client").must("a name")
}

fn opening(store: Arc<dyn DeviceStore>, keys: &str) -> Opening {
    Opening {
        store,
        keys: SealingKeys::parse(keys).must("keys"),
        device: device(),
        owner: OwnerId::generate(&OsEntropy).must("random bytes"),
        clock: Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_700_000_000_000))),
        pace: Arc::new(StandingPace::default()),
        entropy: Arc::new(OsEntropy),
    }
}

async fn opened(store: &Arc<MemoryDevices>) -> Vault {
    store.lapse(&device());
    Vault::open(opening(store.clone(), OLD)).await.must("open")
}

fn put(kind: KeyKind, key: &[u8], value: &[u8]) -> Changes {
    Changes { puts: vec![(kind, key.to_vec(), value.to_vec())], ..Changes::default() }
}

fn numbered(number: u32) -> Changes {
    put(KeyKind::Session, &number.to_be_bytes(), &number.to_le_bytes())
}

async fn state_of(store: &Arc<MemoryDevices>) -> DeviceState {
    store.load(&device()).await.must("load").must("a device")
}

#[tokio::test]
async fn what_was_committed_is_there_for_the_next_owner() {
    let store = memory();
    let vault = opened(&store).await;
    assert_eq!((vault.credentials(), vault.version()), (None, Version(0)));
    let credentials = Some(b"me".to_vec());
    vault.commit(Changes { credentials, ..put(KeyKind::Session, b"b", b"2") }).await.must("commit");
    for (key, value) in [(b"ab", b"1"), (b"bc", b"3"), (b"ba", b"4")] {
        vault.commit(put(KeyKind::Session, key, value)).await.must("commit");
    }
    vault.commit(put(KeyKind::Identity, b"b", b"another kind")).await.must("commit");
    let deletes = vec![(KeyKind::Session, b"ba".to_vec()), (KeyKind::Session, b"never there".to_vec())];
    vault.commit(Changes { deletes, ..Changes::default() }).await.must("commit");
    let next = opened(&store).await;
    for vault in [&vault, &next] {
        assert_eq!(vault.credentials().as_deref(), Some(b"me".as_slice()));
        assert_eq!(vault.get(KeyKind::Session, b"ab").as_deref(), Some(b"1".as_slice()));
        assert_eq!(vault.get(KeyKind::Session, b"ba"), None);
        let found: Vec<(Vec<u8>, Vec<u8>)> =
            vault.scan(KeyKind::Session, b"b").iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
        assert_eq!(found, [(b"b".to_vec(), b"2".to_vec()), (b"bc".to_vec(), b"3".to_vec())]);
    }
    assert_eq!(next.version(), vault.version());
    assert_eq!(next.epoch().0, vault.epoch().0 + 1);
}

#[tokio::test]
async fn what_is_so_already_takes_no_step() {
    let store = memory();
    let vault = opened(&store).await;
    vault.commit(numbered(1)).await.must("commit");
    let version = vault.version();
    vault.commit(numbered(1)).await.must("commit");
    vault.commit(Changes::default()).await.must("commit");
    let deletes = vec![(KeyKind::PreKey, b"never there".to_vec())];
    vault.commit(Changes { deletes, ..Changes::default() }).await.must("commit");
    assert_eq!(vault.version(), version);
    let deletes = vec![(KeyKind::Session, 1_u32.to_be_bytes().to_vec())];
    vault.commit(Changes { deletes, ..numbered(1) }).await.must("both");
    assert!(vault.get(KeyKind::Session, &1_u32.to_be_bytes()).is_some(), "deleted and put: it is there");
}

#[tokio::test]
async fn changes_that_come_together_share_a_step() {
    let store = memory();
    let vault = Arc::new(opened(&store).await);
    let counted = Arc::new(FaultyDevices::new(store.clone(), never()));
    store.lapse(&device());
    let vault2 = Arc::new(Vault::open(opening(counted.clone(), OLD)).await.must("open"));
    let before = counted.calls();
    let commits = (0..200_u32).map(|n| {
        let vault = vault2.clone();
        async move { vault.commit(numbered(n)).await }
    });
    join_all(commits).await.into_iter().for_each(|answer| answer.must("commit"));
    assert_eq!(vault2.scan(KeyKind::Session, b"").len(), 200);
    assert!(counted.calls() - before <= 3, "{} steps", counted.calls() - before);
    let refused = vault.commit(numbered(1)).await;
    assert!(matches!(refused, Err(VaultError::Fenced { .. })), "{refused:?}");
    assert!(vault.is_fenced() && !vault2.is_fenced());
}

fn never() -> Fault {
    Fault { call: u64::MAX / 2, moment: Moment::BeforeTheWrite }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_lose_no_change() {
    let store = memory();
    let vault = Arc::new(opened(&store).await);
    let count = |view: &sessile_core::whatsapp::View<'_>| {
        let bytes = view.get(KeyKind::SyncVersion, b"n").map(|bytes| bytes.to_vec());
        bytes.map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().must("four bytes")))
    };
    let add = (0..8).map(|n| {
        let vault = vault.clone();
        tokio::spawn(async move {
            for i in 0..25_u32 {
                let one_more = |view: &sessile_core::whatsapp::View<'_>| {
                    put(KeyKind::SyncVersion, b"n", &(count(view) + 1).to_be_bytes())
                };
                vault.update(one_more).await.must("update");
                vault.commit(numbered(n * 100 + i)).await.must("commit");
            }
        })
    });
    join_all(add).await.into_iter().for_each(|done| done.must("no panic"));
    let next = opened(&store).await;
    assert_eq!(next.get(KeyKind::SyncVersion, b"n").as_deref(), Some(200_u32.to_be_bytes().as_slice()));
    assert_eq!(next.scan(KeyKind::Session, b"").len(), 200);
}

/// Whether `part` is somewhere within `whole`.
fn holds(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_dump_holds_neither_phone_number_nor_keys() {
    let store = memory();
    let vault = opened(&store).await;
    let credentials = Some([b"credentials of ", PHONE].concat());
    vault.commit(Changes { credentials, ..put(KeyKind::Session, PHONE, RATCHET) }).await.must("commit");
    vault.commit(put(KeyKind::Identity, PHONE, RATCHET)).await.must("commit");
    let state = state_of(&store).await;
    let mut dump = format!("{:?}", state.head).into_bytes();
    dump.extend(state.credentials.as_deref().must("credentials"));
    for row in &state.rows {
        dump.extend(row.key.hash.0);
        dump.extend(&*row.value);
    }
    for secret in [PHONE, b"998901234567", RATCHET, b"credentials of", b"ratchet"] {
        assert!(!holds(&dump, secret), "{}", String::from_utf8_lossy(secret));
    }
    assert_ne!(state.rows[0].key.hash, state.rows[1].key.hash, "one number in two tables has two hashes");
    assert!(!format!("{vault:?} {:?}", put(KeyKind::Session, PHONE, RATCHET)).contains("9989"));
}

#[tokio::test]
async fn what_was_moved_elsewhere_is_refused() {
    let store = memory();
    let vault = opened(&store).await;
    let credentials = Some(b"me".to_vec());
    vault.commit(Changes { credentials, ..put(KeyKind::Session, PHONE, RATCHET) }).await.must("commit");
    vault.commit(put(KeyKind::Session, b"another", b"value")).await.must("commit");
    let whole = state_of(&store).await;
    let attempt = |change: &dyn Fn(&mut DeviceState)| {
        let mut state = whole.clone();
        change(&mut state);
        async move {
            let elsewhere = memory();
            let owner = OwnerId::generate(&OsEntropy).must("random bytes");
            let acquired = elsewhere.adopt(&state, &owner, Duration::from_secs(1)).await.must("adopt");
            elsewhere.release(&state.head.device, acquired.epoch).await.must("release");
            let opening = Opening { device: state.head.device.clone(), ..opening(elsewhere.clone(), OLD) };
            let opened = Vault::open(opening).await;
            let head = elsewhere.head(&state.head.device).await.must("head").must("a device");
            assert!(opened.is_ok() || head.held_until.is_none(), "what cannot be used is let go of");
            opened.map(drop)
        }
    };
    attempt(&|_| {}).await.must("the whole state, as it is");
    let damaged = [
        ("another device", attempt(&|state| state.head.device = DeviceId::parse("b").must("a name")).await),
        ("another kind", attempt(&|state| state.rows[0].key.kind = KeyKind::Identity).await),
        ("another key", attempt(&|state| state.rows[0].value = state.rows[1].value.clone()).await),
        ("for credentials", attempt(&|state| state.credentials = Some(state.rows[0].value.clone())).await),
        ("cut", attempt(&|state| state.rows[0].value = state.rows[0].value[..30].into()).await),
        ("no key", attempt(&|state| state.head.wrapped_key = None).await),
    ];
    for (what, outcome) in damaged {
        assert!(matches!(outcome, Err(VaultError::Damaged(_))), "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn keys_rotate_and_only_the_wrapping_changes() {
    let store = memory();
    let vault = opened(&store).await;
    vault.commit(put(KeyKind::Session, PHONE, RATCHET)).await.must("commit");
    vault.release().await;
    let before = state_of(&store).await;
    let missing = Vault::open(opening(store.clone(), NEW)).await.err();
    assert!(matches!(missing, Some(VaultError::MissingKey)), "{missing:?}");
    let both = Vault::open(opening(store.clone(), &format!("{NEW},{OLD}"))).await.must("open");
    assert_eq!(both.get(KeyKind::Session, PHONE).as_deref(), Some(RATCHET));
    both.release().await;
    let after = state_of(&store).await;
    assert_eq!(after.rows, before.rows);
    assert!(after.head.wrapped_key.as_ref().must("a key").starts_with("s1.new."));
    assert_eq!(after.head.version.0, before.head.version.0 + 1, "at once, not with the next change");
    let newest = Vault::open(opening(store.clone(), NEW)).await.must("open without the old key");
    assert_eq!(newest.get(KeyKind::Session, PHONE).as_deref(), Some(RATCHET));
    assert_eq!(newest.version(), after.head.version);
}

/// One device's life through a store with a fault in it. Whatever was acknowledged, the next owner finds.
async fn live(store: &Arc<MemoryDevices>, faulty: Arc<FaultyDevices>) {
    let opening = opening(faulty.clone(), OLD);
    let vault = loop {
        match Vault::open(opening.clone()).await {
            Ok(vault) => break vault,
            Err(VaultError::Unavailable(_)) => store.lapse(&device()),
            Err(other) => panic!("{other:?}"),
        }
    };
    for n in 0..5 {
        vault.commit(numbered(n)).await.must("commit: the fault is shorter than the patience");
        vault.renew().await.or_else(unheard).must("renew");
    }
    vault
        .update(|view| put(KeyKind::SyncVersion, b"n", &[u8::from(view.credentials().is_none())]))
        .await
        .must("update");
    let next = opened(store).await;
    assert_eq!(next.scan(KeyKind::Session, b"").len(), 5);
    assert_eq!(next.get(KeyKind::SyncVersion, b"n").as_deref(), Some([1].as_slice()));
    assert_eq!(next.version(), vault.version(), "no step twice, none lost");
    next.destroy().await.must("destroy");
    assert!(matches!(vault.commit(numbered(9)).await, Err(VaultError::Fenced { .. })));
}

fn unheard(error: VaultError) -> Result<(), VaultError> {
    if matches!(error, VaultError::Unavailable(_)) { Ok(()) } else { Err(error) }
}

#[tokio::test]
async fn a_fault_at_any_call_loses_nothing_and_does_nothing_twice() {
    for moment in [Moment::BeforeTheWrite, Moment::AfterTheWrite] {
        for length in [1, 4] {
            let mut fired = 0;
            for call in 1..CALLS_MAX {
                let store = memory();
                let faulty = Arc::new(FaultyDevices::lasting(store.clone(), Fault { call, moment }, length));
                live(&store, faulty.clone()).await;
                if !faulty.has_fired() {
                    break;
                }
                fired += 1;
            }
            assert!((10..CALLS_MAX - 1).contains(&fired), "{fired} calls had a fault");
        }
    }
}

#[tokio::test]
async fn a_step_that_stays_unknown_is_repeated_before_any_other() {
    for moment in [Moment::BeforeTheWrite, Moment::AfterTheWrite] {
        let store = memory();
        // Open is two calls, the first step the third: and then nothing answers for longer than a step's patience.
        let fault = Fault { call: 4, moment };
        let faulty = Arc::new(FaultyDevices::lasting(store.clone(), fault, 25));
        let vault = Vault::open(opening(faulty.clone(), OLD)).await.must("open");
        vault.commit(numbered(0)).await.must("commit");
        let unknown = vault.commit(numbered(1)).await;
        assert!(matches!(unknown, Err(VaultError::Unavailable(_))), "{unknown:?}");
        assert!(faulty.calls() > 8, "it was tried {} times", faulty.calls());
        assert_eq!(vault.get(KeyKind::Session, &1_u32.to_be_bytes()), None, "shown only when it is durable");
        assert_eq!(vault.version(), Version(1));
        let next = loop {
            match vault.commit(numbered(2)).await {
                Err(VaultError::Unavailable(_)) => {}
                other => break other,
            }
        };
        next.must("commit");
        assert_eq!(vault.version(), Version(3), "the unknown step, and then the next one");
        assert!(vault.get(KeyKind::Session, &1_u32.to_be_bytes()).is_some());
        assert_eq!(opened(&store).await.scan(KeyKind::Session, b"").len(), 3);
    }
}

#[tokio::test]
async fn a_commit_whose_asker_went_away_is_settled_by_the_next_call() {
    let store = memory();
    let faulty =
        Arc::new(FaultyDevices::lasting(store.clone(), Fault { call: 3, moment: Moment::AfterTheWrite }, 1));
    let vault = Vault::open(opening(faulty, OLD)).await.must("open");
    {
        let mut commit = Box::pin(vault.commit(numbered(1)));
        // Polled once: the step was sent, its reply was lost, and the asker does not wait for the repetition.
        assert!(futures_util::future::poll_immediate(&mut commit).await.is_none());
    }
    assert_eq!(vault.version(), Version(0));
    vault.renew().await.must("renew");
    assert_eq!(vault.version(), Version(1));
    assert!(vault.get(KeyKind::Session, &1_u32.to_be_bytes()).is_some());
}

#[tokio::test]
async fn one_change_that_is_too_large_does_not_fail_its_neighbours() {
    let store = Arc::new(MemoryDevices::new(Arc::new(SystemClock)).holding(1000));
    let slow = Arc::new(FaultyDevices::new(store.clone(), never()));
    let vault = Vault::open(opening(slow.clone(), OLD)).await.must("open");
    let large = put(KeyKind::SenderKey, b"large", &[1; 1001]);
    // The first one leads alone, the others gather behind it.
    let all = [numbered(0), numbered(1), large, numbered(2)].map(|changes| vault.commit(changes));
    let answers = join_all(all).await;
    let is_too_large: Vec<bool> =
        answers.iter().map(|answer| matches!(answer, Err(VaultError::TooLarge { .. }))).collect();
    assert_eq!(is_too_large, [false, false, true, false], "{answers:?}");
    assert!(answers.iter().filter(|answer| answer.is_ok()).count() == 3, "{answers:?}");
    assert_eq!(slow.calls(), 2 + 1 + 4, "open, the first step, three together in vain, and each alone");
    assert_eq!(opened(&store).await.scan(KeyKind::Session, b"").len(), 3);
    let rows = u32::try_from(STEP_ROWS_MAX).must("a number") + 1;
    let puts = (0..rows).map(|n| (KeyKind::PreKey, n.to_be_bytes().to_vec(), vec![1])).collect();
    let refused = opened(&store).await.commit(Changes { puts, ..Changes::default() }).await;
    assert!(matches!(refused, Err(VaultError::TooManyRows { .. })), "{refused:?}");
    let huge = put(KeyKind::PreKey, b"n", &vec![0; sessile_core::whatsapp::DEVICE_BYTES_MAX]);
    let refused = opened(&store).await.commit(huge).await;
    assert!(matches!(refused, Err(VaultError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_owner_that_slept_is_fenced_when_it_wakes() {
    let store = memory();
    let pace = Arc::new(StandingPace::default());
    let old = Vault::open(Opening { pace: pace.clone(), ..opening(store.clone(), OLD) }).await.must("open");
    old.commit(numbered(1)).await.must("commit");
    assert!(matches!(old.lease(), LeaseStanding::Held(_)));
    pace.advance(12);
    assert!(matches!(old.lease(), LeaseStanding::Due(_)));
    old.renew().await.must("renew");
    assert!(matches!(old.lease(), LeaseStanding::Held(_)));
    let new = opened(&store).await;
    pace.advance(40);
    assert_eq!(old.lease(), LeaseStanding::GivenUp);
    let fenced = old.renew().await;
    assert!(matches!(fenced, Err(VaultError::Fenced { .. })) && old.is_fenced(), "{fenced:?}");
    for outcome in [old.commit(numbered(2)).await, old.update(|_| numbered(3)).await, old.destroy().await] {
        assert!(matches!(outcome, Err(VaultError::Fenced { .. })), "{outcome:?}");
    }
    old.release().await;
    new.commit(numbered(4)).await.must("the new owner");
}

#[tokio::test]
async fn released_or_destroyed_it_takes_nothing_more() {
    let store = memory();
    let vault = opened(&store).await;
    vault.commit(Changes { credentials: Some(b"me".to_vec()), ..numbered(1) }).await.must("commit");
    vault.release().await;
    assert!(matches!(vault.commit(numbered(2)).await, Err(VaultError::Closed)));
    let next = Vault::open(opening(store.clone(), OLD)).await.must("nobody has to wait");
    next.destroy().await.must("destroy");
    assert_eq!((next.credentials(), next.scan(KeyKind::Session, b"").len()), (None, 0));
    assert!(matches!(next.commit(numbered(2)).await, Err(VaultError::Closed)));
    let anew = opened(&store).await;
    assert_eq!((anew.credentials(), anew.version()), (None, next.version()));
    anew.commit(numbered(1)).await.must("paired anew, under a key of its own");
}
