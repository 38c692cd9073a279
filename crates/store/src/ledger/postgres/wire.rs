//! How the ledger's values travel to Postgres and back: binary, so that a time is UTC whatever the role's `TimeZone`
//! says, and to the millisecond, which is what everything else in Sessile counts in.

use sessile_core::Timestamp;
use std::error::Error;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// 2000-01-01T00:00:00Z in unix milliseconds.
const POSTGRES_EPOCH_MS: i64 = 946_684_800_000;

type Fault = Box<dyn Error + Sync + Send>;

/// A `timestamptz` parameter, and a `timestamptz` or `timestamp` column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Timestamp);

impl ToSql for Moment {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        let micros = self.0.unix_ms().saturating_sub(POSTGRES_EPOCH_MS).saturating_mul(1000);
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
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
