//! The audit log: one row per change, each chained by hash to the one before, written in the change's own
//! transaction. Whoever changes, removes or inserts a row breaks the chain; whoever cuts its end contradicts the
//! head that is kept beside it. Replaying it gives the present rows.

use super::plan::{Note, Record, RecordKey};
use crate::checkout::CheckoutId;
use crate::payment::PaymentId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The last row's number; 0 when there is none.
    pub seq: i64,
    /// The last row's hash; 64 zeros when there is none.
    pub hash: String,
}

impl Default for AuditHead {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// 1, 2, 3 … without a gap.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// Who caused it.
    pub actor: String,
    /// The payment it is about.
    pub payment: Option<PaymentId>,
    /// The checkout it is about.
    pub checkout: Option<CheckoutId>,
    /// Every row as the change left it, as JSON. No address, no cart.
    pub facts: String,
    /// The hash of the row before.
    pub previous: String,
    /// SHA-256 over all of the above, in hexadecimal.
    pub hash: String,
}

/// What a change left.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) rows: Vec<Record>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) purged: Vec<CheckoutId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) remarks: Vec<String>,
}

impl AuditRow {
    pub(super) fn new(note: Note, facts: String, head: &AuditHead, at: Timestamp) -> Self {
        let mut row = Self {
            seq: head.seq + 1,
            at,
            event: note.event.to_owned(),
            actor: note.actor,
            payment: note.payment,
            checkout: note.checkout,
            facts,
            previous: head.hash.clone(),
            hash: String::new(),
        };
        row.hash = row.computed();
        row
    }

    /// What was done outside the ledger: the names of what it was done to.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        serde_json::from_str::<Facts>(&self.facts).map(|facts| facts.remarks).unwrap_or_default()
    }

    /// The head after this row.
    #[must_use]
    pub fn head(&self) -> AuditHead {
        AuditHead { seq: self.seq, hash: self.hash.clone() }
    }

    fn computed(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.unix_ms().to_be_bytes());
        let payment = self.payment.as_ref().map_or("", PaymentId::as_str);
        let checkout = self.checkout.as_ref().map_or("", CheckoutId::as_str);
        for part in [&self.event, &self.actor, payment, checkout, &self.facts, &self.previous] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A row is missing, or was put in.
    #[error("after row {after} comes row {found}: rows were removed or put in")]
    Gap {
        /// The last good one.
        after: i64,
        /// What follows.
        found: i64,
    },
    /// A row was changed.
    #[error("row {seq} is not what was written: its hash does not fit")]
    Changed {
        /// Which.
        seq: i64,
    },
    /// A row does not continue the one before.
    #[error("row {seq} does not continue the row before it")]
    Unchained {
        /// Which.
        seq: i64,
    },
    /// The end is missing.
    #[error("the log ends at row {found}, and {kept} were written: its end was removed")]
    Cut {
        /// The last row that is there.
        found: i64,
        /// The last row that was written.
        kept: i64,
    },
    /// A row does not tell what changed.
    #[error("row {seq} cannot be read: {what}")]
    Unreadable {
        /// Which.
        seq: i64,
        /// Why.
        what: String,
    },
    /// A column that is there for people says something else than those that count.
    #[error(
        "{row} shows people something else than what counts: a column that is derived was changed by itself"
    )]
    Contradicts {
        /// Its kind and fingerprint.
        row: String,
    },
    /// A row of the ledger is not what its last change left.
    #[error("{row} is not what its last change left")]
    Differs {
        /// Its kind and fingerprint.
        row: String,
    },
}

/// Checks that `rows` continue `head` without a gap or a change; answers the new head.
///
/// # Errors
/// [`Broken`] names the first row that does not fit.
pub fn verify(mut head: AuditHead, rows: &[AuditRow]) -> Result<AuditHead, Broken> {
    for row in rows {
        if row.seq != head.seq + 1 {
            return Err(Broken::Gap { after: head.seq, found: row.seq });
        }
        if row.previous != head.hash {
            return Err(Broken::Unchained { seq: row.seq });
        }
        if row.hash != row.computed() {
            return Err(Broken::Changed { seq: row.seq });
        }
        head = row.head();
    }
    Ok(head)
}

/// The rows of the ledger, as the audit tells them.
#[derive(Debug, Default)]
pub struct Replay {
    rows: BTreeMap<RecordKey, Record>,
}

impl Replay {
    /// Takes in some more of the log.
    ///
    /// # Errors
    /// [`Broken::Unreadable`] for a row that holds no facts.
    pub fn read(&mut self, rows: &[AuditRow]) -> Result<(), Broken> {
        for row in rows {
            let facts: Facts = serde_json::from_str(&row.facts)
                .map_err(|error| Broken::Unreadable { seq: row.seq, what: error.to_string() })?;
            self.rows.extend(facts.rows.into_iter().map(|record| (record.key(), record)));
            for id in facts.purged {
                self.rows.remove(&RecordKey::Checkout(id));
            }
        }
        Ok(())
    }

    /// Rows that a ledger says contradict themselves.
    ///
    /// # Errors
    /// [`Broken::Contradicts`] names the first one.
    pub fn contradicting(rows: &[RecordKey]) -> Result<(), Broken> {
        rows.first().map_or(Ok(()), |key| Err(Broken::Contradicts { row: name_of_key(key) }))
    }

    /// Compares rows that are stored with what the audit tells. A row that no change of ours has touched yet is an
    /// older application's, and is not compared.
    ///
    /// # Errors
    /// [`Broken::Differs`] names the first one that is not as its last change left it.
    pub fn compare(&mut self, stored: impl IntoIterator<Item = Record>) -> Result<(), Broken> {
        for record in stored {
            let told = self.rows.remove(&record.key());
            let same = match &told {
                Some(told) => told.clone() == without_personal(record.clone()),
                None => record.version() == 1,
            };
            if !same {
                return Err(Broken::Differs { row: name_of(&record) });
            }
        }
        Ok(())
    }

    /// After every stored row was compared: whether one is missing.
    ///
    /// # Errors
    /// [`Broken::Differs`] names one that the audit tells of and nobody stored.
    pub fn finish(self) -> Result<(), Broken> {
        match self.rows.values().next() {
            None => Ok(()),
            Some(missing) => Err(Broken::Differs { row: name_of(missing) }),
        }
    }

    /// The rows so far.
    pub fn rows(&self) -> impl Iterator<Item = &Record> {
        self.rows.values()
    }
}

/// What the audit keeps of a row.
fn without_personal(record: Record) -> Record {
    match record {
        Record::Checkout(mut row) => {
            row.data.clear();
            Record::Checkout(row)
        }
        Record::Payment(mut row) => {
            row.email.clear();
            Record::Payment(row)
        }
        other => other,
    }
}

fn name_of(record: &Record) -> String {
    match record {
        Record::Coupon(row) => format!("coupon {}", row.code.as_str()),
        other => name_of_key(&other.key()),
    }
}

fn name_of_key(key: &RecordKey) -> String {
    match key {
        RecordKey::Checkout(id) => format!("checkout {}", id.fingerprint()),
        RecordKey::Payment(id) => format!("payment {}", id.fingerprint()),
        RecordKey::Coupon(id) => format!("coupon {}", id.as_str()),
        RecordKey::Grant(payment) => format!("the grant of payment {}", payment.fingerprint()),
        RecordKey::Refund(id) => format!("refund {}", id.fingerprint()),
    }
}
