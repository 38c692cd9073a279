//! What was granted: codes, access tokens, refresh tokens, and the family they descend from.
//!
//! A family begins with one consent. A replayed code kills everything issued from it; a reused refresh token kills the
//! family; a revocation ends refreshing and leaves access tokens to run out, as Whop documents. Pure: time and fresh
//! tokens are arguments.

use std::collections::HashMap;
use std::time::Duration;

use super::error::OAuthError;
use super::keys::s256;
use super::people::Person;

/// Entries kept per kind. A full table forgets its expired entries, and everything if none is expired.
pub(crate) const ENTRIES_MAX: usize = 10_000;
/// How long a used or expired code is remembered, so that its replay is noticed.
const CODE_MEMORY_MS: i64 = 3_600_000;
/// How long a refresh token is remembered.
const REFRESH_MEMORY_MS: i64 = 30 * 24 * 3_600_000;

/// What the person agreed to.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    pub(crate) person: &'static Person,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) nonce: String,
    pub(crate) code_challenge: String,
}

/// New tokens to hand out, drawn by the caller.
pub(crate) struct FreshTokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What a successful exchange or refresh gives.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) consent: Consent,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Active,
    /// The refresh token was revoked: access tokens run out on their own.
    Ended,
    /// A code or refresh token came twice: nothing of it is good any more.
    Compromised,
}

struct Code {
    consent: Consent,
    family: u64,
    issued_at_ms: i64,
    used: bool,
}

struct Access {
    consent: Consent,
    family: u64,
    issued_at_ms: i64,
}

struct Refresh {
    consent: Consent,
    family: u64,
    issued_at_ms: i64,
    used: bool,
}

/// Every live and remembered grant.
#[derive(Default)]
pub(crate) struct Grants {
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    families: HashMap<u64, Family>,
    next_family: u64,
}

impl Grants {
    /// Records a consent under a new code.
    pub(crate) fn agree(&mut self, code: String, consent: Consent, now_ms: i64) {
        make_room(&mut self.codes, |code| now_ms - code.issued_at_ms < CODE_MEMORY_MS);
        self.forget_families_without_tokens();
        self.next_family += 1;
        let family = self.next_family;
        self.families.insert(family, Family::Active);
        self.codes.insert(code, Code { consent, family, issued_at_ms: now_ms, used: false });
    }

    /// Exchanges a code, once.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        fresh: FreshTokens,
        (now_ms, lifetime): (i64, Duration),
    ) -> Result<Issued, OAuthError> {
        let Some(found) = self.codes.get_mut(code) else {
            return Err(OAuthError::invalid_grant("Authorization code is unknown"));
        };
        let (family, used) = (found.family, std::mem::replace(&mut found.used, true));
        if used {
            self.families.insert(family, Family::Compromised);
            return Err(OAuthError::invalid_grant(
                "Authorization code was already used; the tokens issued from it are revoked",
            ));
        }
        if now_ms - found.issued_at_ms >= span_ms(lifetime) {
            return Err(OAuthError::invalid_grant("Authorization code has expired"));
        }
        if found.consent.redirect_uri != redirect_uri {
            return Err(OAuthError::invalid_grant("redirect_uri differs from the authorization request's"));
        }
        if s256(verifier) != found.consent.code_challenge {
            return Err(OAuthError::invalid_grant("code_verifier does not match the code_challenge"));
        }
        let consent = found.consent.clone();
        Ok(self.issue(consent, family, fresh, now_ms))
    }

    /// Rotates a refresh token. An old one that comes again ends its family.
    pub(crate) fn rotate(
        &mut self,
        token: &str,
        fresh: FreshTokens,
        now_ms: i64,
    ) -> Result<Issued, OAuthError> {
        let Some(found) = self.refresh.get_mut(token) else {
            return Err(OAuthError::invalid_grant("Refresh token is unknown"));
        };
        let (family, consent) = (found.family, found.consent.clone());
        let used = std::mem::replace(&mut found.used, true);
        if self.families.get(&family) != Some(&Family::Active) {
            return Err(OAuthError::invalid_grant("Refresh token is revoked"));
        }
        if used {
            self.families.insert(family, Family::Compromised);
            return Err(OAuthError::invalid_grant(
                "Refresh token was already used; every token of this sign-in is revoked",
            ));
        }
        Ok(self.issue(consent, family, fresh, now_ms))
    }

    /// Ends refreshing. Unknown tokens are fine (RFC 7009, 2.2).
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let Some(found) = self.refresh.get(token) else {
            return false;
        };
        let state = self.families.entry(found.family).or_insert(Family::Ended);
        if *state == Family::Active {
            *state = Family::Ended;
        }
        true
    }

    /// Who an access token speaks for, while it is good.
    pub(crate) fn bearer(&self, token: &str, now_ms: i64, lifetime: Duration) -> Option<&Consent> {
        let found = self.access.get(token)?;
        let compromised = self.families.get(&found.family) == Some(&Family::Compromised);
        let expired = now_ms - found.issued_at_ms >= span_ms(lifetime);
        (!compromised && !expired).then_some(&found.consent)
    }

    fn issue(&mut self, consent: Consent, family: u64, fresh: FreshTokens, now_ms: i64) -> Issued {
        make_room(&mut self.access, |access| now_ms - access.issued_at_ms < CODE_MEMORY_MS);
        make_room(&mut self.refresh, |refresh| now_ms - refresh.issued_at_ms < REFRESH_MEMORY_MS);
        let FreshTokens { access, refresh } = fresh;
        let entry = Access { consent: consent.clone(), family, issued_at_ms: now_ms };
        self.access.insert(access.clone(), entry);
        let entry = Refresh { consent: consent.clone(), family, issued_at_ms: now_ms, used: false };
        self.refresh.insert(refresh.clone(), entry);
        Issued { consent, access, refresh }
    }

    fn forget_families_without_tokens(&mut self) {
        if self.families.len() < ENTRIES_MAX {
            return;
        }
        let (codes, access, refresh) = (&self.codes, &self.access, &self.refresh);
        let alive: std::collections::HashSet<u64> = (codes.values().map(|code| code.family))
            .chain(access.values().map(|access| access.family))
            .chain(refresh.values().map(|refresh| refresh.family))
            .collect();
        self.families.retain(|family, _| alive.contains(family));
    }
}

