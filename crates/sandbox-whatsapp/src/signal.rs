//! One end of Signal sessions: what the phone and every peer hold. Everything is in memory.
//!
//! The algorithms are the client's own; only the four stores are here, because the client ships none outside its tests.

use async_trait::async_trait;
use rand::rngs::StdRng;
use std::collections::HashMap;
use whatsapp_rust::wacore::crypto::{calculate_curve_signature, generate_curve_key_pair};
use whatsapp_rust::wacore::libsignal::protocol::error::Result;
use whatsapp_rust::wacore::libsignal::protocol::{
    CiphertextMessage, Direction, GenericSignedPreKey, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord, PreKeySignalMessage, PreKeyStore,
    ProtocolAddress, SessionRecord, SessionStore, SignalMessage, SignalProtocolError, SignedPreKeyId,
    SignedPreKeyRecord, SignedPreKeyStore, Timestamp, UsePQRatchet, message_decrypt, message_encrypt,
    process_prekey_bundle,
};
use whatsapp_rust::wacore::time::now_millis;

const SIGNED_PRE_KEY_ID: u32 = 1;
/// Ids of one-time keys have three bytes on the wire.
const PRE_KEY_ID_MAX: u32 = 0x00FF_FFFF;

/// How a ciphertext is labelled on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// The first messages of a session; each carries what the other end needs to build it.
    PreKey,
    /// All others.
    Plain,
}

impl Envelope {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PreKey => "pkmsg",
            Self::Plain => "msg",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "pkmsg" => Some(Self::PreKey),
            "msg" => Some(Self::Plain),
            _ => None,
        }
    }
}

/// Reads a ciphertext of either kind.
pub(crate) fn parse(envelope: Envelope, bytes: &[u8]) -> Result<CiphertextMessage> {
    match envelope {
        Envelope::PreKey => PreKeySignalMessage::try_from(bytes).map(CiphertextMessage::PreKeySignalMessage),
        Envelope::Plain => SignalMessage::try_from(bytes).map(CiphertextMessage::SignalMessage),
    }
}

/// One end: an identity, its keys, and its sessions.
pub(crate) struct SignalEnd {
    identity: Identity,
    sessions: Sessions,
    one_time: OneTimeKeys,
    signed: SignedKey,
    last_pre_key: u32,
}

impl SignalEnd {
    pub(crate) fn new(identity: &KeyPair, registration_id: u32) -> Result<Self> {
        let signed = generate_curve_key_pair();
        let signature = calculate_curve_signature(&identity.private_key, &signed.public_key.serialize())?;
        let at = Timestamp::from_epoch_millis(now_millis().unsigned_abs());
        Ok(Self {
            identity: Identity {
                pair: IdentityKeyPair::from(identity.clone()),
                registration_id,
                known: HashMap::new(),
            },
            sessions: Sessions(HashMap::new()),
            one_time: OneTimeKeys(HashMap::new()),
            signed: SignedKey(SignedPreKeyRecord::new(SIGNED_PRE_KEY_ID.into(), at, &signed, &signature)),
            last_pre_key: 0,
        })
    }

    /// What somebody needs to write to this end first. Every bundle has a one-time key of its own.
    pub(crate) fn bundle(&mut self) -> Result<PreKeyBundle> {
        self.last_pre_key = self.last_pre_key % PRE_KEY_ID_MAX + 1;
        let (id, pair) = (PreKeyId::from(self.last_pre_key), generate_curve_key_pair());
        self.one_time.0.insert(self.last_pre_key, PreKeyRecord::new(id, &pair));
        PreKeyBundle::new(
            self.identity.registration_id,
            0.into(),
            Some((id, pair.public_key)),
            self.signed.0.id()?,
            self.signed.0.public_key()?,
            self.signed.0.signature()?,
            *self.identity.pair.identity_key(),
        )
    }

    pub(crate) fn has_session(&self, with: &ProtocolAddress) -> bool {
        self.sessions.0.contains_key(with)
    }

    /// Builds a session with whoever published `bundle`.
    pub(crate) async fn open(&mut self, with: &ProtocolAddress, bundle: &PreKeyBundle) -> Result<()> {
        let (sessions, identity) = (&mut self.sessions, &mut self.identity);
        process_prekey_bundle(with, sessions, identity, bundle, &mut random(), UsePQRatchet::No).await?;
        Ok(())
    }

