//! A browser with a jar for one cookie, and what it is answered, as text: a map or a float in between would hide the
//! very things that the tests ask about.

use std::time::Duration;

use reqwest::{Client, Method, header};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::Outcome;

/// Longer than any request here takes, the late ones included.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One browser.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    /// `sid=…`, as it goes into `Cookie`.
    pub(crate) cookie: Option<String>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The whole `Set-Cookie`.
    pub(crate) set_cookie: Option<String>,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new() -> Outcome<Self> {
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { client: Client::builder().timeout(TIMEOUT).build()?, cookie: None })
    }

    /// Another one with the same cookie.
    pub(crate) fn with(&self, cookie: Option<String>) -> Self {
        Self { client: self.client.clone(), cookie }
    }

    pub(crate) async fn get(&mut self, app: &str, path: &str) -> Outcome<Reply> {
        self.ask(Method::GET, &format!("{app}{path}"), None).await
    }

    pub(crate) async fn post(&mut self, app: &str, path: &str, body: &str) -> Outcome<Reply> {
        self.ask(Method::POST, &format!("{app}{path}"), Some(body)).await
    }

    /// What the application says that the session holds.
    pub(crate) async fn session(&mut self, app: &str) -> Outcome<String> {
        self.get(app, "/get").await?.session()
    }

    /// The id that the cookie names.
    pub(crate) fn sid(&self) -> Outcome<String> {
        sid_of(self.cookie.as_deref().ok_or("the browser holds no cookie")?)
    }

    async fn ask(&mut self, method: Method, url: &str, body: Option<&str>) -> Outcome<Reply> {
        let mut request = self.client.request(method, url);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_owned());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let set_cookie =
            answer.headers().get(header::SET_COOKIE).map(|value| value.to_str().map(str::to_owned));
        let set_cookie = set_cookie.transpose()?;
        if let Some(set) = &set_cookie {
            self.keep(set);
        }
        Ok(Reply { status, set_cookie, body: answer.text().await? })
    }

    fn keep(&mut self, set: &str) {
        let pair = set.split(';').next().unwrap_or_default();
        // Both applications clear it with an empty value and a date in 1970.
        self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
    }
}

/// The id in `sid=s%3A<id>.<signature>`.
pub(crate) fn sid_of(cookie: &str) -> Outcome<String> {
    let signed = cookie.split_once("=s%3A").ok_or_else(|| format!("not a signed cookie: {cookie}"))?.1;
    Ok(signed.split_once('.').ok_or("a cookie without a signature")?.0.to_owned())
}

#[derive(Deserialize)]
struct View {
    session: Box<RawValue>,
}

impl Reply {
    /// What the session holds, as text, but for the note of the device that we keep in it: Express shows every key.
    pub(crate) fn session(&self) -> Outcome<String> {
        let view: View = serde_json::from_str(&self.body)
            .map_err(|error| format!("{error} in {} {}", self.status, self.body))?;
        Ok(without_device(view.session.get()))
    }

    pub(crate) fn json(&self) -> Outcome<Value> {
        Ok(serde_json::from_str(&self.body)?)
    }

    /// The attributes of `Set-Cookie`, by lower-case name.
    pub(crate) fn attributes(&self) -> Vec<(String, String)> {
        let set = self.set_cookie.as_deref().unwrap_or_default();
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.trim().to_ascii_lowercase(), value.trim().to_owned())
        };
        set.split(';').skip(1).map(pair).collect()
    }
}

/// Our note holds texts and numbers only, so that it ends at the first brace.
fn without_device(json: &str) -> String {
    let cut = json.find(r#""sessile":{"#).and_then(|from| {
        let to = from + json[from..].find('}')? + 1;
        Some(match (&json[..from], &json[to..]) {
            (before, after) if after.starts_with(',') => format!("{before}{}", &after[1..]),
            (before, after) => format!("{}{after}", before.trim_end_matches(',')),
        })
    });
    cut.unwrap_or_else(|| json.to_owned())
}
