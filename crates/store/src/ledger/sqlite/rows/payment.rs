//! `payment_sessions`. Whole amounts stand beside the exact ones, because operators read them.

use super::{Table, Unreadable, minor, ms, or, parsed, read_as, time, time_or_null};
use crate::ledger::sqlite::rows::coupon::hold;
use rusqlite::{Connection, Row, params};
use sessile_core::Timestamp;
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::Record;
use sessile_core::login::UserId;
use sessile_core::money::{Currency, Minor, Price};
use sessile_core::payment::{
    Ask, Attempt, Disposition, ExpireReason, FailReason, Flags, HoldState, How, Method, OrderId,
    PAYMENT_LIFETIME, PaydocId, Payment, PaymentId, PaymentState, PrepareId, RefundReason, TransId,
};

/// The user of an older application's row that names none.
const UNKNOWN_USER: &str = "unknown";
const CANCEL_AFTER_SUCCESS: &str = "cancel_after_success";
const AMOUNT_DIFFERS: &str = "amount_differs";
const COUPON_OVERFLOW: &str = "coupon_overflow";

/// The next version of a row. What an older application wrote stays where we have no word of our own for it.
macro_rules! moved {
    ($($also:expr),+) => {
        concat!(
            "UPDATE payment_sessions SET user_email = ?3, amount = ?4, original_amount = ?5, discount_amount = ?6, \
             status = ?10, payment_method = iif(?11 = 'other', payment_method, ?11), updated_at = ?14, version = ?16, \
             currency = ?17, amount_minor = ?18, original_minor = ?19, discount_minor = ?20, reason = ?23, how = ?24, \
             disposition = ?25, refund_reason = ?26, allocated_to = ?27, state_at = ?28, ask_at = ?29, \
             ask_times = ?30, flags = ?31, coupon_state = ?33, request_digest = ?34",
            $($also,)+
            " WHERE id = ?1 AND version = ?35"
        )
    };
}

macro_rules! attempt {
    () => {
        ", click_trans_id = ?9, click_paydoc_id = ?21, merchant_prepare_id = ?22"
    };
}

macro_rules! named {
    () => {
        ", user_id = iif(user_id IS NULL AND ?2 = 'unknown', NULL, ?2), coupon_id = ?7, merchant_trans_id = ?8, \
         idempotency_key = ?12, created_at = ?13, expires_at = ?15, checkout_id = ?32"
    };
}

/// The table of payments.
pub(in crate::ledger::sqlite) struct Payments;

impl Table for Payments {
    type Entry = Payment;
    const NAME: &'static str = "payment_sessions";
    const COLUMNS: &'static str = "id, user_id, user_email, amount, original_amount, coupon_id, merchant_trans_id, \
        click_trans_id, status, payment_method, idempotency_key, created_at, updated_at, expires_at, version, \
        currency, amount_minor, original_minor, discount_minor, click_paydoc_id, merchant_prepare_id, reason, how, \
        disposition, refund_reason, allocated_to, state_at, ask_at, ask_times, flags, checkout_id, coupon_state, \
        request_digest";

    fn record(entry: Payment) -> Record {
        Record::Payment(entry)
    }

    fn read(row: &Row<'_>) -> Result<Payment, Unreadable> {
        let (created_at, updated_at) = (time(row, 11)?, time(row, 12)?);
        let state = state(row, updated_at)?;
        let spent = if state.is_completed() { HoldState::Consumed } else { HoldState::Released };
        let user = parsed(row, 1, "user_id", |text| UserId::parse(text))?;
        let times = u32::try_from(or(row, 28, 0_i64)?).ok();
        let times = read_as("ask_times", times)?;
        Ok(Payment {
            id: read_as("id", parsed(row, 0, "id", PaymentId::parse)?)?,
            order: read_as("merchant_trans_id", parsed(row, 6, "merchant_trans_id", OrderId::parse)?)?,
            user: read_as("user_id", user.or_else(|| UserId::parse(UNKNOWN_USER)))?,
            email: or(row, 2, String::new())?,
            price: price(row)?,
            coupon: hold(row, 5, 31, spent)?,
            checkout: parsed(row, 30, "checkout_id", CheckoutId::parse)?,
            method: Method::read(row.get_ref(9)?.as_str_or_null().unwrap_or_default()),
            idempotency_key: row.get(10)?,
            request: or(row, 32, String::new())?,
            state,
            ask: time_or_null(row, 27)?.map(|at| Ask { at, times }),
            flags: flags(row.get_ref(29)?.as_str_or_null().unwrap_or_default().unwrap_or_default()),
            created_at,
            updated_at,
            expires_at: time_or_null(row, 13)?.unwrap_or_else(|| created_at.plus(PAYMENT_LIFETIME)),
            version: or(row, 14, 1)?,
        })
    }

