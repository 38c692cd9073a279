//! The contract suite against SQLite.

use sessile_core::login::{LoginId, LoginStore};
use sessile_store::contract::{Capabilities, Must, TestStore};
use sessile_store::sqlite::SqliteLogins;
use sessile_store::{Choice, LoginOptions};
use std::sync::Arc;

async fn sqlite() -> TestStore {
    let folder = Arc::new(tempfile::tempdir().must("a folder"));
    let path = folder.path().join("sessile.db");
    let open = {
        let path = path.clone();
        move || {
            let options = LoginOptions { events: Choice::Yes, ..LoginOptions::default() };
            Arc::new(SqliteLogins::open(&path, &options).must("open"))
        }
    };
    let store = open();
    let test = TestStore::new(store.clone()).giving_and_taking(store);
    let corrupt = move |id: LoginId| {
        let db = rusqlite::Connection::open(&path).must("open");
        let damage = "UPDATE sessile_login SET sess = '{\"cut\":' WHERE sid = ?1";
        assert_eq!(db.execute(damage, [id.hashed()]).must("damage"), 1);
        Box::pin(std::future::ready(())) as futures_util::future::BoxFuture<'static, ()>
    };
    let capabilities = Capabilities {
        corrupt: Some(Arc::new(corrupt)),
        reopen: Some(Arc::new(move || Box::pin(std::future::ready(open() as Arc<dyn LoginStore>)))),
        ..test.capabilities.clone()
    };
    test.with(capabilities).guarded_by(folder)
}

sessile_store::contract!(sqlite);
