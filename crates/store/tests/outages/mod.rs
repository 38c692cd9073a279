//! A fallback in front of a primary with a power switch, in a folder of its own.

use sessile_core::login::{
    Edit, LoginChange, LoginData, LoginId, LoginStore, Lookup, Merge, NewLogin, Stored,
};
use sessile_core::{Clock, ManualClock, OsEntropy, Timestamp};
use sessile_store::contract::{FaultyStore, Moment, Must, Trouble};
use sessile_store::fallback::{Fallback, Spooled};
use sessile_store::memory::MemoryLogins;
use sessile_store::{Choice, LoginOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    /// Nothing is done, nothing is answered.
    Off,
    /// Everything is done, nothing is answered.
    Lossy,
}

impl Power {
    const fn trouble(self) -> Trouble {
        match self {
            Self::On => Trouble::None,
            Self::Off => Trouble::Always(Moment::BeforeTheWrite),
            Self::Lossy => Trouble::Always(Moment::AfterTheWrite),
        }
    }
}

/// Makes sessions and changes.
#[derive(Clone)]
pub(crate) struct Tools {
    clock: Arc<ManualClock>,
}

impl Tools {
    pub(crate) fn change(&self, id: &LoginId, base: &Arc<Stored>, key: &str, json: &str) -> LoginChange {
        LoginChange {
            id: id.clone(),
            base: base.clone(),
            edits: vec![Edit { key: key.into(), value: Some(serde_json::from_str(json).must("JSON")) }],
            cookie: base.data.cookie().must("a cookie"),
            device: None,
            expires_at: base.expires_at,
            merge: Merge::ByKey,
            bytes_max: 64 * 1024,
        }
    }

    pub(crate) fn login(&self, entries: &str) -> NewLogin {
        let comma = if entries.is_empty() { "" } else { "," };
        let json = format!(r#"{{"cookie":{{"originalMaxAge":null,"expires":null}}{comma}{entries}}}"#);
        let expires_at = self.clock.now().plus(Duration::from_secs(3600));
        NewLogin { id: new_id(), data: LoginData::parse(&json).must("JSON"), expires_at }
    }
}

pub(crate) fn new_id() -> LoginId {
    LoginId::generate(&OsEntropy).must("random bytes")
}

/// The fallback, its primary, its folder and its clock.
pub(crate) struct Outages {
    primary: Arc<FaultyStore>,
    /// The primary itself.
    memory: Arc<MemoryLogins>,
    fallback: Option<Arc<Fallback>>,
    tools: Tools,
    folder: tempfile::TempDir,
}

impl Outages {
    pub(crate) async fn begin(power: Power) -> Self {
        let options = LoginOptions { events: Choice::Yes, ..LoginOptions::default() };
        let memory = Arc::new(MemoryLogins::new(options));
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_900_000_000_000)));
        let mut outages = Self {
            primary: Arc::new(FaultyStore::new(memory.clone(), power.trouble())),
            memory,
            fallback: None,
            tools: Tools { clock },
            folder: tempfile::tempdir().must("a folder"),
        };
        outages.fallback = Some(outages.open_beside().await);
        outages
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("spool.db")
    }

    /// A further process on the same folder.
    pub(crate) async fn open_beside(&self) -> Arc<Fallback> {
        let (primary, clock) = (self.primary.clone(), self.tools.clock.clone());
        Arc::new(Fallback::open(primary, &self.path(), &LoginOptions::default(), clock).await.must("open"))
    }

    /// Ends this process and starts the next one.
    pub(crate) async fn restart(&mut self) {
        let held = self.fallback.take().must("a fallback");
        let weak = Arc::downgrade(&held);
        drop(held);
        assert!(weak.upgrade().is_none(), "the test still holds the fallback");
        self.fallback = Some(eventually(async || self.reopened().await).await);
    }

    /// The background task lets go of the file a moment after it was stopped.
    async fn reopened(&self) -> Option<Arc<Fallback>> {
        let lock = std::fs::File::open(self.path().with_extension("db.lock")).must("the claim");
        lock.try_lock().ok()?;
        drop(lock);
        Some(self.open_beside().await)
    }

    pub(crate) fn fallback(&self) -> Arc<Fallback> {
        self.fallback.clone().must("a fallback")
    }

    pub(crate) fn store(&self) -> Arc<dyn LoginStore> {
        self.fallback()
    }

    pub(crate) fn primary(&self) -> &MemoryLogins {
        &self.memory
    }

    pub(crate) fn tools(&self) -> Tools {
        self.tools.clone()
    }

    pub(crate) fn login(&self, entries: &str) -> NewLogin {
        self.tools.login(entries)
    }

    pub(crate) fn change(&self, id: &LoginId, base: &Arc<Stored>, key: &str, json: &str) -> LoginChange {
        self.tools.change(id, base, key, json)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.tools.clock.now()
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.tools.clock.advance(span);
    }

    pub(crate) fn set(&self, power: Power) {
        self.primary.set(power.trouble());
    }

    /// Makes the first call that is not answered.
    pub(crate) async fn enter_degraded(&self) {
        self.fallback().create(self.login(""), self.now()).await.must("create");
        assert!(self.fallback().info().degraded.is_some());
    }

    /// Waits until nothing is spooled any more.
    pub(crate) async fn whole_again(&self) {
        let fallback = self.fallback();
        eventually(async || fallback.info().degraded.is_none().then_some(())).await;
        assert_eq!(fallback.spooled().must("a count"), Spooled { sessions: 0, ends: 0 });
    }

    /// What the primary itself holds, past the fallback.
    pub(crate) async fn in_primary(&self, id: &LoginId) -> Option<Arc<Stored>> {
        match self.memory.load(id, self.now()).await.must("load") {
            Lookup::Live(stored) => Some(stored),
            Lookup::Absent(_) => None,
        }
    }

    /// The spool files in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let names =
            std::fs::read_dir(self.folder.path()).must("the folder").map(|f| f.must("a file").file_name());
        let mut names: Vec<String> =
            names.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".db")).collect();
        names.sort();
        names
    }
}

/// Waits for something that has to happen.
pub(crate) async fn eventually<T>(attempt: impl AsyncFn() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(done) = attempt().await {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.must("what has to happen")
}
