//! What `Reads` promise is loaded, with the links that are always followed, the same way for a look and for a
//! decision.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::{TestLedger, noted};
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutState, InvalidReason, Owner};
use sessile_core::ledger::{
    Books, CheckoutKey, Decision, Inbound, PaymentKey, Reads, Record, RecordKey, Write, transact,
};
use sessile_core::login::UserId;
use sessile_core::payment::{Attempt, Coupon, Grant, HoldState, Payment, Refund, RefundState};

const SLOT: &str = "default";

/// A buyer whose checkout expired, was renewed twice and paid, and who has chosen something else since.
struct World {
    user: UserId,
    coupons: [Coupon; 4],
    /// Expired; continued by `between`; was attempted by `late`.
    old: Checkout,
    /// Expired; continued by `renewal`.
    between: Checkout,
    /// Completed by `done`.
    renewal: Checkout,
    /// Replaced by `renewal`.
    replaced: Checkout,
    /// With `open` under way.
    active: Checkout,
    late: Payment,
    done: Payment,
    open: Payment,
    grant: Grant,
    refund: Refund,
    attempt: Attempt,
    inbound: Inbound,
}

impl World {
    fn new(test: &TestLedger) -> Self {
        let user = given::user();
        let owner = Owner::user(user.clone());
        let coupons = [(); 4].map(|()| given::coupon(None, test.base));
        let checkout = |state| Checkout { state, ..given::checkout(owner.clone(), test.before(100)) };
        let payment = |checkout: &Checkout| Payment {
            checkout: Some(checkout.id.clone()),
            ..given::payment(user.clone(), test.before(50))
        };
        let mut old = checkout(CheckoutState::Expired { at: test.before(90) });
        old.coupon = Some(given::hold(&coupons[0], HoldState::Released));
        let mut between = checkout(CheckoutState::Expired { at: test.before(60) });
        between.renewed_from = Some(old.id.clone());
        let mut renewal = checkout(CheckoutState::Active);
        renewal.renewed_from = Some(between.id.clone());
        let done = given::paid(payment(&renewal), test.before(10));
        renewal.state = CheckoutState::Completed { at: test.before(10), payment: Some(done.id.clone()) };
        let mut active = checkout(CheckoutState::Active);
        active.coupon = Some(given::hold(&coupons[1], HoldState::Reserved));
        let mut replaced =
            checkout(CheckoutState::Invalidated { at: test.before(80), reason: InvalidReason::Superseded });
        // By one that nothing else leads to.
        replaced.superseded_by = Some(renewal.id.clone());
        let mut late = payment(&old);
        late = Payment { version: 1, ..given::moved_to_failed(&late, test.before(70)) };
        late.coupon = Some(given::hold(&coupons[2], HoldState::Released));
        let mut open = given::processing(payment(&active), test.before(5));
        open.coupon = Some(given::hold(&coupons[3], HoldState::Reserved));
        let attempt = open.state.attempt().copied().must("an attempt");
        let grant =
            Grant { checkout: Some(renewal.id.clone()), tier: None, ..given::grant(&done, test.base) };
        let refund = given::refund(&done, RefundState::Requested, test.base);
        let inbound = Inbound { provider: "click", digest: format!("digest-{}", given::number()) };
        Self {
            user,
            coupons,
            old,
            between,
            renewal,
            replaced,
            active,
            late,
            done,
            open,
            grant,
            refund,
            attempt,
            inbound,
        }
    }

