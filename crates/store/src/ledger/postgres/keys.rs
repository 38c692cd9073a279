//! What the [`Reads`] of a whole batch name, gathered into one array per column, each name once.

use crate::postgres::connect::Value;
use sessile_core::checkout::{CheckoutId, GuestHash, Owner};
use sessile_core::ledger::{CheckoutKey, Inbound, PaymentKey, Reads};
use sessile_core::login::UserId;
use sessile_core::payment::{CouponCode, CouponId, OrderId, PaymentId, PrepareId, RefundId, TransId};
use sessile_core::user::UserUuid;
use std::collections::BTreeSet;

/// The names, each once and in order.
#[derive(Debug, Default)]
pub(super) struct Keys {
    payments: BTreeSet<PaymentId>,
    orders: BTreeSet<OrderId>,
    idempotency: BTreeSet<String>,
    checkouts: BTreeSet<CheckoutId>,
    active: BTreeSet<(Owner, String)>,
    latest: BTreeSet<(Owner, String)>,
    left: BTreeSet<(Owner, String)>,
    codes: BTreeSet<CouponCode>,
    coupons: BTreeSet<CouponId>,
    users: BTreeSet<UserId>,
    refunds: BTreeSet<RefundId>,
    attempts: BTreeSet<TransId>,
    prepares: BTreeSet<PrepareId>,
    inbox: BTreeSet<Inbound>,
}

impl Keys {
    pub(super) fn of<'a>(reads: impl IntoIterator<Item = &'a Reads>) -> Self {
        let mut keys = Self::default();
        for reads in reads {
            keys.add(reads);
        }
        keys
    }

    fn add(&mut self, reads: &Reads) {
        for key in &reads.payments {
            match key {
                PaymentKey::Id(id) => drop(self.payments.insert(id.clone())),
                PaymentKey::Order(order) => drop(self.orders.insert(order.clone())),
                PaymentKey::Idempotency(key) => drop(self.idempotency.insert(key.clone())),
            }
        }
        for key in &reads.checkouts {
            match key {
                CheckoutKey::Id(id) => drop(self.checkouts.insert(id.clone())),
                CheckoutKey::Active(owner, slot) => drop(self.active.insert((owner.clone(), slot.clone()))),
                CheckoutKey::Latest(owner, slot) => drop(self.latest.insert((owner.clone(), slot.clone()))),
                CheckoutKey::Left(owner, slot) => drop(self.left.insert((owner.clone(), slot.clone()))),
            }
        }
        self.codes.extend(reads.codes.iter().cloned());
        self.coupons.extend(reads.coupons.iter().cloned());
        self.users.extend(reads.users.iter().cloned());
        self.refunds.extend(reads.refunds.iter().cloned());
        self.attempts.extend(reads.attempts.iter().copied());
        self.prepares.extend(reads.prepares.iter().copied());
        self.inbox.extend(reads.inbox.iter().cloned());
    }

    /// Whether checkouts or payments are named.
    pub(super) fn have_links(&self) -> bool {
        let payments = self.payments.len() + self.orders.len() + self.idempotency.len() + self.refunds.len();
        let owners = self.active.len() + self.latest.len() + self.left.len();
        payments + self.checkouts.len() + owners > 0
    }

    /// Parameters of the statement that follows the links.
    pub(super) fn links(&self) -> Vec<Value<'_>> {
        let mut values: Vec<Value<'_>> = vec![
            Box::new(self.payments.iter().map(PaymentId::as_str).collect::<Vec<_>>()),
            Box::new(self.orders.iter().map(OrderId::as_str).collect::<Vec<_>>()),
            Box::new(self.idempotency.iter().map(String::as_str).collect::<Vec<_>>()),
            Box::new(self.refunds()),
            Box::new(self.checkouts.iter().map(CheckoutId::as_str).collect::<Vec<_>>()),
        ];
        values.extend(owners(&self.active));
        values.extend(owners(&self.latest));
        values.extend(owners(&self.left));
        values
    }

    pub(super) fn have_coupons(&self) -> bool {
        !self.codes.is_empty() || !self.coupons.is_empty()
    }

    /// Ids and codes.
    pub(super) fn coupons(&self) -> Vec<Value<'_>> {
        vec![
            Box::new(self.coupons.iter().map(CouponId::as_str).collect::<Vec<_>>()),
            Box::new(self.codes.iter().map(CouponCode::as_str).collect::<Vec<_>>()),
        ]
    }

    pub(super) fn refunds(&self) -> Vec<&str> {
        self.refunds.iter().map(RefundId::as_str).collect()
    }

    pub(super) fn have_users(&self) -> bool {
        !self.users.is_empty()
    }

    pub(super) fn all_users(&self) -> impl Iterator<Item = &UserId> {
        self.users.iter()
    }

    pub(super) fn users(&self) -> Vec<&str> {
        self.users.iter().map(UserId::as_str).collect()
    }

    /// Those that the users' table can hold.
    pub(super) fn uuids(&self) -> Vec<String> {
        self.users.iter().filter_map(UserUuid::of_user).map(|uuid| uuid.as_str().to_owned()).collect()
    }

    pub(super) fn inbox(&self) -> impl Iterator<Item = &Inbound> {
        self.inbox.iter()
    }

    /// Whether something is named that is remembered for ever.
    pub(super) fn have_memory(&self) -> bool {
        self.attempts.len() + self.prepares.len() + self.inbox.len() + self.checkouts.len() > 0
    }

    /// Attempts, numbers of ours, messages as provider and digest, and names of checkouts.
    pub(super) fn memory(&self) -> Vec<Value<'_>> {
        vec![
            Box::new(self.attempts.iter().map(|trans| trans.0.to_string()).collect::<Vec<_>>()),
            Box::new(self.prepares.iter().map(|prepare| prepare.get()).collect::<Vec<_>>()),
            Box::new(self.inbox.iter().map(|inbound| inbound.provider).collect::<Vec<_>>()),
            Box::new(self.inbox.iter().map(|inbound| inbound.digest.as_str()).collect::<Vec<_>>()),
            Box::new(self.checkouts.iter().map(CheckoutId::as_str).collect::<Vec<_>>()),
        ]
    }
}

fn owners(keys: &BTreeSet<(Owner, String)>) -> [Value<'_>; 3] {
    [
        Box::new(keys.iter().map(|(owner, _)| owner.user.as_ref().map(UserId::as_str)).collect::<Vec<_>>()),
        Box::new(
            keys.iter().map(|(owner, _)| owner.guest.as_ref().map(GuestHash::as_str)).collect::<Vec<_>>(),
        ),
        Box::new(keys.iter().map(|(_, slot)| slot.as_str()).collect::<Vec<_>>()),
    ]
}
