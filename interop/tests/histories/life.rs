//! One history, lived on one ledger: every step is a call, or two at once; the ledger may fail, and then the call is
//! made again; whoever was heard may repeat himself, and nothing may change. After each step every rule is checked.

use super::names::Names;
use super::place::Place;
use super::rules::always;
use super::script::{History, Step};
use super::shop::{Action, Reply, Shop, State};
use super::steps::Lived as LivedStep;
use super::told::Told;
use super::view::View;
use super::wire::{Attempt, Money};
use super::world::{START, Said, Seeded, World, terms};
use sessile_core::checkout::{Checkout, CheckoutId};
use sessile_core::ledger::{AuditHead, AuditRow, Broken, LedgerStore, Replay, verify};
use sessile_core::payment::Reply as Answer;
use sessile_core::payment::{OrderId, Payment, PaymentId, PrepareId, RefundId, Terms, Verdict};
use sessile_core::{Clock, ManualClock};
use sessile_store::contract::ledger::FaultyLedger;
use sessile_store::contract::{Fault, Moment};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Rows of the audit that are read at once.
const MANY: usize = 500;

/// What a history came to.
pub(crate) struct Lived {
    pub(crate) told: Told,
    /// Every row in the end, without the names that chance gave.
    pub(crate) summary: Vec<String>,
    /// What the audit and the outbox say, sorted: neighbours in one sweep have no order.
    pub(crate) events: Vec<String>,
}

/// Rows in the order in which they were seen first.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) checkouts: Vec<CheckoutId>,
    pub(super) payments: Vec<(PaymentId, OrderId)>,
    pub(super) refunds: Vec<RefundId>,
    pub(super) prepares: BTreeMap<PrepareId, PaymentId>,
}

/// One that is being lived.
pub(super) struct Life {
    ledger: Arc<dyn LedgerStore>,
    terms: Arc<Terms>,
    pub(super) clock: Arc<ManualClock>,
    entropy: Arc<Seeded>,
    view: View,
    pub(super) state: State,
    pub(super) seen: Seen,
    told: Told,
}

/// Lives it to its end.
pub(crate) async fn live(place: &Place, history: &History) -> Result<Lived, String> {
    let mut life = Life::begin(place, history).await?;
    for (at, step) in history.steps.iter().enumerate() {
        life.step(step).await.map_err(|broken| format!("step {at}: {broken}"))?;
    }
    life.settle().await.map_err(|broken| format!("in the end: {broken}"))?;
    life.end().await
}

/// Lives it, and leaves everything as it is then.
pub(crate) async fn leave(place: &Place, history: &History) -> Result<State, String> {
    let mut life = Life::begin(place, history).await?;
    for step in &history.steps {
        life.step(step).await?;
    }
    Ok(life.state)
}
impl Life {
    async fn begin(place: &Place, history: &History) -> Result<Self, String> {
        let mut life = Self {
            ledger: place.ledger.clone(),
            terms: Arc::new(terms()?),
            clock: Arc::new(ManualClock::at(START)),
            entropy: Arc::new(Seeded::new(history.seed)),
            view: View::default(),
            state: State::default(),
            seen: Seen::default(),
            told: Told::default(),
        };
        let (percent, max_uses) = history.coupon;
        life.world(&life.ledger).make_coupon(percent, max_uses).await?;
        life.look(&[]).await?;
        Ok(life)
    }

    fn world(&self, ledger: &Arc<dyn LedgerStore>) -> World {
        let clock: Arc<dyn Clock> = self.clock.clone();
        World::on(ledger, &self.terms, &clock, &self.entropy)
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let mut actions: Vec<Action> = self.resolve(&step.what).into_iter().collect();
        if let Some(beside) = &step.beside {
            actions.extend(self.resolve(beside));
        }
        self.told.count("steps", 1);
        self.act(&actions, step.fault, step.again).await
    }

