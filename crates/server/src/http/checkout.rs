//! The drop-in checkout routes: a buyer's choice is opened, validated, completed, recovered and swept, with the bodies,
//! codes and reasons that existing pages act on.
//!
//! Whose a checkout is, is decided here and in the service: somebody else's looks exactly like a missing one.

use super::caller::{Asker, Buyer, Stranger, named_user};
use super::input::{BadInput, Fields, Input};
use super::problem::Problem;
use super::throttle::{Origin, TooMany};
use crate::app::App;
use crate::money::Money;
use crate::stores::reason_of;
use crate::telemetry;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use serde_json::{Value, json};
use sessile_core::StoreError;
use sessile_core::checkout::{
    BadChoice, Caller, Checkout, CheckoutError, CheckoutId, Choice, Invalid, NewCheckout, Recovered,
};
use std::borrow::Cow;

/// Rows of each kind that one sweep by request looks at.
const SWEEP_ROWS: usize = 1000;

/// Why a checkout request was not carried out, as pages read it.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    error: Cow<'static, str>,
    reason: Option<&'static str>,
    retry_after: Option<u64>,
}

impl Refused {
    fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error: error.into(), reason: None, retry_after: None }
    }

    fn bad(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    fn not_found() -> Self {
        Self::bad("Session not found").because("session_not_found")
    }

    fn nothing_to_recover() -> Self {
        Self::new(StatusCode::NOT_FOUND, "No recoverable session data found").because("no_data")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = match self.reason {
            Some(reason) => json!({ "error": self.error, "reason": reason }),
            None => json!({ "error": self.error }),
        };
        let mut response = (self.status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<BadInput> for Refused {
    fn from(bad: BadInput) -> Self {
        Self::new(bad.status(), bad.to_string())
    }
}

impl From<TooMany> for Refused {
    fn from(too_many: TooMany) -> Self {
        let refused =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many coupon codes were tried. Wait a moment.");
        Self { retry_after: Some(too_many.seconds()), ..refused }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = reason_of(&error), "the ledger did not take a checkout request");
        if !matches!(error, StoreError::Unavailable(_)) {
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
        }
        let away = "Checkout storage does not answer right now. Nothing is lost: send the request again.";
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, away) }
    }
}

impl From<CheckoutError> for Refused {
    fn from(error: CheckoutError) -> Self {
        let sentence = error.to_string();
        match error {
            CheckoutError::Choice(BadChoice::Missing) => Self::bad("Missing required data"),
            CheckoutError::Choice(BadChoice::TooLarge { .. }) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
            }
            CheckoutError::Choice(BadChoice::Nul) | CheckoutError::Unpriced(_) => Self::bad(sentence),
            CheckoutError::Invalid(why) => why.into(),
            CheckoutError::PaymentInProgress => {
                Self::new(StatusCode::CONFLICT, sentence).because("payment_in_progress")
            }
            CheckoutError::NothingToRecover => Self::nothing_to_recover(),
            CheckoutError::Unavailable(error) => error.into(),
        }
    }
}

impl From<Invalid> for Refused {
    fn from(why: Invalid) -> Self {
        match why {
            Invalid::NotFound => Self::not_found(),
            Invalid::AlreadyUsed => {
                Self::bad("This checkout session has already been completed.").because("already_used")
            }
            Invalid::NoLongerValid => {
                Self::bad("This checkout session is no longer valid.").because("expired")
            }
            Invalid::Expired => Self::bad("This checkout session has expired.").because("expired"),
        }
    }
}

/// A refusal in the drop-in form, or a problem where the kind is not configured.
type Answer = Result<Response, Response>;

fn money(app: &App) -> Result<&Money, Problem> {
    app.money.kinds.as_ref().map_err(|missing| Problem::not_configured(missing))
}

fn problem(problem: Problem) -> Response {
    problem.into_response()
}

fn refused(why: impl Into<Refused>) -> Response {
    why.into().into_response()
}

