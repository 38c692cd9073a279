//! The checks on an ID token, all of them made by `openidconnect`: signature against the published keys, issuer,
//! audience, expiry, nonce, and the access token's hash where the token carries one.

use chrono::{DateTime, Duration, Utc};
use openidconnect::core::{
    CoreGenderClaim, CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKey, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, EmptyAdditionalClaims, IdTokenClaims,
    Nonce, SignatureVerificationError,
};

use super::directory::Provider;
use super::error::{IdTokenFault, SignInError};
use crate::transport::shortened;

/// How far the provider's clock and ours may be apart.
const CLOCK_SKEW_MAX_SECONDS: i64 = 60;

/// Signatures we accept: asymmetric ones. With HS256 our own client secret would be a signing key; `none` is no signature.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
];

pub(crate) type Claims = IdTokenClaims<EmptyAdditionalClaims, CoreGenderClaim>;

/// What an ID token must fit.
pub(crate) struct Expected<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) access_token: &'a AccessToken,
    pub(crate) now_ms: i64,
}

/// Verifies the token and gives its claims.
pub(crate) fn id_token<'t>(
    token: &'t CoreIdToken,
    provider: &Provider,
    expected: &Expected<'_>,
) -> Result<&'t Claims, SignInError> {
    let now = DateTime::<Utc>::from_timestamp_millis(expected.now_ms).unwrap_or_default();
    let skew = Duration::seconds(CLOCK_SKEW_MAX_SECONDS);
    let client_id = ClientId::new(expected.client_id.to_owned());
    let verifier =
        CoreIdTokenVerifier::new_public_client(client_id, provider.issuer.clone(), provider.keys.clone())
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now - skew)
            .set_issue_time_verifier_fn(move |issued_at| {
                if issued_at > now + skew { Err("issued in the future".to_owned()) } else { Ok(()) }
            });
    let nonce = Nonce::new(expected.nonce.to_owned());
    let claims = token.claims(&verifier, &nonce).map_err(|error| refused(&error))?;
    // The crate leaves `azp` to us (OpenID Connect Core 3.1.3.7, step 5).
    if claims.authorized_party().is_some_and(|party| party.as_str() != expected.client_id) {
        return Err(invalid(IdTokenFault::Audience, "azp names another client"));
    }
    if let Some(announced) = claims.access_token_hash() {
        let actual =
            access_token_hash(token, &verifier, expected.access_token).map_err(|error| refused(&error))?;
        if actual != *announced {
            return Err(invalid(IdTokenFault::AccessTokenHash, "at_hash differs"));
        }
    }
    Ok(claims)
}

fn access_token_hash(
    token: &CoreIdToken,
    verifier: &CoreIdTokenVerifier<'_>,
    access_token: &AccessToken,
) -> Result<AccessTokenHash, ClaimsVerificationError> {
    let signature = ClaimsVerificationError::SignatureVerification;
    let key: &CoreJsonWebKey = token.signing_key(verifier).map_err(signature)?;
    AccessTokenHash::from_token(access_token, token.signing_alg().map_err(signature)?, key)
        .map_err(|error| ClaimsVerificationError::Other(error.to_string()))
}

/// Whether reading the provider's keys again may help.
pub(crate) fn key_is_unknown(error: &SignInError) -> bool {
    matches!(error, SignInError::InvalidIdToken { fault: IdTokenFault::UnknownKey, .. })
}

pub(crate) fn invalid(fault: IdTokenFault, detail: &str) -> SignInError {
    SignInError::InvalidIdToken { fault, detail: shortened(detail) }
}

fn refused(error: &ClaimsVerificationError) -> SignInError {
    use ClaimsVerificationError as E;
    let fault = match error {
        E::Expired(_) => IdTokenFault::Expired,
        E::InvalidAudience(_) => IdTokenFault::Audience,
        E::InvalidIssuer(_) => IdTokenFault::Issuer,
        E::InvalidNonce(_) => IdTokenFault::Nonce,
        E::SignatureVerification(SignatureVerificationError::NoMatchingKey) => IdTokenFault::UnknownKey,
        E::SignatureVerification(_) => IdTokenFault::Signature,
        _ => IdTokenFault::Malformed,
    };
    match error {
        E::SignatureVerification(source) => invalid(fault, &source.to_string()),
        other => invalid(fault, &other.to_string()),
    }
}
