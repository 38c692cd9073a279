//! Postgres tables of the older application, with rows in them, taken over in place; and those that are refused.

mod ledger_places;

use ledger_places::Place;
use sessile_core::checkout::{Checkout, CheckoutId, CheckoutState, InvalidReason, Owner};
use sessile_core::ledger::{
    Books, CheckoutKey, Decision, Due, Kind, LedgerStore, Note, PaymentFilter, PaymentKey, Plan, Reads,
    Record, RecordKey, Replay, transact,
};
use sessile_core::login::UserId;
use sessile_core::money::{Currency, Minor};
use sessile_core::payment::{
    CouponCode, Discount, Disposition, ExpireReason, HoldState, How, Method, OrderId, Payment, PaymentEvent,
    PaymentId, PaymentState, Verdict,
};
use sessile_core::{StoreError, Timestamp};
use sessile_store::Choice;
use sessile_store::contract::Must;
use sessile_store::ledger::{LedgerOptions, PostgresLedger};
use std::time::Duration;

/// The tables as such applications have them, with a trigger, a type of their own making and rows of every state.
const OLDER: &str = r#"
create table checkout_sessions (
  id varchar(255) primary key, user_id varchar(255), session_data jsonb not null,
  status varchar(50) not null default 'active' check (status in ('active', 'completed', 'expired', 'invalidated')),
  is_used boolean default false, created_at timestamptz default now(), updated_at timestamptz default now());
create index idx_checkout_user on checkout_sessions (user_id);
create function touch() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
create trigger touch before update on checkout_sessions for each row execute function touch();
create table coupons (
  id text primary key, code text unique not null, description text, discount_type text not null,
  discount_value integer not null, original_price integer, max_uses integer, used_count integer default 0,
  valid_from timestamptz, valid_until timestamptz, is_active boolean default true, created_by text,
  created_at timestamptz default now());
create table payment_sessions (
  id text primary key, user_id text, user_email text not null, amount integer not null, original_amount integer,
  discount_amount integer default 0, coupon_id text references coupons (id), merchant_trans_id text unique not null,
  click_trans_id text, status text not null default 'pending', payment_method text not null,
  idempotency_key text unique not null, metadata jsonb, created_at timestamptz default now(),
  updated_at timestamptz default now(), expires_at timestamptz);
create table coupon_usages (
  id bigserial primary key, coupon_id text references coupons (id),
  payment_session_id text references payment_sessions (id), user_id text, used_at timestamptz default now());

insert into checkout_sessions (id, user_id, session_data, status, is_used, created_at, updated_at) values
  ('co_1', 'ada', '{"tracks": [1], "selectedPackages": {"0": "a"}}', 'active', false, '2026-01-01Z', '2026-01-01Z'),
  ('co_2', 'ada', '{"tracks": [2]}', 'active', false, '2026-01-02Z', '2026-01-02Z'),
  ('co_3', 'ada', '{}', 'completed', true, '2026-01-01Z', '2026-01-03 12:00:00.123456Z'),
  ('co_4', 'ada', '{}', 'expired', false, '2026-01-01Z', '2026-01-04Z'),
  ('co_5', null, '{}', 'invalidated', false, '2026-01-01Z', '2026-01-05Z'),
  (repeat('x', 200), 'ada', '{}', 'active', false, '2026-01-01Z', '2026-01-01Z');
insert into coupons (id, code, discount_type, discount_value, max_uses, used_count) values
  ('c1', 'welcome', 'percentage', 20, 10, 3), ('c2', 'FLAT', 'fixed', 5000, null, 0), ('c3', 'ODD', 'percentage', 200, 1, 0);
insert into payment_sessions (id, user_id, user_email, amount, original_amount, discount_amount, coupon_id,
    merchant_trans_id, click_trans_id, status, payment_method, idempotency_key, created_at, updated_at, expires_at) values
  ('pending', 'ada', 'ada@x.example', 1000, null, 0, null, 'mt-1', null, 'pending', 'click', 'k1', '2026-01-01Z', '2026-01-01Z', '2026-01-01 00:30Z'),
  ('processing', null, '', 800, 1000, 200, 'c1', 'mt-2', 'abc', 'processing', 'click', 'k2', '2026-01-01Z', '2026-01-01Z', null),
  ('done', 'ada', 'ada@x.example', 800, 1000, 200, 'c1', 'mt-3', '15412345', 'completed', 'payme', 'k3', '2026-01-01Z', '2026-01-02Z', '2026-01-01Z'),
  ('failed', 'ada', 'ada@x.example', 5, null, 0, null, 'mt-4', null, 'failed', 'click', 'k4', '2026-01-01Z', '2026-01-02Z', null),
  ('expired', 'ada', 'ada@x.example', 5, null, 0, null, 'mt-5', '77', 'expired', 'click', 'k5', '2026-01-01Z', '2026-01-02Z', null);