fn ok(body: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Another method than POST.
pub(crate) async fn not_allowed() -> Response {
    refused(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"))
}

/// `POST /api/create-checkout-session`.
pub(crate) async fn create(
    State(app): State<App>,
    buyer: Buyer,
    origin: Origin,
    Input(body): Input,
) -> Answer {
    let money = money(&app).map_err(problem)?;
    let new = wanted(&buyer.caller, body).map_err(refused)?;
    if new.coupon.is_some() {
        app.throttle.take(origin, &buyer.caller, app.clock.now()).map_err(refused)?;
    }
    let opened = money.checkouts.open(&buyer.caller, new).await.map_err(refused)?;
    tracing::info!(
        user_id = opened.checkout.owner.user.as_ref().map(sessile::UserId::as_str),
        checkout = opened.checkout.id.fingerprint(),
        how = ?opened.how,
        "checkout opened"
    );
    Ok(buyer.answer(ok(json!({ "sessionId": opened.checkout.id }))))
}

fn wanted(caller: &Caller, body: Result<Fields, BadInput>) -> Result<NewCheckout, Refused> {
    let mut body = body?;
    let (tracks, packages) = (body.take("tracks"), body.take("selectedPackages"));
    let choice = Choice::new(&tracks, &packages).map_err(CheckoutError::from)?;
    let user =
        named_user(caller, &body.take("userId")).map_err(|Stranger| Refused::bad("Missing required data"))?;
    let existing = body.text("existingSessionId").as_deref().and_then(CheckoutId::parse);
    Ok(NewCheckout { choice, packages, user, existing, coupon: body.text("couponCode") })
}

/// `POST /api/validate-checkout-session`.
pub(crate) async fn validate(State(app): State<App>, Asker(caller): Asker, Input(body): Input) -> Answer {
    let money = money(&app).map_err(problem)?;
    let id = session_id(body).map_err(refused)?;
    let row = money.checkouts.validate(&caller, &id).await.map_err(refused)?;
    Ok(ok(json!({ "isValid": true, "sessionData": data_of(&row) })))
}

/// What the application stored, as it stored it, and whose it is.
fn data_of(row: &Checkout) -> Value {
    let mut data: Value = serde_json::from_str(&row.data).unwrap_or_default();
    let mut part = |name: &str| data.get_mut(name).map(Value::take).unwrap_or_default();
    json!({
        "tracks": part("tracks"),
        "selectedPackages": part("selectedPackages"),
        "userId": row.owner.user,
    })
}

/// `POST /api/complete-checkout-session`.
pub(crate) async fn complete(State(app): State<App>, Asker(caller): Asker, Input(body): Input) -> Answer {
    let money = money(&app).map_err(problem)?;
    let id = session_id(body).map_err(refused)?;
    let row = money.checkouts.complete(&caller, &id).await.map_err(refused)?;
    tracing::info!(checkout = row.id.fingerprint(), by = %caller, "checkout completed");
    Ok(ok(json!({ "success": true, "message": "Session completed successfully" })))
}

/// A name that cannot be one of ours is that of a missing checkout.
fn session_id(body: Result<Fields, BadInput>) -> Result<CheckoutId, Refused> {
    let text = body?.text("sessionId").ok_or_else(|| Refused::bad("Session ID is required"))?;
    CheckoutId::parse(&text).ok_or_else(Refused::not_found)
}

/// `POST /api/recover-checkout-session`.
pub(crate) async fn recover(State(app): State<App>, Asker(caller): Asker, Input(body): Input) -> Answer {
    let money = money(&app).map_err(problem)?;
    let recovered = continued(money, &caller, body).await;
    tell_recovery(&caller, &recovered);
    app.watch.recovery_tried();
    let Recovered { checkout, price_before } = recovered.map_err(refused)?;
    app.watch.recovery_succeeded();
    let mut body = json!({
        "sessionId": checkout.id,
        "recovered": true,
        "message": "Session recovered successfully",
    });
    let payable = |price: sessile_core::money::Price| super::som::som(price.payable());
    // Said only where there is something to say, so that pages that know three fields see three.
    if let (Some(before), Some(now)) = (price_before.map(payable), checkout.price.map(payable))
        && before != now
    {
        body["priceChange"] = json!({ "before": before, "now": now });
    }
    Ok(ok(body))
}

fn tell_recovery(caller: &Caller, recovered: &Result<Recovered, Refused>) {
    let outcome = match recovered {
        Ok(_) => "recovered",
        Err(why) if why.status == StatusCode::CONFLICT => "in_progress",
        Err(why) if why.status.is_server_error() => "unavailable",
        Err(_) => "nothing",
    };
    metrics::counter!(telemetry::RECOVERIES, "outcome" => outcome).increment(1);
    let row = recovered.as_ref().ok().map(|recovered| &recovered.checkout);
    tracing::info!(
        by = %caller,
        outcome,
        checkout = row.map(|row| row.id.fingerprint()),
        from = row.and_then(|row| row.renewed_from.as_ref()).map(CheckoutId::fingerprint),
        "checkout recovery"
    );
}

async fn continued(
    money: &Money,
    caller: &Caller,
    body: Result<Fields, BadInput>,
) -> Result<Recovered, Refused> {
    let mut body = body?;
    let user = named_user(caller, &body.take("userId")).map_err(|Stranger| Refused::nothing_to_recover())?;
    let nobody = match caller {
        Caller::Browser(owner) => owner.is_nobody(),
        Caller::Backend(_) | Caller::Operator => user.is_none(),
    };
    if nobody {
        return Err(Refused::bad("User ID is required for session recovery"));
    }
    let expired = match body.text("expiredSessionId") {
        Some(text) => Some(CheckoutId::parse(&text).ok_or_else(Refused::nothing_to_recover)?),
        None => None,
    };
    Ok(money.checkouts.recover(caller, user, expired.as_ref()).await?)
}

/// `POST /api/cleanup-expired-sessions`, for an operator or a trusted backend.
pub(crate) async fn cleanup(State(app): State<App>, Asker(caller): Asker) -> Answer {
    let money = money(&app).map_err(problem)?;
    if matches!(caller, Caller::Browser(_)) {
        return Err(Problem::token_required().into_response());
    }
    let swept = money.checkouts.sweep(SWEEP_ROWS).await.map_err(refused)?;
    tracing::info!(expired = swept.expired, deleted = swept.deleted, by = %caller, "checkouts swept");
    Ok(ok(json!({
        "success": true,
        "expired": swept.expired,
        "deleted": swept.deleted,
        "message": "Session cleanup completed successfully",
    })))
}
