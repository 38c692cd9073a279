//! Rows that cases begin with. Ids are new in every run, so that nothing depends on another case.

use crate::contract::harness::Must;
use sessile_core::checkout::{
    CHECKOUT_LIFETIME, Checkout, CheckoutId, CheckoutState, GuestHash, GuestToken, Owner,
};
use sessile_core::ledger::{Effect, NewEffect};
use sessile_core::login::UserId;
use sessile_core::money::{Currency, Minor, Price};
use sessile_core::payment::{
    Attempt, Coupon, CouponCode, CouponHold, CouponId, Discount, Disposition, FailReason, Flags, Grant,
    HoldState, How, Method, OrderId, PAYMENT_LIFETIME, PaydocId, Payment, PaymentId, PaymentState, PrepareId,
    Refund, RefundId, RefundReason, RefundState, Standing, TransId,
};
use sessile_core::{Entropy, OsEntropy, Timestamp};

/// A number that nobody has had before.
pub(super) fn number() -> i64 {
    let mut bytes = [0_u8; 8];
    OsEntropy.fill(&mut bytes).must("random bytes");
    i64::from_ne_bytes(bytes) & 0x7fff_ffff_ffff
}

/// A user with an id as a users' table has it.
pub(super) fn user() -> UserId {
    let (a, b) = (number(), number());
    UserId::parse(format!("{:08x}-0000-8000-8000-{b:012x}", a & 0xffff_ffff)).must("a user id")
}

pub(super) fn guest() -> GuestHash {
    GuestToken::generate(&OsEntropy).must("a guest").hash()
}

pub(super) fn attempt() -> Attempt {
    let prepare =
        PrepareId::generate(Timestamp::from_unix_ms(1_900_000_000_000), &OsEntropy).must("a number");
    Attempt { trans: TransId(number()), paydoc: PaydocId(number()), prepare: Some(prepare) }
}

pub(super) fn price() -> Price {
    Price::full(Minor::new(1_500_050).must("an amount"), Currency::UZS)
}

/// An active checkout, made at `now`.
pub(super) fn checkout(owner: Owner, now: Timestamp) -> Checkout {
    Checkout {
        id: CheckoutId::generate(Timestamp::from_unix_ms(1_900_000_000_000), &OsEntropy).must("an id"),
        owner,
        slot: "default".to_owned(),
        data: r#"{"selectedPackages":{"0":"basic"},"tracks":["a"]}"#.to_owned(),
        choice: "digest".to_owned(),
        price: None,
        coupon: None,
        state: CheckoutState::Active,
        renewed_from: None,
        superseded_by: None,
        created_at: now,
        updated_at: now,
        expires_at: now.plus(CHECKOUT_LIFETIME),
        version: 1,
    }
}

/// A pending payment of `user`, made at `now`.
pub(super) fn payment(user: UserId, now: Timestamp) -> Payment {
    let id = PaymentId::generate(Timestamp::from_unix_ms(1_900_000_000_000), &OsEntropy).must("an id");
    Payment {
        idempotency_key: format!("key:{}", id.as_str()),
        id,
        order: OrderId::generate(Timestamp::from_unix_ms(1_900_000_000_000), &OsEntropy).must("an order"),
        user,
        email: "ada@example.org".to_owned(),
        price: price(),
        coupon: None,
        checkout: None,
        method: Method::Click,
        request: "digest".to_owned(),
        state: PaymentState::Pending,
        ask: None,
        flags: Flags::default(),
        created_at: now,
        updated_at: now,
        expires_at: now.plus(PAYMENT_LIFETIME),
        version: 1,
    }
}

/// A coupon that can be used `max_uses` times.
pub(super) fn coupon(max_uses: Option<i64>, now: Timestamp) -> Coupon {
    let id = CouponId::generate(Timestamp::from_unix_ms(1_900_000_000_000), &OsEntropy).must("an id");
    Coupon {
        id,
        code: CouponCode::parse(&format!("CODE-{}", number())).must("a code"),
        description: None,
        discount: Discount::Percentage(10),
        original_price: None,
        max_uses,
        used: 0,
        reserved: 0,
        valid_from: None,
        valid_until: None,
        standing: Standing::Active,
        created_by: None,
        created_at: now,
        version: 1,
    }
}

pub(super) fn hold(coupon: &Coupon, state: HoldState) -> CouponHold {
    CouponHold { coupon: coupon.id.clone(), state }
}

pub(super) fn grant(payment: &Payment, now: Timestamp) -> Grant {
    Grant {
        payment: payment.id.clone(),
        user: payment.user.clone(),
        tier: Some("premium".to_owned()),
        checkout: None,
        granted_at: now,
        revoked_at: None,
        version: 1,
    }
}

pub(super) fn refund(payment: &Payment, state: RefundState, now: Timestamp) -> Refund {
    Refund {
        id: RefundId::of_key("the suite", &number().to_string()),
        payment: payment.id.clone(),
        amount: payment.price.payable(),
        reason: RefundReason::Requested,
        state,
        note: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// A payment as it is after it failed.
pub(super) fn moved_to_failed(payment: &Payment, at: Timestamp) -> Payment {
    payment.moved(PaymentState::Failed { attempt: None, at, reason: FailReason::Cancelled }, at)
}

/// The same payment, processing since `at`; still its first version.
pub(super) fn processing(payment: Payment, at: Timestamp) -> Payment {
    Payment { state: PaymentState::Processing { attempt: attempt(), at }, ..payment }
}

/// The same payment, completed; still its first version.
pub(super) fn paid(payment: Payment, at: Timestamp) -> Payment {
    let state = PaymentState::Completed {
        attempt: Some(attempt()),
        at,
        how: How::Confirmed,
        disposition: Disposition::Granted,
    };
    Payment { state, ..payment }
}

/// An effect with a name of its own.
pub(super) fn effect(topic: &str) -> NewEffect {
    let data = serde_json::json!({ "number": number(), "text": "d'accord \"ü\"" });
    NewEffect { id: format!("evt_{}", number()), effect: Effect::Webhook { topic: topic.to_owned(), data } }
}
