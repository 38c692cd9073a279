//! Effects: to one worker each, again after a while, until they are done or given up.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::TestLedger;
use sessile_core::ledger::{Effect, EffectRow, EffectState, NewEffect, Plan, Reads, Retry};
use sessile_core::payment::{PaymentId, RefundId};
use std::collections::BTreeSet;

async fn told(test: &TestLedger, effects: Vec<NewEffect>) {
    let plan = Plan { effects, ..Plan::nothing() };
    test.write(Reads::none(), plan).await.must("effects");
}

async fn claimed(test: &TestLedger, after: u64, limit: usize) -> Vec<EffectRow> {
    test.ledger.claim(test.after(after), test.after(after + 60), limit).await.must("claim")
}

pub(crate) async fn each_effect_goes_to_one_claimer(test: &TestLedger) {
    const EFFECTS: usize = 60;
    told(test, (0..EFFECTS).map(|_| given::effect("many")).collect()).await;
    let other = (test.backstage.reopen)().await;
    let claimers: Vec<_> = (0..8)
        .map(|n| {
            let ledger = if n % 2 == 0 { test.ledger.clone() } else { other.clone() };
            let (now, until) = (test.base, test.after(60));
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let more = ledger.claim(now, until, 3).await.must("claim");
                    assert!(more.len() <= 3);
                    if more.is_empty() {
                        return mine;
                    }
                    mine.extend(more.into_iter().map(|effect| effect.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.must("a claimer"));
    }
    let different: BTreeSet<&String> = all.iter().collect();
    assert_eq!(
        (all.len(), different.len()),
        (EFFECTS, EFFECTS),
        "an effect went to two claimers, or to none"
    );
}

pub(crate) async fn a_claim_ends_with_its_lease(test: &TestLedger) {
    let effect = given::effect("once");
    told(test, vec![effect.clone()]).await;
    let first = claimed(test, 0, 10).await;
    let [row] = &first[..] else { panic!("{first:?}") };
    assert_eq!((&row.id, &row.effect, row.attempts), (&effect.id, &effect.effect, 1));
    assert_eq!((row.state, row.created_at, row.next_at), (EffectState::Pending, test.base, test.after(60)));
    assert_eq!(claimed(test, 59, 10).await, [], "held by somebody else");
    let again = claimed(test, 60, 10).await;
    assert_eq!(again.iter().map(|row| row.attempts).collect::<Vec<_>>(), [2]);
    test.ledger.done(&effect.id).await.must("done");
    test.ledger.done(&effect.id).await.must("done, repeated");
    assert_eq!(claimed(test, 9_999, 10).await, []);
}

pub(crate) async fn effects_are_retried_given_up_and_put_back(test: &TestLedger) {
    let effect = given::effect("late");
    told(test, vec![effect.clone()]).await;
    assert_eq!(claimed(test, 0, 1).await.len(), 1);
    let again = Retry::At(test.after(300));
    test.ledger.undone(&effect.id, again, "the receiver said 503").await.must("undone");
    assert_eq!(claimed(test, 299, 1).await, []);
    let row = claimed(test, 300, 1).await.pop().must("the effect");
    assert_eq!((row.attempts, row.error.as_deref()), (2, Some("the receiver said 503")));
    assert!(!test.ledger.requeue(&effect.id, test.base).await.must("requeue"), "it is not dead");

    test.ledger.undone(&effect.id, Retry::GiveUp, "the receiver is gone").await.must("undone");
    assert_eq!(claimed(test, 999_999, 1).await, []);
    assert_eq!(test.ledger.effects(EffectState::Pending, 10).await.must("effects"), []);
    let dead = test.ledger.effects(EffectState::Dead, 10).await.must("effects");
    let [row] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((row.state, row.error.as_deref()), (EffectState::Dead, Some("the receiver is gone")));
    assert!(test.ledger.requeue(&effect.id, test.after(400)).await.must("requeue"));
    assert!(!test.ledger.requeue(&effect.id, test.after(400)).await.must("requeue"), "once is enough");
    assert!(!test.ledger.requeue("evt_none", test.base).await.must("requeue"));
    assert_eq!(claimed(test, 400, 1).await.len(), 1);
}

pub(crate) async fn the_same_effect_twice_is_one_row(test: &TestLedger) {
    let webhook = given::effect("twice");
    let refund = RefundId::of_key("the suite", &given::number().to_string());
    let payment = PaymentId::parse("pay_1").must("an id");
    let order = NewEffect { id: "evt_order".to_owned(), effect: Effect::Refund { refund, payment } };
    let tier = Effect::Tier { user: given::user(), tier: "premium".to_owned() };
    let tier = NewEffect { id: "evt_tier".to_owned(), effect: tier };
    for _ in 0..2 {
        told(test, vec![webhook.clone(), order.clone(), tier.clone()]).await;
    }
    let rows = test.ledger.effects(EffectState::Pending, 10).await.must("effects");
    let mut found: Vec<NewEffect> =
        rows.into_iter().map(|row| NewEffect { id: row.id, effect: row.effect }).collect();
    let mut expected = vec![webhook, order, tier];
    found.sort_by(|a, b| a.id.cmp(&b.id));
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(found, expected);
    assert_eq!(test.ledger.effects(EffectState::Pending, 2).await.must("effects").len(), 2);
}
