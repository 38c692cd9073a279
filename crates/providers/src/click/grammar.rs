//! How CLICK writes numbers, amounts and times, read to the letter.
//!
//! Nothing separates the fields in a signed text, so each must have one spelling: a reader that forgave a leading zero,
//! a sign or a short date would let one signature stand for two payments.

use chrono::{NaiveDate, NaiveTime};

/// Digits before the point: 15 so'm digits are 10^17 tiyin, which an `i64` holds.
const WHOLE_DIGITS_MAX: usize = 15;
/// Digits after the point that are looked at.
const FRACTION_DIGITS_MAX: usize = 15;

/// How much CLICK says was or will be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Tiyin, 1/100 of a so'm.
    Tiyin(i64),
    /// Finer than a tiyin: well written, and no amount that we ever asked for. Answer -2 where amounts are compared.
    SubTiyin,
}

/// `0`, or digits without a leading zero. No sign.
pub(super) fn canonical(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if digits && !leading_zero { text.parse().ok() } else { None }
}

/// As [`canonical`], and an `i64` of at least `least`.
pub(super) fn canonical_i64(text: &str, least: i64) -> Option<i64> {
    canonical(text).and_then(|number| i64::try_from(number).ok()).filter(|number| *number >= least)
}

/// CLICK's status code: `0`, `-5017`.
pub(super) fn canonical_signed(text: &str) -> Option<i32> {
    let magnitude = i64::try_from(canonical(text.strip_prefix('-').unwrap_or(text))?).ok()?;
    let number = if text.starts_with('-') { -magnitude } else { magnitude };
    if text == "-0" { None } else { i32::try_from(number).ok() }
}

/// `digits[.digits]`.
pub(super) fn amount(text: &str) -> Option<Amount> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(halves) => halves,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > WHOLE_DIGITS_MAX || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let (hundredths, finer) = fraction.split_at(fraction.len().min(2));
    if finer.bytes().any(|digit| digit != b'0') {
        return Some(Amount::SubTiyin);
    }
    format!("{whole}{hundredths:0<2}").parse().ok().map(Amount::Tiyin)
}

/// `YYYY-MM-DD HH:mm:ss`, 19 characters, a day and an hour that exist.
pub(super) fn is_sign_time(text: &str) -> bool {
    let shape = b"dddd-dd-dd dd:dd:dd";
    let fits = |(byte, shape): (u8, u8)| if shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    if text.len() != shape.len() || !text.bytes().zip(*shape).all(fits) {
        return false;
    }
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u32>().ok());
    let day = || {
        let year = i32::try_from(number(0, 4)?).ok()?;
        NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)
    };
    let hour = || NaiveTime::from_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?);
    day().is_some() && hour().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(canonical("0"), Some(0));
        assert_eq!(canonical("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "1e3", "١", "18446744073709551616"] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
        assert_eq!(canonical_i64("9223372036854775807", 1), Some(i64::MAX));
        for (bad, least) in [("9223372036854775808", 0), ("0", 1)] {
            assert_eq!(canonical_i64(bad, least), None, "{bad:?}");
        }
    }

    #[test]
    fn status_codes_are_signed() {
        for (text, number) in
            [("0", 0), ("-5017", -5017), ("2147483647", i32::MAX), ("-2147483648", i32::MIN)]
        {
            assert_eq!(canonical_signed(text), Some(number));
        }
        for bad in ["", "-", "-0", "--1", "+1", "-01", "2147483648", "-2147483649", "99999999999999999999"] {
            assert_eq!(canonical_signed(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn amounts_are_tiyin() {
        for (text, tiyin) in [
            ("0", 0),
            ("1000", 100_000),
            ("1000.0", 100_000),
            ("1000.5", 100_050),
            ("1000.05", 100_005),
            ("1000.00", 100_000),
            ("1000.0100000", 100_001),
            ("999999999999999.99", 99_999_999_999_999_999),
        ] {
            assert_eq!(amount(text), Some(Amount::Tiyin(tiyin)), "{text}");
        }
        for text in ["1000.009", "0.001", "1000.000000000000001"] {
            assert_eq!(amount(text), Some(Amount::SubTiyin), "{text}");
        }
        for bad in [
            "",
            ".",
            ".5",
            "5.",
            "-1",
            "+1",
            "-1000.00",
            "nan",
            "NaN",
            "inf",
            "1e3",
            "1E3",
            "0x10",
            "1,000",
            "1 000",
            " 1",
            "1.0.0",
            "1_000",
            "١",
            "1000000000000000",
            "1.0000000000000000",
            "1.-1",
        ] {
            assert_eq!(amount(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn times_exist() {
        for good in ["2026-11-21 10:00:00", "2024-02-29 23:59:59", "0000-01-01 00:00:00"] {
            assert!(is_sign_time(good), "{good}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21T10:00:00",
            "2026-11-21 10:00:0",
            "2026-11-21 10:00:000",
            "2026-11-21 24:00:00",
            "2026-11-21 10:60:00",
            "2026-11-21 10:00:60",
            "2026-13-01 10:00:00",
            "2026-02-29 10:00:00",
            "2026-00-10 10:00:00",
            "2026-1--21 10:00:00",
            "+026-11-21 10:00:00",
            "2026-11-21 10:00:0é",
        ] {
            assert!(!is_sign_time(bad), "{bad}");
        }
    }
}