    async fn act(&mut self, actions: &[Action], fault: Option<Fault>, again: u8) -> Result<(), String> {
        if actions.is_empty() {
            return Ok(());
        }
        let said = match actions {
            [one, other] => {
                self.told.count("at once", 1);
                let (one, other) = tokio::join!(self.make(one, fault), self.make(other, None));
                vec![one?, other?]
            }
            some => {
                let mut said = Vec::new();
                for action in some {
                    said.push(self.make(action, fault).await?);
                }
                said
            }
        };
        self.told.count("faults", said.iter().filter(|(_, failed)| *failed).count());
        let said: Vec<Said> = said.into_iter().map(|(said, _)| said).collect();
        let done: Vec<_> = actions.iter().cloned().zip(said.iter().map(|said| said.answer)).collect();
        let messages = |action: &&Action| matches!(action, Action::Prepare(..) | Action::Complete(_));
        self.told.count("provider messages", actions.iter().filter(messages).count());
        self.look(&done).await.map_err(|broken| format!("{done:?}: {broken}"))?;
        let [action] = actions else { return Ok(()) };
        for _ in 0..again {
            self.repeat(action, &said).await.map_err(|broken| format!("{action:?} again: {broken}"))?;
        }
        Ok(())
    }

    /// Makes a call; where the ledger was not heard, the same call again. Whether that was so.
    async fn make(&self, action: &Action, fault: Option<Fault>) -> Result<(Said, bool), String> {
        let mut failed = false;
        let counts_twice = |fault: &Fault| is_question(action) && fault.moment == Moment::AfterTheWrite;
        if let Some(fault) = fault.filter(|fault| !counts_twice(fault)) {
            let faulty = Arc::new(FaultyLedger::new(self.ledger.clone(), fault));
            let ledger: Arc<dyn LedgerStore> = faulty.clone();
            match self.world(&ledger).call(&self.state, action).await {
                Ok(said) => return Ok((said, false)),
                Err(error) if !faulty.has_fired() => return Err(format!("the ledger failed: {error:?}")),
                Err(_) => failed = true,
            }
        }
        let said = self.world(&self.ledger).call(&self.state, action).await;
        said.map(|said| (said, failed)).map_err(|error| format!("the ledger failed: {error:?}"))
    }

    /// 6, 15 and 18: whoever repeats a request changes nothing.
    async fn repeat(&mut self, action: &Action, first: &[Said]) -> Result<(), String> {
        if is_question(action) {
            return Ok(());
        }
        let (said, _) = self.make(action, None).await?;
        self.told.count("repetitions", 1);
        let made = first.iter().find_map(|said| said.made.as_ref());
        if made.is_some() && said.made.as_ref() != made {
            return Err("the same key made another payment".to_owned());
        }
        let view = self.view.next(&*self.ledger).await?;
        if view.tables.records != self.view.tables.records || !view.news.is_empty() {
            let events: Vec<_> = view.news.iter().map(|row| row.event.as_str()).collect();
            return Err(format!("it changed something: {events:?}"));
        }
        if view.effects != self.view.effects {
            return Err("the outbox got another effect".to_owned());
        }
        Ok(())
    }

    /// Looks at what is there now, and holds every rule against it.
    async fn look(&mut self, done: &[(Action, Option<Answer>)]) -> Result<(), String> {
        let view = self.view.next(&*self.ledger).await?;
        let step = LivedStep {
            before: &self.state,
            after: &view.tables,
            done,
            now: self.clock.now(),
            news: &view.news,
        };
        let broken = step.broken();
        self.told.count("audit rows", view.news.len());
        self.state = State { tables: view.tables.clone(), wires: self.state.wires.clone(), broken };
        self.view = view;
        for (action, answer) in done {
            self.hear_back(action, *answer);
        }
        for (rule, holds) in always() {
            if !holds(&Shop, &self.state) {
                return Err(format!("rule {rule:?} does not hold"));
            }
        }
        self.note_new_rows()
    }

    /// The provider hears what it was told.
    fn hear_back(&mut self, action: &Action, answer: Option<Answer>) {
        let Action::Prepare(order, trans, reply) = action else { return };
        let asking = Attempt { order: order.clone(), money: Money::Asking };
        let wire = self.state.wires.entry(*trans).or_insert(asking);
        if let (Money::Asking, Reply::Arrives, Some(Answer::Prepared(number))) = (wire.money, reply, answer) {
            wire.money = Money::Ready(number);
        }
    }

