//! Amounts as the drop-in routes speak of them: so'm, whole where they are whole.

use serde_json::{Number, Value};
use sessile_core::money::{MINOR_PER_MAJOR, Minor};
use sessile_core::payment::{Coupon, Discount};

/// A JSON number of so'm: `1000`, and `749.5` where tiyin are left. Only written, never read back.
pub(crate) fn som(amount: Minor) -> Value {
    if amount.get() % MINOR_PER_MAJOR == 0 {
        return Value::from(amount.whole());
    }
    Number::from_f64(amount.get() as f64 / MINOR_PER_MAJOR as f64).map_or(Value::Null, Value::Number)
}

/// How much `discount` is of `original`, in percent, rounded.
pub(crate) fn percent(discount: Minor, original: Minor) -> i64 {
    if original.is_zero() {
        return 0;
    }
    (discount.get() * 100 + original.get() / 2) / original.get()
}

/// A coupon's kind and value: percent, or so'm.
pub(crate) fn discount_of(coupon: &Coupon) -> (&'static str, Value) {
    match coupon.discount {
        Discount::Percentage(percent) => ("percentage", Value::from(percent)),
        Discount::Fixed(amount) => ("fixed", som(amount)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_amounts_are_integers() {
        let said = |units| som(Minor::new(units).unwrap()).to_string();
        assert_eq!([100_000, 74_950, 1, 0].map(said), ["1000", "749.5", "0.01", "0"]);
        let minor = |units| Minor::new(units).unwrap();
        assert_eq!(percent(minor(333), minor(1000)), 33);
        assert_eq!(percent(minor(335), minor(1000)), 34);
        assert_eq!(percent(Minor::ZERO, Minor::ZERO), 0);
    }
}
