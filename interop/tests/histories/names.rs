//! Rows and effects without the names that chance gave them, so that two lives of one history can be compared.

use super::life::Seen;
use serde::Serialize;
use sessile_core::ledger::Record;

/// What chance named, and what we call it.
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    pub(super) fn of(Seen { checkouts, payments, refunds, prepares }: &Seen) -> Self {
        let mut names = Vec::new();
        let mut name = |id: &str, alias: String| names.push((id.to_owned(), alias));
        for (at, id) in checkouts.iter().enumerate() {
            name(id.as_str(), format!("checkout#{at}"));
        }
        for (at, (id, order)) in payments.iter().enumerate() {
            name(id.as_str(), format!("payment#{at}"));
            name(order.as_str(), format!("order#{at}"));
        }
        for (at, id) in refunds.iter().enumerate() {
            name(id.as_str(), format!("refund#{at}"));
        }
        for (prepare, payment) in prepares {
            name(&prepare.get().to_string(), format!("prepare of {}", payment.as_str()));
        }
        Self(names)
    }

    pub(super) fn hide(&self, text: &str) -> String {
        // Twice, because the name of a number holds another one.
        let once =
            |text: String| self.0.iter().fold(text, |text, (id, alias)| text.replace(id.as_str(), alias));
        once(once(text.to_owned()))
    }

    /// A row without what is made of its names.
    pub(super) fn plain(&self, record: &Record) -> String {
        let mut record = record.clone();
        if let Record::Payment(payment) = &mut record {
            payment.request.clear();
            payment.idempotency_key.truncate(KEY_KIND_CHARS);
        }
        self.json(&record)
    }

    /// Not as `Debug` has it, which shows fingerprints in place of names.
    pub(super) fn json(&self, value: &impl Serialize) -> String {
        self.hide(&serde_json::to_string(value).unwrap_or_else(|error| error.to_string()))
    }
}

/// Of an idempotency key only its kind is the same in two lives: `auto`, `done`, `key:`.
const KEY_KIND_CHARS: usize = 4;
