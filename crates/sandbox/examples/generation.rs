//! A stand-in Stripe and a stand-in SuperDuperAI to click through: `cargo run -p sessile-sandbox --example generation`.
//! Ends with Ctrl-C. They tell an application on port 3000; without one, events are given up.

use sessile_sandbox::stripe::{StripeConfig, Webhook};
use sessile_sandbox::superduperai::SuperDuperAiConfig;
use sessile_sandbox::{Sandbox, SandboxConfig};
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = "whsec_sandbox";
    let webhook = Webhook::new("http://localhost:3000/api/webhooks/stripe", [secret]);
    let (stripe, superduperai) = (StripeConfig::demo().with_webhook(webhook), SuperDuperAiConfig::demo());
    println!("STRIPE_SECRET_KEY={} STRIPE_WEBHOOK_SECRET={secret}", stripe.secret_key);
    println!("STRIPE_PRICE_SINGLE={} STRIPE_PRICE_TRIPLE={}", stripe.prices[0].id, stripe.prices[1].id);
    println!("SUPERDUPERAI_TOKEN={}", superduperai.token);
    let config = SandboxConfig::new().with_stripe(stripe).with_superduperai(superduperai);
    let sandbox = Sandbox::start(config).await?;
    println!("STRIPE_API_URL={} SUPERDUPERAI_URL={}", sandbox.stripe_api_url(), sandbox.superduperai_url());
    println!("what is going on: {0}/sandbox/stripe {0}/sandbox/superduperai", sandbox.base_url());
    tokio::signal::ctrl_c().await?;
    sandbox.stop().await;
    Ok(())
}
