//! A small shop: a catalogue of two packages, a clock that stands, chance that repeats, and the people in it.

use crate::ledger::{Fault, MemoryLedger};
use futures_util::FutureExt as _;
use serde_json::json;
use sessile_core::checkout::{
    Caller, Catalogue, Checkout, CheckoutError, CheckoutId, Checkouts, Choice, GuestHash, NewCheckout,
    Opened, Owner,
};
use sessile_core::entropy::{Entropy, NoEntropy};
use sessile_core::ledger::{Inbound, PaymentKey, Replay, verify};
use sessile_core::login::UserId;
use sessile_core::money::Minor;
use sessile_core::payment::{
    Answered, Coupon, CouponId, CreateError, Created, Discount, NewCoupon, NewPayment, OrderId, PaydocId,
    Payment, PaymentId, PaymentState, Payments, PrepareId, ProviderMessage, ProviderStep, Refund, Reply,
    Telling, Terms, TransId, Word,
};
use sessile_core::{ManualClock, Timestamp};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When everything begins.
pub(crate) const START: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What the packages cost, in minor units.
pub(crate) const BASIC: i64 = 1_000_000;
pub(crate) const PRO: i64 = 5_000_000;

/// Bytes that look random and repeat with their seed.
#[derive(Debug)]
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        for chunk in buffer.chunks_mut(8) {
            // SplitMix64.
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(1);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The future of a service on a ledger in memory never waits.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a ledger in memory answers at once")
}

pub(crate) fn user(name: char) -> UserId {
    UserId::parse(format!("00000000-0000-4000-8000-00000000000{name}")).expect("a hexadecimal digit")
}

/// A signed-in browser.
pub(crate) fn browser(name: char) -> Caller {
    Caller::Browser(Owner::user(user(name)))
}

pub(crate) fn cookie(name: &str) -> GuestHash {
    GuestHash::parse(name).expect("visible characters")
}

/// A browser that nobody has signed in with.
pub(crate) fn guest(name: &str) -> Caller {
    Caller::Browser(Owner::guest(cookie(name)))
}

/// A browser that was a guest before somebody signed in.
pub(crate) fn signed_in_guest(name: char, cookie_name: &str) -> Caller {
    Caller::Browser(Owner { user: Some(user(name)), guest: Some(cookie(cookie_name)) })
}

pub(crate) fn backend() -> Caller {
    Caller::Backend("shop".to_owned())
}

pub(crate) fn catalogue(basic: i64, pro: i64) -> Catalogue {
    serde_json::from_value(json!({
        "currency": "UZS",
        "packages": { "basic": { "price": basic }, "pro": { "price": pro } },
    }))
    .expect("a catalogue")
}

pub(crate) fn terms() -> Terms {
    Terms {
        catalogue: Some(catalogue(BASIC, PRO)),
        webhook: Telling::Outbox,
        tier_sync: Telling::Outbox,
        ..Terms::default()
    }
}

/// One track and a package for it.
pub(crate) fn wants(package: &str) -> NewCheckout {
    let packages = json!({ "0": package });
    NewCheckout {
        choice: Choice::new(&json!([{ "title": "song" }]), &packages).expect("a choice"),
        packages,
        user: None,
        existing: None,
        coupon: None,
    }
}

pub(crate) fn pays_for(checkout: &CheckoutId) -> NewPayment {
    NewPayment {
        amount: None,
        user: None,
        email: "ada@example.org".to_owned(),
        coupon: None,
        checkout: Some(checkout.clone()),
        key: None,
    }
}

pub(crate) fn pays_for_tier() -> NewPayment {
    NewPayment {
        amount: Some(BASIC / 100),
        user: None,
        email: "ada@example.org".to_owned(),
        coupon: None,
        checkout: None,
        key: None,
    }
}

/// A message of the provider about an attempt. Its paydoc follows from its number.
pub(crate) fn message(order: &OrderId, trans: i64, step: ProviderStep, word: Word) -> ProviderMessage {
    let digest = format!("{}:{trans}:{step:?}:{word:?}", order.as_str());
    ProviderMessage {
        order: order.clone(),
        trans: TransId(trans),
        paydoc: PaydocId(trans + 1000),
        word,
        step,
        inbound: Inbound { provider: "click", digest },
    }
}