    fn insert(db: &Connection, entry: &Payment) -> rusqlite::Result<usize> {
        const SQL: &str = "INSERT INTO payment_sessions (id, user_id, user_email, amount, original_amount, \
             discount_amount, coupon_id, merchant_trans_id, click_trans_id, status, payment_method, idempotency_key, \
             created_at, updated_at, expires_at, version, currency, amount_minor, original_minor, discount_minor, \
             click_paydoc_id, merchant_prepare_id, reason, how, disposition, refund_reason, allocated_to, state_at, \
             ask_at, ask_times, flags, checkout_id, coupon_state, request_digest) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, \
             ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34 WHERE ?35 = 0";
        write(db, SQL, entry, 0)
    }

    fn update(db: &Connection, before: &Payment, after: &Payment) -> rusqlite::Result<usize> {
        const STATE: &str = moved!("");
        const ATTEMPT: &str = moved!(attempt!());
        const ALL: &str = moved!(attempt!(), named!());
        let sql = match (names(before) == names(after), before.state.attempt() == after.state.attempt()) {
            (true, true) => STATE,
            (true, false) => ATTEMPT,
            (false, _) => ALL,
        };
        write(db, sql, after, before.version)
    }
}

/// The columns of [`moved`]'s statement that are indexed and hardly ever change.
fn names(row: &Payment) -> impl PartialEq + '_ {
    let coupon = row.coupon.as_ref().map(|hold| &hold.coupon);
    let times = (row.created_at, row.expires_at);
    (&row.user, &row.order, &row.idempotency_key, coupon, row.checkout.as_ref(), times)
}

/// An older row has whole units only.
fn price(row: &Row<'_>) -> Result<Price, Unreadable> {
    let whole: i64 = row.get(3)?;
    let of_whole = |name, units| read_as(name, Minor::from_major(units));
    let payable = match row.get::<_, Option<i64>>(16)? {
        Some(units) => minor("amount_minor", units)?,
        None => of_whole("amount", whole)?,
    };
    let original = match row.get::<_, Option<i64>>(17)? {
        Some(units) => minor("original_minor", units)?,
        None => of_whole("original_amount", or(row, 4, whole)?)?.max(payable),
    };
    let discount = match row.get::<_, Option<i64>>(18)? {
        Some(units) => minor("discount_minor", units)?,
        None => original.minus(payable),
    };
    let currency = parsed(row, 15, "currency", Currency::parse)?.unwrap_or(Currency::UZS);
    Ok(Price { original, discount, currency })
}

fn attempt(row: &Row<'_>) -> Result<Option<Attempt>, Unreadable> {
    let trans = row.get_ref(7)?.as_str_or_null().unwrap_or_default();
    let Some(trans) = trans.and_then(|text| text.trim().parse().ok()) else { return Ok(None) };
    let prepare =
        row.get::<_, Option<i64>>(20)?.map(|number| read_as("merchant_prepare_id", PrepareId::new(number)));
    Ok(Some(Attempt {
        trans: TransId(trans),
        paydoc: PaydocId(or(row, 19, 0)?),
        prepare: prepare.transpose()?,
    }))
}

fn state(row: &Row<'_>, updated_at: Timestamp) -> Result<PaymentState, Unreadable> {
    let at = time_or_null(row, 26)?.unwrap_or(updated_at);
    let reason = row.get_ref(21)?.as_str_or_null().unwrap_or_default();
    let attempt = attempt(row)?;
    Ok(match row.get_ref(8)?.as_str().unwrap_or_default() {
        "pending" => PaymentState::Pending,
        "processing" => {
            let unknown = Attempt { trans: TransId(0), paydoc: PaydocId(0), prepare: None };
            PaymentState::Processing { attempt: attempt.unwrap_or(unknown), at }
        }
        "completed" => {
            let how = How::read(row.get_ref(22)?.as_str_or_null().unwrap_or_default());
            PaymentState::Completed { attempt, at, how, disposition: disposition(row)? }
        }
        "failed" => PaymentState::Failed { attempt, at, reason: FailReason::read(reason) },
        "expired" => PaymentState::Expired { attempt, at, reason: ExpireReason::read(reason) },
        _ => return Err(Unreadable("status is none that we know".to_owned())),
    })
}