insert into coupon_usages (coupon_id, payment_session_id, user_id) values ('c1', 'done', 'ada');
"#;

async fn older() -> Place {
    let place = Place::new("SESSILE_TEST_POSTGRES_URL");
    let client = place.client().await;
    let schema = place.schema();
    client
        .batch_execute(&format!("create schema {schema}; set search_path = {schema}"))
        .await
        .must("a schema");
    client.batch_execute(OLDER).await.must("the older application's tables");
    place
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_iso8601(text).must("a moment")
}

fn now() -> Timestamp {
    at("2026-02-01T00:00:00Z")
}

fn checkout(id: &str) -> CheckoutId {
    CheckoutId::parse(id).must("an id")
}

fn ada() -> Owner {
    Owner::user(UserId::parse("ada").must("a user"))
}

async fn payment(ledger: &PostgresLedger, id: &str) -> Payment {
    let id = PaymentId::parse(id).must("an id");
    let books = ledger.look(&Reads::none().payment(PaymentKey::Id(id.clone()))).await.must("look");
    books.payment(&id).must("the payment").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn checkouts_are_read_as_they_are() {
    let place = older().await;
    let ledger = place.open().await;
    let slot = "default".to_owned();
    let reads = Reads::none()
        .checkout(CheckoutKey::Active(ada(), slot.clone()))
        .checkout(CheckoutKey::Latest(ada(), slot.clone()))
        .checkout(CheckoutKey::Id(checkout("co_3")))
        .checkout(CheckoutKey::Id(checkout("co_5")));
    let books = ledger.look(&reads).await.must("look");
    let active: Vec<&str> = books.active(&ada(), &slot).iter().map(|row| row.id.as_str()).collect();
    assert_eq!(active, ["co_2", "co_1"], "several, the newest first, and none that cannot be read");
    let first = books.checkout(&checkout("co_1")).must("the first");
    assert_eq!(first.data, r#"{"selectedPackages":{"0":"a"},"tracks":[1]}"#);
    assert_eq!((first.version, first.expires_at), (1, at("2026-01-02T00:00:00Z")));
    assert_eq!(books.latest(&ada(), &slot).must("the latest").id, checkout("co_4"));
    let done = books.checkout(&checkout("co_3")).must("the completed one");
    assert_eq!(done.state, CheckoutState::Completed { at: at("2026-01-03T12:00:00.123Z"), payment: None });
    let gone = books.checkout(&checkout("co_5")).must("the invalidated one");
    let state = CheckoutState::Invalidated { at: at("2026-01-05T00:00:00Z"), reason: InvalidReason::Unknown };
    assert_eq!((&gone.state, &gone.owner), (&state, &Owner::default()));

    let due = ledger.due(Due::Checkouts, now(), 10).await.must("due");
    assert_eq!(due, [RecordKey::Checkout(checkout("co_1")), RecordKey::Checkout(checkout("co_2"))]);
    let due = ledger.due(Due::Purges { left_before: now() }, now(), 10).await.must("due");
    assert_eq!(due, [RecordKey::Checkout(checkout("co_4")), RecordKey::Checkout(checkout("co_5"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_coupons_are_read_as_they_are() {
    let place = older().await;
    let ledger = place.open().await;
    let pending = payment(&ledger, "pending").await;
    assert_eq!(
        (pending.state.clone(), pending.price.payable()),
        (PaymentState::Pending, Minor::new(100_000).must(""))
    );
    let processing = payment(&ledger, "processing").await;
    assert_eq!((processing.user.as_str(), processing.price.currency), ("unknown", Currency::UZS));
    assert_eq!(processing.price.original.get() - processing.price.discount.get(), 80_000);
    assert!(matches!(processing.state, PaymentState::Processing { attempt, .. }
        if attempt.trans.0 == 0 && attempt.prepare.is_none()));
    assert_eq!(processing.coupon.must("its coupon").state, HoldState::Released);
    let done = payment(&ledger, "done").await;
    assert!(matches!(done.state, PaymentState::Completed { attempt: Some(attempt), how: How::Confirmed,
        disposition: Disposition::Granted, .. } if attempt.trans.0 == 15_412_345));
    assert_eq!((done.method, done.coupon.must("its coupon").state), (Method::Other, HoldState::Consumed));
    let expired = payment(&ledger, "expired").await.state;
    assert!(matches!(expired, PaymentState::Expired { attempt: Some(_), reason: ExpireReason::Unknown, .. }));

    let codes = ["Welcome", "flat", "odd"].map(CouponCode::parse);
    let reads = codes.iter().fold(Reads::none(), |reads, code| reads.code(code.clone()));
    let books = ledger.look(&reads).await.must("look");
    let welcome = books.coupon_by_code(codes[0].as_ref().must("a code")).must("the coupon in small letters");
    assert_eq!((welcome.used, welcome.max_uses, welcome.discount), (3, Some(10), Discount::Percentage(20)));
    let flat = books.coupon_by_code(codes[1].as_ref().must("a code")).must("the fixed one");
    assert_eq!(flat.discount, Discount::Fixed(Minor::new(500_000).must("")));
    assert!(books.coupon_by_code(codes[2].as_ref().must("a code")).is_none(), "200 % is no discount");

    let due = ledger.due(Due::Payments, now(), 10).await.must("due");
    assert_eq!(due, [RecordKey::Payment(pending.id)]);
    let due = ledger.due(Due::Asks, now(), 10).await.must("due");
    assert_eq!(due, [RecordKey::Payment(processing.id)]);
    let census = ledger.census(now()).await.must("census");
    assert_eq!((census.overdue_payments, census.stale_payments, census.without_email), (1, 1, 1));
    // Three of them were made in the same moment.
    let all = ledger.page(Kind::Payment, &PaymentFilter::default(), None, 2).await.must("page");
    let rest =
        ledger.page(Kind::Payment, &PaymentFilter::default(), all.next.as_ref(), 10).await.must("page");
    assert_eq!((all.rows.len(), rest.rows.len()), (2, 3));
}

/// Runs a decision on one payment or checkout.
async fn change(
    ledger: &PostgresLedger,
    reads: Reads,
    decide: impl Fn(&Books) -> Vec<Record> + Send + Sync + 'static,
) -> Result<(), StoreError> {
    transact(ledger, reads, now(), move |books| {
        let note = Note { event: "test", actor: "test".to_owned(), payment: None, checkout: None };
        let mut plan = Plan { note: Some(note), ..Plan::nothing() };
        for record in decide(books) {
            match record.version() {
                1 => plan.create(record),
                _ => plan.update(record),
            }
        }
        Decision::write(plan, ())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn older_rows_change_as_ours_do_and_the_audit_tells_it() {
    let place = older().await;
    let ledger = place.open().await;
    let slot = "default".to_owned();
    let expire = |books: &Books| {
        let at = now();
        let old = |row: &&Checkout| row.state == CheckoutState::Active;
        books
            .checkouts()
            .filter(old)
            .map(|row| Record::Checkout(row.moved(CheckoutState::Expired { at }, at)))
            .collect()
    };
    change(&ledger, Reads::none().checkout(CheckoutKey::Active(ada(), slot)), expire).await.must("an expiry");
    let id = PaymentId::parse("processing").must("an id");
    let by_order = Reads::none().payment(PaymentKey::Order(OrderId::parse("mt-2").must("an order")));
    let asked = move |books: &Books| {
        let step =
            books.payment(&id).and_then(|row| row.on(&PaymentEvent::Told(Verdict::NotPaid), now()).next);
        step.into_iter().map(Record::Payment).collect()
    };
    change(&ledger, by_order, asked).await.must("the provider's word");
    assert_eq!(payment(&ledger, "processing").await.state.name(), "failed");

    // Their own trigger sets updated_at, and what we wrote is still what we read.
    let mut replay = Replay::default();
    replay.read(&ledger.audit(0, 100).await.must("audit")).must("facts");
    for kind in [Kind::Checkout, Kind::Payment] {
        let rows = ledger.page(kind, &PaymentFilter::default(), None, 100).await.must("page").rows;
        replay.compare(rows).must("rows as the audit tells them");
    }
    replay.finish().must("every row");
    let kept = "update payment_sessions set status = status
                where id = 'processing' and user_id is null and amount = 800 and amount_minor = 80000";
    assert_eq!(place.sql(kept).await, Ok(1), "what the older application wrote stays");
    let untouched = "update payment_sessions set status = status where version = 1 and amount_minor is null";
    assert_eq!(place.sql(untouched).await, Ok(4), "nothing else was rewritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_write_beside_each_other() {
    let place = older().await;
    let ledger = place.open().await;
    // The older application goes on with its own statements.
    for statement in [
        "insert into checkout_sessions (id, user_id, session_data) values ('late', 'ada', '{}')",
        "update checkout_sessions set status = 'completed' where id = 'late'",
        "insert into payment_sessions (id, user_email, amount, merchant_trans_id, payment_method, idempotency_key)
         values ('late', 'x', 7, 'mt-9', 'click', 'k9')",
        "update coupons set used_count = used_count + 1 where id = 'c1'",
    ] {
        assert_eq!(place.sql(statement).await, Ok(1), "{statement}");
    }
    let late = checkout("late");
    let books = ledger.look(&Reads::none().checkout(CheckoutKey::Id(late.clone()))).await.must("look");
    assert!(matches!(books.checkout(&late).must("theirs").state, CheckoutState::Completed { .. }));
    assert_eq!(payment(&ledger, "late").await.price.payable().get(), 700);
    let used = "update checkout_sessions set is_used = is_used where id = 'late' and is_used";
    assert_eq!(place.sql(used).await, Ok(1), "kept equal to the status");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_may_start_at_once() {
    for place in [Place::new("SESSILE_TEST_POSTGRES_URL"), older().await] {
        let nothing = LedgerOptions { create: Choice::No, ..place.options.clone() };
        assert!(PostgresLedger::open(&place.url, &nothing).await.is_err());
        let starts: Vec<_> = (0..16)
            .map(|_| {
                let place = place.clone();
                tokio::spawn(async move { place.open().await.ping().await })
            })
            .collect();
        for start in starts {
            start.await.must("a start").must("an answer");
        }
        PostgresLedger::open(&place.url, &nothing).await.must("all is there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_another_shape_are_refused_with_the_column_and_the_remedy() {
    for (change, column, remedy) in [
        (
            "alter table checkout_sessions alter column id type uuid using gen_random_uuid()",
            "column id of",
            "alter column id type text",
        ),
        (
            "alter table payment_sessions drop column amount",
            "no column amount",
            "rename to payment_sessions_old",
        ),
        ("alter table coupons alter column discount_value type numeric", "discount_value", "type bigint"),
        (
            "alter table payment_sessions add column shop text; alter table payment_sessions alter column shop set not null",
            "column shop",
            "drop not null",
        ),
    ] {
        let place = older().await;
        let empty = format!("truncate checkout_sessions, payment_sessions, coupon_usages; {change}");
        place.sql(&empty).await.must("another shape");
        let error =
            PostgresLedger::open(&place.url, &place.options).await.err().must("a refusal").to_string();
        assert!(error.contains(column) && error.contains(remedy), "{error}");
        let columns = "update pg_attribute set attname = attname where attname = 'merchant_prepare_id'
                       and attrelid = (select oid from pg_class where relname = 'payment_sessions'
                                       and relnamespace = current_schema()::regnamespace)";
        assert_eq!(place.sql(columns).await, Ok(0), "nothing was changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_utc_whatever_the_roles_zone_is() {
    let place = older().await;
    let theirs = "alter table payment_sessions alter column expires_at type timestamp using expires_at at time zone 'UTC',
                  alter column updated_at type timestamp using updated_at at time zone 'UTC'";
    place.sql(theirs).await.must("columns without a zone");
    let mut elsewhere = url::Url::parse(&place.url).must("a URL");
    elsewhere.query_pairs_mut().append_pair("options", "-cTimeZone=Asia/Tashkent");
    let ledger = PostgresLedger::open(elsewhere.as_str(), &place.options).await.must("open");
    let pending = payment(&ledger, "pending").await;
    assert_eq!(pending.expires_at, at("2026-01-01T00:30:00Z"));
    let just_before = ledger.due(Due::Payments, at("2026-01-01T00:29:59Z"), 10).await.must("due");
    assert_eq!(just_before, []);
    assert_eq!(ledger.due(Due::Payments, pending.expires_at, 10).await.must("due").len(), 1);
    let expired = pending.on(&PaymentEvent::Expire, now()).next.must("an expiry");
    let reads = Reads::none().payment(PaymentKey::Id(pending.id.clone()));
    let again = expired.clone();
    change(&ledger, reads, move |_| vec![Record::Payment(again.clone())]).await.must("an expiry");
    assert_eq!(payment(&ledger, "pending").await, expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_process_does_not_hold_the_ledger_for_ever() {
    let place = older().await;
    let other = place.open().await;
    let reads = || Reads::none().payment(PaymentKey::Id(PaymentId::parse("done").must("an id")));
    let (thaw, thawed) = std::sync::mpsc::channel::<()>();
    let (hold, held) = tokio::sync::oneshot::channel::<()>();
    let (thawed, hold) = (std::sync::Mutex::new(thawed), std::sync::Mutex::new(Some(hold)));
    // It stands still in the middle of a transaction, with the lock in its hand and a runtime of its own.
    let frozen = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().must("a runtime");
        let decide = move |_: &Books| {
            drop(hold.lock().must("a lock").take());
            let _ = thawed.lock().must("a lock").recv_timeout(Duration::from_secs(30));
            vec![Record::Checkout(new_checkout())]
        };
        runtime.block_on(async move {
            let ledger = place.open().await;
            let reads = Reads::none().checkout(CheckoutKey::Id(checkout("new")));
            change(&ledger, reads, decide).await
        })
    });
    drop(held.await);
    let begun = tokio::time::Instant::now();
    assert!(other.look(&reads()).await.is_ok(), "looking needs no lock");
    let mut tries = 1;
    while let Err(error) = change(&other, reads(), |_| vec![Record::Checkout(new_checkout())]).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        tries += 1;
    }
    assert!(begun.elapsed() < Duration::from_secs(9) && tries <= 2, "{:?}, {tries} tries", begun.elapsed());
    thaw.send(()).must("thaw");
    assert!(matches!(frozen.join(), Ok(Err(_))), "its transaction is over");
    assert_eq!(other.audit_head().await.must("the head").seq, 1);
}

/// What people read in a row is what counts; an older application's rows have nothing else yet.
#[tokio::test]
async fn a_row_that_shows_people_something_else_is_told() {
    let place = older().await;
    let ledger = place.open().await;
    let told = async |kind| {
        let page = ledger.page(kind, &PaymentFilter::default(), None, 100).await.must("a page");
        page.contradicting
    };
    let done = PaymentId::parse("done").must("an id");
    let reads = Reads::none().payment(PaymentKey::Id(done.clone()));
    let moved = |books: &Books| {
        let payment = books.payment(&PaymentId::parse("done").must("an id")).must("the payment");
        vec![Record::Payment(payment.moved(payment.state.clone(), now())), Record::Checkout(new_checkout())]
    };
    change(&ledger, reads, moved).await.must("a change");
    assert_eq!((told(Kind::Payment).await, told(Kind::Checkout).await), (vec![], vec![]));
    for (column, wrong) in
        [("amount", 1), ("original_amount", 1), ("discount_amount", 1), ("amount_minor", 1)]
    {
        let keep = format!(
            "alter table payment_sessions add column kept bigint; update payment_sessions set kept = {column}"
        );
        place.sql(&keep).await.must("kept");
        place
            .sql(&format!("update payment_sessions set {column} = {wrong} where id = 'done'"))
            .await
            .must(column);
        assert_eq!(told(Kind::Payment).await, [RecordKey::Payment(done.clone())], "{column}");
        let back = format!(
            "update payment_sessions set {column} = kept; alter table payment_sessions drop column kept"
        );
        place.sql(&back).await.must("back");
        assert_eq!(told(Kind::Payment).await, [], "{column}");
    }
    place.sql("update checkout_sessions set is_used = true where id = 'new'").await.must("is_used");
    assert_eq!(told(Kind::Checkout).await, [RecordKey::Checkout(checkout("new"))]);
    // Untouched by us: whatever it says is what it says.
    place.sql("update payment_sessions set amount = 7 where id = 'failed'").await.must("an older row");
    assert_eq!(told(Kind::Payment).await, []);
}

fn new_checkout() -> Checkout {
    Checkout {
        id: checkout("new"),
        owner: ada(),
        slot: "other".to_owned(),
        data: "{}".to_owned(),
        choice: String::new(),
        price: None,
        coupon: None,
        state: CheckoutState::Active,
        renewed_from: None,
        superseded_by: None,
        created_at: now(),
        updated_at: now(),
        expires_at: now().plus(Duration::from_secs(60)),
        version: 1,
    }
}
