//! What only a file can do wrong: another application's tables, several processes, and what a decision breaks.

use super::desk::{Desk, Setup};
use super::*;
use crate::ledger::open_ledger;
use rusqlite::Connection;
use sessile_core::OsEntropy;
use sessile_core::checkout::{CHECKOUT_LIFETIME, Checkout, CheckoutId, CheckoutState, InvalidReason, Owner};
use sessile_core::ledger::{Change, CheckoutKey, Note, PaymentKey, Plan};
use sessile_core::login::UserId;
use sessile_core::payment::{
    Attempt, CouponCode, Discount, Disposition, HoldState, How, Method, OrderId, PAYMENT_LIFETIME, PaydocId,
    Payment, PaymentId, PaymentState, TransId,
};
use std::sync::Barrier;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_unix_ms(1_900_000_000_000);
/// The tables of an application that had them first, with rows in them.
const OLDER: &str = include_str!("older.sql");

fn checkout() -> Checkout {
    Checkout {
        id: CheckoutId::generate(Timestamp::from_unix_ms(1_900_000_000_000), &OsEntropy).unwrap(),
        owner: Owner::user(UserId::parse("ada").unwrap()),
        slot: "default".to_owned(),
        data: "{}".to_owned(),
        choice: String::new(),
        price: None,
        coupon: None,
        state: CheckoutState::Active,
        renewed_from: None,
        superseded_by: None,
        created_at: NOW,
        updated_at: NOW,
        expires_at: NOW.plus(CHECKOUT_LIFETIME),
        version: 1,
    }
}

fn created(row: &Checkout) -> Plan {
    let note = Note { event: "checkout.created", actor: "test".to_owned(), payment: None, checkout: None };
    let mut plan = Plan { note: Some(note), ..Plan::nothing() };
    plan.create(Record::Checkout(row.clone()));
    plan
}

fn work(plan: Plan, reads: Reads) -> Work {
    Work::new(reads, NOW, move |_| plan.clone())
}

fn refusal(path: &Path) -> String {
    SqliteLedger::open(path, &LedgerOptions::default()).err().unwrap().to_string()
}

fn by_order(order: &str) -> Reads {
    Reads::none().payment(PaymentKey::Order(OrderId::parse(order).unwrap()))
}

async fn payment(ledger: &SqliteLedger, order: &str) -> Payment {
    let order = OrderId::parse(order).unwrap();
    let books = ledger.look(&Reads::none().payment(PaymentKey::Order(order.clone()))).await.unwrap();
    books.payment_by_order(&order).unwrap().clone()
}

fn older(path: &Path) {
    Connection::open(path).unwrap().execute_batch(OLDER).unwrap();
}

#[tokio::test]
async fn sixteen_processes_start_on_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeper").join("sessile.db");
    let gate = Barrier::new(16);
    let ledgers: Vec<SqliteLedger> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..16)
            .map(|n| {
                let (gate, path) = (&gate, &path);
                scope.spawn(move || {
                    gate.wait();
                    let open = if n % 2 == 0 { SqliteLedger::open } else { SqliteLedger::open_shared };
                    open(path, &LedgerOptions::default()).unwrap()
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    for ledger in &ledgers {
        ledger.transact(work(created(&checkout()), Reads::none())).await.unwrap();
    }
    assert_eq!(ledgers[0].audit_head().await.unwrap().seq, 16);
}

#[tokio::test]
async fn kinds_share_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let url = format!("sqlite:{}", path.display());
    let file = SqliteFile::shared(&path, Choice::Yes).unwrap();
    let again = SqliteFile::shared(&folder.path().join(".").join("sessile.db"), Choice::Yes).unwrap();
    assert!(Arc::ptr_eq(&file, &again));
    assert!(!Arc::ptr_eq(&file, &SqliteFile::open(&path, Choice::Yes).unwrap()));
    let holds = Arc::strong_count(&file);
    let logins = crate::open_logins(&url, &crate::LoginOptions::default()).await.unwrap();
    let ledger = open_ledger(&url, &LedgerOptions::default()).await.unwrap();
    let users = crate::users::SqliteUsers::open(&path, "users").unwrap();
    assert_eq!(Arc::strong_count(&file), holds + 3, "each stands on the same file");
    logins.ping().await.unwrap();
    ledger.ping().await.unwrap();
    drop((logins, ledger, users, file, again));
    assert!(!path.with_extension("db-wal").exists(), "the last one to close folds the log into the file");
    // A file that was deleted and made again is another one.
    let first = SqliteFile::shared(&path, Choice::Yes).unwrap();
    std::fs::rename(&path, folder.path().join("moved.db")).unwrap();
    let second = SqliteFile::shared(&path, Choice::Yes).unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn a_decision_that_panics_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("sessile.db"), &LedgerOptions::default()).unwrap();
    let rows = [checkout(), checkout()];
    let panics = Work::new(Reads::none(), NOW, |_| panic!("a decision of a test panics"));
    let (a, bad, b) = tokio::join!(
        ledger.transact(work(created(&rows[0]), Reads::none())),
        ledger.transact(panics),
        ledger.transact(work(created(&rows[1]), Reads::none())),
    );
    assert!(a.is_ok() && b.is_ok() && bad.is_err(), "{bad:?}");
    ledger.transact(work(created(&checkout()), Reads::none())).await.unwrap();
    assert_eq!(ledger.audit_head().await.unwrap().seq, 3);
}

#[test]
fn a_write_meets_exactly_the_version_it_was_decided_on() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(schema::SCHEMA).unwrap();
    let setup = Setup::new("users").unwrap();
    let desk = Desk { db: &db, setup: &setup };
    let row = checkout();
    desk.create(&Record::Checkout(row.clone())).unwrap();
    let after = Record::Checkout(row.moved(CheckoutState::Expired { at: NOW }, NOW));
    let change = |version| Change {
        before: Record::Checkout(Checkout { version, ..row.clone() }),
        after: after.clone(),
    };
    for stale in [0, 2, 7] {
        let refused = desk.update(&change(stale));
        assert!(matches!(refused, Err(rusqlite::Error::StatementChangedRows(0))), "{refused:?}");
    }
    desk.update(&change(1)).unwrap();
    assert!(desk.update(&change(1)).is_err(), "the same change again");
}

