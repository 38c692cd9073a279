//! `/v1/admin/coupons`: make coupons, see how they are used, switch them. Amounts are whole so'm, as everywhere where
//! people meet coupons.

use super::input::{Required, Shaped};
use super::list::{Listing, page_of};
use super::{away, money, ok};
use crate::app::App;
use crate::http::problem::Problem;
use crate::http::som::{discount_of, som};
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::Timestamp;
use sessile_core::checkout::Caller;
use sessile_core::ledger::{Kind, PaymentFilter, Record};
use sessile_core::money::Minor;
use sessile_core::payment::{Coupon, CouponError, CouponId, Discount, NewCoupon, Standing};

impl From<CouponError> for Problem {
    fn from(error: CouponError) -> Self {
        match error {
            CouponError::Wrong(what) => Self::invalid_body(what),
            CouponError::Taken => Self::coupon_code_taken(),
            CouponError::KeyReused => Self::idempotency_key_reused(),
            CouponError::NotFound => Self::coupon_not_found(),
            CouponError::Unavailable(error) => away(&error),
        }
    }
}

/// `GET /v1/admin/coupons?cursor&limit`.
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let ledger = &money(&app)?.ledger;
    let Listing { after, limit, filters: [] } = Listing::read(query.as_deref(), [])?;
    let page = ledger.page(Kind::Coupon, &PaymentFilter::default(), after.as_ref(), limit).await;
    Ok(ok(page_of(page.map_err(|error| away(&error))?, |record| match record {
        Record::Coupon(coupon) => Some(view(&coupon)),
        _ => None,
    })))
}

/// A coupon as an operator writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Wanted {
    pub(crate) code: String,
    pub(crate) description: Option<String>,
    pub(crate) discount_type: DiscountType,
    /// Percent, or so'm.
    pub(crate) discount_value: i64,
    pub(crate) original_price: Option<i64>,
    pub(crate) max_uses: Option<i64>,
    pub(crate) valid_from: Option<String>,
    pub(crate) valid_until: Option<String>,
}

#[derive(Deserialize)]
/// Percent, or an amount.
#[serde(rename_all = "snake_case")]
pub(crate) enum DiscountType {
    Percentage,
    Fixed,
}

impl Wanted {
    fn checked(self) -> Result<NewCoupon, Problem> {
        let wrong = |what: &str| Problem::invalid_body(what);
        let discount = match self.discount_type {
            DiscountType::Percentage => {
                let percent = u8::try_from(self.discount_value);
                Discount::Percentage(percent.map_err(|_| wrong("a percentage is between 1 and 100"))?)
            }
            DiscountType::Fixed => {
                let amount = Minor::from_major(self.discount_value);
                Discount::Fixed(amount.ok_or_else(|| wrong("`discountValue` is not an amount of so'm"))?)
            }
        };
        let original_price = match self.original_price {
            Some(price) => {
                let price = Minor::from_major(price);
                Some(price.ok_or_else(|| wrong("`originalPrice` is not an amount of so'm"))?)
            }
            None => None,
        };
        let moment = |text: Option<String>| match text {
            Some(text) => Timestamp::from_iso8601(&text)
                .ok_or_else(|| wrong("a moment looks like 2026-11-21T10:00:00Z"))
                .map(Some),
            None => Ok(None),
        };
        Ok(NewCoupon {
            code: self.code,
            description: self.description,
            discount,
            original_price,
            max_uses: self.max_uses,
            valid_from: moment(self.valid_from)?,
            valid_until: moment(self.valid_until)?,
        })
    }
}

/// `POST /v1/admin/coupons`. Answered from what never changes, so that the same key gets the same bytes.
pub(crate) async fn create(
    State(app): State<App>,
    Required(key): Required,
    Shaped(wanted): Shaped<Wanted>,
) -> Result<Response, Problem> {
    let coupon = made(&app, wanted, key.as_str()).await?;
    Ok((StatusCode::CREATED, ok(lasting(&coupon))).into_response())
}

/// Makes a coupon for the operator; the same key makes the same one.
pub(crate) async fn made(app: &App, wanted: Wanted, key: &str) -> Result<Coupon, Problem> {
    let coupon = money(app)?.payments.create_coupon(&Caller::Operator, wanted.checked()?, key).await?;
    tracing::info!(coupon = coupon.id.fingerprint(), "coupon made");
    Ok(coupon)
}

/// `POST /v1/admin/coupons/{id}/enable`.
pub(crate) async fn enable(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    switch(&app, &id, Standing::Active).await
}

/// `POST /v1/admin/coupons/{id}/disable`. What is reserved stays reserved.
pub(crate) async fn disable(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    switch(&app, &id, Standing::Inactive).await
}

async fn switch(app: &App, id: &str, standing: Standing) -> Result<Response, Problem> {
    Ok(ok(view(&switched(app, id, standing).await?)))
}

/// Switches a coupon for the operator.
pub(crate) async fn switched(app: &App, id: &str, standing: Standing) -> Result<Coupon, Problem> {
    let id = CouponId::parse(id).ok_or_else(Problem::coupon_not_found)?;
    let coupon = money(app)?.payments.switch_coupon(&Caller::Operator, &id, standing).await?;
    tracing::info!(coupon = coupon.id.fingerprint(), ?standing, "coupon switched");
    Ok(coupon)
}

/// What never changes in a coupon.
fn lasting(coupon: &Coupon) -> Value {
    let (kind, value) = discount_of(coupon);
    json!({
        "id": coupon.id,
        "code": coupon.code,
        "description": coupon.description,
        "discountType": kind,
        "discountValue": value,
        "originalPrice": coupon.original_price.map(som),
        "maxUses": coupon.max_uses,
        "validFrom": coupon.valid_from.map(Timestamp::to_iso8601),
        "validUntil": coupon.valid_until.map(Timestamp::to_iso8601),
        "createdBy": coupon.created_by,
        "createdAt": coupon.created_at.to_iso8601(),
    })
}

fn view(coupon: &Coupon) -> Value {
    let mut body = lasting(coupon);
    body["isActive"] = json!(coupon.standing == Standing::Active);
    body["usedCount"] = json!(coupon.used);
    body["reservedCount"] = json!(coupon.reserved);
    body
}
