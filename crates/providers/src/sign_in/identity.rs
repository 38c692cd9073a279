//! Who signed in, as the provider says it.

use openidconnect::core::{CoreTokenResponse, CoreUserInfoClaims};
use openidconnect::{EndUserName, EndUserUsername, LocalizedClaim, OAuth2TokenResponse};
use secrecy::SecretString;

use super::verify::Claims;

/// A verified identity. The subject is the stable key; everything else is the provider's word and may change or be absent.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `sub`: stable, unique at this provider, never reassigned.
    pub subject: String,
    /// Absent when the provider withholds it, whatever was asked for.
    pub email: Option<String>,
    /// Whether the provider has checked that the address is theirs. Never link accounts by an unverified one.
    pub email_verified: bool,
    /// What to call them: `name`, else `preferred_username`.
    pub name: Option<String>,
    /// URL of a picture, not checked.
    pub picture: Option<String>,
    /// For [`SignIn::revoke`](super::SignIn::revoke) at logout. Seal it before storing it.
    pub refresh_token: Option<SecretString>,
}

impl Identity {
    /// Userinfo's word first, the ID token's where userinfo is silent; an address and its verification come from one
    /// source, so that neither vouches for the other's address.
    pub(crate) fn assemble(
        claims: &Claims,
        userinfo: Option<&CoreUserInfoClaims>,
        tokens: &CoreTokenResponse,
    ) -> Self {
        let email = userinfo
            .and_then(|info| info.email().map(|email| (email, info.email_verified())))
            .or_else(|| claims.email().map(|email| (email, claims.email_verified())));
        let name = userinfo
            .and_then(|info| called(info.name(), info.preferred_username()))
            .or_else(|| called(claims.name(), claims.preferred_username()));
        let picture = userinfo.and_then(CoreUserInfoClaims::picture).or_else(|| claims.picture());
        Self {
            subject: claims.subject().to_string(),
            email: email.map(|(email, _)| email.to_string()),
            email_verified: email.is_some_and(|(_, verified)| verified == Some(true)),
            name,
            picture: picture.and_then(|picture| picture.get(None)).map(|picture| picture.to_string()),
            refresh_token: tokens.refresh_token().map(|token| SecretString::from(token.secret().clone())),
        }
    }
}

fn called(name: Option<&LocalizedClaim<EndUserName>>, username: Option<&EndUserUsername>) -> Option<String> {
    let name = name.and_then(|name| name.get(None)).map(|name| name.to_string());
    name.or_else(|| username.map(|username| username.to_string()))
}
