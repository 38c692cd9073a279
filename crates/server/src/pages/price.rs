//! Amounts as people read them.

use sessile_core::money::{Currency, MINOR_PER_MAJOR, Minor};

/// "50,000 so'm", "12.50 USD": grouped by thousands, with decimals only where there are any.
pub(crate) fn price_text(amount: Minor, currency: Currency) -> String {
    format!("{} {}", number(amount), unit(currency))
}

/// What stands behind the number.
pub(super) fn unit(currency: Currency) -> String {
    if currency == Currency::UZS { "so'm".to_owned() } else { currency.as_str().to_owned() }
}

fn number(amount: Minor) -> String {
    let whole = amount.whole().to_string();
    let mut text = String::with_capacity(whole.len() + whole.len() / 3 + 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match amount.get() % MINOR_PER_MAJOR {
        0 => text,
        rest => format!("{text}.{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_thousands() {
        let som = |units| price_text(Minor::new(units).unwrap(), Currency::UZS);
        assert_eq!(
            [0, 5, 99_900, 100_000, 123_456_700, 100_000_000_050].map(som),
            ["0 so'm", "0.05 so'm", "999 so'm", "1,000 so'm", "1,234,567 so'm", "1,000,000,000.50 so'm"]
        );
        assert_eq!(price_text(Minor::new(1250).unwrap(), Currency::parse("USD").unwrap()), "12.50 USD");
    }
}
