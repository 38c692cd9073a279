//! A stand-in, a merchant it calls, and a browser.

use reqwest::header::LOCATION;
use reqwest::{Client, Response};
use sessile_sandbox::click::{ClickConfig, ClickControl};
use sessile_sandbox::{Sandbox, SandboxConfig};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::merchant::Merchant;

pub(crate) const ORDER: &str = "ckabcdefghijklmnopqrstuv";
pub(crate) const BACK: &str = "http://localhost:3000/api/click/return?x=1";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) merchant: Merchant,
    pub(crate) http: Client,
    pub(crate) process: JoinHandle<()>,
    pub(crate) address: std::net::SocketAddr,
}

/// Fast enough for tests: a call is given up after 300 ms, tries are 2, 4, 8… ms apart.
pub(crate) fn config() -> ClickConfig {
    let mut config = ClickConfig::new("12345", "54321", "10101", crate::merchant::SECRET);
    config.retry.first_delay = Duration::from_millis(2);
    config.retry.delay_max = Duration::from_millis(20);
    config.retry.call_timeout = Duration::from_millis(300);
    config.retry.tries_max = 4;
    config
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(config(), [ORDER.to_owned()]).await
    }

    pub(crate) async fn with(config: ClickConfig, orders: impl IntoIterator<Item = String>) -> Self {
        // `Err` means that another test in this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let merchant = Merchant::with_orders(orders);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let process = merchant.listen(listener);
        let sandbox = Sandbox::start(SandboxConfig::new().with_click(config)).await.unwrap();
        let home = format!("http://{address}");
        sandbox.click().set_callbacks(format!("{home}/prepare"), format!("{home}/complete")).unwrap();
        let redirects = reqwest::redirect::Policy::none();
        let http = Client::builder().redirect(redirects).no_proxy().build().unwrap();
        Self { sandbox, merchant, http, process, address }
    }

    pub(crate) fn click(&self) -> &ClickControl {
        self.sandbox.click()
    }

    pub(crate) async fn press(&self, decision: &str) -> Response {
        let form = [
            ("service_id", "12345"),
            ("merchant_id", "54321"),
            ("amount", crate::merchant::AMOUNT),
            ("transaction_param", ORDER),
            ("return_url", BACK),
            ("decision", decision),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(self.sandbox.click_pay_url()).body(body);
        let form = "application/x-www-form-urlencoded";
        request.header("content-type", form).send().await.unwrap()
    }
}

/// Where a redirect leads.
pub(crate) fn location(response: &Response) -> String {
    assert_eq!(response.status(), 303);
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}
