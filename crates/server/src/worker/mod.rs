//! The workers: what has to happen without anybody asking for it. They carry the outbox to the world, ask the provider
//! about payments that hang, end what is overdue, and count what there is.
//!
//! They run inside `serve` and alone as `sessile worker`; any number of processes may run them at once, because every
//! step is claimed or decided in the ledger. A worker decides nothing about money itself: it reports to the services.

mod census;
mod daily;
mod generation;
mod outbox;
mod pace;
mod reconcile;
mod refund;
mod sweep;
mod tier;
mod verdict;

pub(crate) use census::name_of;
pub use generation::GenerationWorkers;
pub use reconcile::Asked;
pub use sweep::Swept;
pub(crate) use sweep::sweep;

use crate::admin::Watch;
use crate::app::App;
use crate::config::Config;
use crate::exit::Stop;
use crate::money::Money;
use crate::serve;
use crate::stores::Stores;
use crate::{sweeper, telemetry};
use pace::Stopping;
use secrecy::SecretString;
use sessile_core::{Clock, Entropy, OsEntropy, SystemClock};
use sessile_providers::click::MerchantApi;
use sessile_providers::{supabase, webhook};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How long a stop waits for effects that are in hand.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// Everything that the workers need; cheap to clone.
#[derive(Clone)]
pub struct Workers(Arc<Parts>);

struct Parts {
    money: Money,
    click: Result<MerchantApi, String>,
    webhook: Option<webhook::Sender>,
    supabase: Option<supabase::Admin>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    watch: Arc<Watch>,
}

impl Workers {
    /// For the money of an application; `None` where no ledger is kept.
    ///
    /// # Errors
    /// [`Stop`] names the setting that is wrong.
    pub fn new(config: &Config, app: &App) -> Result<Option<Self>, Stop> {
        let Ok(money) = &app.money.kinds else { return Ok(None) };
        let unusable = |error: webhook::Unusable| Stop::usage(error.to_string());
        let timeouts = webhook::TIMEOUTS;
        let webhook = config.money.webhook.as_ref().map(|to| {
            let secrets = to.secrets.iter().map(sessile_core::Secret::expose);
            webhook::Sender::new(&to.url, secrets, timeouts)
        });
        let supabase = config.money.supabase.as_ref().map(|project| {
            supabase::Admin::new(&project.url, SecretString::from(project.key.expose()), timeouts)
        });
        Ok(Some(Self(Arc::new(Parts {
            money: money.clone(),
            click: app.money.click.as_ref().map(|click| click.api.clone()).map_err(Clone::clone),
            webhook: webhook.transpose().map_err(unusable)?,
            supabase: supabase.transpose().map_err(unusable)?,
            clock: app.clock.clone(),
            entropy: app.entropy.clone(),
            watch: app.watch.clone(),
        }))))
    }

    /// Starts all of them.
    #[must_use]
    pub fn start(&self) -> Running {
        let (stop, asked) = watch::channel(false);
        let stopping = || Stopping::new(asked.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(outbox::run(self.clone(), stopping()));
        tasks.spawn(reconcile::run(self.clone(), stopping()));
        tasks.spawn(daily::run(self.clone(), stopping()));
        tasks.spawn(sweep::run(self.clone(), stopping()));
        tasks.spawn(census::run(self.clone(), stopping()));
        Running { stop, tasks }
    }
}

/// Workers under way. Dropped, they are cut off; [`Running::stop`] lets them finish what is in hand.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Nothing new is begun; effects that are in hand are carried out.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, finished).await.is_err() {
            tracing::warn!(
                seconds = STOP_GRACE.as_secs(),
                "effects that took longer than the grace were cut; they are tried again"
            );
        }
    }
}

/// The workers of this process: they can be sent away, cut off, and called back while it serves.
pub(crate) struct Crew {
    money: Option<Workers>,
    generation: Option<GenerationWorkers>,
    shift: Mutex<Shift>,
}

/// Who is at work.
#[derive(Default)]
struct Shift {
    running: Vec<Running>,
    /// Nobody is called back any more.
    is_over: bool,
}

impl Crew {
    fn new(config: &Config, app: &App) -> Result<Self, Stop> {
        let (money, generation) = (Workers::new(config, app)?, GenerationWorkers::new(app));
        Ok(Self { money, generation, shift: Mutex::default() })
    }

    /// Calls everybody who is not at work, unless the process stops.
    pub(crate) fn start(&self) {
        let mut shift = self.shift();
        if shift.is_over || !shift.running.is_empty() {
            return;
        }
        shift.running.extend(self.money.as_ref().map(Workers::start));
        shift.running.extend(self.generation.as_ref().map(GenerationWorkers::start));
    }

    /// Ends everybody in the middle of what they do, as a killed process would.
    pub(crate) fn cut_off(&self) {
        let running = std::mem::take(&mut self.shift().running);
        drop(running);
    }

    /// Lets everybody finish what is in hand.
    pub(crate) async fn stop(&self) {
        let running = std::mem::take(&mut self.shift().running);
        futures_util::future::join_all(running.into_iter().map(Running::stop)).await;
    }

    /// Whether anybody is at work.
    pub(crate) fn is_at_work(&self) -> bool {
        !self.shift().running.is_empty()
    }

    async fn close(&self) {
        self.shift().is_over = true;
        self.stop().await;
    }

    fn shift(&self) -> MutexGuard<'_, Shift> {
        self.shift.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that a process does beside answering requests.
pub(crate) struct Background {
    crew: Arc<Crew>,
    others: Vec<JoinHandle<()>>,
}

impl Background {
    /// Starts it.
    ///
    /// # Errors
    /// [`Stop`] names the setting that is wrong.
    pub(crate) fn start(config: &Config, stores: &Stores, app: &App) -> Result<Self, Stop> {
        let crew = Arc::new(Crew::new(config, app)?);
        let entropy = app.entropy.clone();
        let others = vec![
            tokio::spawn(sweeper::run(app.clone(), entropy, config.prune_interval)),
            tokio::spawn(app.watch.clone().run()),
            tokio::spawn(stores.drain_users()),
        ];
        crew.start();
        Ok(Self { crew, others })
    }

    /// The workers, for whoever sends them away.
    pub(crate) fn crew(&self) -> Arc<Crew> {
        self.crew.clone()
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        self.crew.close().await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.others.iter().for_each(JoinHandle::abort);
    }
}

/// `sessile worker`: the workers without a listener, until `stop` completes.
///
/// # Errors
/// [`Stop`] when the stores cannot be opened or a setting is wrong.
pub(crate) async fn alone(config: &Config, stop: impl Future<Output = ()> + Send) -> Result<(), Stop> {
    telemetry::start();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = Stores::open(config, clock.clone()).await?;
    let app = App::new(config, &stores, clock, Arc::new(OsEntropy))?;
    if let Err(missing) = &app.money.kinds {
        tracing::warn!("{missing} Only login sessions are swept");
    }
    let background = Background::start(config, &stores, &app)?;
    tracing::info!("working");
    stop.await;
    tracing::info!("stopping: nothing new is begun, effects in hand are finished");
    background.stop().await;
    serve::close(app, stores).await;
    tracing::info!("stopped");
    Ok(())
}
