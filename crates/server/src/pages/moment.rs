//! Moments in words.

use sessile::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// "just now", "5 minutes ago", "yesterday", "3 days ago", and the date when it is long ago.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let some = |count: u64, unit: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {unit}{plural} ago")
    };
    match now.since(at).as_secs() {
        seconds if seconds < MINUTE => "just now".to_owned(),
        seconds if seconds < HOUR => some(seconds / MINUTE, "minute"),
        seconds if seconds < DAY => some(seconds / HOUR, "hour"),
        seconds if seconds < 2 * DAY => "yesterday".to_owned(),
        seconds if seconds < 30 * DAY => some(seconds / DAY, "day"),
        _ => format!("on {}", day(at)),
    }
}

/// "21 November 2026", in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let iso = at.to_iso8601();
    let mut parts = iso.get(..10).unwrap_or_default().split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| month.parse::<usize>().ok()).and_then(|month| MONTHS.get(month - 1));
    match (day, month, year) {
        (Some(day), Some(month), Some(year)) => format!("{} {month} {year}", day.trim_start_matches('0')),
        _ => iso,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn spans_read_as_people_say_them() {
        let now = Timestamp::from_iso8601("2026-11-21T12:00:00Z").unwrap();
        let said = |seconds| ago(now.minus(Duration::from_secs(seconds)), now);
        assert_eq!(
            [5, 60, 7300, 100_000, 3 * DAY, 60 * DAY].map(said),
            ["just now", "1 minute ago", "2 hours ago", "yesterday", "3 days ago", "on 22 September 2026"]
        );
        assert_eq!(ago(now.plus(Duration::from_secs(9)), now), "just now");
        assert_eq!(day(Timestamp::EPOCH), "1 January 1970");
    }
}
