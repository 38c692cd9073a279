//! `payment_sessions`. `amount`, `original_amount` and `discount_amount` are whole units for the people who query the
//! table by hand; what counts is in the columns of minor units.

use super::super::columns::{Column, Line, Stored};
use super::{cow, hold_of};
use sessile_core::Timestamp;
use sessile_core::checkout::CheckoutId;
use sessile_core::login::UserId;
use sessile_core::money::{Currency, Minor, Price};
use sessile_core::payment::{
    Ask, Attempt, Disposition, ExpireReason, FailReason, Flags, HoldState, How, Method, OrderId,
    PAYMENT_LIFETIME, PaydocId, Payment, PaymentId, PaymentState, PrepareId, RefundReason, TransId,
};

/// Whom a row of an older application is for that names nobody.
const UNKNOWN_USER: &str = "unknown";

impl Stored for Payment {
    const TABLE: &'static str = "payment_sessions";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::text("id", |row| cow(Some(row.id.as_str()))),
        Column::<Self>::text("user_id", |row| cow(Some(row.user.as_str())))
            .kept("case when t.user_id is null and v.user_id = 'unknown' then null else v.user_id end"),
        Column::text("user_email", |row| cow(Some(&row.email))),
        Column::int("amount", |row| Some(row.price.payable().whole())),
        Column::int("original_amount", |row| Some(row.price.original.whole())),
        Column::int("discount_amount", |row| Some(row.price.discount.whole())),
        Column::int("amount_minor", |row| Some(row.price.payable().get())),
        Column::int("original_minor", |row| Some(row.price.original.get())),
        Column::int("discount_minor", |row| Some(row.price.discount.get())),
        Column::text("currency", |row| cow(Some(row.price.currency.as_str()))),
        Column::text("coupon_id", |row| cow(row.coupon.as_ref().map(|hold| hold.coupon.as_str()))),
        Column::text("coupon_state", |row| cow(row.coupon.as_ref().map(|hold| hold.state.name()))),
        Column::text("checkout_id", |row| cow(row.checkout.as_ref().map(CheckoutId::as_str))),
        Column::text("merchant_trans_id", |row| cow(Some(row.order.as_str()))),
        Column::<Self>::text("payment_method", |row| cow(Some(row.method.name())))
            .kept("case when v.payment_method = 'other' then t.payment_method else v.payment_method end"),
        Column::text("idempotency_key", |row| cow(Some(&row.idempotency_key))),
        Column::text("request_digest", |row| cow(Some(&row.request))),
        Column::text("status", |row| cow(Some(row.state.name()))),
        Column::text("click_trans_id", |row| Some(row.state.attempt()?.trans.0.to_string().into())),
        Column::int("click_paydoc_id", |row| Some(row.state.attempt()?.paydoc.0)),
        Column::int("merchant_prepare_id", |row| row.state.attempt()?.prepare.map(PrepareId::get)),
        Column::text("reason", |row| match &row.state {
            PaymentState::Failed { reason, .. } => cow(Some(reason.name())),
            PaymentState::Expired { reason, .. } => cow(Some(reason.name())),
            _ => None,
        }),
        Column::text("how", |row| match &row.state {
            PaymentState::Completed { how, .. } => cow(Some(how.name())),
            _ => None,
        }),
        Column::text("disposition", |row| cow(disposition(row).map(|(name, _, _)| name))),
        Column::text("refund_reason", |row| cow(disposition(row).and_then(|(_, reason, _)| reason))),
        Column::text("allocated_to", |row| cow(disposition(row).and_then(|(_, _, checkout)| checkout))),
        Column::time("state_at", |row| state_at(&row.state)),
        Column::time("ask_at", |row| row.ask.map(|ask| ask.at)),
        Column::int("ask_times", |row| Some(row.ask.map_or(0, |ask| ask.times.into()))),
        Column::text("flags", |row| Some(flags(row.flags).into())),
        Column::<Self>::time("created_at", |row| Some(row.created_at)).once(),
        Column::time("updated_at", |row| Some(row.updated_at)),
        Column::time("touched_at", |row| Some(row.updated_at)),
        Column::time("expires_at", |row| Some(row.expires_at)),
        Column::int("version", |row| Some(row.version)),
    ];

    fn read(line: &Line<'_>) -> Option<Self> {
        let updated_at = line.time("touched_at").or_else(|| line.time("updated_at"));
        let created_at = line.time("created_at").or(updated_at).unwrap_or(Timestamp::EPOCH);
        let updated_at = updated_at.unwrap_or(created_at);
        let state = state_of(line, updated_at)?;
        let used = if state.is_completed() { HoldState::Consumed } else { HoldState::Released };
        let ask = line.time("ask_at").map(|at| Ask {
            at,
            times: line.int("ask_times").and_then(|times| u32::try_from(times).ok()).unwrap_or(0),
        });
        Some(Self {
            id: PaymentId::parse(line.text("id")?)?,
            order: OrderId::parse(line.text("merchant_trans_id")?)?,
            user: line.text("user_id").and_then(UserId::parse).or_else(|| UserId::parse(UNKNOWN_USER))?,
            email: line.text("user_email").unwrap_or_default().to_owned(),
            price: price_of(line)?,
            coupon: hold_of(line.text("coupon_id"), line.text("coupon_state"), used),
            checkout: line.text("checkout_id").and_then(CheckoutId::parse),
            method: Method::read(line.text("payment_method")),
            idempotency_key: line.text("idempotency_key")?.to_owned(),
            request: line.text("request_digest").unwrap_or_default().to_owned(),
            state,
            ask,
            flags: read_flags(line.text("flags").unwrap_or_default()),
            created_at,
            updated_at,
            expires_at: line.time("expires_at").unwrap_or_else(|| created_at.plus(PAYMENT_LIFETIME)),
            version: line.int("version")?,
        })
    }
}

