//! Our books, read behind the server's back, held against CLICK's.

use crate::buyers::{Buyers, COUPONS, Limited};
use crate::load::{Outcome, is_long};
use crate::shop::Till;
use sessile_core::ledger::{Kind, LedgerStore, PAGE_MAX, PaymentFilter, Record};
use sessile_core::payment::{Coupon, Disposition, Grant, How, Payment, PaymentState, Refund};
use sessile_interop::servers::eventually;
use sessile_store::ledger::{LedgerOptions, open_ledger};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the workers may take until nothing is under way: of some payments CLICK has to be asked, a minute after
/// their Prepare.
fn settle_limit() -> Duration {
    Duration::from_secs(if is_long() { 300 } else { 30 })
}

/// Every row.
#[derive(Debug, Default)]
pub(crate) struct Books {
    payments: BTreeMap<String, Payment>,
    grants: Vec<Grant>,
    coupons: Vec<Coupon>,
    refunds: Vec<Refund>,
}

impl Books {
    /// Reads them once nothing is under way any more.
    pub(crate) async fn settled(url: &str) -> Outcome<Self> {
        let ledger = open_ledger(url, &LedgerOptions::default()).await?;
        let filter = PaymentFilter { status: Some("processing".to_owned()), user: None };
        eventually("nothing to be processing", settle_limit(), async || {
            let page = ledger.page(Kind::Payment, &filter, None, 1).await.ok()?;
            page.rows.is_empty().then_some(())
        })
        .await?;
        let mut books = Self::default();
        for kind in [Kind::Payment, Kind::Grant, Kind::Coupon, Kind::Refund] {
            books.read(&*ledger, kind).await?;
        }
        Ok(books)
    }

    async fn read(&mut self, ledger: &dyn LedgerStore, kind: Kind) -> Outcome {
        let mut after = None;
        loop {
            let page = ledger.page(kind, &PaymentFilter::default(), after.as_ref(), PAGE_MAX).await?;
            for record in page.rows {
                match record {
                    Record::Payment(row) => drop(self.payments.insert(row.order.as_str().to_owned(), row)),
                    Record::Grant(row) => self.grants.push(row),
                    Record::Coupon(row) => self.coupons.push(row),
                    Record::Refund(row) => self.refunds.push(row),
                    Record::Checkout(_) => {}
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Says the first thing in which the two differ.
    pub(crate) fn hold_against(&self, till: &Till, buyers: &Buyers) -> Result<(), String> {
        self.hold_orders(till)?;
        self.hold_grants(buyers)?;
        self.hold_coupons(buyers)?;
        let made = buyers.count() + buyers.called_off();
        if self.payments.len() != made {
            return Err(format!("{made} requests made {} payments", self.payments.len()));
        }
        let failed = self.payments.values().filter(|row| row.state.name() == "failed").count();
        if failed != buyers.called_off() || !self.refunds.is_empty() {
            return Err(format!("{failed} payments failed and {} go back", self.refunds.len()));
        }
        let reconciled =
            |row: &&Payment| matches!(row.state, PaymentState::Completed { how: How::Reconciled, .. });
        println!(
            "{made} payments, {failed} of them called off, {} granted once, {} of these because CLICK was asked; \
             coupons used: {:?}",
            self.grants.len(),
            self.payments.values().filter(reconciled).count(),
            self.coupons.iter().map(|coupon| (coupon.code.as_str(), coupon.used)).collect::<Vec<_>>()
        );
        Ok(())
    }

    /// Whatever CLICK took or was told is completed, at its amount; whatever is completed, CLICK took.
    fn hold_orders(&self, till: &Till) -> Result<(), String> {
        let mut orders = BTreeSet::new();
        for known in till.click().payments() {
            let taken = known.debited_tiyin() - known.returned_tiyin();
            let confirmed = known.acknowledged() > 0;
            let Some(row) = self.payments.get(&known.order) else {
                return Err(format!("CLICK knows order {} and we do not", known.order));
            };
            let granted =
                matches!(row.state, PaymentState::Completed { disposition: Disposition::Granted, .. });
            let exact = taken == row.price.payable().get();
            if (granted && !exact) || (!granted && (taken != 0 || confirmed)) {
                return Err(format!(
                    "order {}: CLICK has taken {taken} (confirmed: {confirmed}), and our row is {row:?}",
                    known.order
                ));
            }
            orders.insert(known.order);
        }
        let unknown = |row: &&Payment| row.state.is_completed() && !orders.contains(row.order.as_str());
        match self.payments.values().find(unknown) {
            Some(row) => Err(format!("nobody at CLICK paid for {row:?}")),
            None => Ok(()),
        }
    }

    /// Every buyer has bought, and once.
    fn hold_grants(&self, buyers: &Buyers) -> Result<(), String> {
        let completed: BTreeSet<_> =
            self.payments.values().filter(|row| row.state.is_completed()).map(|row| &row.id).collect();
        let granted: BTreeSet<_> = self.grants.iter().map(|grant| &grant.payment).collect();
        let users: BTreeSet<_> = self.grants.iter().map(|grant| grant.user.as_str()).collect();
        let once = granted.len() == self.grants.len() && users.len() == self.grants.len();
        if completed != granted || !once || granted.len() != buyers.count() {
            return Err(format!(
                "{} buyers, {} completed payments, {} grants, {} of them of different users",
                buyers.count(),
                completed.len(),
                self.grants.len(),
                users.len()
            ));
        }
        Ok(())
    }

    /// Every coupon is used as often as it can be and not once more; nothing is held for nobody.
    fn hold_coupons(&self, buyers: &Buyers) -> Result<(), String> {
        let max = Limited::max_uses(buyers.count());
        for coupon in &self.coupons {
            let of_it = |row: &&Payment| {
                row.state.is_completed() && row.coupon.as_ref().is_some_and(|hold| hold.coupon == coupon.id)
            };
            let paid_with = self.payments.values().filter(of_it).count();
            let used = usize::try_from(coupon.used).unwrap_or(usize::MAX);
            if used != max || paid_with != max || coupon.reserved != 0 {
                return Err(format!("of {max} uses: paid with {paid_with}, {coupon:?}"));
            }
        }
        if self.coupons.len() == COUPONS.len() { Ok(()) } else { Err("a coupon is missing".to_owned()) }
    }
}
