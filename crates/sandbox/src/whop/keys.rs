//! The stand-in's signing key (ES256, as Whop's own), its public half as a JWKS, and compact JWS.
//!
//! Made from the operating system's randomness at start, never written anywhere. Signs for tests and development
//! only; the client that verifies is a different library on purpose.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::SandboxError;

/// Candidates to draw before giving up; one is refused about once in 2^32 draws.
const DRAWS_MAX: usize = 4;

/// A private key and the id its public half is published under.
pub(crate) struct SigningKeys {
    key: SigningKey,
    key_id: String,
}

impl SigningKeys {
    /// Draws a new key.
    pub(crate) fn generate() -> Result<Self, SandboxError> {
        for _ in 0..DRAWS_MAX {
            let mut bytes = [0_u8; 32];
            getrandom::fill(&mut bytes).map_err(|_| SandboxError::Randomness)?;
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                let point = key.verifying_key().to_sec1_point(false);
                let key_id = encode(&Sha256::digest(point.as_bytes())[..12]);
                return Ok(Self { key, key_id });
            }
        }
        Err(SandboxError::Randomness)
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half, as `/oauth/jwks` shows it.
    pub(crate) fn jwks(&self) -> Value {
        let point = self.key.verifying_key().to_sec1_point(false);
        // An uncompressed point is 0x04, 32 bytes of x, 32 bytes of y (SEC 1, 2.3.3).
        let (x, y) = point.as_bytes()[1..].split_at(32);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id,
            "x": encode(x), "y": encode(y),
        }]})
    }

    /// A compact JWS over `claims` under `key_id`.
    pub(crate) fn sign(&self, key_id: &str, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": key_id });
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature: Signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", encode(signature.to_bytes()))
    }
}

/// `at_hash`: the left half of the token's SHA-256 (OpenID Connect Core 3.1.3.6).
pub(crate) fn access_token_hash(access_token: &str) -> String {
    encode(&Sha256::digest(access_token)[..16])
}

/// The S256 challenge that belongs to a PKCE verifier (RFC 7636, 4.2).
pub(crate) fn s256(verifier: &str) -> String {
    encode(Sha256::digest(verifier))
}

/// A new unguessable token: `prefix` and 32 random bytes.
pub(crate) fn random_token(prefix: &str) -> Result<String, SandboxError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| SandboxError::Randomness)?;
    Ok(format!("{prefix}{}", encode(bytes)))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_rfc_7636s_own_example() {
        assert_eq!(
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn two_starts_have_two_keys() {
        let (one, other) = (SigningKeys::generate().unwrap(), SigningKeys::generate().unwrap());
        assert_ne!(one.key_id(), other.key_id());
        assert_ne!(one.jwks(), other.jwks());
    }
}
