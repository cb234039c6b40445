//! Date and time in header fields (RFC 5322 §3.3).

use crate::lex::Cursor;
use crate::{Error, ErrorKind};
use jiff::SignedDuration;
use jiff::civil::{self, DateTime};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Start of the seconds in [`Date`].
const EPOCH: DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);
/// The first second of the year 0 and the last of the year 9999: the range of a year with four digits.
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time with a resolution of one second, and the time zone it is written in.
///
/// Writing includes the weekday. Reading is lenient: it accepts comments, two-digit years, named zones, and a missing zone or
/// missing seconds.
///
/// ```
/// use moxd_message::Date;
///
/// let date: Date = "Tue, 3 Nov 2026 15:04:05 +0000".parse()?;
/// assert_eq!(date.unix(), 1_793_718_245);
/// assert_eq!(date.to_string(), "Tue, 3 Nov 2026 15:04:05 +0000");
/// assert_eq!("3 Nov 26 10:04:05 EST (lunch)".parse::<Date>()?.unix(), date.unix());
/// # Ok::<(), moxd_message::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date {
    unix: i64,
    zone: i16,
}

impl Date {
    /// Creates a date from seconds since 1970 (UTC) that is written with an offset of `zone` minutes east of UTC.
    ///
    /// Clamps both to what a year of four digits and a zone of four digits can express.
    pub fn new(unix: i64, zone: i16) -> Self {
        let zone = zone.clamp(-99 * 60 - 59, 99 * 60 + 59);
        let seconds = i64::from(zone) * 60;
        let unix = unix.clamp(*YEARS.start() - seconds.min(0), *YEARS.end() - seconds.max(0));
        Self { unix, zone }
    }

    /// Seconds since 1970 (UTC).
    pub fn unix(self) -> i64 {
        self.unix
    }

    /// Minutes east of UTC.
    pub fn zone(self) -> i16 {
        self.zone
    }
}

impl From<SystemTime> for Date {
    /// Uses UTC, and drops fractions of a second.
    fn from(time: SystemTime) -> Self {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        let unix = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => seconds(since),
            Err(before) => seconds(before.duration()).saturating_neg(),
        };
        Self::new(unix, 0)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `new` keeps the year within four digits, and the calendar covers more.
        let local = EPOCH.saturating_add(SignedDuration::from_secs(self.unix + i64::from(self.zone) * 60));
        let (sign, zone) = (if self.zone < 0 { '-' } else { '+' }, self.zone.unsigned_abs());
        write!(f, "{} ", local.strftime("%a, %-d %b %Y %H:%M:%S"))?;
        write!(f, "{sign}{:02}{:02}", zone / 60, zone % 60)
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(&mut Cursor::new(text.as_bytes())).ok_or_else(|| Error::new(ErrorKind::BadDate))
    }
}

fn parse(cursor: &mut Cursor<'_>) -> Option<Date> {
    cursor.cfws();
    if cursor.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
        // The weekday adds nothing to the date, and is often wrong in old mail.
        cursor.take_while(|b| b.is_ascii_alphabetic() || b == b'.');
        cursor.cfws();
        cursor.eat(b',');
        cursor.cfws();
    }
    let (day, _) = number(cursor, 2)?;
    separator(cursor);
    let name = cursor.take_while(|b| b.is_ascii_alphabetic());
    let month = 1 + MONTHS
        .iter()
        .position(|month| name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(month.as_bytes())))?;
    cursor.eat(b'.');
    separator(cursor);
    let (year, digits) = number(cursor, 4)?;
    // RFC 5322 §4.3: two digits below 50 count from 2000, other two and three digits from 1900.
    let year = match digits {
        2 if year < 50 => year + 2000,
        2 | 3 => year + 1900,
        4 => year,
        _ => return None,
    };
    cursor.cfws();
    let (seconds_of_day, zone) = time(cursor)?;
    let (year, month, day) = (year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?);
    let midnight = civil::Date::new(year, month, day).ok()?.at(0, 0, 0, 0);
    let local = midnight.duration_since(EPOCH).as_secs() + seconds_of_day;
    Some(Date::new(local - i64::from(zone) * 60, zone))
}

/// Consumes white space, or the hyphen of `3-Nov-2026`.
fn separator(cursor: &mut Cursor<'_>) {
    cursor.cfws();
    cursor.eat(b'-');
    cursor.cfws();
}

/// Reads seconds since midnight, and the zone in minutes; nothing may follow.
fn time(cursor: &mut Cursor<'_>) -> Option<(i64, i16)> {
    let colon = |cursor: &mut Cursor<'_>| {
        cursor.cfws();
        let found = cursor.eat(b':');
        cursor.cfws();
        found
    };
    let (hour, _) = number(cursor, 2)?;
    colon(cursor).then_some(())?;
    let (minute, _) = number(cursor, 2)?;
    let second = if colon(cursor) { number(cursor, 2)?.0 } else { 0 };
    // RFC 5322 §3.3: a leap second is the 60th.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    cursor.cfws();
    let zone = zone(cursor)?;
    cursor.cfws();
    (cursor.is_empty() && !cursor.broken).then_some((hour * 3600 + minute * 60 + second, zone))
}

