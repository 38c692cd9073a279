//! Linking by QR code: the phone reads the client's keys and a secret off the client's screen.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use whatsapp_rust::wacore::pair::PairUtils;

use super::registration;
use crate::error::PhoneError;
use crate::protocol::noise::KeyBytes;
use crate::server::world::World;

/// Where the secret stands among the parts of the code.
const SECRET_PART: usize = 3;

/// What a QR code says, once it fits the client that shows it.
pub(crate) struct Scanned {
    pub(crate) connection: u64,
    pub(crate) secret: KeyBytes,
}

/// Reads the text of a QR code and finds who shows it.
pub(crate) fn scan(world: &World, text: &str) -> Result<Scanned, PhoneError> {
    let not_a_code = |error: &dyn std::fmt::Display| PhoneError::NotAQrCode(error.to_string());
    let (pairing_ref, noise, identity) =
        PairUtils::parse_qr_code(text).map_err(|error| not_a_code(&error))?;
    let secret = text.split(',').nth(SECRET_PART).unwrap_or_default();
    let secret = STANDARD.decode(secret).map_err(|error| not_a_code(&error))?;
    let secret = secret.try_into().map_err(|_| not_a_code(&"its secret does not have 32 bytes"))?;

    let connection = world.update(|state| state.pairing_refs.remove(&pairing_ref));
    let connection = connection.ok_or(PhoneError::UnknownCode)?;
    let registration = registration(world, connection)?;
    if registration.noise != noise || registration.identity != identity {
        return Err(PhoneError::Refused("the code shows other keys than the client connected with".into()));
    }
    Ok(Scanned { connection, secret })
}
