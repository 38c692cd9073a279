//! The real services on some ledger, under a clock that stands and chance that repeats; and one call of them.

use super::shop::{Action, State, Who};
use serde_json::json;
use sessile_core::checkout::{
    Caller, Catalogue, CheckoutError, CheckoutId, Checkouts, Choice, GuestHash, NewCheckout, Owner,
};
use sessile_core::entropy::{Entropy, NoEntropy};
use sessile_core::ledger::{Inbound, LedgerStore, PaymentKey};
use sessile_core::login::UserId;
use sessile_core::payment::Reply as Answer;
use sessile_core::payment::{
    CouponError, CreateError, Discount, NewCoupon, NewPayment, OrderId, PaydocId, Payment, PaymentError,
    PaymentId, Payments, ProviderMessage, ProviderStep, Telling, Terms, TransId, Word,
};
use sessile_core::{Clock, StoreError, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When everything begins.
pub(crate) const START: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
/// What people type.
const CODE: &str = "FEW";
/// What the packages cost, in minor units; a tier costs what the first does.
const BASIC: i64 = 1_000_000;
const PRO: i64 = 5_000_000;
const MINOR_PER_MAJOR: i64 = 100;
/// Rows that one sweep looks at: all there are.
const ALL: usize = 100;

/// Bytes that look random and repeat with their seed.
#[derive(Debug)]
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        for chunk in buffer.chunks_mut(8) {
            let drawn = fastrand::Rng::with_seed(self.0.fetch_add(1, Ordering::Relaxed)).u64(..);
            chunk.copy_from_slice(&drawn.to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// What an installation decided.
pub(crate) fn terms() -> Result<Terms, String> {
    let catalogue: Catalogue = serde_json::from_value(json!({
        "currency": "UZS",
        "packages": { "basic": { "price": BASIC }, "pro": { "price": PRO } },
    }))
    .map_err(|error| error.to_string())?;
    Ok(Terms {
        catalogue: Some(catalogue),
        webhook: Telling::Outbox,
        tier_sync: Telling::Outbox,
        ..Terms::default()
    })
}

/// What a call came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// For the provider.
    pub(crate) answer: Option<Answer>,
    /// A payment that was asked for with a key.
    pub(crate) made: Option<PaymentId>,
}

/// The services.
pub(crate) struct World {
    payments: Payments,
    checkouts: Checkouts,
}

impl World {
    pub(crate) fn on(
        ledger: &Arc<dyn LedgerStore>,
        terms: &Arc<Terms>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<Seeded>,
    ) -> Self {
        Self {
            payments: Payments::new(ledger.clone(), terms.clone(), clock.clone(), entropy.clone()),
            checkouts: Checkouts::new(ledger.clone(), terms.clone(), clock.clone(), entropy.clone()),
        }
    }

    /// The coupon of the history.
    pub(crate) async fn make_coupon(&self, percent: u8, max_uses: i64) -> Result<(), String> {
        let new = NewCoupon {
            code: CODE.to_owned(),
            description: None,
            discount: Discount::Percentage(percent),
            original_price: None,
            max_uses: Some(max_uses),
            valid_from: None,
            valid_until: None,
        };
        let made = self.payments.create_coupon(&Caller::Operator, new, CODE).await;
        made.map(drop).map_err(|error: CouponError| error.to_string())
    }

    /// Makes one call. A refusal is an answer; only a ledger that was not heard is none.
    pub(crate) async fn call(&self, state: &State, action: &Action) -> Result<Said, StoreError> {
        match action {
            Action::Open(..) | Action::Recover(..) | Action::Adopt(..) => self.choose(action).await,
            Action::Validate(id) => checkout(self.checkouts.validate(&owner(state, id), id).await),
            Action::Declare(id) => checkout(self.checkouts.complete(&owner(state, id), id).await),
            Action::CancelCheckout(id) => checkout(self.checkouts.cancel(&Caller::Operator, id).await),
            Action::Pay(_) | Action::BuyTier(..) => self.want(state, action).await,
            Action::CancelPayment(id) => payment(self.payments.cancel(&Caller::Operator, id).await),
            Action::SweepCheckouts => self.checkouts.sweep(ALL).await.map(|_| Said::default()),
            Action::SweepPayments => self.payments.sweep(ALL).await.map(|_| Said::default()),
            Action::Prepare(order, trans, _) => {
                self.says(order, *trans, ProviderStep::Prepare, Sum::Exact).await
            }
            Action::Complete(trans) => self.completes(state, *trans, Sum::Exact).await,
            Action::CompleteOtherSum(trans) => self.completes(state, *trans, Sum::Other).await,
            Action::CancelPaid(trans) => self.completes(state, *trans, Sum::None).await,
            Action::Told(id, verdict) => self.payments.told(id, *verdict).await.map(|_| Said::default()),
            Action::AskRefund(id) => {
                let backend = Caller::Backend("shop".to_owned());
                payment(self.payments.refund(&backend, id, &format!("back {}", id.as_str())).await)
            }
            Action::Refund(id, event) => payment(self.payments.refunded(id, event.clone(), "worker").await),
        }
    }

    async fn choose(&self, action: &Action) -> Result<Said, StoreError> {
        match action {
            Action::Open(who, package, coupon) => {
                let packages = json!({ "0": package });
                let choice = Choice::new(&json!([{ "title": "song" }]), &packages);
                let choice = choice.map_err(StoreError::unavailable)?;
                let coupon = coupon.then(|| CODE.to_owned());
                let new = NewCheckout { choice, packages, user: None, existing: None, coupon };
                checkout(self.checkouts.open(&browser(*who), new).await)
            }
            Action::Recover(who, named) => {
                checkout(self.checkouts.recover(&browser(*who), None, named.as_ref()).await)
            }
            Action::Adopt(guest, who) => {
                let Some(user) = user(*who) else { return Ok(Said::default()) };
                self.adopt(guest, &user).await
            }
            _ => Ok(Said::default()),
        }
    }

    /// Of what a guest has left behind only the newest comes over at once, and the next one when the browser repeats
    /// itself. Here it does so until nothing is left: then its request has one end.
    async fn adopt(&self, guest: &GuestHash, user: &UserId) -> Result<Said, StoreError> {
        for _ in 0..ALL {
            let before = self.checkouts.ledger().audit_head().await?;
            self.checkouts.adopt(guest, user).await?;
            if self.checkouts.ledger().audit_head().await? == before {
                break;
            }
        }
        Ok(Said::default())
    }

    async fn want(&self, state: &State, action: &Action) -> Result<Said, StoreError> {
        let new = |checkout: Option<CheckoutId>| NewPayment {
            amount: checkout.is_none().then_some(BASIC / MINOR_PER_MAJOR),
            user: None,
            email: "ada@shop.example".to_owned(),
            coupon: None,
            checkout,
            key: None,
        };
        let made = match action {
            Action::Pay(id) => self.payments.create(&owner(state, id), new(Some(id.clone()))).await,
            Action::BuyTier(who, second) => {
                let key = Some(format!("tier {second}"));
                let coupon = second.then(|| CODE.to_owned());
                self.payments.create(&browser(*who), NewPayment { key, coupon, ..new(None) }).await
            }
            _ => return Ok(Said::default()),
        };
        match made {
            Ok(created) => {
                let keyed = matches!(action, Action::BuyTier(..));
                Ok(Said { answer: None, made: keyed.then_some(created.payment.id) })
            }
            Err(CreateError::Unavailable(error)) => Err(error),
            Err(_) => Ok(Said::default()),
        }
    }

    async fn completes(&self, state: &State, trans: TransId, sum: Sum) -> Result<Said, StoreError> {
        let Some(wire) = state.wires.get(&trans) else { return Ok(Said::default()) };
        let known = self.payments.find(&PaymentKey::Order(wire.order.clone())).await?;
        let completion = known.and_then(|payment| wire.money.complete(&payment));
        let Some((number, word)) = completion else { return Ok(Said::default()) };
        let sum = if word == Word::Failed { Sum::None } else { sum };
        self.says(&wire.order, trans, ProviderStep::Complete(Some(number)), sum).await
    }

    async fn says(
        &self,
        order: &OrderId,
        trans: TransId,
        step: ProviderStep,
        sum: Sum,
    ) -> Result<Said, StoreError> {
        let Some(payment) = self.payments.find(&PaymentKey::Order(order.clone())).await? else {
            return Ok(Said::default());
        };
        let word = sum.of(&payment);
        let digest = format!("{}:{trans:?}:{step:?}:{word:?}", order.as_str());
        let message = ProviderMessage {
            order: order.clone(),
            trans,
            paydoc: PaydocId(trans.0 + 1000),
            word,
            step,
            inbound: Inbound { provider: "click", digest },
        };
        Ok(Said { answer: self.payments.hear(message).await?.reply, made: None })
    }
}

/// What the provider says it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sum {
    Exact,
    Other,
    None,
}

impl Sum {
    fn of(self, payment: &Payment) -> Word {
        let payable = payment.price.payable();
        match self {
            Self::Exact => Word::Amount(Some(payable)),
            Self::Other => Word::Amount(payable.plus(payable)),
            Self::None => Word::Failed,
        }
    }
}

/// The cookie of the guest's browser.
pub(crate) fn cookie() -> Option<GuestHash> {
    GuestHash::parse("the-cookie-of-a-guest")
}

fn user(who: Who) -> Option<UserId> {
    let digit = match who {
        Who::Ada => 'a',
        Who::Bob => 'b',
        Who::Guest => return None,
    };
    UserId::parse(format!("00000000-0000-4000-8000-00000000000{digit}"))
}

fn browser(who: Who) -> Caller {
    let guest = if who == Who::Guest { cookie() } else { None };
    Caller::Browser(Owner { user: user(who), guest })
}

/// The browser that a checkout was opened in.
fn owner(state: &State, id: &CheckoutId) -> Caller {
    let row = state.tables.checkouts().find(|row| row.id == *id);
    Caller::Browser(row.map(|row| row.owner.clone()).unwrap_or_default())
}

fn checkout<T>(answer: Result<T, CheckoutError>) -> Result<Said, StoreError> {
    match answer {
        Err(CheckoutError::Unavailable(error)) => Err(error),
        _ => Ok(Said::default()),
    }
}

fn payment<T>(answer: Result<T, PaymentError>) -> Result<Said, StoreError> {
    match answer {
        Err(PaymentError::Unavailable(error)) => Err(error),
        _ => Ok(Said::default()),
    }
}
