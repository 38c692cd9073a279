//! `audit verify` and `inspect`: what holds, and everything that somebody might do behind our back.

use crate::till::Till;
use async_trait::async_trait;
use sessile_core::checkout::{CheckoutId, Owner};
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Broken, Census, Cursor, Due, EffectRow, EffectState, Kind, LedgerStore, Page,
    PaymentFilter, PaymentKey, Reads, Record, RecordKey, Retry, Work,
};
use sessile_core::money::Minor;
use sessile_core::{StoreError, Timestamp};
use sessile_server::audit::{Failure, examine};
use std::process::Command;
use std::sync::Arc;

/// A ledger whose tables somebody has changed.
struct Changed {
    ledger: Arc<dyn LedgerStore>,
    log: fn(Vec<AuditRow>) -> Vec<AuditRow>,
    rows: fn(Vec<Record>) -> Vec<Record>,
}

impl Changed {
    fn not(ledger: &Arc<dyn LedgerStore>) -> Self {
        Self { ledger: ledger.clone(), log: |rows| rows, rows: |rows| rows }
    }

    async fn broken(&self) -> Broken {
        match examine(self).await {
            Err(Failure::Broken(broken)) => broken,
            other => panic!("nothing was noticed: {other:?}"),
        }
    }
}

#[async_trait]
impl LedgerStore for Changed {
    async fn transact(&self, work: Work) -> Result<(), StoreError> {
        self.ledger.transact(work).await
    }

    async fn look(&self, reads: &Reads) -> Result<Books, StoreError> {
        let books = self.ledger.look(reads).await?;
        let mut changed = Books::default();
        for record in (self.rows)(books.records().cloned().collect()) {
            changed.load(record);
        }
        Ok(changed)
    }

    async fn owner_of(&self, checkout: &CheckoutId) -> Result<Option<Owner>, StoreError> {
        self.ledger.owner_of(checkout).await
    }

    async fn payer_of(&self, payment: &PaymentKey) -> Result<Option<Owner>, StoreError> {
        self.ledger.payer_of(payment).await
    }

    async fn due(&self, due: Due, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError> {
        self.ledger.due(due, now, limit).await
    }

    async fn page(
        &self,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let page = self.ledger.page(kind, filter, after, limit).await?;
        Ok(Page { rows: (self.rows)(page.rows), ..page })
    }

    async fn census(&self, now: Timestamp) -> Result<Census, StoreError> {
        self.ledger.census(now).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        self.ledger.claim(now, until, limit).await
    }

    async fn done(&self, id: &str) -> Result<(), StoreError> {
        self.ledger.done(id).await
    }

    async fn undone(&self, id: &str, retry: Retry, error: &str) -> Result<(), StoreError> {
        self.ledger.undone(id, retry, error).await
    }

    async fn effects(&self, state: EffectState, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.ledger.effects(state, limit).await
    }

    async fn requeue(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.ledger.requeue(id, now).await
    }

    async fn audit(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let rows = (self.log)(self.ledger.audit(0, 1000).await?);
        Ok(rows.into_iter().filter(|row| row.seq > after).take(limit).collect())
    }

    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        self.ledger.audit_head().await
    }

    async fn history(&self, about: &RecordKey, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.ledger.history(about, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.ledger.ping().await
    }
}

async fn busy_shop() -> Till {
    let shop = Till::open().await;
    for _ in 0..3 {
        shop.sale().await;
    }
    shop.order().await;
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_ledger_holds_and_names_its_head() {
    let shop = busy_shop().await;
    let report = examine(&Changed::not(&shop.ledger)).await.unwrap();
    assert_eq!(report.head, shop.ledger.audit_head().await.unwrap());
    assert_eq!((report.compared["payment"], report.compared["grant"]), (4, 3));
    assert!(report.head.seq >= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_the_log_is_found() {
    let shop = busy_shop().await;
    let head = shop.ledger.audit_head().await.unwrap();
    let with = |log| Changed { log, ..Changed::not(&shop.ledger) };
    let rewritten = with(|mut rows| {
        rows[3].actor = "somebody-else".to_owned();
        rows
    });
    assert_eq!(rewritten.broken().await, Broken::Changed { seq: 4 });
    let removed = with(|mut rows| {
        rows.remove(4);
        rows
    });
    assert_eq!(removed.broken().await, Broken::Gap { after: 4, found: 6 });
    let cut = with(|mut rows| {
        rows.truncate(rows.len() - 2);
        rows
    });
    assert_eq!(cut.broken().await, Broken::Cut { found: head.seq - 2, kept: head.seq });
    let facts = with(|mut rows| {
        rows[0].facts = rows[0].facts.replace("100000", "100");
        rows
    });
    assert_eq!(facts.broken().await, Broken::Changed { seq: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_row_is_found() {
    let shop = busy_shop().await;
    let with = |rows| Changed { rows, ..Changed::not(&shop.ledger) };
    let cheaper = with(|mut rows| {
        for row in &mut rows {
            if let Record::Payment(payment) = row {
                payment.price.original = Minor::new(100).unwrap();
            }
        }
        rows
    });
    let broken = cheaper.broken().await.to_string();
    assert!(broken.starts_with("payment ") && !broken.contains("pay_"), "named by fingerprint: {broken}");
    let older = with(|mut rows| {
        for row in &mut rows {
            if let Record::Payment(payment) = row {
                payment.version += 1;
            }
        }
        rows
    });
    assert!(matches!(older.broken().await, Broken::Differs { .. }));
    let gone = with(|rows| rows.into_iter().filter(|row| !matches!(row, Record::Grant(_))).collect());
    assert!(gone.broken().await.to_string().contains("grant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_work_is_no_reason_for_alarm() {
    let shop = Arc::new(busy_shop().await);
    let selling = {
        let shop = shop.clone();
        tokio::spawn(async move {
            for _ in 0..15 {
                shop.sale().await;
            }
        })
    };
    while !selling.is_finished() {
        examine(&*shop.ledger).await.unwrap();
    }
    selling.await.unwrap();
    assert_eq!(examine(&*shop.ledger).await.unwrap().compared["payment"], 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_answer_from_outside() {
    let shop = busy_shop().await;
    let payment = shop.sale().await;
    let head = shop.ledger.audit_head().await.unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
        command.args(args).env_clear().current_dir(shop.folder());
        command.env("SESSION_SECRET", crate::world::SECRET).env("SESSILE_DATA_DIR", shop.folder());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    };
    let (code, said) = run(&["audit", "verify"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("head {} {}", head.seq, head.hash)), "{said}");
    let (_, said) = run(&["audit", "verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["ok"], &report["head"]["hash"]), (&true.into(), &head.hash.into()));

    for id in [payment.id.as_str(), payment.order.as_str()] {
        let (code, said) = run(&["inspect", id]);
        assert_eq!(code, 0);
        for part in ["payment.created", "payment.prepared", "payment.confirmed", "completed"] {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
        assert!(!said.contains("@shop.example"), "{said}");
    }
    let (_, said) = run(&["inspect", payment.id.as_str(), "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(shown["row"]["row"]["state"]["status"], "completed");
    assert_eq!(run(&["inspect", "pay_nobody"]).0, 1);
}