    async fn write(&self, test: &TestLedger) {
        test.given(self.coupons.iter().cloned().map(Record::Coupon)).await;
        let mut plan = noted("the world");
        for row in [&self.old, &self.between, &self.renewal, &self.replaced, &self.active] {
            plan.create(Record::Checkout(row.clone()));
        }
        for row in [&self.late, &self.done, &self.open] {
            plan.create(Record::Payment(row.clone()));
        }
        plan.create(Record::Grant(self.grant.clone()));
        plan.create(Record::Refund(self.refund.clone()));
        plan.writes.push(Write::Bind { payment: self.open.id.clone(), attempt: self.attempt });
        plan.writes.push(Write::Vouch { user: self.user.clone(), email: None });
        plan.inbound = Some((self.inbound.clone(), "applied".to_owned(), test.base));
        test.write(Reads::none(), plan).await.must("the world");
    }

    fn key(&self, name: &str) -> RecordKey {
        match name {
            "old" => RecordKey::Checkout(self.old.id.clone()),
            "between" => RecordKey::Checkout(self.between.id.clone()),
            "renewal" => RecordKey::Checkout(self.renewal.id.clone()),
            "replaced" => RecordKey::Checkout(self.replaced.id.clone()),
            "active" => RecordKey::Checkout(self.active.id.clone()),
            "late" => RecordKey::Payment(self.late.id.clone()),
            "done" => RecordKey::Payment(self.done.id.clone()),
            "open" => RecordKey::Payment(self.open.id.clone()),
            "grant" => RecordKey::Grant(self.grant.payment.clone()),
            "refund" => RecordKey::Refund(self.refund.id.clone()),
            "coupon of old" => RecordKey::Coupon(self.coupons[0].id.clone()),
            "coupon of active" => RecordKey::Coupon(self.coupons[1].id.clone()),
            "coupon of late" => RecordKey::Coupon(self.coupons[2].id.clone()),
            "coupon of open" => RecordKey::Coupon(self.coupons[3].id.clone()),
            other => panic!("nothing is called {other}"),
        }
    }

    /// What is read, and what has to be there then, by name.
    fn cases(&self) -> Vec<(&'static str, Reads, &'static str)> {
        const ACTIVE: &str = "active, open, coupon of active, coupon of open";
        const OLD: &str = "old, between, renewal, done, coupon of old, active, open, coupon of active, \
                           coupon of open";
        const LATE: &str = "late, coupon of late, grant, old, between, renewal, done, coupon of old, active, open, \
                            coupon of active, coupon of open";
        let owner = Owner::user(self.user.clone());
        let payment = |key| Reads::none().payment(key);
        let checkout = |key| Reads::none().checkout(key);
        vec![
            ("a payment", payment(PaymentKey::Id(self.late.id.clone())), LATE),
            ("a payment by its order", payment(PaymentKey::Order(self.late.order.clone())), LATE),
            (
                "a payment by its key",
                payment(PaymentKey::Idempotency(self.late.idempotency_key.clone())),
                LATE,
            ),
            (
                "a completed payment",
                payment(PaymentKey::Id(self.done.id.clone())),
                "done, grant, refund, renewal, between, old, active, open",
            ),
            ("an expired checkout", checkout(CheckoutKey::Id(self.old.id.clone())), OLD),
            (
                "a replaced checkout",
                checkout(CheckoutKey::Id(self.replaced.id.clone())),
                "replaced, renewal, between, old, done, active, open, coupon of open",
            ),
            (
                "a completed checkout",
                checkout(CheckoutKey::Id(self.renewal.id.clone())),
                "renewal, between, old, done, active",
            ),
            ("the active one", checkout(CheckoutKey::Active(owner.clone(), SLOT.to_owned())), ACTIVE),
            (
                "the latest one",
                checkout(CheckoutKey::Latest(owner, SLOT.to_owned())),
                "renewal, between, old, done, active",
            ),
            ("a code", Reads::none().code(Some(self.coupons[2].code.clone())), "coupon of late"),
            (
                "a coupon",
                Reads { coupons: vec![self.coupons[0].id.clone()], ..Reads::none() },
                "coupon of old",
            ),
            ("a user", Reads::none().user(self.user.clone()), "grant"),
            (
                "a refund",
                Reads { refunds: vec![self.refund.id.clone()], ..Reads::none() },
                "refund, done, grant, renewal",
            ),
        ]
    }
}

