//! Many clients at once that remember what they were told, so that after a fault every promise can be held
//! against what is there.
//!
//! Used by the tests that kill, cut and sweep. Nothing in here knows an engine; what is believed comes from
//! answers alone (`2xx`: acknowledged; no answer or `5xx`: in doubt), never from a look into a store.

mod client;
mod crowd;
mod program;
mod session;
mod visitor;

pub(crate) use client::{Answer, Client};
pub(crate) use crowd::Crowd;
pub(crate) use program::Program;
pub(crate) use session::{Life, Renewal, Session};
pub(crate) use visitor::SignIn;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

/// Letters and digits of a signing secret.
const SECRET_CHARS: usize = 48;

/// What a test ends with.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Whether the long version was asked for: more kills, longer outages, more rows.
pub(crate) fn is_long() -> bool {
    std::env::var("SESSILE_TEST_LONG").is_ok_and(|value| value == "1")
}

/// A signing secret of this test alone, noted where the secrets of a run are kept, so that logs can be searched.
pub(crate) fn secret() -> Outcome<String> {
    let secret: String = std::iter::repeat_with(fastrand::alphanumeric).take(SECRET_CHARS).collect();
    note_secret(&secret)?;
    Ok(secret)
}

/// Notes a secret that must never stand in a log: a signing secret, or the password of a store's address.
pub(crate) fn note_secret(secret: &str) -> Outcome {
    if let Some(output) = std::env::var_os("SESSILE_TEST_OUTPUT") {
        let file = PathBuf::from(output).join("secrets.txt");
        writeln!(File::options().append(true).create(true).open(file)?, "{secret}")?;
    }
    Ok(())
}

/// The seed of this run, printed so that `SESSILE_TEST_SEED` can repeat its choices.
pub(crate) fn seed(test: &str) -> u64 {
    let given = std::env::var("SESSILE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: SESSILE_TEST_SEED={seed}");
    seed
}
