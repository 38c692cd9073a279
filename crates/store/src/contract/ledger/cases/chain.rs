//! The audit: append-only, and whoever changes rows or the log behind our back is found out.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::{TestLedger, noted};
use sessile_core::checkout::Owner;
use sessile_core::ledger::{AuditHead, Broken, PaymentKey, Reads, Record, RecordKey, Replay, verify};
use sessile_core::payment::Payment;

/// A payment with three versions and a checkout.
async fn a_little_history(test: &TestLedger) -> Payment {
    let checkout = given::checkout(Owner::user(given::user()), test.base);
    let mut payment = given::payment(given::user(), test.base);
    test.given([Record::Checkout(checkout), Record::Payment(payment.clone())]).await;
    for _ in 0..2 {
        payment = payment.moved(payment.state.clone(), test.after(1));
        let mut plan = noted("payment.changed");
        plan.update(Record::Payment(payment.clone()));
        let reads = Reads::none().payment(PaymentKey::Id(payment.id.clone()));
        test.write(reads, plan).await.must("a change");
    }
    payment
}

pub(crate) async fn audit_rows_cannot_be_changed_by_sql(test: &TestLedger) {
    a_little_history(test).await;
    let before = test.audit().await;
    for statement in [
        "update audit_log set actor = 'nobody'",
        "update audit_log set actor = 'nobody' where seq = 2",
        "delete from audit_log where seq = 3",
        "delete from audit_log",
    ] {
        let answer = (test.backstage.sql)(statement.to_owned()).await;
        assert!(answer.is_err(), "{statement}: {answer:?}");
    }
    assert_eq!(test.audit().await, before);
}

/// Whether the payment is what the audit says of it.
async fn is_as_told(test: &TestLedger, payment: &Payment) -> bool {
    let mut replay = Replay::default();
    replay.read(&test.audit().await).must("the audit");
    let books = test.look(Reads::none().payment(PaymentKey::Id(payment.id.clone()))).await;
    replay.compare(books.payment(&payment.id).cloned().map(Record::Payment)).is_ok()
}

pub(crate) async fn a_changed_row_is_found(test: &TestLedger) {
    for change in [
        "currency = 'USD'",
        "version = 4",
        "version = 1",
        "idempotency_key = 'x'",
        "checkout_id = 'cs_x'",
        "status = 'failed'",
        "original_minor = original_minor + 1",
        "user_id = 'somebody'",
    ] {
        let payment = a_little_history(test).await;
        assert!(is_as_told(test, &payment).await);
        let name = payment.id.as_str();
        test.sql(&format!("update payment_sessions set {change} where id = '{name}'")).await;
        assert!(!is_as_told(test, &payment).await, "nobody noticed {change}");
    }
}

pub(crate) async fn a_missing_row_is_found(test: &TestLedger) {
    let payment = a_little_history(test).await;
    test.audit_holds().await.must("the audit");
    test.sql(&format!("delete from payment_sessions where id = '{}'", payment.id.as_str())).await;
    assert!(test.audit_holds().await.is_err(), "nobody noticed that a row is missing");
}

pub(crate) async fn a_changed_log_is_found(test: &TestLedger) {
    a_little_history(test).await;
    test.audit_holds().await.must("the audit");
    for statement in &test.backstage.unguard {
        test.sql(statement).await;
    }
    let check = || async { verify(AuditHead::default(), &test.audit().await) };
    test.sql("update audit_log set actor = 'nobody' where seq = 2").await;
    assert_eq!(check().await, Err(Broken::Changed { seq: 2 }));
    test.sql("update audit_log set actor = 'the suite' where seq = 2").await;
    test.audit_holds().await.must("the log as it was");

    let tail = test.sql("delete from audit_log where seq = 3").await;
    let end = check().await.must("what is left is a chain");
    let head = test.ledger.audit_head().await.must("the head");
    assert_eq!((tail, end.seq, head.seq), (1, 2, 3), "a cut is seen against the head");
    assert!(test.audit_holds().await.is_err());

    // The next change continues the head, and so shows the gap for ever.
    test.given([Record::Payment(given::payment(given::user(), test.base))]).await;
    assert_eq!(check().await, Err(Broken::Gap { after: 2, found: 4 }));
}

pub(crate) async fn history_tells_what_happened_to_a_row(test: &TestLedger) {
    let checkout = given::checkout(Owner::user(given::user()), test.base);
    let payment = given::payment(given::user(), test.base);
    let events = ["payment.created", "payment.prepared", "payment.completed"];
    for (at, event) in events.into_iter().enumerate() {
        let mut plan = noted(event);
        let (payment_id, checkout_id) = (payment.id.clone(), checkout.id.clone());
        let note = plan.note.as_mut().must("a note");
        note.payment = Some(payment_id);
        note.checkout = (at == 1).then_some(checkout_id);
        note.actor = format!("actor {at}");
        // Something has to change for the log to tell of it.
        plan.create(Record::Payment(given::payment(given::user(), test.base)));
        test.write(Reads::none(), plan).await.must("a change");
    }
    let payment_key = RecordKey::Payment(payment.id.clone());
    let told = test.ledger.history(&payment_key, 10).await.must("history");
    assert_eq!(told.iter().map(|row| row.event.as_str()).collect::<Vec<_>>(), events);
    assert_eq!(told[2].actor, "actor 2");
    let two = test.ledger.history(&payment_key, 2).await.must("history");
    assert_eq!(two, told[..2]);
    let of_checkout = test.ledger.history(&RecordKey::Checkout(checkout.id), 10).await.must("history");
    assert_eq!(of_checkout, told[1..2]);
    let nobody = RecordKey::Payment(given::payment(given::user(), test.base).id);
    assert_eq!(test.ledger.history(&nobody, 10).await.must("history"), []);
}

pub(crate) async fn it_answers(test: &TestLedger) {
    test.ledger.ping().await.must("ping");
    assert_eq!(test.ledger.audit_head().await.must("the head"), AuditHead::default());
    assert_eq!(test.audit().await, []);
}