    pub(crate) async fn encrypt(
        &mut self,
        to: &ProtocolAddress,
        plaintext: &[u8],
    ) -> Result<(Envelope, Vec<u8>)> {
        let sealed = message_encrypt(plaintext, to, &mut self.sessions, &mut self.identity).await?;
        let envelope = match &sealed {
            CiphertextMessage::PreKeySignalMessage(_) => Envelope::PreKey,
            _ => Envelope::Plain,
        };
        Ok((envelope, sealed.serialize().to_vec()))
    }

    pub(crate) async fn decrypt(
        &mut self,
        from: &ProtocolAddress,
        sealed: &CiphertextMessage,
    ) -> Result<Vec<u8>> {
        let mut random = random();
        let opened = message_decrypt(
            sealed,
            from,
            &mut self.sessions,
            &mut self.identity,
            &mut self.one_time,
            &self.signed,
            &mut random,
            UsePQRatchet::No,
        );
        Ok(opened.await?.plaintext)
    }
}

fn random() -> StdRng {
    rand::make_rng()
}

struct Identity {
    pair: IdentityKeyPair,
    registration_id: u32,
    known: HashMap<ProtocolAddress, IdentityKey>,
}

#[async_trait]
impl IdentityKeyStore for Identity {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair> {
        Ok(self.pair.clone())
    }

    async fn get_local_registration_id(&self) -> Result<u32> {
        Ok(self.registration_id)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> Result<IdentityChange> {
        let before = self.known.insert(address.clone(), *identity);
        Ok(IdentityChange::from_changed(before.is_some_and(|before| before != *identity)))
    }

    /// A device that links again has a new identity under an address that may have been used before.
    async fn is_trusted_identity(&self, _: &ProtocolAddress, _: &IdentityKey, _: Direction) -> Result<bool> {
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> Result<Option<IdentityKey>> {
        Ok(self.known.get(address).copied())
    }
}

struct Sessions(HashMap<ProtocolAddress, SessionRecord>);

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.0.contains_key(address))
    }

    async fn store_session(&mut self, address: &ProtocolAddress, record: SessionRecord) -> Result<()> {
        self.0.insert(address.clone(), record);
        Ok(())
    }
}

/// Keys stay after their use, as a message that opens a session may come twice.
struct OneTimeKeys(HashMap<u32, PreKeyRecord>);

#[async_trait]
impl PreKeyStore for OneTimeKeys {
    async fn get_pre_key(&self, id: PreKeyId) -> Result<PreKeyRecord> {
        self.0.get(&id.into()).cloned().ok_or(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> Result<()> {
        self.0.insert(id.into(), record.clone());
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> Result<()> {
        self.0.remove(&id.into());
        Ok(())
    }
}

struct SignedKey(SignedPreKeyRecord);

#[async_trait]
impl SignedPreKeyStore for SignedKey {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        if self.0.id()? == id { Ok(self.0.clone()) } else { Err(SignalProtocolError::InvalidSignedPreKeyId) }
    }

    async fn save_signed_pre_key(&mut self, _: SignedPreKeyId, record: &SignedPreKeyRecord) -> Result<()> {
        self.0 = record.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_ends_understand_each_other_both_ways() {
        let mut alice = SignalEnd::new(&generate_curve_key_pair(), 1).unwrap();
        let mut bob = SignalEnd::new(&generate_curve_key_pair(), 2).unwrap();
        let (to_alice, to_bob) = (address("alice"), address("bob"));
        let bundle = bob.bundle().unwrap();
        alice.open(&to_bob, &bundle).await.unwrap();

        let (envelope, sealed) = alice.encrypt(&to_bob, b"hello").await.unwrap();
        assert_eq!(envelope, Envelope::PreKey);
        let opened = bob.decrypt(&to_alice, &parse(envelope, &sealed).unwrap()).await.unwrap();
        assert_eq!(opened, b"hello");

        let (envelope, sealed) = bob.encrypt(&to_alice, b"and you").await.unwrap();
        assert_eq!(envelope, Envelope::Plain);
        let opened = alice.decrypt(&to_bob, &parse(envelope, &sealed).unwrap()).await.unwrap();
        assert_eq!(opened, b"and you");
    }

    fn address(name: &str) -> ProtocolAddress {
        ProtocolAddress::new(name, 0.into())
    }
}
