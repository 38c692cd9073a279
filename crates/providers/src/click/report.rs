//! What the Merchant API says of a payment, read with care: only a clear word is a fact, anything else is an error.
//!
//! CLICK documents `payment_status` (negative: error, 0 created, 1 processing, 2 successful) and HTTP statuses, but no
//! table of `error_code`: a negative one may mean bad credentials as well as a bad payment, so it settles nothing. Its
//! page shows `status_by_mti` answering without `payment_status`, and numbers as text.

use serde::{Deserialize, Deserializer};

use super::error::ClickError;
use crate::transport::shortened;

/// "Payment not found", as services that use the API know it; CLICK's page does not list it. No other code and no bare
/// HTTP 404 means absence: those also come of a wrong service id, wrong credentials or a wrong address.
const PAYMENT_NOT_FOUND: i64 = -16;

/// Where a payment stands at CLICK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Begun; nothing was taken.
    Created,
    /// Under way.
    Processing,
    /// The customer's money was taken.
    Paid,
    /// It failed, or was cancelled or reversed.
    Failed {
        /// `payment_status`, negative.
        code: i64,
        /// CLICK's words, shortened.
        note: String,
    },
    /// CLICK knows no such payment: by a merchant's id, none that was created on that day.
    NotFound,
}

/// CLICK's answer about one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// CLICK's number of the payment, which a reversal needs; `None` where it was not found.
    pub payment_id: Option<i64>,
    /// Where it stands.
    pub status: Status,
}

/// CLICK's answer to a reversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// The customer gets the whole amount back.
    Done,
    /// CLICK will not: of an earlier month, not paid, or refused by the bank. A person must see to it.
    Refused {
        /// `error_code`.
        code: i64,
        /// CLICK's words, shortened.
        note: String,
    },
}

/// Which payment was asked about.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Payment(i64),
    Order(&'a str),
}

/// An answer's body, of any endpoint.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(default, deserialize_with = "optional_integer")]
    error_code: Option<i64>,
    #[serde(default)]
    error_note: Option<String>,
    #[serde(default, deserialize_with = "optional_integer")]
    payment_id: Option<i64>,
    #[serde(default, deserialize_with = "optional_integer")]
    payment_status: Option<i64>,
    #[serde(default)]
    merchant_trans_id: Option<String>,
}

/// An answer that has a body with an `error_code`.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) http_status: u16,
    pub(super) body: Body,
}

/// A status, or the number to ask for it by.
#[derive(Debug)]
pub(super) enum Found {
    Report(Report),
    AskAgain(i64),
}

impl Reply {
    pub(super) fn report(self, asked: Asked<'_>) -> Result<Found, ClickError> {
        let Body { error_code, payment_status, .. } = self.body;
        if error_code == Some(PAYMENT_NOT_FOUND) {
            return Ok(Found::Report(Report { payment_id: None, status: Status::NotFound }));
        }
        let note = self.body.note();
        if !(200..=299).contains(&self.http_status) {
            return Err(match error_code {
                None | Some(0) => ClickError::Rejected { status: self.http_status },
                Some(code) => ClickError::Refused { code, note },
            });
        }
        let payment_id = self.body.is_about(asked)?;
        let found = |status| Ok(Found::Report(Report { payment_id, status }));
        match payment_status {
            Some(code) if code < 0 => found(Status::Failed { code, note }),
            _ if error_code.is_some_and(|code| code != 0) => {
                Err(ClickError::Refused { code: error_code.unwrap_or_default(), note })
            }
            Some(0) => found(Status::Created),
            Some(1) => found(Status::Processing),
            Some(2) => found(Status::Paid),
            Some(_) => Err(ClickError::Unreadable("an unknown payment_status")),
            None => match (asked, payment_id) {
                (Asked::Order(_), Some(id)) => Ok(Found::AskAgain(id)),
                _ => Err(ClickError::Unreadable("no payment_status")),
            },
        }
    }

    pub(super) fn reversal(self, payment_id: i64) -> Result<Reversal, ClickError> {
        self.body.is_about(Asked::Payment(payment_id))?;
        match (self.http_status, self.body.error_code) {
            (200..=299, Some(0)) => Ok(Reversal::Done),
            (200..=299, None) => Err(ClickError::Unreadable("no error_code")),
            (_, None | Some(0)) => Err(ClickError::Rejected { status: self.http_status }),
            (_, Some(code)) => Ok(Reversal::Refused { code, note: self.body.note() }),
        }
    }
}

impl Body {
    fn note(&self) -> String {
        shortened(self.error_note.as_deref().unwrap_or_default())
    }

