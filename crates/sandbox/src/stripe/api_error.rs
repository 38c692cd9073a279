//! Stripe's error answer: `{error: {type, code, message, param, …}}` with the status and headers that belong to it.

use serde_json::{Value, json};

/// What an error says about asking again (`Stripe-Should-Retry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    None,
    Retry,
    DoNotRetry,
}

/// Whether the endpoint had begun its work: only then its answer is kept under the Idempotency-Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Before,
    Executed,
}

/// A refusal of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) advice: Advice,
    pub(crate) stage: Stage,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        let (advice, stage) = (Advice::None, Stage::Before);
        Self { status, kind, code: None, message: message.into(), param: None, advice, stage }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(crate) fn missing_param(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}.")).code("parameter_missing").param(param)
    }

    /// An id in the address that nothing has.
    pub(crate) fn no_such(what: &str, id: &str) -> Self {
        Self { status: 404, ..Self::no_such_param(what, id, "id") }
    }

    /// An id in a parameter that nothing has.
    pub(crate) fn no_such_param(what: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {what}: '{id}'")).code("resource_missing").param(param)
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn advice(mut self, advice: Advice) -> Self {
        self.advice = advice;
        self
    }

    pub(crate) fn executed(mut self) -> Self {
        self.stage = Stage::Executed;
        self
    }

    pub(crate) fn body(&self, request_id: &str) -> Value {
        let mut error = json!({
            "type": self.kind,
            "message": self.message,
            "request_log_url": format!("https://dashboard.stripe.com/test/workbench/logs?object={request_id}"),
        });
        if let Some(code) = self.code {
            error["code"] = json!(code);
            error["doc_url"] =
                json!(format!("https://docs.stripe.com/error-codes#{}", code.replace('_', "-")));
        }
        if let Some(param) = &self.param {
            error["param"] = json!(param);
        }
        json!({ "error": error })
    }
}
