//! What copying money needs beside moving rows: a destination that has nothing of its own, an outbox without what the source
//! has told meanwhile, and an audit log that holds.

use crate::audit::{Failure, examine};
use crate::exit::Stop;
use crate::stores::reason_of;
use sessile_core::ledger::portable::{Field, LedgerRow, Table};
use sessile_core::ledger::{AuditHead, LedgerStore};
use sessile_core::portable::Mark;
use sessile_core::{Clock, StoreError};
use sessile_store::ledger::LedgerEnd;

/// Why money does not move into a ledger that has lived.
pub(super) const ANOTHER_CHAIN: &str = "--to has an audit log of its own, which is no beginning of the log at --from: payments were \
    made there. Two such logs cannot become one; copy into an empty ledger, and let nothing serve it before the copy is \
    done. Nothing was overwritten";

/// Rows of the outbox that are looked at together.
const OUTBOX_BATCH: usize = 500;

/// Whether the destination's audit log is a beginning of the source's.
///
/// # Errors
/// [`Stop`] when it is not, or when one of them cannot be read.
pub(super) async fn check_chains(from: &dyn LedgerEnd, to: &dyn LedgerEnd) -> Result<(), Stop> {
    let there = to.audit_head().await.map_err(unread("--to"))?;
    if there == AuditHead::default() {
        return Ok(());
    }
    let same = from.audit(there.seq - 1, 1).await.map_err(unread("--from"))?;
    match same.first() {
        Some(row) if row.head() == there => Ok(()),
        _ => Err(Stop::failed(ANOTHER_CHAIN)),
    }
}

/// What the source has told the world since an earlier run must not be told again. Says how many rows went.
///
/// # Errors
/// [`Stop`] when one of them cannot be read.
pub(super) async fn forget_what_was_told(
    from: &dyn LedgerEnd,
    to: &dyn LedgerEnd,
    clock: &dyn Clock,
) -> Result<u64, Stop> {
    let outbox = Table::ALL.iter().position(|table| *table == Table::Outbox).unwrap_or_default();
    let mut mark = Some(Mark::new(format!("{outbox} ")));
    let mut gone = 0;
    while let Some(at) = mark {
        let batch = to.export(Some(&at), OUTBOX_BATCH, clock.now()).await.map_err(unread("--to"))?;
        let held = from.held(&batch.rows, clock.now()).await.map_err(unread("--from"))?;
        for (row, _) in batch.rows.iter().zip(held).filter(|(_, held)| held.is_none()) {
            if let Some(id) = id_of(row) {
                to.done(id).await.map_err(unread("--to"))?;
                gone += 1;
            }
        }
        mark = batch.next;
    }
    Ok(gone)
}

fn id_of(row: &LedgerRow) -> Option<&str> {
    match row.key().first()? {
        Field::Text(id) => Some(id),
        _ => None,
    }
}

/// Verifies the destination's audit log, and every row against it; answers the head.
///
/// # Errors
/// [`Stop`] names what does not hold.
pub(super) async fn verify(to: &dyn LedgerStore) -> Result<AuditHead, Stop> {
    match examine(to).await {
        Ok(report) => Ok(report.head),
        Err(Failure::Broken(broken)) => Err(Stop::failed(format!(
            "the audit does not hold at --to: {broken}; it does at --from only if `sessile audit verify` says so there"
        ))),
        Err(Failure::Store(error)) => Err(unread("--to")(error)),
    }
}

fn unread(end: &'static str) -> impl Fn(StoreError) -> Stop {
    move |error| Stop::failed(format!("{end}: {}; run it again", reason_of(&error)))
}