#[tokio::test]
async fn an_older_applications_tables_are_taken_over_with_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    older(&path);
    let ledger = SqliteLedger::open(&path, &LedgerOptions::default()).unwrap();
    let day = Timestamp::from_unix_ms(1_800_000_000_000);

    let id = CheckoutId::parse("cs-old-active").unwrap();
    let books = ledger.look(&Reads::none().checkout(CheckoutKey::Id(id.clone()))).await.unwrap();
    let row = books.checkout(&id).unwrap();
    assert_eq!((row.state.clone(), row.version, row.slot.as_str()), (CheckoutState::Active, 1, "default"));
    assert_eq!((row.created_at, row.expires_at), (day, day.plus(CHECKOUT_LIFETIME)));
    assert_eq!(row.data, r#"{"tracks":[1],"selectedPackages":{"0":"basic"}}"#);
    let id = CheckoutId::parse("cs-old-invalid").unwrap();
    let books = ledger.look(&Reads::none().checkout(CheckoutKey::Id(id.clone()))).await.unwrap();
    let at = day.plus(Duration::from_millis(5));
    let state = CheckoutState::Invalidated { at, reason: InvalidReason::Unknown };
    assert_eq!(books.checkout(&id).map(|row| row.state.clone()), Some(state));
    let due = ledger.due(Due::Checkouts, NOW, 10).await.unwrap();
    assert_eq!(due, [RecordKey::Checkout(CheckoutId::parse("cs-old-active").unwrap())]);

    let pending = payment(&ledger, "order-pending").await;
    assert_eq!((pending.price.original.get(), pending.price.discount.get()), (1_500_000, 500_000));
    assert_eq!((pending.user.as_str(), &pending.state), ("unknown", &PaymentState::Pending));
    assert_eq!(pending.expires_at, day.plus(PAYMENT_LIFETIME));
    assert_eq!(pending.coupon.as_ref().map(|hold| hold.state), Some(HoldState::Released));
    let processing = payment(&ledger, "order-processing").await;
    let attempt = Attempt { trans: TransId(777), paydoc: PaydocId(0), prepare: None };
    assert_eq!(processing.state, PaymentState::Processing { attempt, at });
    assert_eq!((processing.method, processing.price.payable().get()), (Method::Other, 1_000_000));
    let paid = payment(&ledger, "order-paid").await;
    let (how, disposition) = (How::Confirmed, Disposition::Granted);
    assert_eq!(paid.state, PaymentState::Completed { attempt: None, at, how, disposition });
    let asks = ledger.due(Due::Asks, at.plus(Duration::from_secs(60)), 10).await.unwrap();
    assert_eq!(asks, [RecordKey::Payment(processing.id.clone())]);
    assert_eq!(ledger.due(Due::Asks, at.plus(Duration::from_secs(59)), 10).await.unwrap(), []);
    assert_eq!(ledger.due(Due::Payments, NOW, 10).await.unwrap(), [RecordKey::Payment(pending.id.clone())]);

    let code = CouponCode::parse("Spring").unwrap();
    let books = ledger.look(&Reads::none().code(Some(code.clone()))).await.unwrap();
    let coupon = books.coupon_by_code(&code).unwrap();
    assert_eq!((coupon.discount, coupon.used, coupon.reserved), (Discount::Percentage(10), 3, 0));
}

