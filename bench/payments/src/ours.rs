//! Sessile: the services on a ledger, as the program runs them.

use crate::buyers::Purchase;
use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use sessile_core::checkout::Caller;
use sessile_core::ledger::Inbound;
use sessile_core::money::Minor;
use sessile_core::payment::{
    NewPayment, PaydocId, PaymentState, Payments, ProviderMessage, ProviderStep, Reply, Telling, Terms, TransId, Word,
};
use sessile_core::{OsEntropy, SystemClock};
use sessile_store::ledger::{LedgerOptions, open_ledger};
use std::sync::Arc;

/// Whole units; the peers write the same.
pub(crate) const AMOUNT: i64 = 1000;

pub(crate) struct Ours {
    payments: Payments,
    caller: Caller,
}

pub(crate) async fn open(url: &str) -> Result<Ours> {
    let ledger = open_ledger(url, &LedgerOptions::default()).await?;
    // The application is told of every payment: the peers write that row, too.
    let terms = Terms { webhook: Telling::Outbox, ..Terms::default() };
    let payments = Payments::new(ledger, Arc::new(terms), Arc::new(SystemClock), Arc::new(OsEntropy));
    Ok(Ours { payments, caller: Caller::Backend("bench".to_owned()) })
}

impl Ours {
    pub(crate) async fn pay(&self, purchase: Purchase) -> Result<()> {
        let new = NewPayment {
            amount: Some(AMOUNT),
            user: Some(purchase.user),
            email: "buyer@example.com".to_owned(),
            coupon: None,
            checkout: None,
            key: Some(purchase.key),
        };
        let created = self.payments.create(&self.caller, new).await?;
        let amount = Minor::from_major(AMOUNT).context("an amount")?;
        let message = |step, what: &str| ProviderMessage {
            order: created.payment.order.clone(),
            trans: TransId(purchase.trans),
            paydoc: PaydocId(purchase.trans),
            word: Word::Amount(Some(amount)),
            step,
            // As the program names a message: the attempt, and a digest's length.
            inbound: Inbound {
                provider: "click",
                digest: format!("{:019}.{}.{what}", purchase.trans, created.payment.request),
            },
        };
        let prepared = self.payments.hear(message(ProviderStep::Prepare, "p")).await?;
        let Some(Reply::Prepared(prepare)) = prepared.reply else { anyhow::bail!("not prepared: {prepared:?}") };
        let completed = self.payments.hear(message(ProviderStep::Complete(Some(prepare)), "c")).await?;
        ensure!(completed.reply == Some(Reply::Confirmed), "not confirmed");
        ensure!(
            completed.payment.is_some_and(|payment| matches!(payment.state, PaymentState::Completed { .. })),
            "not completed"
        );
        Ok(())
    }

    /// Stores payments until there are so many.
    pub(crate) async fn fill(&self, rows: u64) -> Result<()> {
        let there = self.payments.ledger().census(sessile_core::Clock::now(&SystemClock)).await?;
        let there: i64 = there
            .counts
            .iter()
            .filter(|(kind, _, _)| *kind == sessile_core::ledger::Kind::Payment)
            .map(|(_, _, count)| count)
            .sum();
        let mut missing = rows.saturating_sub(there.unsigned_abs());
        while missing > 0 {
            let some = missing.min(2000);
            let one = |_| {
                let new = NewPayment {
                    amount: Some(AMOUNT),
                    user: Some(uuid::Uuid::new_v4().to_string()),
                    email: "buyer@example.com".to_owned(),
                    coupon: None,
                    checkout: None,
                    key: Some(uuid::Uuid::new_v4().to_string()),
                };
                self.payments.create(&self.caller, new)
            };
            try_join_all((0..some).map(one)).await?;
            missing -= some;
        }
        Ok(())
    }
}
