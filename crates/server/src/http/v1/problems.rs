//! The refusals of the money kinds. Each code has a page under `docs/errors/`.

use crate::http::problem::Problem;
use http::StatusCode;

impl Problem {
    pub(crate) fn token_required() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token_required",
            "Token required",
            "This route is for operators and trusted backends.",
            "Send `Authorization: Bearer` with the operator's token or a key of SESSILE_API_KEYS.",
        )
    }

    pub(crate) fn payment_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "payment_not_found",
            "No such payment",
            "There is no such payment, or it is somebody else's.",
            "Check the id.",
        )
    }

    pub(crate) fn checkout_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "checkout_not_found",
            "No such checkout",
            "There is no such checkout, or it is somebody else's.",
            "Check the id.",
        )
    }

    pub(crate) fn refund_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "refund_not_found",
            "No such refund",
            "There is no such refund.",
            "Read the list of refunds again.",
        )
    }

    pub(crate) fn coupon_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "coupon_not_found",
            "No such coupon",
            "There is no such coupon.",
            "Read the list of coupons again.",
        )
    }

    pub(crate) fn effect_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "effect_not_found",
            "No such dead effect",
            "There is no such effect, or it is not dead.",
            "Read the outbox again.",
        )
    }

    pub(crate) fn payment_not_cancellable() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "payment_not_cancellable",
            "The payment cannot be cancelled",
            "The provider has prepared the payment, or it is completed: money may be moving.",
            "Wait for the provider's word; give a completed payment back with a refund.",
        )
    }

    pub(crate) fn payment_in_progress() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "payment_in_progress",
            "A payment is in progress",
            "A payment for this checkout is being processed, so that nothing may change it.",
            "Wait for the payment, then load the checkout again.",
        )
    }

    pub(crate) fn checkout_not_active() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "checkout_not_active",
            "The checkout is not active",
            "Only an active checkout can be cancelled; this one has ended.",
            "Load the checkout and act on its `status`.",
        )
    }

    pub(crate) fn nothing_to_refund() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "nothing_to_refund",
            "Nothing to refund",
            "Nothing was paid, or all of it goes back already.",
            "Load the payment and the list of refunds.",
        )
    }

    pub(crate) fn refund_not_manual() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "refund_not_manual",
            "The refund does not wait for a person",
            "Only a refund that is `needs_manual` can be settled by hand.",
            "Load the list of refunds and act on its `status`.",
        )
    }

    pub(crate) fn coupon_code_taken() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "coupon_code_taken",
            "The code is taken",
            "Another coupon has this code.",
            "Choose another code.",
        )
    }

    pub(crate) fn idempotency_key_missing() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key_missing",
            "Idempotency-Key is missing",
            "A request that makes something carries a key, so that sending it twice makes one.",
            "Send `Idempotency-Key` with a new random value, and the same one when you repeat the request.",
        )
    }

    pub(crate) fn idempotency_key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "Idempotency-Key was used before",
            "This key was used for another request.",
            "Send a new key for a new request.",
        )
    }

    pub(crate) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is too large",
            "The body is larger than this route takes.",
            "Send less.",
        )
    }

    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type",
            "The body is of a kind that this route does not take.",
            "Send it with the `Content-Type` that `/docs/api` names for this route.",
        )
    }

    pub(crate) fn ledger_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ledger_unavailable",
            "The ledger is unavailable",
            "The database of checkouts and payments did not answer, so it is not known whether the change is stored.",
            "Repeat the request after `Retry-After` with the same Idempotency-Key; repeating is safe.",
        )
    }

    pub(crate) fn internal_error() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Internal error",
            "Something went wrong that should not; the server's log has the cause.",
            "Report it with the request id.",
        )
    }

    pub(crate) fn invalid_parameter(what: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_parameter",
            "Invalid parameter",
            what,
            "Mend the query and ask again.",
        )
    }

    pub(crate) fn invalid_body(what: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_body",
            "Invalid body",
            what,
            "Mend the body and send it again.",
        )
    }

    pub(crate) fn idempotency_key_invalid(what: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key_invalid",
            "Invalid Idempotency-Key",
            what,
            "Send one header with 1 to 255 visible ASCII characters.",
        )
    }
}
