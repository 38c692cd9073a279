//! Buyers: each writes a prompt, asks for a payment page until there is one, and pays. Beforehand each may have switched
//! something on that goes wrong once, at Stripe or at the generator.

use crate::load::Outcome;
use crate::studio::{PRICE, Till};
use futures_util::StreamExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sessile_sandbox::stripe::{self, PayWith, PaymentStatus};
use sessile_sandbox::superduperai;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Videos in one job.
pub(crate) const VIDEOS: usize = 3;
/// Buyers at once.
const AT_ONCE: usize = 8;
/// Between two tries of one request.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one request is tried, whatever is killed meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);
/// What creates a payment page at Stripe.
const CREATE: &str = "POST /v1/checkout/sessions";

pub(crate) struct Buyers {
    seed: u64,
    begun: usize,
    unanswered: AtomicU64,
    /// What was ordered, by Stripe's name of the page that its buyer was sent to.
    ordered: Mutex<BTreeMap<String, String>>,
}

impl Buyers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, begun: 0, unanswered: AtomicU64::new(0), ordered: Mutex::default() }
    }

    /// How many there were so far.
    pub(crate) fn count(&self) -> usize {
        self.begun
    }

    /// Requests that nobody answered, or that were answered 5xx.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Prompts by the page that was paid.
    pub(crate) fn ordered(&self) -> BTreeMap<String, String> {
        self.ordered.lock().map(|ordered| ordered.clone()).unwrap_or_default()
    }

    /// So many more buy; answers how many have paid.
    pub(crate) async fn buy(&mut self, till: &Till, count: usize) -> Outcome<usize> {
        let from = self.begun;
        self.begun += count;
        let me = &*self;
        let buying = futures_util::stream::iter((from..from + count).map(|number| me.one(till, number)));
        let bought: Vec<Outcome> = buying.buffer_unordered(AT_ONCE).collect().await;
        bought.into_iter().collect::<Outcome>()?;
        Ok(count)
    }

    async fn one(&self, till: &Till, number: usize) -> Outcome {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ number as u64);
        stumble(till, &mut rng)?;
        let (page, prompt) = self.order(till, number).await?;
        self.ordered.lock().map_err(|_| "a buyer panicked")?.insert(page.clone(), prompt);
        let paid_already =
            till.stripe().session(&page).is_some_and(|session| session.payment_status == PaymentStatus::Paid);
        if !paid_already {
            till.stripe().pay(&page, PayWith::Card)?;
        }
        Ok(())
    }

    /// A page, and the prompt that it is for: every try has its own, so that two pages are never taken for one.
    async fn order(&self, till: &Till, number: usize) -> Outcome<(String, String)> {
        let url = format!("{}/api/create-checkout", till.home);
        let began = Instant::now();
        for attempt in 1_u32.. {
            let prompt = format!(
                "job {number}, try {attempt}: 🎬 \u{202b}שלום\u{202c} \"{}\"",
                "~".repeat(number % 50)
            );
            let body = json!({ "priceId": PRICE, "quantity": VIDEOS, "prompt": prompt });
            let said = async {
                let answer = till.http.post(&url).json(&body).send().await?;
                Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
            };
            match said.await {
                Ok((StatusCode::OK, text)) => {
                    let body: Value = serde_json::from_str(&text)?;
                    let page = body["sessionId"].as_str().ok_or(format!("no sessionId: {text}"))?;
                    return Ok((page.to_owned(), prompt));
                }
                Ok((status, text)) if !status.is_server_error() => {
                    return Err(format!("an order was refused with {status}: {text}").into());
                }
                Ok(_) | Err(_) if began.elapsed() < PATIENCE => {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                Ok((status, text)) => return Err(format!("an order failed with {status}: {text}").into()),
                Err(error) => return Err(error.into()),
            }
        }
        Err("there was no try".into())
    }
}

/// What goes wrong once for this buyer, or for another who comes first.
fn stumble(till: &Till, rng: &mut fastrand::Rng) -> Outcome {
    use stripe::Misbehaviour as S;
    use superduperai::Misbehaviour as G;
    let at_stripe =
        [S::LostReply, S::Api429, S::LockTimeout, S::Api500, S::Api500Stored, S::WebhookBeforeReply];
    if rng.bool() {
        let kind = at_stripe[rng.usize(..at_stripe.len())];
        let switch = stripe::Switch::once(kind);
        let switch = if kind == S::WebhookBeforeReply { switch } else { switch.on(CREATE) };
        till.stripe().set(&switch)?;
    }
    let on_the_way = [S::LostAcknowledgement, S::Delay];
    if rng.bool() {
        till.stripe().set(&stripe::Switch::once(on_the_way[rng.usize(..on_the_way.len())]))?;
    }
    let at_the_generator =
        [G::LostReply, G::RateLimited, G::ServerError, G::ServerErrorAfter, G::Garbage, G::SlowReply];
    if rng.bool() {
        let kind = at_the_generator[rng.usize(..at_the_generator.len())];
        till.maker().set(&superduperai::Switch::once(kind))?;
    }
    Ok(())
}
