//! What is stored, read as anybody may read it: page by page, and the audit from where it was left.

use crate::tables::Tables;
use sessile_core::StoreError;
use sessile_core::ledger::{
    AuditHead, AuditRow, EffectRow, EffectState, Kind, LedgerStore, PAGE_MAX, PaymentFilter, Record,
    RecordKey, verify,
};
use std::collections::BTreeMap;

const KINDS: [Kind; 5] = [Kind::Checkout, Kind::Payment, Kind::Coupon, Kind::Grant, Kind::Refund];
/// Rows of the audit, and effects, that are read at once.
const MANY: usize = 500;

/// A look at a ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) tables: Tables,
    pub(crate) head: AuditHead,
    /// What the audit says since the look before.
    pub(crate) news: Vec<AuditRow>,
    pub(crate) effects: Vec<EffectRow>,
}

impl View {
    /// Looks again.
    pub(crate) async fn next(&self, ledger: &dyn LedgerStore) -> Result<Self, String> {
        let failed = |error: StoreError| format!("the ledger cannot be read: {error}");
        let pages = KINDS.map(|kind| rows(ledger, kind));
        let pages = futures_util::future::try_join_all(pages).await.map_err(failed)?;
        let records: BTreeMap<RecordKey, Record> =
            pages.into_iter().flatten().map(|record| (record.key(), record)).collect();
        let mut purged = self.tables.purged.clone();
        for key in self.tables.records.keys().filter(|key| !records.contains_key(*key)) {
            match key {
                RecordKey::Checkout(id) => drop(purged.insert(id.clone())),
                other => return Err(format!("{other:?} was removed")),
            }
        }
        let news = ledger.audit(self.head.seq, MANY).await.map_err(failed)?;
        let head = verify(self.head.clone(), &news).map_err(|broken| broken.to_string())?;
        if head != ledger.audit_head().await.map_err(failed)? {
            return Err("the audit does not end where its head says".to_owned());
        }
        let effects = ledger.effects(EffectState::Pending, MANY).await.map_err(failed)?;
        Ok(Self { tables: Tables { records, purged, ..Tables::default() }, head, news, effects })
    }
}

async fn rows(ledger: &dyn LedgerStore, kind: Kind) -> Result<Vec<Record>, StoreError> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.page(kind, &PaymentFilter::default(), after.as_ref(), PAGE_MAX).await?;
        if let Some(key) = page.contradicting.first() {
            return Err(StoreError::unavailable(format!(
                "{key:?} shows people something else than what counts"
            )));
        }
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
}
