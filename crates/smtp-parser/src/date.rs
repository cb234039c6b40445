//! The date and time of HOLDUNTIL, the only one in SMTP commands.

use crate::param::digits;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Days of a common year before each month, and the length of the year.
const DAYS_BEFORE: [u64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
const SECONDS_PER_DAY: u64 = 86_400;

/// Reads `2026-01-31T23:59:59Z` (RFC 3339 §5.6); a fraction of a second is dropped, and what is before 1970 is
/// given as its beginning.
pub(crate) fn utc(value: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.strip_suffix(['Z', 'z'])?;
    let (date, time) = text.split_once(['T', 't'])?;
    let time = match time.split_once('.') {
        Some((time, fraction)) => digits(fraction.as_bytes()).map(|_| time)?,
        None => time,
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let first = days_to_month(year, month)?;
    let length = days_to_month(year, month + 1)? - first;
    // RFC 3339 §5.7: a leap second is 60.
    if day == 0 || day > length || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = (days_to_year(year) + first + day - 1).saturating_sub(days_to_year(1970));
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(if year < 1970 { 0 } else { seconds }))
}

/// Writes a moment so that [`utc`] reads it, to the second.
pub(crate) fn utc_text(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let days = seconds / SECONDS_PER_DAY + days_to_year(1970);
    // No year has more than 366 days: start where the year cannot be later, and go up to it.
    let mut year = days / 366;
    while days_to_year(year + 1) <= days {
        year += 1;
    }
    let day_of_year = days - days_to_year(year);
    let starts = (1..=12).filter_map(|month| Some((month, days_to_month(year, month)?)));
    let (month, first) = starts.take_while(|(_, first)| *first <= day_of_year).last().unwrap_or((1, 0));
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day_of_year - first + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from the beginning of year 0: 365 a year, and one for each leap year that has passed.
fn days_to_year(year: u64) -> u64 {
    365 * year + year.div_ceil(4) - year.div_ceil(100) + year.div_ceil(400)
}

/// Days from the beginning of the year to that of the month; month 13 is the next year.
fn days_to_month(year: u64, month: u64) -> Option<u64> {
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    Some(DAYS_BEFORE.get(index)? + u64::from(is_leap(year) && month > 2))
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(separator);
    for (slot, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *slot = digits(part.as_bytes())?.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: u64) {
        let moment = utc(text.as_bytes()).unwrap();
        assert_eq!(moment.duration_since(UNIX_EPOCH).unwrap().as_secs(), seconds, "{text}");
        assert_eq!(utc_text(moment), text);
    }

    #[test]
    fn round_trips_moments() {
        check("1970-01-01T00:00:00Z", 0);
        check("1999-12-31T23:59:59Z", 946_684_799);
        check("2000-02-29T12:00:00Z", 951_825_600);
        check("2000-03-01T00:00:00Z", 951_868_800);
        check("2026-12-31T00:00:00Z", 1_798_675_200);
        check("2100-03-01T00:00:00Z", 4_107_542_400);
        check("9999-12-31T23:59:59Z", 253_402_300_799);
    }

    #[test]
    fn accepts_what_says_no_more_than_the_second() {
        assert_eq!(utc(b"2026-12-31t00:00:00.999z"), utc(b"2026-12-31T00:00:00Z"));
        assert_eq!(utc(b"1969-12-31T23:59:59Z"), Some(UNIX_EPOCH));
        // A leap second is the first second of the next day.
        assert_eq!(utc(b"2016-12-31T23:59:60Z"), utc(b"2017-01-01T00:00:00Z"));
    }

    #[test]
    fn refuses_what_is_no_moment_in_utc() {
        for text in [
            "",
            "2026-12-31",
            "2026-12-31T00:00:00",
            "2026-12-31T00:00:00+01:00",
            "2026-12-31T00:00:00.Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-1-1T00:00:00Z",
            "02026-01-01T00:00:00Z",
            "2026-01-01-T00:00:00Z",
            "2026-01-01T00:00:00:Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(utc(text.as_bytes()), None, "{text:?}");
        }
    }
}
