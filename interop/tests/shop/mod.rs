//! A shop on the program itself: `sessile serve` in production, the stand-in CLICK that its buyers pay with, and the
//! backend that creates payments with an API key. Used by tests that kill things and by clients that others wrote.

mod backend;
mod server;

pub(crate) use backend::Wanted;
pub(crate) use server::Server;

use super::load::{Outcome, note_secret};
use reqwest::Client;
use serde_json::Value;
use sessile_interop::servers::free_port;
use sessile_sandbox::click::{ClickConfig, ClickControl, Retry};
use sessile_sandbox::{Sandbox, SandboxConfig};
use std::time::Duration;

/// Longer than any timeout of the program.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// Tries of one message by a CLICK that waits out whatever is killed meanwhile.
pub(crate) const PATIENT: u32 = 400;
/// Letters and digits of a key or a token.
const SECRET_CHARS: usize = 48;

/// The shop: what its buyers and its backend hold, and the program, which can be killed beside them.
pub(crate) struct Shop {
    pub(crate) till: Till,
    pub(crate) server: Server,
}

/// Everything outside of the program.
pub(crate) struct Till {
    pub(crate) sandbox: Sandbox,
    /// CLICK's side of the contract.
    pub(crate) click: ClickConfig,
    /// The program's base URL, without a slash at the end.
    pub(crate) home: String,
    pub(crate) http: Client,
    api_key: String,
    admin_token: String,
}

impl Shop {
    /// Opens on `database`; `None` is a SQLite file of its own. CLICK repeats a message fast, and so often.
    pub(crate) async fn open(name: &str, database: Option<&str>, tries_max: u32) -> Outcome<Self> {
        let [session, api_key, admin_token, secret_key] = secrets()?;
        let retry = Retry {
            first_delay: Duration::from_millis(20),
            delay_max: Duration::from_millis(250),
            tries_max,
            call_timeout: Duration::from_secs(5),
            total_time: Duration::from_secs(180),
        };
        let click = ClickConfig { retry, ..ClickConfig::new("12345", "54321", "10101", &secret_key) };
        let sandbox = Sandbox::start(SandboxConfig::new().with_click(click.clone())).await?;
        let port = free_port()?;
        let home = format!("http://127.0.0.1:{port}");
        let [prepare, complete] = ["prepare", "complete"].map(|step| format!("{home}/api/click/{step}"));
        sandbox.click().set_callbacks(prepare, complete)?;
        let mut env: Vec<(&'static str, String)> = vec![
            ("SESSILE_ENV", "production".to_owned()),
            ("SESSILE_COOKIE_SECURE", "false".to_owned()),
            ("HOST", "127.0.0.1".to_owned()),
            ("PORT", port.to_string()),
            ("APP_URL", home.clone()),
            ("SESSION_SECRET", session),
            ("SESSILE_API_KEYS", format!("shop:{api_key}")),
            ("SESSILE_ADMIN_TOKEN", admin_token.clone()),
            ("CLICK_SERVICE_ID", click.service_id.clone()),
            ("CLICK_MERCHANT_ID", click.merchant_id.clone()),
            ("CLICK_MERCHANT_USER_ID", click.merchant_user_id.clone()),
            ("CLICK_SECRET_KEY", secret_key),
            ("CLICK_PAY_URL", sandbox.click_pay_url()),
            ("CLICK_API_URL", sandbox.click_api_url()),
        ];
        env.extend(database.map(|url| ("DATABASE_URL", url.to_owned())));
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redirect = reqwest::redirect::Policy::none();
        let http = Client::builder().timeout(ANSWER_LIMIT).redirect(redirect).no_proxy().build()?;
        let mut server = Server::new(name, port, env, http.clone())?;
        server.start().await?;
        Ok(Self { till: Till { sandbox, click, home, http, api_key, admin_token }, server })
    }
}

impl Till {
    /// CLICK.
    pub(crate) fn click(&self) -> &ClickControl {
        self.sandbox.click()
    }

    /// A coupon, made by the operator.
    pub(crate) async fn make_coupon(&self, coupon: &Value) -> Outcome {
        let url = format!("{}/v1/admin/coupons", self.home);
        let request = self.http.post(url).bearer_auth(&self.admin_token);
        let key = format!("make-{}", coupon["code"].as_str().unwrap_or_default());
        let answer = request.header("idempotency-key", key).json(coupon).send().await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("a coupon was refused with {status}: {}", answer.text().await?).into());
        }
        Ok(())
    }
}

fn secrets() -> Outcome<[String; 4]> {
    let made = std::array::from_fn(|_| {
        std::iter::repeat_with(fastrand::alphanumeric).take(SECRET_CHARS).collect::<String>()
    });
    made.iter().try_for_each(|secret| note_secret(secret))?;
    Ok(made)
}