/// What a decision sees.
async fn seen(test: &TestLedger, reads: Reads) -> Books {
    let answer = transact(&*test.ledger, reads, test.base, |books: &Books| Decision::only(books.clone()));
    answer.await.must("a decision")
}

pub(crate) async fn what_reads_name_is_loaded_with_its_links(test: &TestLedger) {
    let world = World::new(test);
    // Another buyer's world beside it.
    World::new(test).write(test).await;
    world.write(test).await;
    for (what, reads, names) in world.cases() {
        let looked = test.look(reads.clone()).await;
        for name in names.split(", ") {
            assert!(looked.record(&world.key(name)).is_some(), "{what}: {name} is missing");
        }
        assert_eq!(looked, seen(test, reads).await, "{what}: a look and a decision see the same");
    }
    let reads = Reads::none().payment(PaymentKey::Id(world.late.id.clone()));
    let books = test.look(reads).await;
    let owner = Owner::user(world.user.clone());
    assert_eq!(books.tier(&world.user), Some("free"), "the tier of a payment's user");
    assert_eq!(books.active(&owner, SLOT), [&world.active]);
    assert_eq!(books.latest(&owner, SLOT), Some(&world.renewal));
    assert_eq!(books.renewal_of(&world.old.id), Some(&world.between));
    assert_eq!(books.renewals_around(&world.old.id).collect::<Vec<_>>(), [&world.between, &world.renewal]);
    assert_eq!(books.payment_by_order(&world.late.order), Some(&world.late));
}

pub(crate) async fn numbers_and_messages_are_known(test: &TestLedger) {
    let world = World::new(test);
    world.write(test).await;
    let free = given::attempt();
    let other = Inbound { provider: "click", digest: "another".to_owned() };
    let reads = Reads {
        attempts: vec![world.attempt.trans, free.trans],
        prepares: [world.attempt.prepare, free.prepare].into_iter().flatten().collect(),
        inbox: vec![world.inbound.clone(), other.clone()],
        ..Reads::none()
    };
    for books in [test.look(reads.clone()).await, seen(test, reads).await] {
        assert_eq!(books.bound(world.attempt.trans), Some(&world.open.id));
        assert_eq!(books.bound(free.trans), None);
        assert!(books.is_taken(world.attempt.prepare.must("a number")));
        assert!(!books.is_taken(free.prepare.must("a number")));
        assert!(books.was_seen(&world.inbound) && !books.was_seen(&other));
    }
}

pub(crate) async fn nothing_is_loaded_for_nobody(test: &TestLedger) {
    World::new(test).write(test).await;
    test.given([Record::Checkout(given::checkout(Owner::default(), test.base))]).await;
    let stranger = given::payment(given::user(), test.base);
    let owners = [Owner::default(), Owner::user(given::user()), Owner::guest(given::guest())];
    let mut reads = Reads::none()
        .payment(PaymentKey::Id(stranger.id.clone()))
        .payment(PaymentKey::Order(stranger.order.clone()))
        .payment(PaymentKey::Idempotency("none".to_owned()))
        .checkout(CheckoutKey::Id(given::checkout(Owner::default(), test.base).id))
        .code(Some(given::coupon(None, test.base).code))
        .user(stranger.user.clone());
    for owner in owners {
        reads = reads
            .checkout(CheckoutKey::Active(owner.clone(), SLOT.to_owned()))
            .checkout(CheckoutKey::Latest(owner, SLOT.to_owned()));
    }
    reads.coupons.push(given::coupon(None, test.base).id);
    reads.refunds.push(given::refund(&stranger, RefundState::Requested, test.base).id);
    assert_eq!(test.look(reads.clone()).await, Books::default());
    assert_eq!(seen(test, reads).await, Books::default());
}

