//! The contract suite of ledgers against SQLite. Each case has a file of its own.

use sessile_core::ledger::LedgerStore;
use sessile_store::contract::Must;
use sessile_store::contract::ledger::{Backstage, ReopenLedger, Sql, TestLedger};
use sessile_store::ledger::{LedgerOptions, SqliteLedger};
use std::sync::Arc;
use std::time::Duration;

/// How long foreign SQL waits for the engine's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

async fn sqlite() -> TestLedger {
    let folder = Arc::new(tempfile::tempdir().must("a folder"));
    let path = folder.path().join("sessile.db");
    let open = {
        let path = path.clone();
        move || {
            Arc::new(SqliteLedger::open(&path, &LedgerOptions::default()).must("open"))
                as Arc<dyn LedgerStore>
        }
    };
    let ledger = open();
    let sql: Sql = Arc::new(move |statement| {
        let done = rusqlite::Connection::open(&path).and_then(|db| {
            db.busy_timeout(BUSY_TIMEOUT)?;
            db.execute(&statement, [])
        });
        Box::pin(std::future::ready(done.map(|rows| rows as u64).map_err(|error| error.to_string())))
    });
    let reopen: ReopenLedger = Arc::new(move || Box::pin(std::future::ready(open())));
    let guards = ["update", "delete", "replace"];
    let unguard = guards.iter().map(|guard| format!("drop trigger audit_log_no_{guard}")).collect();
    TestLedger::new(ledger, Backstage { sql, reopen, unguard }).guarded_by(folder)
}

sessile_store::ledger_contract!(sqlite);
