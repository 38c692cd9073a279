//! What an operator does outside the ledger, in the audit log: recorded before it is done. Where there is no ledger, the
//! program's own log is all there is.

use super::kinds::Moment;
use crate::app::App;
use crate::http::{Problem, v1};
use crate::limits::REMARKS_LOOKED_AT;
use sessile_core::StoreError;
use sessile_core::checkout::Caller;
use sessile_core::ledger::{AuditRow, remark};

/// Records that the operator is about to do something.
pub(super) async fn record(app: &App, event: &'static str, subject: &str) -> Result<(), Problem> {
    let Ok(money) = &app.money.kinds else {
        tracing::info!(event, "an operator acts; there is no audit log without a ledger");
        return Ok(());
    };
    let actor = Caller::Operator.to_string();
    let recorded = remark(&*money.ledger, event, &actor, subject, app.clock.now()).await;
    recorded.map_err(|error| v1::away(&error))
}

/// The audit's last rows, the newest first.
pub(super) async fn last(app: &App, before: Option<i64>, count: usize) -> Result<Vec<AuditRow>, StoreError> {
    let Ok(money) = &app.money.kinds else { return Ok(Vec::new()) };
    let head = money.ledger.audit_head().await?.seq;
    let end = before.map_or(head, |before| head.min(before - 1)).max(0);
    let from = end.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX)).max(0);
    let limit = usize::try_from(end - from).unwrap_or(0);
    let mut rows = if limit == 0 { Vec::new() } else { money.ledger.audit(from, limit).await? };
    rows.reverse();
    Ok(rows)
}

/// What operators did lately to something that the ledger does not hold, the oldest first.
pub(super) async fn about(app: &App, subject: &str) -> Vec<Moment> {
    let rows = last(app, None, REMARKS_LOOKED_AT).await.unwrap_or_default();
    let ours = rows.iter().rev().filter(|row| row.remarks().iter().any(|about| about == subject));
    ours.map(Moment::from).collect()
}