/// An older application knows whole units only.
fn price_of(line: &Line<'_>) -> Option<Price> {
    let whole = |name| line.int(name).and_then(Minor::from_major);
    let payable = match line.int("amount_minor") {
        Some(minor) => Minor::new(minor)?,
        None => whole("amount")?,
    };
    let original = match line.int("original_minor") {
        Some(minor) => Minor::new(minor)?,
        None => whole("original_amount").unwrap_or(payable).max(payable),
    };
    let discount = match line.int("discount_minor") {
        Some(minor) => Minor::new(minor)?,
        None => original.minus(payable),
    };
    let currency = line.text("currency").and_then(Currency::parse).unwrap_or(Currency::UZS);
    Some(Price { original, discount, currency })
}

fn attempt_of(line: &Line<'_>) -> Option<Attempt> {
    Some(Attempt {
        trans: TransId(line.text("click_trans_id")?.trim().parse().ok()?),
        paydoc: PaydocId(line.int("click_paydoc_id").unwrap_or(0)),
        prepare: line.int("merchant_prepare_id").and_then(PrepareId::new),
    })
}

fn state_of(line: &Line<'_>, updated_at: Timestamp) -> Option<PaymentState> {
    let at = line.time("state_at").unwrap_or(updated_at);
    let attempt = attempt_of(line);
    match line.text("status")? {
        "pending" => Some(PaymentState::Pending),
        "processing" => {
            let nothing = Attempt { trans: TransId(0), paydoc: PaydocId(0), prepare: None };
            Some(PaymentState::Processing { attempt: attempt.unwrap_or(nothing), at })
        }
        "completed" => Some(PaymentState::Completed {
            attempt,
            at,
            how: How::read(line.text("how")),
            disposition: disposition_of(line),
        }),
        "failed" => Some(PaymentState::Failed { attempt, at, reason: FailReason::read(line.text("reason")) }),
        "expired" => {
            Some(PaymentState::Expired { attempt, at, reason: ExpireReason::read(line.text("reason")) })
        }
        _ => None,
    }
}

fn disposition_of(line: &Line<'_>) -> Disposition {
    let allocated = line.text("allocated_to").and_then(CheckoutId::parse);
    match (line.text("disposition"), allocated) {
        (Some("allocated"), Some(checkout)) => Disposition::Allocated { checkout },
        (Some("refunded"), _) => {
            Disposition::Refunded { reason: RefundReason::read(line.text("refund_reason")) }
        }
        _ => Disposition::Granted,
    }
}

/// What the money did: its name, why it went back, and what else it bought.
fn disposition(row: &Payment) -> Option<(&'static str, Option<&'static str>, Option<&str>)> {
    let PaymentState::Completed { disposition, .. } = &row.state else { return None };
    Some(match disposition {
        Disposition::Granted => ("granted", None, None),
        Disposition::Allocated { checkout } => ("allocated", None, Some(checkout.as_str())),
        Disposition::Refunded { reason } => ("refunded", Some(reason.name()), None),
    })
}

const fn state_at(state: &PaymentState) -> Option<Timestamp> {
    match state {
        PaymentState::Pending => None,
        PaymentState::Processing { at, .. }
        | PaymentState::Completed { at, .. }
        | PaymentState::Failed { at, .. }
        | PaymentState::Expired { at, .. } => Some(*at),
    }
}

const CANCEL_AFTER_SUCCESS: &str = "cancel_after_success";
const AMOUNT_DIFFERS: &str = "amount_differs";
const COUPON_OVERFLOW: &str = "coupon_overflow";

fn flags(flags: Flags) -> String {
    let named = [
        (flags.cancel_after_success, CANCEL_AFTER_SUCCESS),
        (flags.amount_differs, AMOUNT_DIFFERS),
        (flags.coupon_overflow, COUPON_OVERFLOW),
    ];
    let set: Vec<&str> = named.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    set.join(",")
}

fn read_flags(text: &str) -> Flags {
    let has = |name| text.split(',').any(|flag| flag == name);
    Flags {
        cancel_after_success: has(CANCEL_AFTER_SUCCESS),
        amount_differs: has(AMOUNT_DIFFERS),
        coupon_overflow: has(COUPON_OVERFLOW),
    }
}
