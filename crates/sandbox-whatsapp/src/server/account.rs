//! An account and the devices that its phone has linked, as the server keeps them.

use std::collections::{BTreeMap, VecDeque};
use whatsapp_rust::buffa::Message;
use whatsapp_rust::wacore::crypto::calculate_curve_signature;
use whatsapp_rust::wacore::libsignal::protocol::{CurveError, KeyPair};
use whatsapp_rust::wacore_binary::Node;
use whatsapp_rust::waproto::whatsapp::client_payload::DevicePairingRegistrationData;
use whatsapp_rust::waproto::whatsapp::{ADVKeyIndexList, ADVSignedKeyIndexList};

use super::app_state::AppState;
use super::keys::{KeyPool, SignedKey};
use crate::address::Device;
use crate::protocol::noise::KeyBytes;

/// The phone signs a list of its devices' key indexes under this prefix.
const KEY_INDEX_PREFIX: [u8; 2] = [6, 2];

/// One number's account.
pub(crate) struct Account {
    pub(crate) raw_id: u32,
    pub(crate) companions: BTreeMap<u16, Companion>,
    pub(crate) app_state: AppState,
    last_device: u16,
}

/// What a client says about itself before it is linked.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) noise: KeyBytes,
    pub(crate) identity: KeyBytes,
    pub(crate) registration_id: u32,
    pub(crate) signed_key: SignedKey,
}

impl Registration {
    /// `None` when something is missing or has the wrong length.
    pub(crate) fn read(noise: KeyBytes, data: &DevicePairingRegistrationData) -> Option<Self> {
        let id = data.e_skey_id.as_deref()?;
        let id: [u8; 3] = id.try_into().ok()?;
        Some(Self {
            noise,
            identity: data.e_ident.as_deref()?.try_into().ok()?,
            registration_id: u32::from_be_bytes(data.e_regid.as_deref()?.try_into().ok()?),
            signed_key: SignedKey {
                id: u32::from_be_bytes([0, id[0], id[1], id[2]]),
                public: data.e_skey_val.as_deref()?.try_into().ok()?,
                signature: data.e_skey_sig.clone()?,
            },
        })
    }
}

/// A linked device.
pub(crate) struct Companion {
    pub(crate) device: Device,
    pub(crate) registration: Registration,
    pub(crate) key_index: u32,
    /// Signed by the phone and by the device.
    pub(crate) signed_identity: Vec<u8>,
    pub(crate) keys: KeyPool,
    pub(crate) app_state_key_shared: bool,
    /// Its connection, when it is logged in.
    pub(crate) connection: Option<u64>,
    /// What it has not acknowledged yet, oldest first.
    pub(crate) waiting: VecDeque<Node>,
}

impl Account {
    pub(crate) fn new(raw_id: u32, app_state: AppState) -> Self {
        Self { raw_id, companions: BTreeMap::new(), app_state, last_device: 0 }
    }

    /// A device id that was never used, which is also its key index.
    pub(crate) fn next_device(&mut self) -> u16 {
        self.last_device += 1;
        self.last_device
    }

    /// The phone's word on which of its devices count.
    pub(crate) fn key_indexes(&self, phone: &KeyPair, now_secs: u64) -> Result<Vec<u8>, CurveError> {
        let list = ADVKeyIndexList {
            raw_id: Some(self.raw_id),
            timestamp: Some(now_secs),
            current_index: Some(u32::from(self.last_device)),
            valid_indexes: self.companions.values().map(|companion| companion.key_index).collect(),
            ..ADVKeyIndexList::default()
        };
        let details = list.encode_to_vec();
        let signature =
            calculate_curve_signature(&phone.private_key, &[KEY_INDEX_PREFIX.as_slice(), &details].concat())?;
        let signed = ADVSignedKeyIndexList {
            details: Some(details),
            account_signature: Some(signature.to_vec()),
            account_signature_key: Some(phone.public_key.public_key_bytes().to_vec()),
        };
        Ok(signed.encode_to_vec())
    }
}

impl Companion {
    pub(crate) fn new(
        device: Device,
        registration: Registration,
        key_index: u32,
        signed_identity: Vec<u8>,
    ) -> Self {
        let keys = KeyPool::new(registration.signed_key.clone());
        Self {
            device,
            registration,
            key_index,
            signed_identity,
            keys,
            app_state_key_shared: false,
            connection: None,
            waiting: VecDeque::new(),
        }
    }
}
