//! `coupons`. `discount_value` and `original_price` are whole units for people; the exact amounts are beside them.

use super::super::columns::{Column, Line, Stored};
use super::cow;
use sessile_core::Timestamp;
use sessile_core::money::Minor;
use sessile_core::payment::{Coupon, CouponCode, CouponId, Discount, Standing};

impl Stored for Coupon {
    const TABLE: &'static str = "coupons";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::text("id", |row| cow(Some(row.id.as_str()))),
        Column::<Self>::text("code", |row| cow(Some(row.code.as_str())))
            .kept("case when upper(trim(t.code)) = v.code then t.code else v.code end"),
        Column::text("description", |row| cow(row.description.as_deref())),
        Column::text("discount_type", |row| match row.discount {
            Discount::Percentage(_) => cow(Some("percentage")),
            Discount::Fixed(_) => cow(Some("fixed")),
        }),
        Column::int("discount_value", |row| match row.discount {
            Discount::Percentage(percent) => Some(percent.into()),
            Discount::Fixed(amount) => Some(amount.whole()),
        }),
        Column::int("discount_minor", |row| match row.discount {
            Discount::Percentage(_) => None,
            Discount::Fixed(amount) => Some(amount.get()),
        }),
        Column::int("original_price", |row| row.original_price.map(Minor::whole)),
        Column::int("original_price_minor", |row| row.original_price.map(Minor::get)),
        Column::int("max_uses", |row| row.max_uses),
        Column::int("used_count", |row| Some(row.used)),
        Column::int("reserved_count", |row| Some(row.reserved)),
        Column::time("valid_from", |row| row.valid_from),
        Column::time("valid_until", |row| row.valid_until),
        Column::flag("is_active", |row| row.standing == Standing::Active),
        Column::text("created_by", |row| cow(row.created_by.as_deref())),
        Column::<Self>::time("created_at", |row| Some(row.created_at)).once(),
        Column::int("version", |row| Some(row.version)),
    ];

    fn read(line: &Line<'_>) -> Option<Self> {
        let whole = |name| line.int(name).and_then(Minor::from_major);
        let active = line.flag("is_active").unwrap_or(false);
        Some(Self {
            id: CouponId::parse(line.text("id")?)?,
            code: CouponCode::parse(line.text("code")?)?,
            description: line.text("description").map(str::to_owned),
            discount: discount_of(line)?,
            original_price: match line.int("original_price_minor") {
                Some(minor) => Minor::new(minor),
                None => whole("original_price"),
            },
            max_uses: line.int("max_uses"),
            used: line.int("used_count").unwrap_or(0),
            reserved: line.int("reserved_count").unwrap_or(0),
            valid_from: line.time("valid_from"),
            valid_until: line.time("valid_until"),
            standing: if active { Standing::Active } else { Standing::Inactive },
            created_by: line.text("created_by").map(str::to_owned),
            created_at: line.time("created_at").unwrap_or(Timestamp::EPOCH),
            version: line.int("version")?,
        })
    }
}

fn discount_of(line: &Line<'_>) -> Option<Discount> {
    let value = line.int("discount_value")?;
    match line.text("discount_type")? {
        "percentage" => {
            let percent = u8::try_from(value).ok().filter(|percent| (1..=100).contains(percent))?;
            Some(Discount::Percentage(percent))
        }
        "fixed" => match line.int("discount_minor") {
            Some(minor) => Minor::new(minor).map(Discount::Fixed),
            None => Minor::from_major(value).map(Discount::Fixed),
        },
        _ => None,
    }
}
