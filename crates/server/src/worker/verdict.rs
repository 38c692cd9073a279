//! What CLICK says of one payment, weighed. Only a clear word moves money: absence counts as "not paid" once the
//! payment has been processing for so long that CLICK would have to know it.

use sessile_core::Timestamp;
use sessile_core::payment::{ASK_AFTER, Payment, PaymentState, Verdict};
use sessile_providers::click::{ClickError, Day, MerchantApi, MerchantTransId, Report, Status};
use std::time::Duration;

/// From here on a payment that CLICK does not know is one that nobody paid.
const ABSENCE_COUNTS_AFTER: Duration = ASK_AFTER[3];

/// Asks about a payment by the number that is bound to it, and where CLICK does not know that, by our own.
pub(super) async fn verdict(api: &MerchantApi, payment: &Payment, now: Timestamp) -> Verdict {
    let paydoc = payment.state.attempt().map(|attempt| attempt.paydoc.0).filter(|paydoc| *paydoc > 0);
    let by_number = match paydoc {
        Some(paydoc) => api.payment_status(paydoc, now.unix_seconds()).await,
        None => Ok(Report { payment_id: None, status: Status::NotFound }),
    };
    let status = match by_number {
        Ok(Report { status: Status::NotFound, .. }) => by_order(api, payment, paydoc, now).await,
        other => other.map(|report| report.status),
    };
    match status {
        Ok(Status::Paid) => Verdict::Paid,
        Ok(Status::Failed { .. }) => Verdict::NotPaid,
        Ok(Status::Created | Status::Processing) => Verdict::Open,
        Ok(Status::NotFound) if absence_counts(payment, now) => Verdict::NotPaid,
        Ok(Status::NotFound) => Verdict::Open,
        Err(error) => {
            tracing::warn!(payment = payment.id.fingerprint(), %error, "CLICK was asked about a payment in vain");
            Verdict::Unknown
        }
    }
}

/// CLICK files an order under the day on which the buyer began to pay, in Tashkent.
async fn by_order(
    api: &MerchantApi,
    payment: &Payment,
    paydoc: Option<i64>,
    now: Timestamp,
) -> Result<Status, ClickError> {
    // A name of another shape is an older application's; it cannot be asked for.
    let Some(order) = MerchantTransId::parse(payment.order.as_str()) else { return Ok(Status::NotFound) };
    let mut found = Status::NotFound;
    for day in days(payment, now) {
        let report = api.status_by_merchant_trans_id(&order, day, now.unix_seconds()).await?;
        if let (Some(bound), Some(other)) = (paydoc, report.payment_id)
            && bound != other
        {
            // Another attempt at the same order, which we never agreed to: it says nothing about ours.
            if report.status == Status::Paid {
                tracing::error!(
                    payment = payment.id.fingerprint(),
                    "CLICK was paid for this order under another number than the one bound to it: look at both in \
                     the merchant cabinet"
                );
                return Err(ClickError::Unreadable("it was paid under another number"));
            }
            continue;
        }
        if weight(&report.status) > weight(&found) {
            found = report.status;
        }
    }
    Ok(found)
}

const fn weight(status: &Status) -> u8 {
    match status {
        Status::NotFound => 0,
        Status::Failed { .. } => 1,
        Status::Created => 2,
        Status::Processing => 3,
        Status::Paid => 4,
    }
}

/// The day of the payment's making and of its preparing, with the one after; none that has not begun.
fn days(payment: &Payment, now: Timestamp) -> Vec<Day> {
    let made = Day::at(payment.created_at.unix_seconds());
    let prepared = match &payment.state {
        PaymentState::Processing { at, .. } => Day::at(at.unix_seconds()),
        _ => made,
    };
    let mut days = vec![made, made.next(), prepared, prepared.next()];
    days.sort_unstable();
    days.dedup();
    days.retain(|day| *day <= Day::at(now.unix_seconds()));
    days
}

fn absence_counts(payment: &Payment, now: Timestamp) -> bool {
    let since = match &payment.state {
        PaymentState::Processing { at, .. } | PaymentState::Completed { at, .. } => *at,
        _ => payment.created_at,
    };
    now.since(since) >= ABSENCE_COUNTS_AFTER
}
