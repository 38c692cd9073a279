//! How records are written: lengths and numbers little-endian, kinds by name. Nothing here is compressed or hidden: values
//! come sealed.
//!
//! A format lives as long as somebody's files do. Fields are only ever added behind the last one, and a record of an unknown
//! sort is refused, never skipped.

use super::record::{Opening, Record, Settled};
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    DeviceHead, DeviceId, DeviceRow, DeviceState, Epoch, KeyHash, KeyKind, RowKey, Step, StepId, Version,
    Wanted,
};
use std::sync::Arc;

const OPENING: u8 = 1;
const STEP: u8 = 2;
const OWNED: u8 = 3;
const WANTED: u8 = 4;
const RETIRED: u8 = 5;
const SETTLED: u8 = 6;

/// Why bytes are no record. They passed their checksum, so a newer program wrote them, or a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record is of a sort that this program does not know; was it written by a newer one?")]
pub(super) struct Unknown;

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::new());
        match self {
            Self::Opening(opening) => {
                out.u8(OPENING);
                out.u64(opening.generation);
                out.state(&opening.state);
                out.option(opening.settled.as_ref(), Writer::settled);
            }
            Self::Step(step) => {
                out.u8(STEP);
                out.step(step);
            }
            Self::Owned { epoch, at } => {
                out.u8(OWNED);
                out.u64(epoch.0);
                out.time(*at);
            }
            Self::Wanted(wanted) => {
                out.u8(WANTED);
                out.wanted(*wanted);
            }
            Self::Retired { to } => {
                out.u8(RETIRED);
                out.bytes(to.as_bytes());
            }
            Self::Settled(settled) => {
                out.u8(SETTLED);
                out.settled(settled);
            }
        }
        out.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unknown> {
        let mut input = Reader(bytes);
        let record = match input.u8()? {
            OPENING => Self::Opening(Opening {
                generation: input.u64()?,
                state: input.state()?,
                settled: input.option(Reader::settled)?,
            }),
            STEP => Self::Step(input.step()?),
            OWNED => Self::Owned { epoch: Epoch(input.u64()?), at: input.time()? },
            WANTED => Self::Wanted(input.wanted()?),
            RETIRED => Self::Retired { to: input.text()? },
            SETTLED => Self::Settled(input.settled()?),
            _ => return Err(Unknown),
        };
        if input.0.is_empty() { Ok(record) } else { Err(Unknown) }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn time(&mut self, at: Timestamp) {
        self.0.extend_from_slice(&at.unix_ms().to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.u64(count as u64);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn wanted(&mut self, wanted: Wanted) {
        self.u8(match wanted {
            Wanted::Running => 1,
            Wanted::Stopped => 2,
        });
    }

    fn key(&mut self, key: &RowKey) {
        self.bytes(key.kind.as_str().as_bytes());
        self.0.extend_from_slice(&key.hash.0);
    }

    fn rows(&mut self, rows: &[DeviceRow]) {
        self.count(rows.len());
        for row in rows {
            self.key(&row.key);
            self.bytes(&row.value);
        }
    }

    fn settled(&mut self, settled: &Settled) {
        self.u64(settled.epoch.0);
        self.u64(settled.version.0);
    }

    fn state(&mut self, state: &DeviceState) {
        let head = &state.head;
        self.bytes(head.device.as_str().as_bytes());
        self.u64(head.epoch.0);
        self.u64(head.version.0);
        self.option(head.last_step, |out, id| out.0.extend_from_slice(&id.0));
        self.wanted(head.wanted);
        self.option(head.wrapped_key.as_ref(), |out, key| out.bytes(key.as_bytes()));
        self.option(head.moved_to.as_ref(), |out, to| out.bytes(to.as_bytes()));
        self.time(head.created_at);
        self.time(head.updated_at);
        self.option(state.credentials.as_ref(), |out, sealed| out.bytes(sealed));
        self.rows(&state.rows);
    }

    fn step(&mut self, step: &Step) {
        self.0.extend_from_slice(&step.id.0);
        self.u64(step.epoch.0);
        self.u64(step.version.0);
        self.option(step.wrapped_key.as_ref(), |out, key| out.bytes(key.as_bytes()));
        self.option(step.credentials.as_ref(), |out, sealed| out.bytes(sealed));
        self.rows(&step.puts);
        self.count(step.deletes.len());
        for key in &step.deletes {
            self.key(key);
        }
        self.time(step.at);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], Unknown> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Unknown)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unknown> {
        self.take(N)?.try_into().map_err(|_| Unknown)
    }

    fn u8(&mut self) -> Result<u8, Unknown> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Result<u64, Unknown> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Result<Timestamp, Unknown> {
        self.array().map(|bytes| Timestamp::from_unix_ms(i64::from_le_bytes(bytes)))
    }

    fn count(&mut self) -> Result<usize, Unknown> {
        usize::try_from(self.u64()?).map_err(|_| Unknown)
    }

    fn bytes(&mut self) -> Result<&[u8], Unknown> {
        let count = self.count()?;
        self.take(count)
    }

    fn text(&mut self) -> Result<String, Unknown> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Unknown)
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Unknown>,
    ) -> Result<Option<T>, Unknown> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Unknown),
        }
    }

    fn wanted(&mut self) -> Result<Wanted, Unknown> {
        match self.u8()? {
            1 => Ok(Wanted::Running),
            2 => Ok(Wanted::Stopped),
            _ => Err(Unknown),
        }
    }

    fn step_id(&mut self) -> Result<StepId, Unknown> {
        self.array().map(StepId)
    }

    fn key(&mut self) -> Result<RowKey, Unknown> {
        let kind = std::str::from_utf8(self.bytes()?).ok().and_then(KeyKind::parse).ok_or(Unknown)?;
        Ok(RowKey { kind, hash: KeyHash(self.array()?) })
    }

    /// Nothing is reserved for a count that was only read: the bytes have to be there.
    fn many<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, Unknown>) -> Result<Vec<T>, Unknown> {
        let count = self.count()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn rows(&mut self) -> Result<Vec<DeviceRow>, Unknown> {
        self.many(|input| Ok(DeviceRow { key: input.key()?, value: Arc::from(input.bytes()?) }))
    }

    fn settled(&mut self) -> Result<Settled, Unknown> {
        Ok(Settled { epoch: Epoch(self.u64()?), version: Version(self.u64()?) })
    }

    fn state(&mut self) -> Result<DeviceState, Unknown> {
        let device = DeviceId::parse(&self.text()?).ok_or(Unknown)?;
        let mut head = DeviceHead {
            device,
            epoch: Epoch(self.u64()?),
            version: Version(self.u64()?),
            last_step: self.option(Self::step_id)?,
            held_until: None,
            wanted: self.wanted()?,
            wrapped_key: self.option(Self::text)?,
            has_credentials: false,
            moved_to: self.option(Self::text)?,
            created_at: self.time()?,
            updated_at: self.time()?,
        };
        let credentials = self.option(|input| Ok(Arc::from(input.bytes()?)))?;
        head.has_credentials = credentials.is_some();
        Ok(DeviceState { head, credentials, rows: self.rows()? })
    }

    fn step(&mut self) -> Result<Step, Unknown> {
        Ok(Step {
            id: self.step_id()?,
            epoch: Epoch(self.u64()?),
            version: Version(self.u64()?),
            wrapped_key: self.option(Self::text)?,
            credentials: self.option(|input| Ok(Arc::from(input.bytes()?)))?,
            puts: self.rows()?,
            deletes: self.many(Self::key)?,
            at: self.time()?,
        })
    }
}
