//! So'm as text to tiyin: `N`, `N.N` or `N.NN`, nothing else.

/// The most digits before the point: a hundred billion so'm.
const WHOLE_DIGITS_MAX: usize = 12;

/// Tiyin, or `None` where the text is not an amount above zero.
pub(crate) fn tiyin(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || whole.len() > WHOLE_DIGITS_MAX {
        return None;
    }
    let hundredths = match fraction {
        None => 0,
        Some(part) if digits(part) && part.len() == 1 => part.parse::<i64>().ok()? * 10,
        Some(part) if digits(part) && part.len() == 2 => part.parse::<i64>().ok()?,
        Some(_) => return None,
    };
    Some(whole.parse::<i64>().ok()? * 100 + hundredths).filter(|amount| *amount > 0)
}

#[cfg(test)]
mod tests {
    use super::tiyin;

    #[test]
    fn only_plain_decimals_are_amounts() {
        for (text, amount) in [("1000", 100_000), ("1000.00", 100_000), ("0.5", 50), ("12.34", 1234)] {
            assert_eq!(tiyin(text), Some(amount), "{text}");
        }
        for text in
            ["", "0", "0.00", "-1", "+1", "1.", ".5", "1.234", "1e3", "1,5", "nan", " 1", "9999999999999"]
        {
            assert_eq!(tiyin(text), None, "{text}");
        }
    }
}
