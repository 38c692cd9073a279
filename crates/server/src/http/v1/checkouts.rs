//! `/v1/checkouts`: list, look at, cancel.

use super::list::{Listing, page_of};
use super::staff::Staff;
use super::{away, money, ok};
use crate::app::App;
use crate::http::caller::Asker;
use crate::http::problem::Problem;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde_json::{Value, json};
use sessile::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutError, CheckoutId, CheckoutState, Invalid};
use sessile_core::ledger::{Kind, PaymentFilter, Record};

impl From<CheckoutError> for Problem {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Invalid(Invalid::NotFound) | CheckoutError::NothingToRecover => {
                Self::checkout_not_found()
            }
            CheckoutError::Invalid(_) => Self::checkout_not_active(),
            CheckoutError::PaymentInProgress => Self::payment_in_progress(),
            CheckoutError::Choice(_) | CheckoutError::Unpriced(_) => Self::invalid_body(&error.to_string()),
            CheckoutError::Unavailable(error) => away(&error),
        }
    }
}

/// `GET /v1/checkouts?cursor&limit`.
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ledger = &money(&app)?.ledger;
    let Listing { after, limit, filters: [] } = Listing::read(query.as_deref(), [])?;
    let page = ledger.page(Kind::Checkout, &PaymentFilter::default(), after.as_ref(), limit).await;
    let now = app.clock.now();
    Ok(ok(page_of(page.map_err(|error| away(&error))?, |record| match record {
        Record::Checkout(row) => Some(view(&row, now)),
        _ => None,
    })))
}

/// `GET /v1/checkouts/{id}`, with the choice itself.
pub(crate) async fn show(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = money(&app)?.checkouts.show(&caller, &known(&id)?).await?;
    let mut body = view(&row, app.clock.now());
    body["sessionData"] = serde_json::from_str(&row.data).unwrap_or_default();
    Ok(ok(body))
}

/// `POST /v1/checkouts/{id}/cancel`.
pub(crate) async fn cancel(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = money(&app)?.checkouts.cancel(&caller, &known(&id)?).await?;
    tracing::info!(checkout = row.id.fingerprint(), by = %caller, "checkout cancelled");
    Ok(ok(view(&row, app.clock.now())))
}

fn known(id: &str) -> Result<CheckoutId, Problem> {
    CheckoutId::parse(id).ok_or_else(Problem::checkout_not_found)
}

fn view(row: &Checkout, now: Timestamp) -> Value {
    // Nobody sees it as active once its time is over, whether or not a timer was there.
    let status = match &row.state {
        CheckoutState::Active if !row.is_live(now) => "expired",
        state => state.name(),
    };
    let (reason, payment) = match &row.state {
        CheckoutState::Invalidated { reason, .. } => (Some(reason.name()), None),
        CheckoutState::Completed { payment, .. } => (None, payment.as_ref()),
        CheckoutState::Active | CheckoutState::Expired { .. } => (None, None),
    };
    json!({
        "id": row.id,
        "userId": row.owner.user,
        "isGuest": row.owner.user.is_none(),
        "status": status,
        "reason": reason,
        "amountMinor": row.price.map(|price| price.payable()),
        "originalMinor": row.price.map(|price| price.original),
        "discountMinor": row.price.map(|price| price.discount),
        "currency": row.price.map(|price| price.currency),
        "couponId": row.coupon.as_ref().map(|hold| &hold.coupon),
        "completedPaymentId": payment,
        "renewedFrom": row.renewed_from,
        "supersededBy": row.superseded_by,
        "createdAt": row.created_at.to_iso8601(),
        "updatedAt": row.updated_at.to_iso8601(),
        "expiresAt": row.expires_at.to_iso8601(),
    })
}