    /// CLICK's number of the payment. An answer about somebody else's, from a confused cache or gateway, must not settle
    /// ours. Zero and nothing are what CLICK writes where it has no value.
    fn is_about(&self, asked: Asked<'_>) -> Result<Option<i64>, ClickError> {
        let id = self.payment_id.filter(|id| *id != 0);
        let order = self.merchant_trans_id.as_deref().filter(|order| !order.is_empty());
        match asked {
            Asked::Payment(asked) if id.is_none_or(|id| id == asked) => Ok(Some(asked)),
            Asked::Order(asked) if order.is_none_or(|order| order == asked) => Ok(id),
            _ => Err(ClickError::Unreadable("it is about another payment")),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Integer {
    Number(i64),
    Text(String),
}

fn optional_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match Option::<Integer>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Integer::Number(number)) => Ok(Some(number)),
        Some(Integer::Text(text)) if text.is_empty() => Ok(None),
        Some(Integer::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PAYMENT: Asked<'_> = Asked::Payment(7);
    const ORDER: Asked<'_> = Asked::Order("ckabcdefghijklmnopqrstuv");

    fn reply(http_status: u16, body: serde_json::Value) -> Reply {
        Reply { http_status, body: serde_json::from_value(body).unwrap() }
    }

    fn report(asked: Asked<'_>, body: serde_json::Value) -> Result<Found, ClickError> {
        reply(200, body).report(asked)
    }

    #[test]
    fn only_a_documented_status_is_a_fact() {
        let status = |number: serde_json::Value| {
            let body = json!({"error_code": 0, "error_note": "n", "payment_id": 7, "payment_status": number});
            match report(PAYMENT, body) {
                Ok(Found::Report(Report { payment_id: Some(7), status })) => Ok(status),
                other => Err(format!("{other:?}")),
            }
        };
        assert_eq!(status(json!(0)), Ok(Status::Created));
        assert_eq!(status(json!(1)), Ok(Status::Processing));
        assert_eq!(status(json!(2)), Ok(Status::Paid));
        assert_eq!(status(json!("2")), Ok(Status::Paid));
        assert_eq!(status(json!(-99)), Ok(Status::Failed { code: -99, note: "n".into() }));
        assert!(status(json!(3)).unwrap_err().contains("unknown payment_status"));
        assert!(status(json!(null)).unwrap_err().contains("no payment_status"));
    }

    #[test]
    fn an_error_code_is_no_status() {
        let error =
            report(PAYMENT, json!({"error_code": -500, "error_note": "x", "payment_status": 2})).unwrap_err();
        assert!(matches!(error, ClickError::Refused { code: -500, .. }), "{error:?}");
        for credentials in
            [json!({"error_code": -12, "error_note": "x"}), json!({"error_code": -12, "payment_id": ""})]
        {
            assert!(matches!(report(ORDER, credentials), Err(ClickError::Refused { code: -12, .. })));
        }
        let missing = report(ORDER, json!({"error_code": "-16", "payment_id": 0})).unwrap();
        let expected = Report { payment_id: None, status: Status::NotFound };
        assert!(matches!(missing, Found::Report(report) if report == expected));
    }

    #[test]
    fn a_status_without_an_error_code_is_a_status() {
        let paid = report(PAYMENT, json!({"payment_status": 2})).unwrap();
        assert!(matches!(paid, Found::Report(Report { payment_id: Some(7), status: Status::Paid })));
        assert!(matches!(report(PAYMENT, json!({})), Err(ClickError::Unreadable(_))));
        assert!(matches!(reply(200, json!({})).reversal(7), Err(ClickError::Unreadable(_))));
    }

    #[test]
    fn an_order_without_status_is_asked_by_its_payment() {
        let order = "ckabcdefghijklmnopqrstuv";
        let body = json!({"error_code": 0, "payment_id": "598761234", "merchant_trans_id": order});
        assert!(matches!(report(ORDER, body), Ok(Found::AskAgain(598_761_234))));
        for id in [json!(null), json!(""), json!(0)] {
            let body = json!({"error_code": 0, "payment_id": id, "merchant_trans_id": order});
            assert!(matches!(report(ORDER, body), Err(ClickError::Unreadable(_))));
        }
    }

    #[test]
    fn an_answer_about_another_payment_is_refused() {
        let other = json!({"error_code": 0, "payment_id": 8, "payment_status": 2, "merchant_trans_id": "x"});
        for asked in [PAYMENT, ORDER] {
            assert!(matches!(report(asked, other.clone()), Err(ClickError::Unreadable(_))));
        }
        assert!(reply(200, other).reversal(7).is_err());
    }

    #[test]
    fn a_refused_request_states_no_fact() {
        let paid = json!({"error_code": 0, "payment_id": 7, "payment_status": 2});
        assert!(matches!(reply(400, paid).report(PAYMENT), Err(ClickError::Rejected { status: 400 })));
        let failed = json!({"error_code": -1, "payment_id": 7, "payment_status": -1});
        assert!(matches!(reply(410, failed).report(PAYMENT), Err(ClickError::Refused { code: -1, .. })));
    }

    #[test]
    fn a_reversal_is_done_or_refused() {
        assert_eq!(
            reply(200, json!({"error_code": 0, "payment_id": 7})).reversal(7).unwrap(),
            Reversal::Done
        );
        let refused = reply(200, json!({"error_code": -5, "error_note": "late\nmonth"})).reversal(7).unwrap();
        assert_eq!(refused, Reversal::Refused { code: -5, note: "latemonth".into() });
        assert!(reply(400, json!({"error_code": 0})).reversal(7).is_err());
    }
}