/// The shop.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) payments: Payments,
    pub(crate) checkouts: Checkouts,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(terms())
    }

    pub(crate) fn with(terms: Terms) -> Self {
        Self::on(Arc::new(MemoryLedger::default()), START, Arc::new(terms), 1)
    }

    pub(crate) fn on(ledger: Arc<MemoryLedger>, now: Timestamp, terms: Arc<Terms>, seed: u64) -> Self {
        let (clock, entropy) = (Arc::new(ManualClock::at(now)), Arc::new(Seeded::new(seed)));
        Self {
            payments: Payments::new(ledger.clone(), terms.clone(), clock.clone(), entropy.clone()),
            checkouts: Checkouts::new(ledger.clone(), terms, clock.clone(), entropy),
            ledger,
            clock,
        }
    }

    /// The same ledger and clock, another installation.
    pub(crate) fn under(&self, terms: Terms, seed: u64) -> Self {
        Self::on(self.ledger.clone(), self.now(), Arc::new(terms), seed)
    }

    pub(crate) fn now(&self) -> Timestamp {
        use sessile_core::Clock as _;
        self.clock.now()
    }

    pub(crate) fn open(&self, caller: &Caller, new: NewCheckout) -> Opened {
        run(self.checkouts.open(caller, new)).expect("a checkout opens")
    }

    pub(crate) fn recover(
        &self,
        caller: &Caller,
        named: Option<&CheckoutId>,
    ) -> Result<Checkout, CheckoutError> {
        run(self.checkouts.recover(caller, None, named)).map(|recovered| recovered.checkout)
    }

    pub(crate) fn pay(&self, caller: &Caller, new: NewPayment) -> Created {
        run(self.payments.create(caller, new)).expect("a payment is made")
    }

    pub(crate) fn refuses(&self, caller: &Caller, new: NewPayment) -> CreateError {
        run(self.payments.create(caller, new)).expect_err("no payment is made")
    }

    pub(crate) fn hear(&self, message: ProviderMessage) -> Answered {
        run(self.payments.hear(message)).expect("the ledger answers")
    }

    pub(crate) fn prepare(&self, payment: &Payment, trans: i64) -> Reply {
        let word = Word::Amount(Some(payment.price.payable()));
        self.hear(message(&payment.order, trans, ProviderStep::Prepare, word)).reply.expect("a known order")
    }

    /// Prepares, which must succeed.
    pub(crate) fn prepared(&self, payment: &Payment, trans: i64) -> PrepareId {
        match self.prepare(payment, trans) {
            Reply::Prepared(number) => number,
            other => panic!("not prepared: {other:?}"),
        }
    }

    pub(crate) fn complete(&self, payment: &Payment, trans: i64, prepare: PrepareId) -> Reply {
        self.completes(payment, trans, prepare, Word::Amount(Some(payment.price.payable())))
    }

    pub(crate) fn completes(&self, payment: &Payment, trans: i64, prepare: PrepareId, word: Word) -> Reply {
        let step = ProviderStep::Complete(Some(prepare));
        self.hear(message(&payment.order, trans, step, word)).reply.expect("a known order")
    }

    /// From link to money, which must all succeed.
    pub(crate) fn paid(&self, payment: &Payment, trans: i64) -> Payment {
        let prepare = self.prepared(payment, trans);
        assert_eq!(self.complete(payment, trans, prepare), Reply::Confirmed);
        self.payment(&payment.id)
    }

    pub(crate) fn payment(&self, id: &PaymentId) -> Payment {
        let found = run(self.payments.find(&PaymentKey::Id(id.clone()))).expect("the ledger answers");
        found.expect("the payment is there")
    }

    pub(crate) fn state(&self, id: &PaymentId) -> PaymentState {
        self.payment(id).state
    }

    pub(crate) fn checkout(&self, id: &CheckoutId) -> Checkout {
        self.ledger.tables().checkouts().find(|row| row.id == *id).cloned().expect("the checkout is there")
    }

    pub(crate) fn coupon(&self, id: &CouponId) -> Coupon {
        self.ledger.tables().coupons().find(|row| row.id == *id).cloned().expect("the coupon is there")
    }

    /// `(used, reserved)`
    pub(crate) fn uses(&self, id: &CouponId) -> (i64, i64) {
        let coupon = self.coupon(id);
        (coupon.used, coupon.reserved)
    }

    pub(crate) fn refunds(&self) -> Vec<Refund> {
        self.ledger.tables().refunds().cloned().collect()
    }

    pub(crate) fn tier(&self, name: char) -> Option<String> {
        self.ledger.tables().users.get(&user(name)).cloned()
    }

    /// The topics of the webhooks that were told, in the order of their ids, which is no order.
    pub(crate) fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self
            .ledger
            .told()
            .into_iter()
            .map(|row| match row.effect {
                sessile_core::ledger::Effect::Webhook { topic, .. } => topic,
                other => other.kind().name().to_owned(),
            })
            .collect();
        topics.sort();
        topics
    }

    pub(crate) fn make_coupon(&self, code: &str, discount: Discount, max_uses: Option<i64>) -> Coupon {
        let new = NewCoupon {
            code: code.to_owned(),
            description: None,
            discount,
            original_price: None,
            max_uses,
            valid_from: None,
            valid_until: None,
        };
        run(self.payments.create_coupon(&Caller::Operator, new, code)).expect("a coupon is made")
    }

    /// That no decision did what none may, and that the audit tells the present rows.
    pub(crate) fn check(&self) {
        assert_eq!(self.ledger.broken(), Vec::<String>::new());
        let (rows, head) = self.ledger.audited();
        assert_eq!(verify(sessile_core::ledger::AuditHead::default(), &rows), Ok(head));
        let mut replay = Replay::default();
        replay.read(&rows).expect("facts are readable");
        replay.compare(self.ledger.tables().records.into_values()).expect("the audit tells the present rows");
        replay.finish().expect("no row is missing");
    }

    /// Lets one call of a service fail.
    pub(crate) fn fail(&self, call: usize, fault: Fault) {
        self.ledger.fail(call, fault);
    }
}

pub(crate) fn minor(units: i64) -> Minor {
    Minor::new(units).expect("an amount")
}
