//! The contract suite of ledgers against Postgres, directly and through PgBouncer in transaction mode. Each case has
//! a schema of its own. Run by `./test`, which starts the servers.

mod ledger_places;

use ledger_places::Place;
use sessile_store::contract::ledger::{Backstage, ReopenLedger, Sql, TestLedger};
use std::sync::Arc;

async fn ledger(variable: &str) -> TestLedger {
    let place = Place::new(variable);
    let ledger = Arc::new(place.open().await);
    let (behind, again) = (place.clone(), place);
    let sql: Sql = Arc::new(move |statement| {
        let place = behind.clone();
        Box::pin(async move { place.sql(&statement).await })
    });
    let reopen: ReopenLedger = Arc::new(move || {
        let place = again.clone();
        Box::pin(async move { Arc::new(place.open().await) as _ })
    });
    let unguard = vec!["drop trigger audit_log_sessile_kept on audit_log".to_owned()];
    TestLedger::new(ledger, Backstage { sql, reopen, unguard })
}

mod direct {
    async fn engine() -> sessile_store::contract::ledger::TestLedger {
        super::ledger("SESSILE_TEST_POSTGRES_URL").await
    }
    sessile_store::ledger_contract!(engine);
}

mod through_pgbouncer {
    async fn engine() -> sessile_store::contract::ledger::TestLedger {
        super::ledger("SESSILE_TEST_PGBOUNCER_URL").await
    }
    sessile_store::ledger_contract!(engine);
}
