//! The examination itself, on any ledger.

use crate::worker::name_of;
use sessile_core::StoreError;
use sessile_core::ledger::{
    AuditHead, Broken, CheckoutKey, Kind, LedgerStore, PAGE_MAX, PaymentFilter, PaymentKey, Reads, Record,
    RecordKey, Replay, verify,
};
use std::collections::BTreeMap;

/// Audit rows that are read at once.
const BATCH: usize = 500;
/// How often rows that changed meanwhile are read again.
const ROUNDS_MAX: usize = 20;
const KINDS: [Kind; 5] = [Kind::Checkout, Kind::Payment, Kind::Coupon, Kind::Grant, Kind::Refund];

/// What was found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The audit's end.
    pub head: AuditHead,
    /// Rows that were compared, by kind.
    pub compared: BTreeMap<&'static str, usize>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The first thing that is not as it was written.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The ledger did not answer.
    #[error("the ledger did not answer")]
    Store(#[from] StoreError),
}

/// Verifies the chain, replays it, and compares every stored row with what it tells.
///
/// # Errors
/// [`Failure::Broken`] names the first thing that does not hold.
pub async fn examine(ledger: &dyn LedgerStore) -> Result<Report, Failure> {
    let mut log = Log::default();
    log.catch_up(ledger).await?;
    let (mut stored, contradicting) = every_row(ledger).await?;
    for round in 0..ROUNDS_MAX {
        let more = log.catch_up(ledger).await?;
        let moving = differing(&log.replay, &stored);
        if moving.is_empty() || (round > 0 && more == 0) {
            break;
        }
        read_again(ledger, &moving, &mut stored).await?;
    }
    let Log { head, mut replay } = log;
    let mut compared = BTreeMap::new();
    for key in stored.keys() {
        *compared.entry(name_of(key.kind())).or_insert(0) += 1;
    }
    replay.compare(stored.into_values())?;
    replay.finish()?;
    Replay::contradicting(&contradicting)?;
    let kept = ledger.audit_head().await?;
    if kept.seq < head.seq {
        return Err(Broken::Gap { after: kept.seq, found: head.seq }.into());
    }
    if kept.seq == head.seq && kept.hash != head.hash {
        return Err(Broken::Unchained { seq: head.seq }.into());
    }
    Ok(Report { head, compared })
}

/// The audit, as far as it was read.
#[derive(Default)]
struct Log {
    head: AuditHead,
    replay: Replay,
}

impl Log {
    /// Reads on to the end; answers how many rows that were.
    async fn catch_up(&mut self, ledger: &dyn LedgerStore) -> Result<usize, Failure> {
        let kept = ledger.audit_head().await?;
        let mut read = 0;
        loop {
            let rows = ledger.audit(self.head.seq, BATCH).await?;
            if rows.is_empty() {
                break;
            }
            self.head = verify(self.head.clone(), &rows)?;
            self.replay.read(&rows)?;
            read += rows.len();
        }
        if self.head.seq < kept.seq {
            return Err(Broken::Cut { found: self.head.seq, kept: kept.seq }.into());
        }
        Ok(read)
    }
}

type Rows = BTreeMap<RecordKey, Record>;

/// Every row, and those of them that contradict themselves.
async fn every_row(ledger: &dyn LedgerStore) -> Result<(Rows, Vec<RecordKey>), StoreError> {
    let (mut rows, mut contradicting) = (Rows::new(), Vec::new());
    for kind in KINDS {
        let mut after = None;
        loop {
            let page = ledger.page(kind, &PaymentFilter::default(), after.as_ref(), PAGE_MAX).await?;
            rows.extend(page.rows.into_iter().map(|record| (record.key(), slim(record))));
            contradicting.extend(page.contradicting);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok((rows, contradicting))
}

/// Carts and addresses are no part of the audit; dropped here, they are not held in memory either.
fn slim(mut record: Record) -> Record {
    match &mut record {
        Record::Checkout(row) => row.data = String::new(),
        Record::Payment(row) => row.email = String::new(),
        Record::Coupon(_) | Record::Grant(_) | Record::Refund(_) => {}
    }
    record
}

/// Rows that changed between the reading of the log and of the tables - or that somebody changed behind our back.
fn differing(replay: &Replay, stored: &Rows) -> Vec<RecordKey> {
    let told: BTreeMap<RecordKey, i64> = replay.rows().map(|row| (row.key(), row.version())).collect();
    // A row that no change of ours has touched is an older application's.
    let changed = stored.iter().filter(|(key, row)| told.get(key).copied().unwrap_or(1) != row.version());
    let missing = told.keys().filter(|key| !stored.contains_key(key));
    changed.map(|(key, _)| key).chain(missing).cloned().collect()
}

async fn read_again(
    ledger: &dyn LedgerStore,
    keys: &[RecordKey],
    stored: &mut Rows,
) -> Result<(), StoreError> {
    for keys in keys.chunks(PAGE_MAX) {
        let mut reads = Reads::none();
        for key in keys {
            match key.clone() {
                RecordKey::Checkout(id) => reads.checkouts.push(CheckoutKey::Id(id)),
                RecordKey::Payment(id) | RecordKey::Grant(id) => reads.payments.push(PaymentKey::Id(id)),
                RecordKey::Coupon(id) => reads.coupons.push(id),
                RecordKey::Refund(id) => reads.refunds.push(id),
            }
        }
        let books = ledger.look(&reads).await?;
        for key in keys {
            match books.record(key) {
                Some(record) => stored.insert(key.clone(), slim(record.clone())),
                None => stored.remove(key),
            };
        }
    }
    Ok(())
}
