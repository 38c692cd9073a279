//! Secrets: where they come from, how strong they have to be, and the ones that are made and kept at the first start.
//!
//! A kept secret is a file of mode 0600 in the data folder. Nothing here prints one, but for the caller that shows a
//! new operator's token once.

use super::Mode;
use super::source::Source;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sessile_core::{Entropy, SealingKeys, Secret, SecretList, WeakSecret};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Random bytes of a secret that we make.
const SECRET_BYTES: usize = 36;
const MAKE_ONE: &str = "make one with `openssl rand -base64 48`";

/// Where the cookie's signing secrets come from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Configured.
    Given(SecretList),
    /// Kept in this file, and made there at the first start.
    Kept(PathBuf),
}

pub(super) fn session_secret(source: &Source, mode: Mode, data_dir: &Path) -> SecretSource {
    let kept = SecretSource::Kept(data_dir.join("session-secret"));
    let Some(text) = source.secret("SESSION_SECRET") else {
        let broken = source.get("SESSION_SECRET_FILE").is_some() || source.get("SESSION_SECRET").is_some();
        if mode == Mode::Production && !broken {
            source.complain(format!(
                "SESSION_SECRET is not set: it signs the cookies and has to be the same in every process; \
                 {MAKE_ONE} and set SESSION_SECRET (or SESSION_SECRET_FILE) to it"
            ));
        }
        return kept;
    };
    match SecretList::parse(&text) {
        Err(WeakSecret::Empty | WeakSecret::Short { .. }) => {
            source.complain(format!("SESSION_SECRET holds no secret; {MAKE_ONE}"));
            kept
        }
        Ok(list) => {
            if mode == Mode::Production
                && let Err(weak) = list.require_strong()
            {
                source.complain(format!("SESSION_SECRET is too weak: {weak}; {MAKE_ONE} and put it first"));
            }
            SecretSource::Given(list)
        }
    }
}

pub(super) fn sealing(source: &Source) -> Option<SealingKeys> {
    let text = source.secret("SESSILE_SEALING_KEY")?;
    SealingKeys::parse(&text).map_err(|bad| source.complain(format!("SESSILE_SEALING_KEY: {bad}"))).ok()
}

/// Where the keys come from that seal WhatsApp devices.
#[derive(Debug, Clone)]
pub enum SealingSource {
    /// Configured.
    Given(SealingKeys),
    /// In development: kept in this file, and made there at the first start.
    Kept(PathBuf),
    /// Nowhere.
    None,
}

impl SealingSource {
    /// The keys; `None` where there are none.
    ///
    /// # Errors
    /// [`KeptError`] says what to do.
    pub fn keys(&self, entropy: &dyn Entropy) -> Result<Option<SealingKeys>, KeptError> {
        match self {
            Self::Given(keys) => Ok(Some(keys.clone())),
            Self::None => Ok(None),
            Self::Kept(path) => {
                let (secret, _) = keep(path, entropy)?;
                let digest = Sha256::digest(secret.expose().as_bytes());
                let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(SealingKeys::parse(&hex).ok())
            }
        }
    }
}

pub(super) fn device_sealing(source: &Source, mode: Mode, data_dir: &Path) -> SealingSource {
    // One that is there and cannot be read was complained about already, and must not be replaced.
    let is_given =
        ["SESSILE_SEALING_KEY", "SESSILE_SEALING_KEY_FILE"].iter().any(|name| source.get(name).is_some());
    let given = source.secret("SESSILE_SEALING_KEY").and_then(|text| SealingKeys::parse(&text).ok());
    match (given, mode) {
        (Some(keys), _) => SealingSource::Given(keys),
        (None, Mode::Development) if !is_given => SealingSource::Kept(data_dir.join("sealing-key")),
        (None, _) => SealingSource::None,
    }
}

pub(super) fn admin_token(source: &Source) -> Option<Secret> {
    let token = source.secret("SESSILE_ADMIN_TOKEN")?;
    if token.chars().count() < sessile_core::secret::SECRET_CHARS_MIN {
        let least = sessile_core::secret::SECRET_CHARS_MIN;
        source.complain(format!(
            "SESSILE_ADMIN_TOKEN needs at least {least} characters; {MAKE_ONE}, or unset it"
        ));
    }
    Some(Secret::new(token))
}

/// Why a secret could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The file cannot be read or written.
    #[error("{path} cannot be read or written ({source}); check that the data folder exists and is yours")]
    File {
        /// Which file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] sessile_core::entropy::NoEntropy),
}

/// Whether a kept secret was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It was.
    Found,
    /// It was made just now.
    New,
}

/// Reads the secret that this file keeps, or makes one there. Two processes that start at once agree.
///
/// # Errors
/// [`KeptError`] says what to do.
pub fn keep(path: &Path, entropy: &dyn Entropy) -> Result<(Secret, Kept), KeptError> {
    let failed = |source| KeptError::File { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok((Secret::new(text.trim()), Kept::Found)),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut bytes = [0_u8; SECRET_BYTES];
    entropy.fill(&mut bytes)?;
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    // Written aside and linked into place whole: nobody ever reads half of one.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    write_private(&aside, &secret).map_err(failed)?;
    let linked = match std::fs::hard_link(&aside, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_empty(path) => {
            std::fs::rename(&aside, path)
        }
        done => done,
    };
    // After a rename there is nothing left to remove.
    let _ = std::fs::remove_file(&aside);
    match linked {
        Ok(()) => Ok((Secret::new(secret), Kept::New)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let theirs = std::fs::read_to_string(path).map_err(failed)?;
            Ok((Secret::new(theirs.trim()), Kept::Found))
        }
        Err(error) => Err(failed(error)),
    }
}

fn is_empty(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
