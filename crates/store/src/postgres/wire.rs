//! How our values travel to Postgres and back: binary, without a time zone in sight. Used by every kind that lives there.
//!
//! `timestamp` and `timestamptz` are microseconds since 2000-01-01 in the binary protocol, so what we write and compare is
//! UTC whatever the role's `TimeZone` says. `json` is read as the text it is. `xid` is a row's version.

use sessile_core::Timestamp;
use std::error::Error;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// 2000-01-01T00:00:00Z in unix milliseconds.
const POSTGRES_EPOCH_MS: i64 = 946_684_800_000;

type Fault = Box<dyn Error + Sync + Send>;

/// A `timestamp` or `timestamptz` column or parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        let micros = self.0.unix_ms().saturating_sub(POSTGRES_EPOCH_MS).saturating_mul(1000);
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMP || *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Moment {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        // `infinity` and `-infinity` are the extremes and stay extremes.
        Ok(Self(Timestamp::from_unix_ms(micros.div_euclid(1000).saturating_add(POSTGRES_EPOCH_MS))))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMP || *ty == Type::TIMESTAMPTZ
    }
}

/// The text of a `json` (or `jsonb`) value.
#[derive(Debug)]
pub(super) struct JsonText<'a>(pub(super) &'a str);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        let text = match (ty, raw) {
            (&Type::JSONB, [1, rest @ ..]) => rest,
            _ => raw,
        };
        Ok(Self(std::str::from_utf8(text)?))
    }

    fn accepts(ty: &Type) -> bool {
        [Type::JSON, Type::JSONB, Type::TEXT, Type::VARCHAR].contains(ty)
    }
}

/// A transaction id: the version of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Xid(pub(super) u32);

impl ToSql for Xid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        out.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::XID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Xid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        Ok(Self(u32::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::XID
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_the_journey_to_the_millisecond() {
        for ms in [0, 946_684_800_000, 1_700_000_000_123, -1] {
            let mut out = BytesMut::new();
            Moment(Timestamp::from_unix_ms(ms)).to_sql(&Type::TIMESTAMP, &mut out).unwrap();
            assert_eq!(Moment::from_sql(&Type::TIMESTAMP, &out).unwrap().0.unix_ms(), ms);
        }
    }
}
