//! The bytes of a journal: a line that says what it is, then records, each with its length, a check of that length, and a
//! checksum that continues the one before. Pure: no file is touched here.
//!
//! ```text
//! sessile whatsapp journal 1\n
//! | length: 4 | check of the length: 4 | record | SHA-256 over the sum before, the length and the record: 32 |
//! ```
//! Because the sums are a chain that begins with the device's name, a record of another device, another file or another
//! place does not fit. Because the length has a check of its own, a file that ends within a record (the process died while
//! it wrote) is told from one whose bytes changed.

use super::codec::Unknown;
use super::record::{Contents, Record};
use sessile_core::whatsapp::{DeviceId, Step, Version};
use sha2::{Digest, Sha256};

/// The first line.
const MAGIC: &[u8] = b"sessile whatsapp journal 1\n";
const LENGTH_BYTES: usize = 4;
const CHECK_BYTES: usize = 4;
const SUM_BYTES: usize = 32;
/// Bytes of a record besides what it says.
pub(super) const FRAME_BYTES: usize = LENGTH_BYTES + CHECK_BYTES + SUM_BYTES;

/// The sum of everything so far.
pub(super) type Chain = [u8; SUM_BYTES];

/// Why a journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("it does not begin as a journal does")]
    Foreign,
    #[error("it ends within its first record")]
    Short,
    #[error("byte {at} and after: the checksum does not fit")]
    Sum { at: usize },
    #[error("byte {at} and after: {what}")]
    Order { at: usize, what: String },
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

/// A journal read whole.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) contents: Contents,
    /// Steps after the opening state, oldest first.
    pub(super) steps: Vec<Step>,
    pub(super) chain: Chain,
    /// Where the opening state ends.
    pub(super) opened: usize,
    /// Where the last whole record ends.
    pub(super) end: usize,
}

/// What a device's journal begins with, and the chain after it.
pub(super) fn begin(device: &DeviceId) -> (Vec<u8>, Chain) {
    let sum = Sha256::new().chain_update(MAGIC).chain_update(device.as_str().as_bytes());
    (MAGIC.to_vec(), sum.finalize().into())
}

/// Writes a record behind what is in `out`.
pub(super) fn append(out: &mut Vec<u8>, chain: Chain, record: &Record) -> Chain {
    let body = record.encode();
    // A device's whole state is far below 4 GiB: 64 MiB, and a few bytes for each row.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let next = sum(&chain, length, &body);
    out.extend_from_slice(&length);
    out.extend_from_slice(&check(&chain, length));
    out.extend_from_slice(&body);
    out.extend_from_slice(&next);
    next
}

/// Reads a journal. What was cut off behind the last whole record is left out: [`Read::end`] is less than the length then.
pub(super) fn read(device: &DeviceId, bytes: &[u8]) -> Result<Read, Broken> {
    read_until(device, bytes, Version(u64::MAX))
}

/// Reads a journal, but applies no step beyond `last`: those are only in [`Read::steps`].
pub(super) fn read_until(device: &DeviceId, bytes: &[u8], last: Version) -> Result<Read, Broken> {
    if !bytes.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(bytes) { Broken::Short } else { Broken::Foreign });
    }
    let (magic, chain) = begin(device);
    let Some(first) = frame(bytes, magic.len(), chain)? else { return Err(Broken::Short) };
    let Record::Opening(opening) = Record::decode(first.body)? else { return Err(Broken::Foreign) };
    if opening.state.head.device != *device {
        return Err(Broken::Foreign);
    }
    let (chain, opened) = (first.chain, first.end);
    let mut read = Read { contents: Contents::new(opening), steps: Vec::new(), chain, opened, end: opened };
    while let Some(next) = frame(bytes, read.end, read.chain)? {
        let record = Record::decode(next.body)?;
        let waits = match &record {
            Record::Step(step) => {
                read.steps.push(step.clone());
                step.version > last
            }
            _ => false,
        };
        if !waits {
            read.contents.apply(record).map_err(|what| Broken::Order { at: read.end, what })?;
        }
        (read.chain, read.end) = (next.chain, next.end);
    }
    Ok(read)
}

struct Frame<'a> {
    body: &'a [u8],
    chain: Chain,
    end: usize,
}

/// The record at `at`; `None` where the file ends, before or within it.
fn frame(bytes: &[u8], at: usize, chain: Chain) -> Result<Option<Frame<'_>>, Broken> {
    let rest = &bytes[at..];
    // A file that grew, but whose new pages never reached the disk, ends in zeros.
    if rest.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let Some((found, rest)) = rest.split_first_chunk::<CHECK_BYTES>() else { return Ok(None) };
    if *found != check(&chain, *length) {
        return Err(Broken::Sum { at });
    }
    let count = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some((body, rest)) = rest.split_at_checked(count) else { return Ok(None) };
    let Some((found, _)) = rest.split_first_chunk::<SUM_BYTES>() else { return Ok(None) };
    let next = sum(&chain, *length, body);
    if *found != next {
        return Err(Broken::Sum { at });
    }
    Ok(Some(Frame { body, chain: next, end: at + FRAME_BYTES + count }))
}

fn check(chain: &Chain, length: [u8; LENGTH_BYTES]) -> [u8; CHECK_BYTES] {
    let sum = Sha256::new().chain_update(b"length").chain_update(chain).chain_update(length).finalize();
    [sum[0], sum[1], sum[2], sum[3]]
}

fn sum(chain: &Chain, length: [u8; LENGTH_BYTES], body: &[u8]) -> Chain {
    Sha256::new().chain_update(chain).chain_update(length).chain_update(body).finalize().into()
}