fn make_room<T>(table: &mut HashMap<String, T>, keep: impl Fn(&T) -> bool) {
    if table.len() < ENTRIES_MAX {
        return;
    }
    table.retain(|_, entry| keep(entry));
    if table.len() >= ENTRIES_MAX {
        table.clear();
    }
}

fn span_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::people::PEOPLE;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn fresh(name: &str) -> FreshTokens {
        FreshTokens { access: format!("access-{name}"), refresh: format!("refresh-{name}") }
    }

    fn agreed() -> Grants {
        let mut grants = Grants::default();
        let consent = Consent {
            person: &PEOPLE[0],
            redirect_uri: "http://app/callback".into(),
            scope: "openid".into(),
            nonce: "n".into(),
            code_challenge: s256(VERIFIER),
        };
        grants.agree("code".into(), consent, 0);
        grants
    }

    fn exchange(grants: &mut Grants, name: &str, now_ms: i64) -> Result<Issued, OAuthError> {
        grants.exchange("code", "http://app/callback", VERIFIER, fresh(name), (now_ms, MINUTE))
    }

    #[test]
    fn a_code_is_good_until_its_last_millisecond() {
        assert!(exchange(&mut agreed(), "a", 59_999).is_ok());
        assert_eq!(exchange(&mut agreed(), "a", 60_000).unwrap_err().code, "invalid_grant");
    }

    #[test]
    fn a_replayed_code_takes_its_tokens_with_it() {
        let mut grants = agreed();
        exchange(&mut grants, "a", 1).unwrap();
        assert!(grants.bearer("access-a", 2, MINUTE).is_some());
        assert_eq!(exchange(&mut grants, "b", 2).unwrap_err().code, "invalid_grant");
        assert!(grants.bearer("access-a", 2, MINUTE).is_none());
        assert!(grants.rotate("refresh-a", fresh("c"), 2).is_err());
    }

    #[test]
    fn a_reused_refresh_token_ends_the_family() {
        let mut grants = agreed();
        exchange(&mut grants, "a", 1).unwrap();
        grants.rotate("refresh-a", fresh("b"), 2).unwrap();
        assert!(grants.rotate("refresh-a", fresh("c"), 3).is_err());
        assert!(grants.rotate("refresh-b", fresh("d"), 4).is_err());
        assert!(grants.bearer("access-b", 4, MINUTE).is_none());
    }

    #[test]
    fn a_revocation_ends_refreshing_only() {
        let mut grants = agreed();
        exchange(&mut grants, "a", 1).unwrap();
        assert!(grants.revoke("refresh-a"));
        assert!(!grants.revoke("never issued"));
        assert!(grants.rotate("refresh-a", fresh("b"), 2).is_err());
        assert!(grants.bearer("access-a", 2, MINUTE).is_some());
        assert!(grants.bearer("access-a", 60_001, MINUTE).is_none());
    }

    #[test]
    fn a_wrong_verifier_or_redirect_burns_the_code() {
        let mut grants = agreed();
        let wrong = grants.exchange("code", "http://app/callback", "other", fresh("a"), (1, MINUTE));
        assert_eq!(wrong.unwrap_err().code, "invalid_grant");
        assert!(exchange(&mut grants, "b", 2).is_err());
        let wrong = agreed().exchange("code", "http://app/other", VERIFIER, fresh("a"), (1, MINUTE));
        assert_eq!(wrong.unwrap_err().code, "invalid_grant");
    }
}
