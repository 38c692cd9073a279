//! What an operator does outside the ledger - ends a login, puts a message back - stands in the same audit log as what
//! money did. It is recorded before it is done, so that nothing is done that nobody can find.

use super::plan::{Note, Plan, Write};
use super::reads::Reads;
use super::store::{Decision, LedgerStore, transact};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Writes one row: `event` as `login.revoke_ordered`, `actor` as the audit names callers, and what it is done to.
///
/// # Errors
/// [`StoreError::Unavailable`]: it is not known to be recorded, so it must not be done.
pub async fn remark(
    store: &dyn LedgerStore,
    event: &'static str,
    actor: &str,
    subject: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (actor, subject) = (actor.to_owned(), subject.to_owned());
    transact(store, Reads::none(), now, move |_| {
        let note = Note { event, actor: actor.clone(), payment: None, checkout: None };
        let writes = vec![Write::Remark(subject.clone())];
        Decision::write(Plan { writes, note: Some(note), ..Plan::nothing() }, ())
    })
    .await
}
