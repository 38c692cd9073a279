//! What goes, and what its name may do then.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::{TestLedger, noted};
use sessile_core::checkout::Owner;
use sessile_core::ledger::{CheckoutKey, Reads, Record, Write};

pub(crate) async fn a_purged_name_is_never_used_again(test: &TestLedger) {
    let owner = Owner::user(given::user());
    let (row, neighbour) = (given::checkout(owner.clone(), test.base), given::checkout(owner, test.base));
    test.given([Record::Checkout(row.clone()), Record::Checkout(neighbour.clone())]).await;
    let reads = || Reads::none().checkout(CheckoutKey::Id(row.id.clone()));
    assert!(!test.look(reads()).await.was_purged(&row.id));
    let mut purge = noted("checkout.purged");
    purge.writes.push(Write::Purge(row.id.clone()));
    test.write(reads(), purge.clone()).await.must("the purge");

    let books = test.look(reads()).await;
    assert!(books.checkout(&row.id).is_none() && books.was_purged(&row.id));
    let mut again = noted("checkout.created");
    again.create(Record::Checkout(row.clone()));
    for reads in [Reads::none(), reads()] {
        assert!(test.write(reads, again.clone()).await.is_err(), "a purged name came back");
    }
    assert!(test.write(reads(), purge).await.is_err(), "what is gone was purged again");
    let left = test.look(Reads::none().checkout(CheckoutKey::Id(neighbour.id.clone()))).await;
    assert_eq!(left.checkout(&neighbour.id), Some(&neighbour));
    test.audit_holds().await.must("the audit");
}
