//! A stand-in Click to click through: `cargo run -p sessile-sandbox --example click`. Ends with Ctrl-C.
//!
//! It calls an application on port 3000; without one, paying ends with "did not answer".

use sessile_sandbox::Sandbox;
use sessile_sandbox::click::ClickConfig;
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shop = "http://localhost:3000";
    let config = ClickConfig::demo()
        .with_callbacks(format!("{shop}/api/click/prepare"), format!("{shop}/api/click/complete"));
    println!("CLICK_SERVICE_ID={} CLICK_MERCHANT_ID={}", config.service_id, config.merchant_id);
    println!("CLICK_MERCHANT_USER_ID={} CLICK_SECRET_KEY={}", config.merchant_user_id, config.secret_key);
    let sandbox = Sandbox::start(config).await?;
    println!("CLICK_PAY_URL={} CLICK_API_URL={}", sandbox.click_pay_url(), sandbox.click_api_url());
    println!("what is going on: {}/sandbox/click", sandbox.base_url());
    println!(
        "a payment: {}?service_id=12345&merchant_id=54321&amount=1000.00&transaction_param=demo&return_url={shop}/",
        sandbox.click_pay_url()
    );
    tokio::signal::ctrl_c().await?;
    sandbox.stop().await;
    Ok(())
}
