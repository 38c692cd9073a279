//! Damaged local files: either the last whole state or a quarantine with a clear message; never "no session".

use crate::given::{Given, device, owner, step};
use sessile_core::whatsapp::{DeviceState, DeviceStore as _, DeviceStoreError, LEASE_TTL};
use std::fs;

const FLIPS: u64 = 1000;
const STEPS: u64 = 4;

/// What a process that starts makes of the folder.
enum Found {
    State(DeviceState),
    /// The message.
    Refused(String),
}

async fn found(given: &Given) -> Found {
    let store = given.store();
    match store.load(&device()).await {
        Ok(Some(state)) => Found::State(state),
        Ok(None) => panic!("a damaged device was taken for none"),
        Err(DeviceStoreError::Damaged(message)) => {
            // Nor is it a new device for whoever wants to own it, now or at the next start.
            for store in [store, given.store()] {
                let acquired = store.acquire(&device(), &owner("next"), LEASE_TTL).await;
                assert!(
                    matches!(acquired, Err(DeviceStoreError::Damaged(_))),
                    "{acquired:?} after {message}"
                );
            }
            Found::Refused(message)
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// The folder again and again, with another journal each time.
struct Folder {
    given: Given,
    journal: Vec<u8>,
    others: Vec<(std::path::PathBuf, Vec<u8>)>,
}

impl Folder {
    async fn new() -> Self {
        let given = Given::new().with_steps(STEPS).await;
        // The lease's time passes, so that whoever comes next may have the device.
        given.advance(LEASE_TTL);
        let others = ["json", "lock"].map(|ending| given.path(ending));
        let others = others.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        let journal = fs::read(given.path("journal")).unwrap();
        Self { given, journal, others }
    }

    fn set(&self, journal: &[u8], marked: bool) {
        for name in self.given.names() {
            fs::remove_file(self.given.folder().join(name)).unwrap();
        }
        for (path, content) in &self.others {
            if marked || !path.ends_with("shop.lock") {
                fs::write(path, content).unwrap();
            }
        }
        if !marked {
            // As old as it gets: written when the device was acquired.
            let json = fs::read_to_string(self.given.path("json")).unwrap();
            assert!(json.contains("\"version\": 0"), "{json}");
        }
        fs::write(self.given.path("journal"), journal).unwrap();
    }
}

fn check(state: &DeviceState, what: &str) {
    let version = state.head.version.0;
    let counter = format!("counter {version}");
    assert!(version <= STEPS, "{what}");
    let rows = if version == 0 { 0 } else { usize::try_from(version).unwrap() + 1 };
    assert_eq!(state.rows.len(), rows, "{what}");
    assert_eq!(state.credentials.is_some(), version > 0, "{what}");
    assert!(version == 0 || state.rows.iter().any(|row| *row.value == *counter.as_bytes()), "{what}");
}

#[tokio::test]
async fn every_truncation_leaves_the_last_whole_state_or_a_quarantine() {
    let folder = Folder::new().await;
    let mut states = std::collections::BTreeSet::new();
    let mut refused = 0;
    for length in 0..folder.journal.len() {
        let what = format!("cut at {length} of {}", folder.journal.len());
        folder.set(&folder.journal[..length], false);
        match found(&folder.given).await {
            Found::State(state) => {
                check(&state, &what);
                states.insert(state.head.version.0);
                // What was cut away is gone for good, and the device goes on.
                let acquired = folder.given.store().acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
                let next = step(acquired.epoch.0, acquired.head.version.0 + 1);
                folder.given.store().commit_step(&device(), &next).await.unwrap();
            }
            Found::Refused(message) => {
                assert!(
                    message.contains("shop.journal.corrupted") && message.contains("unlink"),
                    "{message}"
                );
                assert!(folder.given.path("journal.corrupted").exists());
                refused += 1;
            }
        }
    }
    assert_eq!(states.into_iter().collect::<Vec<_>>(), (0..STEPS).collect::<Vec<_>>());
    assert!(refused > 0, "a journal without a beginning is not a device");
}

#[tokio::test]
async fn a_truncation_that_takes_confirmed_steps_is_refused() {
    let folder = Folder::new().await;
    for length in 0..folder.journal.len() {
        folder.set(&folder.journal[..length], true);
        match found(&folder.given).await {
            Found::State(state) => {
                panic!("cut at {length}: steps were lost, and step {:?} is used", state.head.version)
            }
            Found::Refused(message) => {
                assert!(message.contains("older copy") || message.contains(".corrupted"), "{message}");
            }
        }
    }
    // What was never confirmed may be cut: a record that was being written when the process died.
    let mut torn = folder.journal.clone();
    torn.extend_from_slice(&folder.journal[folder.journal.len() - 60..][..30]);
    let whole = folder.journal.len();
    let mut half = folder.journal.clone();
    half.extend_from_slice(&[0; 300]);
    folder.set(&half, true);
    let Found::State(state) = found(&folder.given).await else { panic!("zeros are what a power cut leaves") };
    assert_eq!(state.head.version.0, STEPS);
    assert_eq!(fs::metadata(folder.given.path("journal")).unwrap().len(), whole as u64);
    folder.set(&torn, true);
    assert!(matches!(found(&folder.given).await, Found::Refused(_)), "bytes that no writer of ours began");
}

#[tokio::test]
async fn a_thousand_bit_flips_never_make_another_device() {
    let folder = Folder::new().await;
    let seed = u64::from(std::process::id()) | 1;
    let mut random = seed;
    for flip in 0..FLIPS {
        // xorshift64: any seed replays.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bit = random % (folder.journal.len() as u64 * 8);
        let mut journal = folder.journal.clone();
        journal[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        folder.set(&journal, flip % 2 == 0);
        match found(&folder.given).await {
            Found::State(state) => panic!("seed {seed}, bit {bit}: used at {:?}", state.head.version),
            Found::Refused(message) => {
                assert!(message.contains("shop.journal.corrupted"), "seed {seed}, bit {bit}: {message}");
            }
        }
    }
}

#[tokio::test]
async fn an_older_copy_is_refused_and_the_newer_one_taken_again() {
    let given = Given::new().with_steps(3).await;
    let old = fs::read(given.path("journal")).unwrap();
    given.store().commit_step(&device(), &step(1, 4)).await.unwrap();
    let new = fs::read(given.path("journal")).unwrap();
    fs::write(given.path("journal"), &old).unwrap();
    let Found::Refused(message) = found(&given).await else { panic!("an old copy was used") };
    assert!(
        message.contains("older copy") && message.contains("step 3") && message.contains("step 4"),
        "{message}"
    );
    assert!(message.contains("never put an older copy back"), "{message}");
    assert_eq!(fs::read(given.path("journal")).unwrap(), old, "it is left as it is");
    // The same while a process runs that has the newer one in memory.
    fs::write(given.path("journal"), &new).unwrap();
    let store = given.store();
    assert_eq!(store.head(&device()).await.unwrap().unwrap().version.0, 4);
    fs::write(given.path("journal"), &old).unwrap();
    let late = store.commit_step(&device(), &step(1, 5)).await;
    assert!(matches!(&late, Err(DeviceStoreError::Damaged(what)) if what.contains("older copy")), "{late:?}");
    fs::write(given.path("journal"), &new).unwrap();
    store.commit_step(&device(), &step(1, 5)).await.unwrap();
}

#[tokio::test]
async fn files_of_two_histories_are_not_mixed() {
    let given = Given::new().with_steps(3).await;
    let other = Given::new().with_steps(3).await;
    // The same steps again, but the last one is another.
    let fork = Given::new().with_steps(2).await;
    let mut different = step(1, 3);
    different.id.0 = [9; 16];
    fork.store().commit_step(&device(), &different).await.unwrap();
    fs::copy(fork.path("journal"), given.path("journal")).unwrap();
    let Found::Refused(message) = found(&given).await else { panic!("another history was used") };
    assert!(message.contains("mixed"), "{message}");
    // Records of another device's journal do not fit either.
    let renamed = sessile_core::whatsapp::DeviceId::parse("renamed").unwrap();
    fs::copy(other.path("journal"), other.folder().join("renamed.journal")).unwrap();
    let loaded = other.store().load(&renamed).await;
    assert!(matches!(&loaded, Err(DeviceStoreError::Damaged(_))), "{loaded:?}");
}

#[tokio::test]
async fn what_is_put_aside_is_never_overwritten() {
    let given = Given::new().with_steps(2).await;
    let journal = fs::read(given.path("journal")).unwrap();
    for (number, ending) in
        ["journal.corrupted", "journal.corrupted.2", "journal.corrupted.3"].iter().enumerate()
    {
        let mut damaged = journal.clone();
        damaged[100] ^= u8::try_from(number + 1).unwrap();
        fs::write(given.path("journal"), &damaged).unwrap();
        assert!(matches!(found(&given).await, Found::Refused(_)));
        assert_eq!(fs::read(given.path(ending)).unwrap(), damaged);
    }
    // A person who cleans up may begin anew.
    let done = given.store().clean_up(given.clock_now()).await.unwrap();
    assert_eq!(done.corrupted_files, 4, "three journals and the metadata");
    given.store().acquire(&device(), &owner("anew"), LEASE_TTL).await.unwrap();
}

#[tokio::test]
async fn a_lost_journal_is_not_a_new_device_and_lost_metadata_are_written_anew() {
    let given = Given::new().with_steps(3).await;
    let journal = fs::read(given.path("journal")).unwrap();
    fs::remove_file(given.path("json")).unwrap();
    given.store().acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
    assert!(fs::read_to_string(given.path("json")).unwrap().contains("\"version\": 3"));
    fs::write(given.path("json"), b"{").unwrap();
    assert_eq!(given.store().head(&device()).await.unwrap().unwrap().version.0, 3);
    assert!(given.path("json.corrupted").exists());
    for kept in ["json", "lock"] {
        let given = Given::new().with_steps(3).await;
        for name in given.names().iter().filter(|name| !name.ends_with(kept)) {
            fs::remove_file(given.folder().join(name)).unwrap();
        }
        let Found::Refused(message) = found(&given).await else { panic!("only {kept} was left") };
        assert!(message.contains("missing"), "{message}");
    }
    // With nothing left there was nothing: that is the folder of a new machine.
    for name in given.names() {
        fs::remove_file(given.folder().join(name)).unwrap();
    }
    assert_eq!(given.store().load(&device()).await.unwrap(), None);
    fs::write(given.path("journal"), journal).unwrap();
    assert!(matches!(found(&given).await, Found::State(state) if state.head.version.0 == 3));
}
