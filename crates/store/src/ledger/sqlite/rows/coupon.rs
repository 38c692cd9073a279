//! `coupons`, and the holds on them that checkouts and payments have.

use super::{Table, Unreadable, minor, ms, or, parsed, read_as, time, time_or_null};
use rusqlite::{Connection, Row, params};
use sessile_core::ledger::Record;
use sessile_core::money::Minor;
use sessile_core::payment::{Coupon, CouponCode, CouponHold, CouponId, Discount, HoldState, Standing};

/// The table of coupons.
pub(in crate::ledger::sqlite) struct Coupons;

impl Table for Coupons {
    type Entry = Coupon;
    const NAME: &'static str = "coupons";
    const COLUMNS: &'static str = "id, code, description, discount_type, discount_value, discount_minor, \
        original_price, original_price_minor, max_uses, used_count, reserved_count, valid_from, valid_until, \
        is_active, created_by, created_at, version";

    fn record(entry: Coupon) -> Record {
        Record::Coupon(entry)
    }

    fn read(row: &Row<'_>) -> Result<Coupon, Unreadable> {
        let value: i64 = row.get(4)?;
        let discount = match row.get_ref(3)?.as_str().unwrap_or_default() {
            "percentage" => {
                let percent = u8::try_from(value).ok().filter(|percent| (1..=100).contains(percent));
                Discount::Percentage(read_as("discount_value", percent)?)
            }
            "fixed" => {
                Discount::Fixed(exact("discount_value", row.get(5)?, Some(value))?.unwrap_or(Minor::ZERO))
            }
            _ => return Err(Unreadable("discount_type is none that we know".to_owned())),
        };
        Ok(Coupon {
            id: read_as("id", parsed(row, 0, "id", CouponId::parse)?)?,
            code: read_as("code", parsed(row, 1, "code", CouponCode::parse)?)?,
            description: row.get(2)?,
            discount,
            original_price: exact("original_price", row.get(7)?, row.get(6)?)?,
            max_uses: row.get(8)?,
            used: or(row, 9, 0)?,
            reserved: or(row, 10, 0)?,
            valid_from: time_or_null(row, 11)?,
            valid_until: time_or_null(row, 12)?,
            standing: if or(row, 13, false)? { Standing::Active } else { Standing::Inactive },
            created_by: row.get(14)?,
            created_at: time(row, 15)?,
            version: or(row, 16, 1)?,
        })
    }

    fn insert(db: &Connection, entry: &Coupon) -> rusqlite::Result<usize> {
        const SQL: &str = "INSERT INTO coupons (id, code, description, discount_type, discount_value, discount_minor, \
             original_price, original_price_minor, max_uses, used_count, reserved_count, valid_from, valid_until, \
             is_active, created_by, created_at, version) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17 WHERE ?18 = 0";
        write(db, SQL, entry, 0)
    }

    fn update(db: &Connection, before: &Coupon, after: &Coupon) -> rusqlite::Result<usize> {
        // An older application may spell the code in small letters, and finds it only so.
        const SQL: &str = "UPDATE coupons SET code = iif(upper(trim(code)) = ?2, code, ?2), description = ?3, \
             discount_type = ?4, discount_value = ?5, discount_minor = ?6, original_price = ?7, \
             original_price_minor = ?8, max_uses = ?9, used_count = ?10, reserved_count = ?11, valid_from = ?12, \
             valid_until = ?13, is_active = ?14, created_by = ?15, created_at = ?16, version = ?17 \
             WHERE id = ?1 AND version = ?18";
        write(db, SQL, after, before.version)
    }
}

/// Minor units where they were written, else whole major ones.
fn exact(name: &str, units: Option<i64>, whole: Option<i64>) -> Result<Option<Minor>, Unreadable> {
    match (units, whole) {
        (Some(units), _) => minor(name, units).map(Some),
        (None, Some(whole)) => read_as(name, Minor::from_major(whole)).map(Some),
        (None, None) => Ok(None),
    }
}

fn write(db: &Connection, sql: &str, entry: &Coupon, base: i64) -> rusqlite::Result<usize> {
    let (kind, value, units) = match entry.discount {
        Discount::Percentage(percent) => ("percentage", i64::from(percent), None),
        Discount::Fixed(value) => ("fixed", value.whole(), Some(value.get())),
    };
    db.prepare_cached(sql)?.execute(params![
        entry.id.as_str(),
        entry.code.as_str(),
        entry.description,
        kind,
        value,
        units,
        entry.original_price.map(Minor::whole),
        entry.original_price.map(Minor::get),
        entry.max_uses,
        entry.used,
        entry.reserved,
        entry.valid_from.map(ms),
        entry.valid_until.map(ms),
        entry.standing == Standing::Active,
        entry.created_by,
        ms(entry.created_at),
        entry.version,
        base,
    ])
}

/// The hold on a coupon; `unknown` is what has become of one of an older application.
pub(super) fn hold(
    row: &Row<'_>,
    coupon: usize,
    state: usize,
    unknown: HoldState,
) -> Result<Option<CouponHold>, Unreadable> {
    let Some(coupon) = parsed(row, coupon, "coupon_id", CouponId::parse)? else { return Ok(None) };
    let state = parsed(row, state, "coupon_state", HoldState::read)?.unwrap_or(unknown);
    Ok(Some(CouponHold { coupon, state }))
}
