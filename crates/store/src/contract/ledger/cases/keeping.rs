//! What is written is what is read, in every state and with every field.

use crate::contract::harness::Must;
use crate::contract::ledger::chance::Chance;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::{TestLedger, noted};
use sessile_core::ledger::{Books, CheckoutKey, PaymentKey, Reads, Record, RecordKey};
use sessile_core::payment::{Coupon, Payment};

/// Rows of each kind.
const ROWS: usize = 60;

fn reads_of(key: &RecordKey) -> Reads {
    match key {
        RecordKey::Checkout(id) => Reads::none().checkout(CheckoutKey::Id(id.clone())),
        RecordKey::Payment(id) | RecordKey::Grant(id) => Reads::none().payment(PaymentKey::Id(id.clone())),
        RecordKey::Coupon(id) => Reads { coupons: vec![id.clone()], ..Reads::none() },
        RecordKey::Refund(id) => Reads { refunds: vec![id.clone()], ..Reads::none() },
    }
}

/// The application's JSON is compared by its meaning: an engine may keep it as JSON.
fn comparable(record: &Record) -> Record {
    let mut record = record.clone();
    if let Record::Checkout(row) = &mut record {
        let json: serde_json::Value = serde_json::from_str(&row.data).must("JSON");
        row.data = json.to_string();
    }
    record
}

async fn expect(test: &TestLedger, record: &Record, seed: i64) {
    let books: Books = test.look(reads_of(&record.key())).await;
    let found = books.record(&record.key()).map(comparable);
    assert_eq!(found, Some(comparable(record)), "of seed {seed}");
}

/// All of them in one plan, and each as it was afterwards.
async fn survive(test: &TestLedger, records: Vec<Record>, seed: i64) {
    test.given(records.clone()).await;
    for record in &records {
        expect(test, record, seed).await;
    }
}

async fn become_next(test: &TestLedger, record: Record, seed: i64) {
    let mut plan = noted("changed");
    plan.update(record.clone());
    test.write(reads_of(&record.key()), plan).await.must("a change");
    expect(test, &record, seed).await;
}

/// A provider's number belongs to one attempt, and one open payment to a checkout; all else is left to chance.
pub(crate) async fn every_field_of_every_record_survives(test: &TestLedger) {
    let seed = given::number();
    let mut chance = Chance::new(seed, test.base);
    let coupons: Vec<Coupon> = (0..ROWS).map(|_| chance.coupon()).collect();
    survive(test, coupons.iter().cloned().map(Record::Coupon).collect(), seed).await;
    let checkouts: Vec<_> = coupons.iter().map(|coupon| chance.checkout(coupon)).collect();
    survive(test, checkouts.iter().cloned().map(Record::Checkout).collect(), seed).await;
    let payments: Vec<Payment> = coupons.iter().map(|coupon| chance.payment(coupon)).collect();
    survive(test, payments.iter().cloned().map(Record::Payment).collect(), seed).await;
    survive(test, payments.iter().map(|row| Record::Grant(chance.grant(row))).collect(), seed).await;
    survive(test, payments.iter().map(|row| Record::Refund(chance.refund(row))).collect(), seed).await;
    test.audit_holds().await.must("the audit");

    for row in payments.iter().take(ROWS / 2) {
        become_next(test, Record::Payment(chance.changed_payment(row)), seed).await;
    }
    for row in checkouts.iter().take(ROWS / 2) {
        become_next(test, Record::Checkout(chance.changed_checkout(row)), seed).await;
    }
    for row in coupons.iter().take(ROWS / 4) {
        become_next(test, Record::Coupon(row.reserve()), seed).await;
        become_next(test, Record::Coupon(row.reserve().consume(chance.hold_state())), seed).await;
    }
    test.audit_holds().await.must("the audit");
}
