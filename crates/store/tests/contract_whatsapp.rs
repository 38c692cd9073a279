//! The contract suite of WhatsApp devices: memory, SQLite, Postgres, and Postgres through PgBouncer in transaction mode.
//! Run by `./test`, which starts the servers.

mod whatsapp_places;

use sessile_core::SystemClock;
use sessile_core::whatsapp::DeviceId;
use sessile_store::Choice;
use sessile_store::contract::Must;
use sessile_store::contract::whatsapp::{Lapse, Reopen, TestDevices};
use sessile_store::whatsapp::{MemoryDevices, SqliteDevices};
use std::sync::Arc;
use whatsapp_places::Place;

mod memory {
    use super::*;

    async fn engine() -> TestDevices {
        let store = Arc::new(MemoryDevices::new(Arc::new(SystemClock)));
        let same = store.clone();
        let lapse: Lapse = Arc::new(move |device| {
            same.lapse(&device);
            Box::pin(std::future::ready(()))
        });
        TestDevices::new(store, lapse)
    }
    sessile_store::device_contract!(engine);
}

mod sqlite {
    use super::*;

    async fn engine() -> TestDevices {
        let folder = tempfile::tempdir().must("a folder");
        let path = folder.path().join("sessile.db");
        let store = SqliteDevices::open(&path, Choice::Yes).must("open");
        let (time, again) = (path.clone(), path);
        let lapse: Lapse = Arc::new(move |device: DeviceId| {
            let db = rusqlite::Connection::open(&time).must("the file");
            let sql = "UPDATE whatsapp_sessions SET lease_until = 0 WHERE client_id = ?1";
            db.busy_timeout(std::time::Duration::from_secs(10)).must("a timeout");
            db.execute(sql, [device.as_str()]).must("lapse");
            Box::pin(std::future::ready(()))
        });
        let reopen: Reopen = Arc::new(move || {
            let store = SqliteDevices::open(&again, Choice::No).must("open");
            Box::pin(std::future::ready(Arc::new(store) as _))
        });
        TestDevices::new(Arc::new(store), lapse).reopened_by(reopen).guarded_by(folder)
    }
    sessile_store::device_contract!(engine);
}

/// A database of its own for each case, on the server behind a variable.
async fn postgres(variable: &str) -> TestDevices {
    let place = Place::new(variable).await;
    let store = Arc::new(place.open().await);
    let (time, again) = (place.clone(), place);
    let lapse: Lapse = Arc::new(move |device: DeviceId| {
        let place = time.clone();
        Box::pin(async move {
            let sql = "update whatsapp_sessions set lease_until = clock_timestamp() where client_id =";
            place.sql(&format!("{sql} '{device}'")).await;
        })
    });
    let reopen: Reopen = Arc::new(move || {
        let place = again.clone();
        Box::pin(async move { Arc::new(place.open().await) as _ })
    });
    TestDevices::new(store, lapse).reopened_by(reopen)
}

mod direct {
    async fn engine() -> super::TestDevices {
        super::postgres("SESSILE_TEST_POSTGRES_URL").await
    }
    sessile_store::device_contract!(engine);
}

mod through_pgbouncer {
    async fn engine() -> super::TestDevices {
        super::postgres("SESSILE_TEST_PGBOUNCER_URL").await
    }
    sessile_store::device_contract!(engine);
}
