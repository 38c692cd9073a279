//! One message that was sent and what came back, kept for the page and for tests.

use serde::Serialize;
use serde_json::Value;

use super::message::Step;

/// How much of an answer is kept.
pub(crate) const BODY_CHARS_KEPT: usize = 2048;

/// Why there is no answer to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// Nobody listens there, or the connection broke before or during the answer.
    Connection,
    /// No answer in time.
    Timeout,
    /// The body is larger than anything the protocol answers.
    TooLarge,
    /// There was an answer and it was lost on the way, as switched on.
    Lost,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// An HTTP answer, whatever it says.
    Answered {
        /// HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
        /// The body, where it is a JSON object.
        #[serde(skip)]
        json: Option<Value>,
    },
    /// Nothing to act on.
    Unanswered(Unanswered),
}

impl Reply {
    pub(crate) fn answered(status: u16, body: &[u8]) -> Self {
        let json = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        let body = String::from_utf8_lossy(body).chars().take(BODY_CHARS_KEPT).collect();
        Self::Answered { status, body, json }
    }

    /// HTTP status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Unanswered(_) => None,
        }
    }

    /// A field of the answer, as text, whether it came as a number or as a string.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        match self {
            Self::Answered { json: Some(json), .. } => match json.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The answer's `error`: HTTP 200 and JSON with that number. Everything else counts as not answered.
    #[must_use]
    pub fn error(&self) -> Option<i64> {
        if self.status() != Some(200) {
            return None;
        }
        self.field("error")?.parse().ok()
    }

    /// The answer's `error_note`, or nothing.
    #[must_use]
    pub fn note(&self) -> String {
        self.field("error_note").unwrap_or_default()
    }

    /// What Click calls the merchant's own payment.
    #[must_use]
    pub fn merchant_prepare_id(&self) -> Option<String> {
        self.field("merchant_prepare_id").filter(|id| !id.is_empty() && id.parse::<i64>().is_ok())
    }

    /// What is wrong with the answer's form, by Click's documents.
    pub(crate) fn complaints(&self, step: Step, sent: &[(String, String)]) -> Vec<String> {
        let Self::Answered { status, json, .. } = self else {
            return Vec::new();
        };
        if *status != 200 {
            return vec![format!("HTTP {status}: Click takes this as no answer and repeats")];
        }
        if json.is_none() {
            return vec!["the answer is not a JSON object".into()];
        }
        let mut complaints = Vec::new();
        if self.error().is_none() {
            complaints.push("`error` is missing or not an integer".into());
        }
        if self.field("error_note").is_none() {
            complaints.push("`error_note` is missing".into());
        }
        if self.error() == Some(0) {
            for name in ["click_trans_id", "merchant_trans_id"] {
                let expected = sent.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                if self.field(name) != expected {
                    complaints.push(format!("`{name}` is not what was sent"));
                }
            }
            if step == Step::Prepare && self.merchant_prepare_id().is_none() {
                complaints.push("`merchant_prepare_id` is missing or not an integer".into());
            }
        }
        complaints
    }
}

/// A message and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// When it was sent, unix milliseconds.
    pub at_ms: i64,
    /// Which message.
    pub step: Step,
    /// Every field as it went over the wire.
    pub fields: Vec<(String, String)>,
    /// What came back.
    pub reply: Reply,
    /// Click did not see this answer, because it was told to lose it.
    pub lost: bool,
    /// What is wrong with the answer's form.
    pub complaints: Vec<String>,
}

impl Exchange {
    /// A field as it was sent.
    #[must_use]
    pub fn sent(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    /// The merchant said, whether or not Click heard it, that the money belongs to a completed payment.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.step == Step::Complete
            && self.sent("error") == Some("0")
            && matches!(self.reply.error(), Some(0 | -4))
    }
}
