//! Rows as chance makes them: every state, every reason, every field with and without a value. A failing run names
//! its seed, and the seed makes the same rows again.

use super::given;
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutId, CheckoutState, InvalidReason, Owner};
use sessile_core::money::{Currency, MINOR_MAX, Minor, Price};
use sessile_core::payment::{
    Ask, Attempt, Coupon, CouponHold, Discount, Disposition, ExpireReason, FailReason, Flags, Grant,
    HoldState, How, Method, PaydocId, Payment, PaymentId, PaymentState, Refund, RefundReason, RefundState,
    Standing, TransId,
};
use std::time::Duration;

/// Texts that are easily mistreated.
const TEXTS: [&str; 6] =
    ["plain", "d'accord; -- \"quoted\"", "naïve ✓ Ўзбек", "line\nbreak\ttab", "", "%_\\"];

/// A sequence of numbers (xorshift64*) that begins with its seed.
pub(super) struct Chance {
    state: u64,
    now: Timestamp,
}

impl Chance {
    pub(super) fn new(seed: i64, now: Timestamp) -> Self {
        Self { state: seed.unsigned_abs() | 1, now }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: i64) -> i64 {
        i64::try_from(self.next() % limit.unsigned_abs().max(1)).unwrap_or(0)
    }

    fn yes(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        let at = usize::try_from(self.below(all.len() as i64)).unwrap_or(0);
        all[at].clone()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.yes().then(|| make(self))
    }

    fn text(&mut self) -> String {
        self.one_of(&TEXTS).to_owned()
    }

    fn time(&mut self) -> Timestamp {
        let span = Duration::from_millis(self.next() % 100_000_000_000);
        if self.yes() { self.now.plus(span) } else { self.now.minus(span) }
    }

    fn minor(&mut self, limit: i64) -> Minor {
        let some = self.below(limit.max(1)).min(limit);
        Minor::new(self.one_of(&[0, 1, 99, 100, some, limit]).min(limit)).unwrap_or(Minor::ZERO)
    }

    fn price(&mut self) -> Price {
        let original = self.minor(MINOR_MAX);
        let discount = self.minor(original.get());
        let currencies = ["UZS", "USD", "EUR"].map(|text| Currency::parse(text).unwrap_or(Currency::UZS));
        Price { original, discount, currency: self.one_of(&currencies) }
    }

    fn hold(&mut self, coupon: &Coupon) -> CouponHold {
        given::hold(coupon, self.hold_state())
    }

    pub(super) fn hold_state(&mut self) -> HoldState {
        self.one_of(&[HoldState::Reserved, HoldState::Consumed, HoldState::Released, HoldState::OfCheckout])
    }

    fn some_checkout(&mut self) -> CheckoutId {
        given::checkout(Owner::default(), self.now).id
    }

    fn some_payment(&mut self) -> PaymentId {
        given::payment(given::user(), self.now).id
    }

    fn attempt(&mut self) -> Attempt {
        let large = [1, 9_007_199_254_740_993, i64::MAX];
        let prepare = given::attempt().prepare.filter(|_| self.yes());
        Attempt { trans: TransId(self.one_of(&large)), paydoc: PaydocId(self.one_of(&large)), prepare }
    }

    pub(super) fn checkout(&mut self, coupon: &Coupon) -> Checkout {
        let owner = Owner { user: self.maybe(|_| given::user()), guest: self.maybe(|_| given::guest()) };
        let data = serde_json::json!({ "tracks": [self.text(), 12, true, null], "selectedPackages": { "0": self.text() } });
        Checkout {
            slot: self.one_of(&["default", "gifts"]).to_owned(),
            data: data.to_string(),
            choice: self.text(),
            price: self.maybe(Self::price),
            coupon: self.maybe(|chance| chance.hold(coupon)),
            state: self.checkout_state(),
            renewed_from: self.maybe(Self::some_checkout),
            superseded_by: self.maybe(Self::some_checkout),
            created_at: self.time(),
            updated_at: self.time(),
            expires_at: self.time(),
            ..given::checkout(owner, self.now)
        }
    }

    pub(super) fn checkout_state(&mut self) -> CheckoutState {
        let at = self.time();
        let reasons = [
            InvalidReason::Superseded,
            InvalidReason::PaidByPredecessor,
            InvalidReason::Cancelled,
            InvalidReason::Unknown,
        ];
        match self.below(4) {
            0 => CheckoutState::Active,
            1 => CheckoutState::Completed { at, payment: self.maybe(Self::some_payment) },
            2 => CheckoutState::Expired { at },
            _ => CheckoutState::Invalidated { at, reason: self.one_of(&reasons) },
        }
    }

