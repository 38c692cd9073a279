//! Buyers: each has the backend make a payment and pays it at CLICK. Some call a first attempt off; a third of them
//! type a coupon that is not enough for all of them; of the long version a few are ones of whom CLICK never tells us.

use crate::load::Outcome;
use crate::shop::{Till, Wanted};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use sessile_sandbox::click::{AttemptState, Misbehaviour, Switch};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Steps of one buyer that are counted.
pub(crate) const STEPS: usize = 2;
/// Buyers at once.
const AT_ONCE: usize = 24;
/// How long CLICK repeats a message.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the tier costs, in so'm.
const PRICE: i64 = 50_000;
/// One buyer in so many types a coupon; of those every second one the other coupon.
const WITH_COUPON: usize = 3;
/// One buyer in so many calls a first attempt off.
const CALLS_OFF: usize = 8;
/// One answer in so many is asked for again, and has to be the same.
const ASKS_AGAIN: usize = 10;
/// Of the long version one buyer in so many is one of whom CLICK never tells us.
const NEVER_TOLD: usize = 100;

/// A coupon that half of those who type it can use.
pub(crate) struct Limited {
    pub(crate) code: &'static str,
    discount: (&'static str, i64),
}

pub(crate) const COUPONS: [Limited; 2] = [
    Limited { code: "QUARTER", discount: ("percentage", 25) },
    Limited { code: "TEN-THOUSAND", discount: ("fixed", 10_000) },
];

impl Limited {
    /// Uses, where so many payments are made.
    pub(crate) fn max_uses(payments: usize) -> usize {
        payments / WITH_COUPON / COUPONS.len() / 2
    }

    pub(crate) fn as_json(&self, payments: usize) -> Value {
        let (kind, value) = self.discount;
        json!({
            "code": self.code,
            "discountType": kind,
            "discountValue": value,
            "maxUses": Self::max_uses(payments),
        })
    }
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Buyer {
    number: usize,
    coupon: Option<&'static str>,
}

impl Buyer {
    fn new(number: usize) -> Self {
        let types = number.is_multiple_of(WITH_COUPON);
        let coupon = types.then(|| COUPONS[number / WITH_COUPON % COUPONS.len()].code);
        Self { number, coupon }
    }

    pub(crate) fn calls_off(number: usize) -> bool {
        number % CALLS_OFF == 1
    }

    fn wants(&self, what: &str) -> Wanted {
        Wanted {
            user: format!("00000000-0000-4000-8000-{:012}", self.number),
            amount: PRICE,
            coupon: self.coupon,
            key: format!("{what}-{}", self.number),
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Buyers {
    next: usize,
    count: usize,
    is_long: bool,
    unanswered: AtomicU64,
    steps: AtomicUsize,
}

impl Buyers {
    pub(crate) fn new(count: usize, is_long: bool) -> Self {
        Self { next: 0, count, is_long, unanswered: AtomicU64::new(0), steps: AtomicUsize::new(0) }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn called_off(&self) -> usize {
        (0..self.count).filter(|number| Buyer::calls_off(*number)).count()
    }

    /// Requests of the backend that nobody answered.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Steps that were made: a payment of the backend's, and paying it.
    pub(crate) fn steps(&self) -> usize {
        self.steps.load(Ordering::Relaxed)
    }

    /// The next ones.
    pub(crate) fn wave(&mut self, size: usize) -> Vec<Buyer> {
        let from = self.next;
        self.next = (from + size).min(self.count);
        (from..self.next).map(Buyer::new).collect()
    }

    /// All of them pay, whatever is killed meanwhile; answers how many have.
    pub(crate) async fn pay(&self, till: &Till, wave: Vec<Buyer>) -> Outcome<usize> {
        let paying = futures_util::stream::iter(wave.into_iter().map(|buyer| self.buy(till, buyer)));
        let paid: Vec<Outcome> = paying.buffer_unordered(AT_ONCE).collect().await;
        let count = paid.len();
        paid.into_iter().collect::<Outcome>()?;
        Ok(count)
    }

    async fn buy(&self, till: &Till, buyer: Buyer) -> Outcome {
        if Buyer::calls_off(buyer.number) {
            self.call_off(till, &buyer).await?;
        }
        let wanted = buyer.wants("pays");
        let made = till.create(&wanted, &self.unanswered).await?;
        if buyer.number.is_multiple_of(ASKS_AGAIN) {
            let again = till.create(&wanted, &self.unanswered).await?;
            if again.bytes != made.bytes {
                return Err(
                    format!("{} and {}: one request has got two answers", again.bytes, made.bytes).into()
                );
            }
        }
        if self.is_long && buyer.number % NEVER_TOLD == NEVER_TOLD - 1 {
            till.click().set(&Switch::once(Misbehaviour::NeverComplete).for_order(&made.order))?;
        }
        self.steps.fetch_add(1, Ordering::Relaxed);
        let order = [(made.order, made.amount)];
        let attempts = till.click().pay_all(&order, 1, PATIENCE).await?;
        self.steps.fetch_add(1, Ordering::Relaxed);
        match attempts.as_slice() {
            [attempt] if attempt.state == AttemptState::Successful => Ok(()),
            other => Err(format!("buyer {} could not pay: {other:?}", buyer.number).into()),
        }
    }

    async fn call_off(&self, till: &Till, buyer: &Buyer) -> Outcome {
        let wanted = Wanted { coupon: None, ..buyer.wants("calls-off") };
        let made = till.create(&wanted, &self.unanswered).await?;
        let attempt = till.click().start_payment(&made.order, &made.amount).await?;
        if attempt.state != AttemptState::Prepared {
            return Err(format!("buyer {} got no Prepare through: {attempt:?}", buyer.number).into());
        }
        till.click().cancel(&made.order).await?;
        Ok(())
    }
}
