//! The workers against real sockets: the outbox and its application, refunds and reconciliation with a stand-in CLICK,
//! sweeps and counts. Time moves when the test moves it.

use crate::till::{AMOUNT, Loses, Till};
use serde_json::json;
use sessile_core::Clock as _;
use sessile_core::checkout::{Caller, CheckoutState, Choice, NewCheckout};
use sessile_core::login::UserId;
use sessile_core::payment::{FailReason, How, Payment, PaymentState, Refund, RefundState};
use sessile_sandbox::click::{Misbehaviour, Switch};
use sessile_server::telemetry;
use sessile_server::worker::{Asked, Swept};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(30);

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn how(payment: &Payment) -> Option<How> {
    match payment.state {
        PaymentState::Completed { how, .. } => Some(how),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_payment_is_told_signed_and_once() {
    let shop = Till::open().await;
    let payment = shop.sale().await;
    shop.deliver_all().await;
    let hooks = shop.application.hooks();
    let told: Vec<_> = hooks.iter().filter(|got| got.json()["type"] == "payment.completed").collect();
    assert_eq!(told.len(), 1, "{hooks:?}");
    assert!(told[0].is_ours_at(shop.clock.now().unix_seconds()));
    let data = &told[0].json()["data"];
    assert_eq!((&data["orderId"], &data["status"]), (&json!(payment.order), &json!("completed")));
    assert_eq!((&data["amountMinor"], &data["currency"]), (&json!(100_000), &json!("UZS")));
    assert_eq!(shop.application.tiers(), [(payment.user.as_str().to_owned(), "premium".to_owned())]);
    assert!(shop.pending().await.is_empty() && shop.dead().await.is_empty());
    assert_eq!(shop.workers.deliver_due().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_taken_is_tried_again_later_under_the_same_id() {
    let shop = Till::open().await;
    shop.application.says("hooks", 500);
    shop.sale().await;
    shop.deliver_all().await;
    let [waiting] = shop.pending().await.try_into().unwrap();
    assert_eq!(waiting.error.as_deref(), Some("the receiver answered 500"));
    shop.later(Duration::from_millis(4900));
    assert_eq!(shop.workers.deliver_due().await.unwrap(), 0, "it waits five seconds");
    shop.later(Duration::from_millis(1200));
    assert_eq!(shop.workers.deliver_due().await.unwrap(), 1);
    shop.later(Duration::from_secs(6));
    assert_eq!(shop.workers.deliver_due().await.unwrap(), 0, "and then ten");
    shop.application.says("hooks", 200);
    shop.later(Duration::from_secs(7));
    assert_eq!(shop.workers.deliver_due().await.unwrap(), 1);
    let hooks = shop.application.hooks();
    let ids: BTreeSet<&str> = hooks.iter().map(|got| got.header("webhook-id")).collect();
    assert_eq!((hooks.len(), ids.len()), (3, 1));
    assert!(hooks[2].is_ours_at(shop.clock.now().unix_seconds()), "each attempt is signed for its own time");
    assert!(shop.pending().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_days_it_is_dead_until_somebody_puts_it_back() {
    let shop = Till::open().await;
    shop.application.says("hooks", 503);
    shop.sale().await;
    let born = shop.clock.now();
    while shop.dead().await.is_empty() {
        assert!(shop.clock.now().since(born) < 4 * DAY, "it never dies");
        shop.deliver_all().await;
        shop.later(20 * MINUTE);
    }
    assert!(shop.clock.now().since(born) > 2 * DAY, "it dies of age");
    assert!((50..100).contains(&shop.application.hooks().len()));
    assert!(shop.pending().await.is_empty());
    let [dead] = shop.dead().await.try_into().unwrap();
    shop.workers.count().await.unwrap();
    assert!(telemetry::render().unwrap().contains("sessile_outbox_rows{state=\"dead\"}"));

    shop.application.says("hooks", 200);
    assert!(shop.ledger.requeue(&dead.id, shop.clock.now()).await.unwrap());
    shop.deliver_all().await;
    assert!(shop.pending().await.is_empty() && shop.dead().await.is_empty());
    assert_eq!(shop.application.hooks().last().unwrap().header("webhook-id"), dead.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_no_more_is_asked_no_more() {
    let shop = Till::open().await;
    shop.application.says("hooks", 410);
    shop.sale().await;
    shop.deliver_all().await;
    let [dead] = shop.dead().await.try_into().unwrap();
    assert!(dead.error.unwrap().contains("410"));
    shop.later(DAY);
    shop.deliver_all().await;
    assert_eq!(shop.application.hooks().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_share_the_outbox_and_nobody_is_told_twice() {
    let shop = Till::open().await;
    for _ in 0..20 {
        shop.sale().await;
    }
    let running = [shop.workers.start(), shop.more_workers(&[]).start(), shop.more_workers(&[]).start()];
    until("delivery", async || shop.pending().await.is_empty()).await;
    for workers in running {
        workers.stop().await;
    }
    let hooks = shop.application.hooks();
    let ids: BTreeSet<&str> = hooks.iter().map(|got| got.header("webhook-id")).collect();
    assert_eq!((hooks.len(), ids.len()), (20, 20));
    assert_eq!(shop.application.tiers().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_held_is_taken_over_when_its_lease_ends() {
    let shop = Till::open().await;
    shop.sale().await;
    let now = shop.clock.now();
    let held = shop.ledger.claim(now, now.plus(MINUTE), 10).await.unwrap();
    assert_eq!(held.len(), 2);
    assert_eq!(shop.workers.deliver_due().await.unwrap(), 0);
    shop.later(MINUTE);
    assert_eq!(shop.workers.deliver_due().await.unwrap(), 2);
    assert!(shop.pending().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_in_hand() {
    let shop = Till::open().await;
    shop.application.is_slow(Duration::from_millis(700));
    shop.sale().await;
    let running = shop.workers.start();
    until("a delivery under way", async || !shop.application.hooks().is_empty()).await;
    running.stop().await;
    assert!(shop.pending().await.is_empty(), "what was in hand is done, and known to be done");
    assert_eq!(shop.application.hooks().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_tier_is_never_written_over_a_newer_one() {
    let shop = Till::open().await;
    shop.application.says("auth", 500);
    let payment = shop.sale().await;
    shop.deliver_all().await;
    let refund = refund(&shop, &payment).await;
    shop.workers.deliver_due().await.unwrap();
    assert_eq!(state(&shop, &refund).await, RefundState::Succeeded);
    shop.application.says("auth", 200);
    shop.later(HOUR);
    let before = shop.application.tiers().len();
    shop.deliver_all().await;
    let written: Vec<String> =
        shop.application.tiers().split_off(before).into_iter().map(|(_, tier)| tier).collect();
    assert_eq!(written, ["free", "free"], "both orders write the tier that the user has now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whom_supabase_does_not_know_is_no_failure() {
    let shop = Till::open().await;
    shop.application.says("auth", 404);
    shop.sale().await;
    shop.deliver_all().await;
    assert!(shop.pending().await.is_empty() && shop.dead().await.is_empty());
}

async fn refund(shop: &Till, payment: &Payment) -> Refund {
    shop.payments.refund(&Caller::Operator, &payment.id, "key").await.unwrap()
}

async fn state(shop: &Till, refund: &Refund) -> RefundState {
    shop.payments.find_refund(&refund.id).await.unwrap().unwrap().0.state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_goes_back_through_click_and_takes_back_what_was_bought() {
    let shop = Till::open().await;
    let payment = shop.sale().await;
    let refund = refund(&shop, &payment).await;
    shop.deliver_all().await;
    assert_eq!(state(&shop, &refund).await, RefundState::Succeeded);
    assert_eq!(shop.click().payment(payment.order.as_str()).unwrap().returned_tiyin(), 100_000);
    assert_eq!(shop.application.tiers().last().unwrap().1, "free");
    let hooks = shop.application.hooks();
    assert_eq!(hooks.iter().filter(|got| got.json()["type"] == "payment.refunded").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_refund_waits_for_a_person() {
    let shop = Till::open().await;
    let payment = shop.sale().await;
    shop.click().set(&Switch::once(Misbehaviour::ReversalRefused)).unwrap();
    let refund = refund(&shop, &payment).await;
    shop.deliver_all().await;
    let (refund, _) = shop.payments.find_refund(&refund.id).await.unwrap().unwrap();
    assert_eq!(refund.state, RefundState::NeedsManual);
    assert!(refund.note.unwrap().contains("refused"));
    assert_eq!(shop.click().count("reversed"), 0);
    assert!(shop.pending().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_answer_is_lost_is_asked_about_and_not_repeated() {
    let shop = Till::open().await;
    let payment = shop.sale().await;
    shop.deliver_all().await;
    shop.wire.loses(Loses::Answers);
    let refund = refund(&shop, &payment).await;
    shop.deliver_all().await;
    assert_eq!(state(&shop, &refund).await, RefundState::Submitted);
    assert!(shop.pending().await[0].error.as_deref().unwrap().contains("may or may not"));
    shop.later(MINUTE);
    shop.deliver_all().await;
    assert_eq!(state(&shop, &refund).await, RefundState::Succeeded);
    assert_eq!((shop.click().count("reversal_asked"), shop.click().count("reversed")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_never_arrived_is_repeated_once_click_says_so() {
    let shop = Till::open().await;
    let payment = shop.sale().await;
    shop.wire.loses(Loses::Orders);
    let refund = refund(&shop, &payment).await;
    shop.deliver_all().await;
    assert_eq!(
        (state(&shop, &refund).await, shop.click().count("reversal_asked")),
        (RefundState::Submitted, 0)
    );
    shop.wire.loses(None);
    shop.later(MINUTE);
    shop.deliver_all().await;
    assert_eq!((state(&shop, &refund).await, shop.click().count("reversed")), (RefundState::Succeeded, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_click_a_refund_waits_and_says_for_what() {
    let shop = Till::open().await;
    let payment = shop.sale().await;
    shop.deliver_all().await;
    let refund = refund(&shop, &payment).await;
    let workers = shop.more_workers(&[("CLICK_SECRET_KEY", None)]);
    assert_eq!(workers.deliver_due().await.unwrap(), 1);
    assert_eq!(state(&shop, &refund).await, RefundState::Requested);
    assert!(shop.pending().await[0].error.as_deref().unwrap().contains("CLICK_SECRET_KEY"));
    while shop.dead().await.is_empty() {
        shop.later(HOUR);
        workers.deliver_due().await.unwrap();
    }
    assert_eq!(
        state(&shop, &refund).await,
        RefundState::NeedsManual,
        "after three days a person has to see it"
    );
}

/// The provider has prepared it, and then something happens.
async fn prepared(shop: &Till) -> Payment {
    let payment = shop.order().await;
    shop.click().start_payment(payment.order.as_str(), AMOUNT).await.unwrap();
    let payment = shop.now(&payment).await;
    assert!(payment.state.is_processing());
    payment
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_click_took_and_never_spoke_of_is_found() {
    let shop = Till::open().await;
    let payment = prepared(&shop).await;
    shop.click().set(&Switch::once(Misbehaviour::NeverComplete)).unwrap();
    shop.click().finish(payment.order.as_str()).await.unwrap();
    shop.later(59 * Duration::from_secs(1));
    assert_eq!(
        shop.workers.ask_due().await.unwrap(),
        Asked::default(),
        "the first question comes after a minute"
    );
    shop.later(Duration::from_secs(1));
    assert_eq!(shop.workers.ask_due().await.unwrap(), Asked { asked: 1, changed: 1 });
    assert_eq!(how(&shop.now(&payment).await), Some(How::Reconciled));
    shop.deliver_all().await;
    assert_eq!(shop.application.tiers().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_click_gave_up_fails_and_what_is_open_goes_on() {
    let shop = Till::open().await;
    let (open, given_up) = (prepared(&shop).await, prepared(&shop).await);
    shop.click().abandon(given_up.order.as_str()).unwrap();
    shop.later(MINUTE);
    assert_eq!(shop.workers.ask_due().await.unwrap(), Asked { asked: 2, changed: 1 });
    let failed = shop.now(&given_up).await;
    assert!(matches!(failed.state, PaymentState::Failed { reason: FailReason::Reconciled, .. }));
    for _ in 0..30 {
        shop.later(HOUR);
        shop.workers.ask_due().await.unwrap();
    }
    assert!(shop.now(&open).await.state.is_processing(), "no timer ends it");
    shop.click().finish(open.order.as_str()).await.unwrap();
    assert_eq!(how(&shop.now(&open).await), Some(How::Confirmed));
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_counts_after_an_hour_and_a_late_complete_is_still_taken() {
    let shop = Till::open().await;
    let payment = shop.order().await;
    // By hand: the stand-in's own books know nothing of it.
    let prepare = shop.click().prepare_message(payment.order.as_str(), AMOUNT);
    let answer = shop.click().send(&prepare).await;
    assert_eq!(answer.error(), Some(0));
    for minutes in [1, 5, 15] {
        shop.later(minutes * MINUTE);
        shop.workers.ask_due().await.unwrap();
        assert!(shop.now(&payment).await.state.is_processing());
    }
    shop.later(HOUR);
    assert_eq!(shop.workers.ask_due().await.unwrap(), Asked { asked: 1, changed: 1 });
    let failed = shop.now(&payment).await;
    let PaymentState::Failed { attempt: Some(attempt), reason: FailReason::Reconciled, .. } = failed.state
    else {
        panic!("{failed:?}");
    };
    let number = attempt.prepare.unwrap().get().to_string();
    let complete = shop.click().complete_message(&prepare, &number);
    assert_eq!(shop.click().send(&complete).await.error(), Some(0));
    assert_eq!(how(&shop.now(&payment).await), Some(How::Late));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_click_does_not_answer_a_payment_stays_as_it_is() {
    let shop = Till::open().await;
    let payment = prepared(&shop).await;
    shop.click().set(&Switch::once(Misbehaviour::NeverComplete)).unwrap();
    shop.click().finish(payment.order.as_str()).await.unwrap();
    shop.click().misbehave(&[Switch::standing(Misbehaviour::Status500)]).unwrap();
    for _ in 0..3 {
        shop.later(2 * HOUR);
        assert_eq!(shop.workers.ask_due().await.unwrap(), Asked { asked: 1, changed: 0 });
        assert!(shop.now(&payment).await.state.is_processing());
    }
    assert_eq!(shop.workers.count().await.unwrap().stale_payments, 1);
    shop.click().misbehave(&[]).unwrap();
    shop.later(2 * HOUR);
    shop.workers.ask_due().await.unwrap();
    assert_eq!(how(&shop.now(&payment).await), Some(How::Reconciled));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_pass_looks_both_ways() {
    let shop = Till::open().await;
    let (good, taken_back, refunded) = (shop.sale().await, shop.sale().await, shop.sale().await);
    // Somebody reverses one in the merchant cabinet; another is refunded as it should be.
    let paydoc = taken_back.state.attempt().unwrap().paydoc.0;
    reverse_by_hand(&shop, paydoc).await;
    refund(&shop, &refunded).await;
    shop.deliver_all().await;
    // And one fails because CLICK forgot it, and turns up paid.
    let lost = prepared(&shop).await;
    shop.wire.loses(Loses::Memory);
    shop.later(2 * HOUR);
    shop.workers.ask_due().await.unwrap();
    assert_eq!(shop.now(&lost).await.state.name(), "failed");
    shop.wire.loses(None);
    shop.click().set(&Switch::once(Misbehaviour::NeverComplete)).unwrap();
    shop.click().finish(lost.order.as_str()).await.unwrap();

    shop.later(2 * HOUR);
    assert_eq!(shop.workers.reconcile_both_ways().await.unwrap(), Asked { asked: 3, changed: 2 });
    assert_eq!(how(&shop.now(&lost).await), Some(How::Late));
    let flagged = |payment: Payment| payment.flags.cancel_after_success && payment.state.is_completed();
    assert!(flagged(shop.now(&taken_back).await));
    assert!(!flagged(shop.now(&good).await) && !flagged(shop.now(&refunded).await));
    shop.later(2 * HOUR);
    assert_eq!(shop.workers.reconcile_both_ways().await.unwrap().changed, 0, "once is enough");
}

async fn reverse_by_hand(shop: &Till, paydoc: i64) {
    let now_s = shop.clock.now().unix_seconds();
    let mut config =
        sessile_providers::click::Config::new(12345, 54321, 10101, vec!["test_secret_key".into()]);
    config.api_url.clone_from(&shop.wire.url);
    let api = sessile_providers::click::MerchantApi::new(&config).unwrap();
    api.reverse(paydoc, now_s).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overdue_ends_and_what_is_forgotten_goes() {
    let shop = Till::open().await;
    let payment = shop.order().await;
    let processing = prepared(&shop).await;
    let choice = || NewCheckout {
        choice: Choice::new(&json!([{ "title": "one" }]), &json!({ "0": "basic" })).unwrap(),
        packages: json!({ "0": "basic" }),
        user: UserId::parse(shop.new_user()),
        existing: None,
        coupon: None,
    };
    let backend = Caller::Backend("shop".to_owned());
    let checkout = shop.checkouts.open(&backend, choice()).await.unwrap().checkout;
    assert_eq!(shop.workers.sweep_due().await.unwrap(), Swept::default());
    shop.later(31 * MINUTE);
    let swept = shop.workers.sweep_due().await.unwrap();
    assert_eq!(swept, Swept { payments_expired: 1, ..Swept::default() });
    assert_eq!(shop.now(&payment).await.state.name(), "expired");
    shop.later(DAY);
    let swept = shop.workers.sweep_due().await.unwrap();
    assert_eq!(swept, Swept { checkouts_expired: 1, ..Swept::default() });
    let row = shop.checkouts.show(&backend, &checkout.id).await.unwrap();
    assert!(matches!(row.state, CheckoutState::Expired { .. }));
    shop.later(7 * DAY + MINUTE);
    let swept = shop.workers.sweep_due().await.unwrap();
    assert_eq!(swept, Swept { checkouts_removed: 1, ..Swept::default() });
    assert!(shop.checkouts.show(&backend, &checkout.id).await.is_err());
    assert!(shop.now(&processing).await.state.is_processing(), "no timer ends it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_is_counted() {
    let shop = Till::open().await;
    shop.sale().await;
    shop.order().await;
    let census = shop.workers.count().await.unwrap();
    let of =
        |state: &str| census.counts.iter().find(|(_, name, _)| name == state).map(|(_, _, count)| *count);
    assert_eq!((of("completed"), of("pending")), (Some(1), Some(1)));
    assert_eq!(census.effects_pending, 2);
    let metrics = telemetry::render().unwrap();
    for name in [
        "sessile_ledger_rows{kind=\"payment\",state=\"completed\"}",
        "sessile_completion_ratio{kind=\"payment\"}",
        "sessile_ledger_attention{what=\"payments_stale\"}",
        "sessile_outbox_rows{state=\"pending\"}",
    ] {
        assert!(metrics.contains(name), "{name} is missing in:\n{metrics}");
    }
}
