//! What the tour breaks, and how it comes back. Nothing here touches what is stored: workers are sent away, calls go
//! nowhere for a while, and the stand-ins repeat or lose what the real providers are documented to repeat and lose.

use super::Tour;
use super::diary::Sort;
use crate::app::App;
use futures_util::future::join_all;
use sessile_sandbox::click::{self, ClickControl, Exchange, Step};
use sessile_sandbox::stripe::{Answer, EventState, StripeControl};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long killed workers are away.
pub(crate) const WORKERS_AWAY: Duration = Duration::from_secs(8);
/// How long the database is.
pub(crate) const DATABASE_AWAY: Duration = Duration::from_secs(10);
/// How often a message is sent again, all of them at once.
const COPIES: usize = 10;

/// One button of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    KillWorkers,
    CutDatabase,
    RepeatWebhook,
    RestartWorkers,
    LoseReply,
}

impl Act {
    /// As the page shows them.
    pub(crate) const ALL: [Self; 5] =
        [Self::KillWorkers, Self::CutDatabase, Self::RepeatWebhook, Self::LoseReply, Self::RestartWorkers];

    /// In its address.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KillWorkers => "kill-workers",
            Self::CutDatabase => "cut-database",
            Self::RepeatWebhook => "repeat-webhook",
            Self::RestartWorkers => "restart-workers",
            Self::LoseReply => "lose-reply",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }

    /// Does it. What takes a while goes on by itself, and the diary tells.
    pub(super) async fn perform(self, app: &App, tour: &Arc<Tour>) {
        match self {
            Self::KillWorkers => kill_workers(app, tour),
            Self::CutDatabase => cut_database(app, tour),
            Self::RestartWorkers => restart_workers(app, tour),
            Self::LoseReply => lose_reply(app, tour),
            Self::RepeatWebhook => {
                let told = repeat_webhook(tour).await;
                tour.tell(app, Sort::Tried, told);
            }
        }
    }
}

fn kill_workers(app: &App, tour: &Arc<Tour>) {
    let Some(crew) = tour.crew().filter(|crew| crew.is_at_work()) else { return };
    crew.cut_off();
    tour.tell(app, Sort::Broken, "The workers were killed in the middle of what they did.");
    let (app, tour) = (app.clone(), tour.clone());
    tokio::spawn(async move {
        tokio::time::sleep(WORKERS_AWAY).await;
        crew.start();
        tour.tell(&app, Sort::Mended, "The workers are back, and take over what was left.");
    });
}

fn restart_workers(app: &App, tour: &Arc<Tour>) {
    let Some(crew) = tour.crew().filter(|crew| crew.is_at_work()) else { return };
    tour.tell(app, Sort::Broken, "The workers were asked to stop; they finish what is in hand.");
    let (app, tour) = (app.clone(), tour.clone());
    tokio::spawn(async move {
        crew.stop().await;
        crew.start();
        tour.tell(&app, Sort::Mended, "The workers stopped and were started again.");
    });
}

fn cut_database(app: &App, tour: &Arc<Tour>) {
    if tour.line().cut_for().is_some() {
        return;
    }
    tour.line().cut(DATABASE_AWAY);
    tour.tell(app, Sort::Broken, "The database is cut off: no call reaches it.");
    let (app, tour) = (app.clone(), tour.clone());
    tokio::spawn(async move {
        tokio::time::sleep(DATABASE_AWAY).await;
        tour.tell(&app, Sort::Mended, "The database answers again.");
    });
}

fn lose_reply(app: &App, tour: &Tour) {
    let lost = click::Switch::once(click::Misbehaviour::LostReply);
    match tour.providers.click.as_ref().map(|click| click.set(&lost)) {
        Some(Ok(())) => tour.tell(app, Sort::Broken, "CLICK will not hear our next answer."),
        Some(Err(error)) => tour.tell(app, Sort::Tried, error.to_string()),
        None => {}
    }
}

/// What a provider said last.
enum Message {
    Stripe(StripeControl, String),
    Click(ClickControl, click::Message),
}

/// Sends it again and again, all copies at once, and says what was answered.
async fn repeat_webhook(tour: &Tour) -> String {
    let Some(message) = last_message(tour) else {
        return "No provider has sent a message yet: pay for an order or a video first.".to_owned();
    };
    let (what, answers): (_, Vec<String>) = match message {
        Message::Stripe(stripe, event) => {
            let answers = stripe.deliver_again(&event, COPIES, COPIES).await.unwrap_or_default();
            let said =
                |answer: &Answer| answer.status().map_or("no answer".to_owned(), |code| code.to_string());
            ("Stripe's last event", answers.iter().map(said).collect())
        }
        Message::Click(click, message) => {
            let answers = join_all((0..COPIES).map(|_| click.send(&message))).await;
            ("CLICK's last Complete", answers.iter().map(|reply| meaning(reply.error()).to_owned()).collect())
        }
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    answers.into_iter().for_each(|answer| *counts.entry(answer).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(answer, count)| format!("{count} × {answer}")).collect();
    format!("{what} was sent {COPIES} times more, all at once. Answers: {}.", counts.join(", "))
}

/// What CLICK is told, in words.
const fn meaning(error: Option<i64>) -> &'static str {
    match error {
        Some(0) => "success",
        Some(-4) => "already paid",
        Some(-9) => "already cancelled",
        Some(_) => "refused",
        None => "no answer",
    }
}

/// Stripe's or CLICK's, whichever is the later.
fn last_message(tour: &Tour) -> Option<Message> {
    let stripe = tour.providers.stripe.as_ref().and_then(|stripe| {
        let events = stripe.events();
        let last = events.into_iter().rfind(|event| event.state == EventState::Acknowledged)?;
        Some((last.at_ms, Message::Stripe(stripe.clone(), last.id)))
    });
    let click = tour.providers.click.as_ref().and_then(|click| {
        let exchanges = click.payments().into_iter().flat_map(|payment| payment.attempts);
        let exchanges = exchanges.flat_map(|attempt| attempt.messages);
        let last = exchanges.filter(|sent| sent.step == Step::Complete).max_by_key(|sent| sent.at_ms)?;
        Some((last.at_ms, Message::Click(click.clone(), same_again(click, &last))))
    });
    let latest = stripe.into_iter().chain(click).max_by_key(|(at, _)| *at)?;
    Some(latest.1)
}

/// The message with every field as it was sent; its signature comes out the same.
fn same_again(click: &ClickControl, sent: &Exchange) -> click::Message {
    let field = |name| sent.sent(name).unwrap_or_default();
    let prepare = click.prepare_message(field("merchant_trans_id"), field("amount"));
    let complete = click.complete_message(&prepare, field("merchant_prepare_id"));
    let fields = sent.fields.iter().filter(|(name, _)| name != "sign_string");
    fields.fold(complete, |message, (name, value)| message.with(name, value.as_str()))
}