fn disposition(row: &Row<'_>) -> Result<Disposition, Unreadable> {
    Ok(match row.get_ref(23)?.as_str_or_null().unwrap_or_default() {
        None | Some("granted") => Disposition::Granted,
        Some("allocated") => {
            let checkout = parsed(row, 25, "allocated_to", CheckoutId::parse)?;
            Disposition::Allocated { checkout: read_as("allocated_to", checkout)? }
        }
        Some("refunded") => {
            let reason = row.get_ref(24)?.as_str_or_null().unwrap_or_default();
            Disposition::Refunded { reason: RefundReason::read(reason) }
        }
        Some(_) => return Err(Unreadable("disposition is none that we know".to_owned())),
    })
}

fn flags(text: &str) -> Flags {
    let has = |name| text.split(',').any(|flag| flag.trim() == name);
    Flags {
        cancel_after_success: has(CANCEL_AFTER_SUCCESS),
        amount_differs: has(AMOUNT_DIFFERS),
        coupon_overflow: has(COUPON_OVERFLOW),
    }
}

fn flags_text(flags: Flags) -> String {
    let named = [
        (flags.cancel_after_success, CANCEL_AFTER_SUCCESS),
        (flags.amount_differs, AMOUNT_DIFFERS),
        (flags.coupon_overflow, COUPON_OVERFLOW),
    ];
    let set: Vec<&str> = named.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    set.join(",")
}

/// What a state keeps beside its name and its attempt.
#[derive(Default)]
struct Details<'a> {
    at: Option<Timestamp>,
    reason: Option<&'static str>,
    how: Option<&'static str>,
    disposition: Option<&'static str>,
    refund_reason: Option<&'static str>,
    allocated_to: Option<&'a str>,
}

impl<'a> Details<'a> {
    fn of(state: &'a PaymentState) -> Self {
        let none = Self::default();
        match state {
            PaymentState::Pending => none,
            PaymentState::Processing { at, .. } => Self { at: Some(*at), ..none },
            PaymentState::Failed { at, reason, .. } => {
                Self { at: Some(*at), reason: Some(reason.name()), ..none }
            }
            PaymentState::Expired { at, reason, .. } => {
                Self { at: Some(*at), reason: Some(reason.name()), ..none }
            }
            PaymentState::Completed { at, how, disposition, .. } => {
                let done = Self { at: Some(*at), how: Some(how.name()), ..none };
                match disposition {
                    Disposition::Granted => Self { disposition: Some("granted"), ..done },
                    Disposition::Allocated { checkout } => {
                        Self { disposition: Some("allocated"), allocated_to: Some(checkout.as_str()), ..done }
                    }
                    Disposition::Refunded { reason } => {
                        Self { disposition: Some("refunded"), refund_reason: Some(reason.name()), ..done }
                    }
                }
            }
        }
    }
}

fn write(db: &Connection, sql: &str, entry: &Payment, base: i64) -> rusqlite::Result<usize> {
    let attempt = entry.state.attempt();
    let details = Details::of(&entry.state);
    let price = &entry.price;
    db.prepare_cached(sql)?.execute(params![
        entry.id.as_str(),
        entry.user.as_str(),
        entry.email,
        price.payable().whole(),
        price.original.whole(),
        price.discount.whole(),
        entry.coupon.as_ref().map(|hold| hold.coupon.as_str()),
        entry.order.as_str(),
        attempt.map(|attempt| attempt.trans.0.to_string()),
        entry.state.name(),
        entry.method.name(),
        entry.idempotency_key,
        ms(entry.created_at),
        ms(entry.updated_at),
        ms(entry.expires_at),
        entry.version,
        price.currency.as_str(),
        price.payable().get(),
        price.original.get(),
        price.discount.get(),
        attempt.map(|attempt| attempt.paydoc.0),
        attempt.and_then(|attempt| attempt.prepare).map(PrepareId::get),
        details.reason,
        details.how,
        details.disposition,
        details.refund_reason,
        details.allocated_to,
        details.at.map(ms),
        entry.ask.map(|ask| ms(ask.at)),
        entry.ask.map_or(0, |ask| i64::from(ask.times)),
        flags_text(entry.flags),
        entry.checkout.as_ref().map(CheckoutId::as_str),
        entry.coupon.as_ref().map(|hold| hold.state.name()),
        entry.request,
        base,
    ])
}