fn zone(cursor: &mut Cursor<'_>) -> Option<i16> {
    let sign = match cursor.peek() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => {
            let name = cursor.take_while(|b| b.is_ascii_alphabetic()).to_ascii_uppercase();
            // RFC 5322 §4.3: unknown and military names count as -0000.
            return Some(match name.as_slice() {
                b"EDT" => -4 * 60,
                b"EST" | b"CDT" => -5 * 60,
                b"CST" | b"MDT" => -6 * 60,
                b"MST" | b"PDT" => -7 * 60,
                b"PST" => -8 * 60,
                _ => 0,
            });
        }
    };
    cursor.next();
    let (digits, count) = number(cursor, 4)?;
    // RFC 5322 §3.3: the last two digits are minutes, from 00 to 59.
    let (hours, minutes) = (digits / 100, digits % 100);
    let zone = i16::try_from(hours * 60 + minutes).ok()?;
    (count == 4 && minutes < 60).then_some(sign * zone)
}

/// Reads a number of up to `most` digits; returns it with its number of digits.
fn number(cursor: &mut Cursor<'_>, most: usize) -> Option<(i64, usize)> {
    let digits = cursor.take_while(|b| b.is_ascii_digit());
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some((value, digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<Date>().unwrap().to_string(), expected, "{text}");
    }

    #[track_caller]
    fn refuse(text: &str) {
        assert_eq!(text.parse::<Date>().map_err(|e| e.kind()), Err(ErrorKind::BadDate), "{text}");
    }

    #[test]
    fn round_trips_what_it_writes() {
        for text in [
            "Thu, 1 Jan 1970 00:00:00 +0000",
            "Tue, 3 Nov 2026 15:04:05 +0000",
            "Thu, 29 Feb 2024 23:59:59 -0930",
            "Sat, 1 Jan 0000 00:00:00 +0000",
            "Fri, 31 Dec 9999 23:59:59 +0000",
            "Mon, 2 Jan 2006 15:04:05 -0700",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn accepts_older_and_sloppier_ways() {
        let expected = "Fri, 21 Nov 1997 09:55:06 -0600";
        check("21 Nov 97 09:55:06 CST", expected);
        check("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", expected);
        check("  Fri,21 NOVEMBER 1997 9:55:6 -0600 (CST)", expected);
        check("Mon 21-Nov-1997 09:55:06 -0600", expected);
        check("21 Nov 097 09:55:06 -0600", expected);
        check("21 Nov 1997\r\n 09:55:06 -0600", expected);
        check("21 Nov 1997 09:55", "Fri, 21 Nov 1997 09:55:00 +0000");
        check("30 Jun 2015 23:59:60 Z", "Wed, 1 Jul 2015 00:00:00 +0000");
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "today",
            "31 Feb 2026 00:00:00 +0000",
            "0 Jan 2026 00:00:00 +0000",
            "1 Foo 2026 00:00:00 +0000",
            "1 Jan 2026",
            "1 Jan 2026 24:00:00 +0000",
            "1 Jan 2026 00:60:00 +0000",
            "1 Jan 20260 00:00:00 +0000",
            "1 Jan 2026 00:00:00 +0060",
            "1 Jan 2026 00:00:00 +00000",
            "1 Jan 2026 00:00:00 +0000 x",
            "1 Jan 2026 00:00:00 +0000 (open",
            "29 Feb 2023 00:00:00 +0000",
            "99999999999999999999 Jan 2026",
        ] {
            refuse(text);
        }
    }

    #[test]
    fn moments_out_of_range_come_to_the_nearest() {
        assert_eq!(Date::new(i64::MAX, 0).to_string(), "Fri, 31 Dec 9999 23:59:59 +0000");
        assert_eq!(Date::new(i64::MAX, i16::MAX).to_string(), "Fri, 31 Dec 9999 23:59:59 +9959");
        assert_eq!(Date::new(i64::MIN, i16::MIN).to_string(), "Sat, 1 Jan 0000 00:00:00 -9959");
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Date::from(early).to_string(), "Wed, 31 Dec 1969 23:59:59 +0000");
    }

    #[test]
    fn round_trips_days_of_ten_thousand_years() {
        // Every 97th day, each time a second later, comes by all months, weekdays and leap years.
        for unix in YEARS.step_by(97 * 86_400 + 1) {
            let date = Date::new(unix, 0);
            assert_eq!(date.to_string().parse(), Ok(date), "{unix}");
        }
    }
}
