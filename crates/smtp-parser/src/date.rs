//! The date and time of HOLDUNTIL, the only one in SMTP commands.

use crate::param::digits;
use jiff::civil::DateTime;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The calendar's name for [`UNIX_EPOCH`].
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Reads `2026-01-31T23:59:59Z` (RFC 3339 §5.6). Drops a fraction of a second; returns 1970 for what is before it.
pub(crate) fn utc(value: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.strip_suffix(['Z', 'z'])?;
    let (date, time) = text.split_once(['T', 't'])?;
    let time = match time.split_once('.') {
        Some((time, fraction)) => digits(fraction.as_bytes()).map(|_| time)?,
        None => time,
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?.map(|number| i8::try_from(number).ok());
    // RFC 3339 §5.7: a leap second is 60; it is the first second of the next minute for us.
    let leap = u64::from(second == Some(60));
    let second = second.map(|second| if leap == 1 { 59 } else { second });
    let [month, day] = [month, day].map(|number| i8::try_from(number).ok());
    let moment = DateTime::new(year, month?, day?, hour?, minute?, second?, 0).ok()?;
    let seconds = u64::try_from(moment.duration_since(EPOCH).as_secs());
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds.map_or(0, |seconds| seconds + leap)))
}

/// Writes a moment in UTC as RFC 3339 §5.6 does, to the second: `2026-01-31T23:59:59Z`. One before 1970 or after 9999 is
/// written as the nearest within.
pub fn utc_text(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let moment = EPOCH.checked_add(Duration::from_secs(since.as_secs())).unwrap_or(DateTime::MAX);
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[i16; 3]> {
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
    fn writes_what_the_calendar_does_not_have_as_the_nearest_it_has() {
        assert_eq!(utc_text(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        for seconds in [253_402_300_800, u64::from(u32::MAX) << 16] {
            assert_eq!(utc_text(UNIX_EPOCH + Duration::from_secs(seconds)), "9999-12-31T23:59:59Z");
        }
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
