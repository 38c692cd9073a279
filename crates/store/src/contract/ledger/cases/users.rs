//! Users and their tiers, in the table that sign-in fills.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::TestLedger;
use sessile_core::ledger::{Plan, Reads, Write};
use sessile_core::login::UserId;

pub(crate) async fn users_are_vouched_for_once_and_keep_their_tier(test: &TestLedger) {
    let user = given::user();
    let reads = || Reads::none().user(user.clone());
    let plan = |write| Plan { writes: vec![write], ..Plan::nothing() };
    assert_eq!(test.look(reads()).await.tier(&user), None);
    let vouch = plan(Write::Vouch { user: user.clone(), email: Some("ada@example.org".to_owned()) });
    let tier = plan(Write::Tier { user: user.clone(), tier: "premium".to_owned() });
    test.write(Reads::none(), tier.clone()).await.must("a tier of somebody whom nobody knows");
    assert_eq!(test.look(reads()).await.tier(&user), None, "a tier made a user");
    test.write(Reads::none(), vouch.clone()).await.must("a vouch");
    assert_eq!(test.look(reads()).await.tier(&user), Some("free"));
    test.write(Reads::none(), tier).await.must("a tier");
    test.write(Reads::none(), vouch).await.must("a vouch again");
    assert_eq!(test.look(reads()).await.tier(&user), Some("premium"), "a vouch took a tier away");

    // Somebody whose id no users' table can hold still pays.
    let odd = UserId::parse("user_42").must("an id");
    let both = Plan {
        writes: vec![
            Write::Vouch { user: odd.clone(), email: None },
            Write::Tier { user: odd.clone(), tier: "premium".to_owned() },
        ],
        ..Plan::nothing()
    };
    test.write(Reads::none(), both).await.must("an id that is no UUID");
    assert_eq!(test.look(Reads::none().user(odd.clone())).await.tier(&odd), None);
}