#[tokio::test]
async fn an_older_row_changes_as_any_other_and_keeps_what_we_have_no_word_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    older(&path);
    let ledger = SqliteLedger::open(&path, &LedgerOptions::default()).unwrap();
    for order in ["order-processing", "order-pending"] {
        let row = payment(&ledger, order).await;
        let mut plan = created(&checkout());
        plan.update(Record::Payment(row.moved(row.state.clone(), NOW)));
        ledger.transact(work(plan, by_order(order))).await.unwrap();
        let changed = payment(&ledger, order).await;
        assert_eq!((changed.version, changed.state, changed.price), (2, row.state, row.price));
    }
    let db = Connection::open(&path).unwrap();
    let kept: (String, String) = db
        .query_row(
            "SELECT payment_method, metadata FROM payment_sessions WHERE id = 'p-processing'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(kept, ("payme".to_owned(), "{\"ip\":\"::1\"}".to_owned()));
    let user = "SELECT user_id FROM payment_sessions WHERE id = 'p-pending'";
    assert_eq!(db.query_row(user, [], |row| row.get::<_, Option<String>>(0)).unwrap(), None);
    // The older application goes on writing its own rows, and a second start changes nothing.
    db.execute_batch(
        "INSERT INTO checkout_sessions (id, user_id, session_data, status, created_at, updated_at)
         VALUES ('cs-new', 'ada', '{}', 'active', 1, 1)",
    )
    .unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(&path, &LedgerOptions::default()).unwrap();
    assert_eq!(ledger.due(Due::Checkouts, NOW, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    older(&path);
    let ledger = SqliteLedger::open(&path, &LedgerOptions::default()).unwrap();
    let db = Connection::open(&path).unwrap();
    db.execute_batch("UPDATE payment_sessions SET id = 'has a space' WHERE id = 'p-paid'").unwrap();
    let all = ledger.page(Kind::Payment, &PaymentFilter::default(), None, 10).await.unwrap();
    assert_eq!(all.rows.len(), 2);
    // The list goes on behind it.
    let (mut seen, mut after) = (0, None);
    loop {
        let page = ledger.page(Kind::Payment, &PaymentFilter::default(), after.as_ref(), 1).await.unwrap();
        seen += page.rows.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, 2);
    let order = OrderId::parse("order-paid").unwrap();
    let books = ledger.look(&by_order("order-paid")).await.unwrap();
    assert!(books.payment_by_order(&order).is_none());
    assert_eq!(books.payment(&PaymentId::parse("p-pending").unwrap()), None);
    let kept = "SELECT count(*) FROM payment_sessions WHERE id = 'has a space' AND version = 1";
    assert_eq!(db.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn tables_of_another_shape_are_refused_with_a_remedy() {
    let cases = [
        ("CREATE TABLE coupons (id TEXT, code TEXT)", "no column description"),
        ("CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT)", "column id of table outbox is declared INTEGER"),
        (
            "ALTER TABLE checkout_sessions ADD COLUMN tenant TEXT NOT NULL DEFAULT 'x';
             ALTER TABLE checkout_sessions ADD COLUMN slot INTEGER",
            "column slot of table checkout_sessions is declared INTEGER",
        ),
        (
            "UPDATE payment_sessions SET created_at = '2026-01-01T00:00:00Z' WHERE id = 'p-paid'",
            "unixepoch(created_at)",
        ),
        (
            "DROP TABLE checkout_sessions; CREATE TABLE checkout_sessions (id TEXT, user_id TEXT NOT NULL,
             session_data TEXT, status TEXT, is_used INTEGER, created_at INTEGER, updated_at INTEGER)",
            "column user_id of table checkout_sessions refuses NULL",
        ),
        (
            "DROP TABLE coupons; CREATE TABLE coupons (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, code TEXT,
             description TEXT, discount_type TEXT, discount_value INTEGER, original_price INTEGER, max_uses INTEGER,
             used_count INTEGER, valid_from INTEGER, valid_until INTEGER, is_active INTEGER, created_by TEXT,
             created_at INTEGER)",
            "column tenant of table coupons demands a value",
        ),
        (
            "DROP INDEX payment_key; UPDATE payment_sessions SET idempotency_key = 'same'",
            "holds that value twice",
        ),
    ];
    for (damage, said) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let fresh = damage.starts_with("CREATE TABLE coupons");
        if !fresh {
            older(&path);
        }
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {damage}")).unwrap();
        let tables = "SELECT group_concat(sql) FROM sqlite_schema";
        let before: String = db.query_row(tables, [], |row| row.get(0)).unwrap();
        let refused = refusal(&path);
        assert!(refused.contains(said), "{said}: {refused}");
        let after: String = db.query_row(tables, [], |row| row.get(0)).unwrap();
        assert_eq!(before, after, "a refusal changes nothing");
    }
}

#[tokio::test]
async fn what_cannot_hold_a_ledger_is_refused_with_a_remedy() {
    for url in ["memory:", "redis://localhost"] {
        let refused = open_ledger(url, &LedgerOptions::default()).await.err().unwrap().to_string();
        assert!(refused.contains("sqlite: or postgres://"), "{refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessile.db");
    let missing = LedgerOptions { create: Choice::No, ..LedgerOptions::default() };
    assert!(SqliteLedger::open(&path, &missing).is_err());
    SqliteLedger::open(&path, &LedgerOptions::default()).unwrap().close();
    SqliteLedger::open(&path, &missing).unwrap().close();
    Connection::open(&path).unwrap().execute("UPDATE sessile_schema SET version = 99", []).unwrap();
    assert!(refusal(&path).contains("update the program"));
    let odd = LedgerOptions { users_table: "users; drop table users".to_owned(), ..LedgerOptions::default() };
    assert!(SqliteLedger::open(&path, &odd).is_err());
}
