//! Every public route, as the program's own description names them, and what a storm sends there.

use crate::load::Outcome;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use std::collections::BTreeSet;

/// Letters of a made-up id.
const ID_CHARS: usize = 24;
/// Bodies that no route can use, and one that looks like many.
const BODIES: [&str; 6] = [
    "{}",
    "{",
    "[1,2,3]",
    r#"{"sessionId":"cs_x","code":"NOPE","amount":1,"tracks":[1],"selectedPackages":["basic"],"couponCode":"NOPE"}"#,
    r#"{"prompt":"x","priceId":"price_x","quantity":3,"number":"998901234567","message":"x","note":"x"}"#,
    "\u{0}\u{1}",
];

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Statuses that are described.
    pub(crate) described: BTreeSet<u16>,
    pub(crate) takes_a_body: bool,
}

impl Route {
    /// All of them, but for streams, which do not end.
    pub(crate) async fn all(home: &str, http: &Client) -> Outcome<Vec<Self>> {
        let answer = http.get(format!("{home}/openapi.json")).send().await?;
        let description: Value = answer.error_for_status()?.json().await?;
        let paths = description["paths"].as_object().ok_or("a description without paths")?;
        let mut routes = Vec::new();
        for (path, item) in paths.iter().filter(|(path, _)| !path.ends_with("/events")) {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let statuses = operation["responses"].as_object().into_iter().flatten();
                routes.push(Self {
                    method: method.to_uppercase().parse()?,
                    path: path.clone(),
                    described: statuses.filter_map(|(status, _)| status.parse().ok()).collect(),
                    takes_a_body: operation.get("requestBody").is_some(),
                });
            }
        }
        Ok(routes)
    }

    /// A request that it cannot like.
    pub(crate) fn request(&self, home: &str, http: &Client, rng: &mut fastrand::Rng) -> RequestBuilder {
        let id: String = std::iter::repeat_with(|| rng.alphanumeric()).take(ID_CHARS).collect();
        let parts = self.path.split('/').map(|part| if part.starts_with('{') { id.as_str() } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let request =
            http.request(self.method.clone(), format!("{home}{path}?cursor={id}&code={id}&state={id}"));
        if self.method != Method::POST {
            return request;
        }
        let body = BODIES[rng.usize(..BODIES.len())];
        let request = request.header("content-type", "application/json").body(body);
        request.header("stripe-signature", "t=1,v1=00").header("idempotency-key", id)
    }
}