    pub(super) fn payment(&mut self, coupon: &Coupon) -> Payment {
        Payment {
            email: self.text(),
            price: self.price(),
            coupon: self.maybe(|chance| chance.hold(coupon)),
            checkout: self.maybe(Self::some_checkout),
            method: self.one_of(&[Method::Click, Method::Coupon, Method::Other]),
            request: self.text(),
            state: self.payment_state(),
            ask: self.ask(),
            flags: self.flags(),
            created_at: self.time(),
            updated_at: self.time(),
            expires_at: self.time(),
            ..given::payment(given::user(), self.now)
        }
    }

    pub(super) fn ask(&mut self) -> Option<Ask> {
        self.maybe(|chance| Ask { at: chance.time(), times: chance.one_of(&[0, 1, 1_000_000]) })
    }

    pub(super) fn flags(&mut self) -> Flags {
        Flags { cancel_after_success: self.yes(), amount_differs: self.yes(), coupon_overflow: self.yes() }
    }

    pub(super) fn payment_state(&mut self) -> PaymentState {
        let at = self.time();
        let attempt = self.maybe(Self::attempt);
        let failures = [
            FailReason::ProviderCancelled,
            FailReason::Reconciled,
            FailReason::Cancelled,
            FailReason::Unknown,
        ];
        let ends = [
            ExpireReason::Timer,
            ExpireReason::Superseded,
            ExpireReason::CheckoutEnded,
            ExpireReason::Unknown,
        ];
        match self.below(5) {
            0 => PaymentState::Pending,
            1 => PaymentState::Processing { attempt: self.attempt(), at },
            2 => {
                let how = self.one_of(&[How::Confirmed, How::Late, How::Reconciled, How::Free]);
                PaymentState::Completed { attempt, at, how, disposition: self.disposition() }
            }
            3 => PaymentState::Failed { attempt, at, reason: self.one_of(&failures) },
            _ => PaymentState::Expired { attempt, at, reason: self.one_of(&ends) },
        }
    }

    fn refund_reason(&mut self) -> RefundReason {
        self.one_of(&[
            RefundReason::AlreadyPaid,
            RefundReason::AlreadyEntitled,
            RefundReason::Superseded,
            RefundReason::Missing,
            RefundReason::Requested,
        ])
    }

    fn disposition(&mut self) -> Disposition {
        match self.below(3) {
            0 => Disposition::Granted,
            1 => Disposition::Allocated { checkout: self.some_checkout() },
            _ => Disposition::Refunded { reason: self.refund_reason() },
        }
    }

    pub(super) fn coupon(&mut self) -> Coupon {
        let discount = match self.yes() {
            true => Discount::Percentage(self.one_of(&[1, 33, 100])),
            false => Discount::Fixed(self.minor(MINOR_MAX)),
        };
        Coupon {
            description: self.maybe(Self::text),
            discount,
            original_price: self.maybe(|chance| chance.minor(MINOR_MAX)),
            max_uses: self.maybe(|chance| chance.below(1_000)),
            used: self.below(1_000),
            reserved: self.below(1_000),
            valid_from: self.maybe(Self::time),
            valid_until: self.maybe(Self::time),
            standing: self.one_of(&[Standing::Active, Standing::Inactive]),
            created_by: self.maybe(Self::text),
            created_at: self.time(),
            ..given::coupon(None, self.now)
        }
    }

    pub(super) fn grant(&mut self, payment: &Payment) -> Grant {
        Grant {
            user: given::user(),
            tier: self.maybe(Self::text),
            checkout: self.maybe(Self::some_checkout),
            granted_at: self.time(),
            revoked_at: self.maybe(Self::time),
            ..given::grant(payment, self.now)
        }
    }

    pub(super) fn refund(&mut self, payment: &Payment) -> Refund {
        Refund {
            amount: self.minor(MINOR_MAX),
            reason: self.refund_reason(),
            note: self.maybe(Self::text),
            created_at: self.time(),
            updated_at: self.time(),
            ..given::refund(payment, self.refund_state(), self.now)
        }
    }

    pub(super) fn refund_state(&mut self) -> RefundState {
        self.one_of(&[
            RefundState::Requested,
            RefundState::Submitted,
            RefundState::Succeeded,
            RefundState::Failed,
            RefundState::NeedsManual,
        ])
    }

    /// The next version of a payment, changed where payments change.
    pub(super) fn changed_payment(&mut self, row: &Payment) -> Payment {
        Payment {
            state: self.payment_state(),
            ask: self.ask(),
            flags: self.flags(),
            idempotency_key: format!("done:{}", row.id.as_str()),
            updated_at: self.time(),
            version: row.version + 1,
            ..row.clone()
        }
    }

    /// The next version of a checkout, changed where checkouts change.
    pub(super) fn changed_checkout(&mut self, row: &Checkout) -> Checkout {
        Checkout {
            owner: Owner { user: Some(given::user()), guest: row.owner.guest.clone() },
            state: self.checkout_state(),
            superseded_by: self.maybe(Self::some_checkout),
            updated_at: self.time(),
            version: row.version + 1,
            ..row.clone()
        }
    }
}
