//! A shop on the whole server: its backend, its operator, its buyers, and its ledger seen from outside.

use crate::world::{ADMIN_TOKEN, API_KEY, Browser, World, client};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sessile_core::ledger::{EffectState, Kind, LedgerStore, PaymentFilter};
use sessile_core::{Clock, OsEntropy, SystemClock};
use std::fmt::Write as _;
use std::sync::Arc;

/// Packages whose prices are whole so'm: 1000 and 5000.
pub(crate) const CATALOGUE: &str =
    r#"{"currency":"UZS","packages":{"basic":{"price":100000},"pro":{"price":500000}}}"#;

/// A new user's id.
pub(crate) fn user() -> String {
    let mut bytes = [0_u8; 16];
    sessile_core::Entropy::fill(&OsEntropy, &mut bytes).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// An answer that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Said {
    pub(crate) async fn of(response: Response) -> Self {
        Self { status: response.status().as_u16(), text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Status and body at once.
    pub(crate) fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, self.json()), (status, body.clone()));
    }

    /// The same without what names the request.
    pub(crate) fn without_id(&self) -> (u16, String) {
        let mut body: Value =
            serde_json::from_str(&self.text).unwrap_or_else(|_| json!({ "text": self.text }));
        body.as_object_mut().map(|fields| fields.remove("request_id"));
        (self.status, body.to_string())
    }

    pub(crate) fn code(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Somebody with a bearer token.
pub(crate) struct Staff {
    home: String,
    client: Client,
    token: &'static str,
}

impl Staff {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.home)).bearer_auth(self.token)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Said {
        Said::of(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Said {
        let request = self.request(Method::POST, path).header("idempotency-key", key);
        Said::of(request.json(body).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Said {
        Said::of(self.request(Method::GET, path).send().await.unwrap()).await
    }
}

impl World {
    pub(crate) async fn selling() -> Self {
        Self::shop(&[], Arc::new(SystemClock)).await
    }

    /// With prices of its own.
    pub(crate) async fn priced() -> Self {
        Self::shop(&[("SESSILE_CATALOGUE", CATALOGUE)], Arc::new(SystemClock)).await
    }

    /// At an hour that the test moves.
    pub(crate) async fn at(clock: Arc<dyn Clock>, settings: &[(&str, &str)]) -> Self {
        Self::shop(settings, clock).await
    }

    pub(crate) fn backend(&self) -> Staff {
        Staff { home: self.home.clone(), client: client(), token: API_KEY }
    }

    pub(crate) fn operator(&self) -> Staff {
        Staff { home: self.home.clone(), client: client(), token: ADMIN_TOKEN }
    }

    pub(crate) fn ledger(&self) -> &dyn LedgerStore {
        &**self.ledger.as_ref().unwrap()
    }

    /// Everything that is stored, as text: equal texts are equal ledgers.
    pub(crate) async fn whole_ledger(&self) -> String {
        let ledger = self.ledger();
        let mut text = format!("{:?}\n", ledger.audit_head().await.unwrap());
        for kind in [Kind::Checkout, Kind::Payment, Kind::Coupon, Kind::Grant, Kind::Refund] {
            let mut after = None;
            loop {
                let page = ledger.page(kind, &PaymentFilter::default(), after.as_ref(), 100).await.unwrap();
                for row in page.rows {
                    writeln!(text, "{row:?}").unwrap();
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        for state in [EffectState::Pending, EffectState::Dead] {
            writeln!(text, "{:?}", ledger.effects(state, 100).await.unwrap()).unwrap();
        }
        text
    }

    /// A payment of 1000 so'm that a backend makes; its order.
    pub(crate) async fn payment(&self) -> String {
        self.payment_of(&user()).await["orderId"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn payment_of(&self, user: &str) -> Value {
        let body = json!({ "amount": 1000, "userId": user, "userEmail": "ada@example.com" });
        let said = self.backend().post("/api/click/create-transaction", &body).await;
        assert_eq!(said.status, 200, "{said:?}");
        said.json()
    }
}

impl Browser {
    /// As a page's own script posts JSON.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Said {
        let request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin");
        Said::of(self.send(request.json(body)).await).await
    }

    pub(crate) async fn read(&self, path: &str) -> Said {
        Said::of(self.get(path).await).await
    }

    /// A checkout of one package; its id.
    pub(crate) async fn choose(&self, package: &str) -> String {
        let said = self.post_json("/api/create-checkout-session", &choice(package)).await;
        assert_eq!(said.status, 200, "{said:?}");
        said.json()["sessionId"].as_str().unwrap().to_owned()
    }
}

/// What a page sends for one track.
pub(crate) fn choice(package: &str) -> Value {
    json!({ "tracks": [{ "title": "one" }], "selectedPackages": { "0": package }, "userId": null })
}
