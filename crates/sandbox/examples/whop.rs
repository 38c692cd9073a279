//! A stand-in Whop to click through: `cargo run -p sessile-sandbox --example whop`. Ends with Ctrl-C.

use sessile_sandbox::Sandbox;
use sessile_sandbox::whop::WhopConfig;
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redirect = "http://localhost:3000/auth/whop/callback";
    let sandbox = Sandbox::start(WhopConfig::new("app_example", vec![redirect.to_owned()])).await?;
    println!(
        "WHOP_CLIENT_ID=app_example WHOP_REDIRECT_URI={redirect} WHOP_BASE_URL={}",
        sandbox.whop_base_url()
    );
    println!("what is going on: {}/sandbox/whop", sandbox.base_url());
    tokio::signal::ctrl_c().await?;
    sandbox.stop().await;
    Ok(())
}
