//! Supabase's admin API: a user's tier, in the user's `app_metadata`.
//!
//! `app_metadata` is what the user cannot change and what access tokens carry. The API merges it key by key, so that
//! whatever else an application keeps there stays. Called by the outbox; it never creates a user.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::fmt;
use url::Url;

use crate::outgoing::{Unusable, check, client, status_of};
use crate::transport::Timeouts;

const SETTING: &str = "SUPABASE_URL";
const KEY_SETTING: &str = "SUPABASE_SERVICE_ROLE_KEY";
const API_KEY: HeaderName = HeaderName::from_static("apikey");

/// A project's users.
#[derive(Clone)]
pub struct Admin {
    http: reqwest::Client,
    url: Url,
    key: SecretString,
}

/// What came of writing a tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is there.
    Done,
    /// The project has no such user.
    NoSuchUser,
    /// It has to be tried again; the sentence says what happened and what to do.
    Failed(String),
}

impl Admin {
    /// Of the project at `url`, as its service role.
    ///
    /// # Errors
    /// [`Unusable`] says what is wrong with the settings.
    pub fn new(url: &Url, key: SecretString, timeouts: Timeouts) -> Result<Self, Unusable> {
        check(url, SETTING)?;
        if url.cannot_be_a_base() || header(key.expose_secret()).is_none() {
            let what = "it cannot be sent in a header; copy it again".to_owned();
            return Err(Unusable::Secret { setting: KEY_SETTING, what });
        }
        Ok(Self { http: client(url, timeouts)?, url: url.clone(), key })
    }

    /// Writes a user's tier. `user` is the auth user's UUID.
    pub async fn write_tier(&self, user: &str, tier: &str) -> Written {
        let mut url = self.url.clone();
        // Each segment is escaped, so that an id cannot lead anywhere else.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["auth", "v1", "admin", "users", user]);
        }
        let key = self.key.expose_secret();
        let (Some(api_key), Some(bearer)) = (header(key), header(&format!("Bearer {key}"))) else {
            return Written::Failed("SUPABASE_SERVICE_ROLE_KEY cannot be sent in a header".to_owned());
        };
        let request = self.http.put(url).header(API_KEY, api_key).header(AUTHORIZATION, bearer);
        match status_of(request.json(&json!({ "app_metadata": { "tier": tier } }))).await {
            Ok(200..=299) => Written::Done,
            Ok(404) => Written::NoSuchUser,
            Ok(status @ (401 | 403)) => Written::Failed(format!(
                "Supabase refused our key ({status}); compare SUPABASE_SERVICE_ROLE_KEY and SUPABASE_URL with the \
                 project's API settings"
            )),
            Ok(status) => Written::Failed(format!("Supabase answered {status}")),
            Err(what) => Written::Failed(format!("Supabase: {what}")),
        }
    }
}

/// Marked, so that no log of headers shows it.
fn header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
