//! A studio on the program itself: `sessile serve`, two `sessile worker`, and the stand-ins that its buyers pay with and
//! that make its videos.

use crate::load::{Outcome, is_long, secret};
use crate::server::Server;
use reqwest::Client;
use sessile_interop::servers::free_port;
use sessile_sandbox::stripe::{Misbehaviour, Schedule, StripeConfig, StripeControl, Switch};
use sessile_sandbox::superduperai::{SuperDuperAiConfig, SuperDuperAiControl};
use sessile_sandbox::{Sandbox, SandboxConfig};
use std::time::Duration;

/// Longer than any timeout of the program.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// Processes that work without serving.
const WORKERS: usize = 2;
/// Of so many kills of a process, one is the server's.
const SERVER_IN: usize = 4;
/// What is sold.
pub(crate) const PRICE: &str = "price_sandbox_single";

pub(crate) struct Studio {
    pub(crate) till: Till,
    pub(crate) processes: Processes,
}

/// Everything outside of the program.
pub(crate) struct Till {
    sandbox: Sandbox,
    /// The program's base URL, without a slash at the end.
    pub(crate) home: String,
    pub(crate) http: Client,
}

/// The program, several times.
pub(crate) struct Processes {
    server: Server,
    workers: Vec<Server>,
}

impl Studio {
    /// Opens on a Redis. Stripe repeats everything, in any order, and is patient.
    pub(crate) async fn open(name: &str, redis: &str) -> Outcome<Self> {
        let schedule = Schedule { delay_max: Duration::from_secs(1), tries_max: 600, ..Schedule::default() };
        let shop = StripeConfig { schedule, ..StripeConfig::demo() };
        let maker = SuperDuperAiConfig {
            render_time: Duration::from_millis(400),
            steps: 4,
            ..SuperDuperAiConfig::new(secret()?)
        };
        let stand_ins = SandboxConfig::new().with_stripe(shop.clone()).with_superduperai(maker.clone());
        let sandbox = Sandbox::start(stand_ins).await?;
        let port = free_port()?;
        let home = format!("http://127.0.0.1:{port}");
        let webhook_secret = format!("whsec_{}", secret()?);
        sandbox.stripe().set_webhook(format!("{home}/api/webhooks/stripe"), [webhook_secret.as_str()])?;
        let twice = Switch::standing(Misbehaviour::Duplicate).copies(3, 2);
        sandbox.stripe().misbehave(&[twice, Switch::standing(Misbehaviour::Reorder)])?;
        // The work of a worker that was killed is taken over soon; but half of this is all the time that the generator's
        // list may take to be read, and it grows with the number of jobs.
        let lease = if is_long() { "40" } else { "4" };
        let env: Vec<(&'static str, String)> = vec![
            ("SESSILE_ENV", "production".to_owned()),
            ("SESSILE_COOKIE_SECURE", "false".to_owned()),
            ("HOST", "127.0.0.1".to_owned()),
            ("PORT", port.to_string()),
            ("APP_URL", home.clone()),
            ("SESSION_SECRET", secret()?),
            ("REDIS_URL", redis.to_owned()),
            ("STRIPE_SECRET_KEY", shop.secret_key),
            ("STRIPE_WEBHOOK_SECRET", webhook_secret),
            ("STRIPE_PRICE_SINGLE", PRICE.to_owned()),
            ("STRIPE_API_URL", sandbox.stripe_api_url()),
            ("SUPERDUPERAI_TOKEN", maker.token),
            ("SUPERDUPERAI_URL", sandbox.superduperai_url()),
            ("SESSILE_GENERATION_LEASE_SECONDS", lease.to_owned()),
            // A stand-in shows a request at once.
            ("SESSILE_GENERATION_SETTLED_SECONDS", "1".to_owned()),
        ];
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(ANSWER_LIMIT).no_proxy().build()?;
        let mut server = Server::new(name, port, env.clone(), http.clone())?;
        server.start().await?;
        let mut workers = Vec::new();
        for number in 1..=WORKERS {
            let name = format!("{name}-worker-{number}");
            let mut worker = Server::new(&name, port, env.clone(), http.clone())?.doing("worker");
            worker.spawn().await?;
            workers.push(worker);
        }
        Ok(Self { till: Till { sandbox, home, http }, processes: Processes { server, workers } })
    }
}

impl Till {
    pub(crate) fn stripe(&self) -> &StripeControl {
        self.sandbox.stripe()
    }

    pub(crate) fn maker(&self) -> &SuperDuperAiControl {
        self.sandbox.superduperai()
    }
}

impl Processes {
    /// Kills one of them, and starts it again. `chance` chooses.
    pub(crate) async fn kill(&mut self, chance: usize) -> Outcome<String> {
        if chance.is_multiple_of(SERVER_IN) {
            self.server.kill_9().await?;
            self.server.start().await?;
            return Ok("the server".to_owned());
        }
        let number = chance % WORKERS;
        self.workers[number].kill_9().await?;
        self.workers[number].spawn().await?;
        Ok(format!("worker {}", number + 1))
    }
}