    /// 12: no name and no number is given twice.
    fn note_new_rows(&mut self) -> Result<(), String> {
        let Self { state, seen, .. } = self;
        let mut new: Vec<&Checkout> =
            state.tables.checkouts().filter(|row| !seen.checkouts.contains(&row.id)).collect();
        new.sort_by_key(|row| row.created_at);
        seen.checkouts.extend(new.into_iter().map(|row| row.id.clone()));
        let known = |row: &&Payment| !seen.payments.iter().any(|(id, _)| *id == row.id);
        let new: Vec<_> = state.tables.payments().filter(known).collect();
        for row in new {
            if seen.payments.iter().any(|(_, order)| *order == row.order) {
                return Err("an order has two payments".to_owned());
            }
            seen.payments.push((row.id.clone(), row.order.clone()));
        }
        let new: Vec<_> = state.tables.refunds().filter(|row| !seen.refunds.contains(&row.id)).collect();
        seen.refunds.extend(new.into_iter().map(|row| row.id.clone()));
        for row in state.tables.payments() {
            let Some(prepare) = row.state.attempt().and_then(|attempt| attempt.prepare) else { continue };
            if *seen.prepares.entry(prepare).or_insert_with(|| row.id.clone()) != row.id {
                return Err("a prepare id was given twice".to_owned());
            }
        }
        Ok(())
    }

    /// Everything comes to its end: the provider finishes what it began, and the timers run.
    async fn settle(&mut self) -> Result<(), String> {
        for wire in self.state.wires.values_mut() {
            if let Money::Ready(number) = wire.money {
                wire.money = Money::Cancelled(number);
            }
        }
        for trans in self.state.wires.keys().copied().collect::<Vec<_>>() {
            self.act(&[Action::Complete(trans)], None, 1).await?;
        }
        let processing: Vec<PaymentId> = self
            .state
            .tables
            .payments()
            .filter(|payment| payment.state.is_processing())
            .map(|payment| payment.id.clone())
            .collect();
        for id in processing {
            self.act(&[Action::Told(id, Verdict::NotPaid)], None, 0).await?;
        }
        self.clock.set(self.clock.now().plus(10 * 24 * 60 * MINUTE));
        for _ in 0..2 {
            self.act(&[Action::SweepPayments], None, 1).await?;
            self.act(&[Action::SweepCheckouts], None, 1).await?;
        }
        self.is_over()
    }

    fn is_over(&self) -> Result<(), String> {
        let tables = &self.state.tables;
        if let Some(open) = tables.payments().find(|payment| payment.state.is_open()) {
            return Err(format!("a payment is open for ever: {open:?}"));
        }
        if let Some(held) = tables.coupons().find(|coupon| coupon.reserved != 0) {
            return Err(format!("uses of a coupon are held for nobody: {held:?}"));
        }
        for (trans, wire) in &self.state.wires {
            let ours = tables.payments().find(|payment| payment.order == wire.order);
            if matches!(wire.money, Money::Taken(_)) && !ours.is_some_and(|row| row.state.is_completed()) {
                return Err(format!("the money of {trans:?} did nothing: {ours:?}"));
            }
        }
        Ok(())
    }

    /// The whole audit tells the rows; and everything without names.
    async fn end(mut self) -> Result<Lived, String> {
        let mut rows = Vec::new();
        loop {
            let after = rows.last().map_or(0, |row: &AuditRow| row.seq);
            let more = self.ledger.audit(after, MANY).await.map_err(|error| error.to_string())?;
            if more.is_empty() {
                break;
            }
            rows.extend(more);
        }
        let told = |broken: Broken| broken.to_string();
        let head = verify(AuditHead::default(), &rows).map_err(told)?;
        if head != self.view.head {
            return Err("the audit has two ends".to_owned());
        }
        let mut replay = Replay::default();
        replay.read(&rows).map_err(told)?;
        replay.compare(self.state.tables.records.values().cloned()).map_err(told)?;
        replay.finish().map_err(told)?;
        self.told.of_the_end(&self.state.tables);
        let names = Names::of(&self.seen);
        let mut summary: Vec<String> =
            self.state.tables.records.values().map(|record| names.plain(record)).collect();
        let mut events: Vec<String> =
            rows.iter().map(|row| names.hide(&format!("{} by {}", row.event, row.actor))).collect();
        let effects = self.view.effects.iter().map(|row| names.json(&row.effect));
        events.extend(effects);
        summary.sort();
        events.sort();
        Ok(Lived { told: self.told, summary, events })
    }
}

/// How often we ask the provider in vain is remembered, so that to ask again is another question.
fn is_question(action: &Action) -> bool {
    matches!(action, Action::Told(_, Verdict::Open | Verdict::Unknown))
}