fn of(test: &TestLedger, owner: &Owner, slot: &str, state: CheckoutState) -> Checkout {
    Checkout { state, slot: slot.to_owned(), ..given::checkout(owner.clone(), test.before(100)) }
}

pub(crate) async fn places_belong_to_a_user_or_to_a_guest(test: &TestLedger) {
    let (user, guest) = (Owner::user(given::user()), Owner::guest(given::guest()));
    let both = Owner { user: user.user.clone(), guest: guest.guest.clone() };
    let ended = |seconds| CheckoutState::Expired { at: test.before(seconds) };
    let rows = [
        of(test, &user, SLOT, CheckoutState::Active),
        of(test, &guest, SLOT, CheckoutState::Active),
        // Bound to the user when they signed in: the cookie alone does not reach it any more.
        of(test, &both, SLOT, CheckoutState::Active),
        of(test, &user, "gifts", CheckoutState::Active),
        of(test, &user, SLOT, ended(30)),
        of(test, &user, SLOT, ended(20)),
        of(test, &guest, SLOT, ended(10)),
        of(test, &both, SLOT, ended(5)),
        of(test, &guest, "gifts", ended(1)),
    ];
    test.given(rows.iter().cloned().map(Record::Checkout)).await;
    let at = |books: &Books, found: &[&Checkout]| -> Vec<usize> {
        assert!(books.records().count() >= found.len());
        let mut places: Vec<usize> =
            found.iter().filter_map(|row| rows.iter().position(|known| known.id == row.id)).collect();
        places.sort_unstable();
        places
    };
    for (owner, slot, active, latest, left) in [
        (&user, SLOT, vec![0, 2], Some(7), vec![4, 5, 7]),
        (&guest, SLOT, vec![1], Some(6), vec![6]),
        (&both, SLOT, vec![0, 1, 2], Some(7), vec![4, 5, 6, 7]),
        (&user, "gifts", vec![3], None, vec![]),
        (&guest, "gifts", vec![], Some(8), vec![8]),
    ] {
        let reads = Reads::none().checkout(CheckoutKey::Active(owner.clone(), slot.to_owned()));
        let books = test.look(reads).await;
        assert_eq!(at(&books, &books.active(owner, slot)), active, "active of {owner:?} in {slot}");
        let reads = Reads::none().checkout(CheckoutKey::Latest(owner.clone(), slot.to_owned()));
        let books = test.look(reads).await;
        let found: Vec<&Checkout> = books.latest(owner, slot).into_iter().collect();
        assert_eq!(at(&books, &found), Vec::from_iter(latest), "the latest of {owner:?} in {slot}");
        let reads = Reads::none().checkout(CheckoutKey::Left(owner.clone(), slot.to_owned()));
        let books = test.look(reads).await;
        assert_eq!(at(&books, &books.left(owner, slot)), left, "what {owner:?} left in {slot}");
    }
}

pub(crate) async fn only_standing_grants_of_a_user_are_loaded(test: &TestLedger) {
    let payments = [(); 2].map(|()| given::paid(given::payment(given::user(), test.base), test.base));
    let user = payments[0].user.clone();
    let grants = [None, Some(test.base)].map(|revoked_at: Option<Timestamp>| {
        let payment = &payments[usize::from(revoked_at.is_some())];
        Grant { user: user.clone(), revoked_at, ..given::grant(payment, test.base) }
    });
    test.given(grants.iter().cloned().map(Record::Grant)).await;
    test.given(payments.iter().cloned().map(Record::Payment)).await;
    let books = test.look(Reads::none().user(user.clone())).await;
    assert_eq!(books.grants_of(&user).collect::<Vec<_>>(), [&grants[0]]);
    // A payment's own grant is loaded also when it was taken back.
    let books = test.look(Reads::none().payment(PaymentKey::Id(payments[1].id.clone()))).await;
    assert_eq!(books.grant(&payments[1].id), Some(&grants[1]));
}
