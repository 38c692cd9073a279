//! Many payments while the merchant's processes come and go.

use sessile_sandbox::click::{AttemptState as S, Callbacks, Reply, Unanswered};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::merchant::{AMOUNT, Merchant, Script};
use crate::world::{World, config};

fn orders(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("order{number}"), AMOUNT.to_owned())).collect()
}

/// A process of its own as far as its connections go: ending the runtime cuts all of them, answered or not.
fn process(merchant: &Merchant, at: SocketAddr) -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let merchant = merchant.clone();
    runtime.spawn(async move {
        merchant.listen(TcpListener::bind(at).await.unwrap());
    });
    runtime
}

#[tokio::test]
async fn a_thousand_payments_survive_a_merchant_that_keeps_dying() {
    let orders = orders(1000);
    let world = World::with(config(), orders.iter().map(|(order, _)| order.clone())).await;
    // A second process on its own port shares the merchant's books and stays.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = listener.local_addr().unwrap();
    let _other = world.merchant.listen(listener);
    let callbacks = [world.address, other]
        .map(|at| Callbacks::new(format!("http://{at}/prepare"), format!("http://{at}/complete")));
    world.click().set_callbacks_in_turn(callbacks.into()).unwrap();
    world.process.abort();
    let _ = world.process.await;
    let kill = async {
        for _ in 0..5 {
            let running = process(&world.merchant, world.address);
            tokio::time::sleep(Duration::from_millis(40)).await;
            world.merchant.script(&[Script::DoneThen500, Script::Status(503)]);
            running.shutdown_background();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let click = world.sandbox.click();
    let (attempts, ()) = tokio::join!(click.pay_all(&orders, 32, Duration::from_secs(60)), kill);
    let attempts = attempts.unwrap();
    for ((order, _), attempt) in orders.iter().zip(&attempts) {
        assert_eq!((&attempt.order, attempt.state), (order, S::Successful), "{attempt:?}");
        assert!(attempt.acknowledged() >= 1, "{attempt:?}");
        assert_eq!(world.merchant.fulfilled(order), 1, "{order}");
    }
    let cut = attempts
        .iter()
        .flat_map(|attempt| &attempt.messages)
        .filter(|exchange| exchange.reply == Reply::Unanswered(Unanswered::Connection));
    assert!(cut.count() > 0, "nothing was killed");
}

#[tokio::test]
async fn it_ends_when_the_time_is_up() {
    let world = World::with(config(), orders(3).into_iter().map(|(order, _)| order)).await;
    world.process.abort();
    let _ = world.process.await;
    let click = world.sandbox.click();
    let three = orders(3);
    let paying = click.pay_all(&three, 2, Duration::from_millis(100));
    let attempts = tokio::time::timeout(Duration::from_secs(5), paying).await.unwrap().unwrap();
    assert!(attempts.iter().all(|attempt| attempt.state == S::Cancelled && attempt.debited_tiyin == 0));
    assert!(attempts[0].messages.len() > 4, "it gave up before its time");
}
