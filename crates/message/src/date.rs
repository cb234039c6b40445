//! Date and time as header fields have them (RFC 5322 §3.3).

use crate::lex::Cursor;
use crate::{Error, ErrorKind};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Seconds of 1 January of the year 0 and of the last second of the year 9999: what four digits can say.
const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
const DAY: i64 = 86_400;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// 1 January 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A moment, to the second, and the time zone it is written in.
///
/// Written with the weekday, and read leniently: comments, two-digit years, named zones, no seconds, no zone.
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
    /// A moment in seconds since 1970 (UTC), to be written with an offset of `zone` minutes east of UTC.
    ///
    /// What four digits of a year and of a zone cannot say is brought to the nearest that they can.
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
    /// In UTC; fractions of a second are cut.
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
        let local = self.unix + i64::from(self.zone) * 60;
        let (days, seconds) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let named = |names: &'static [&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
        };
        let (weekday, month) = (named(&WEEKDAYS, days.rem_euclid(7)), named(&MONTHS, month - 1));
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let (sign, zone) = (if self.zone < 0 { '-' } else { '+' }, self.zone.unsigned_abs());
        write!(f, "{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} ")?;
        write!(f, "{sign}{:02}{:02}", zone / 60, zone % 60)
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(&mut Cursor::new(text.as_bytes())).ok_or_else(|| Error::new(ErrorKind::BadDate))
    }
}

/// Year, month from 1 and day of the month of a day counted from 1 January 1970, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are counted from 1 March of the year 0, so that a leap day is the last day of its year; 400 of them
    // have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let in_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, in_month)
}

/// The reverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let in_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

fn parse(cursor: &mut Cursor<'_>) -> Option<Date> {
    cursor.cfws();
    if cursor.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
        // The weekday says nothing the date does not; a wrong one is common in old mail.
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
    let month = i64::try_from(month).ok()?;
    cursor.eat(b'.');
    separator(cursor);
    let (year, digits) = number(cursor, 4)?;
    // RFC 5322 §4.3: two digits below 50 are of this century, other two and three digits count from 1900.
    let year = match digits {
        2 if year < 50 => year + 2000,
        2 | 3 => year + 1900,
        4 => year,
        _ => return None,
    };
    cursor.cfws();
    let (seconds_of_day, zone) = time(cursor)?;
    let whole = days(year, month, day);
    if civil(whole) != (year, month, day) {
        return None;
    }
    Some(Date::new(whole * DAY + seconds_of_day - i64::from(zone) * 60, zone))
}

/// White space, or the hyphen of `3-Nov-2026`.
fn separator(cursor: &mut Cursor<'_>) {
    cursor.cfws();
    cursor.eat(b'-');
    cursor.cfws();
}

/// Seconds since midnight, and the zone in minutes; nothing may follow.
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
            // RFC 5322 §4.3: unknown and military names are to be taken for -0000.
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

/// A number of at most `most` digits, and how many it had.
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
    fn every_day_of_800_years_follows_the_one_before() {
        let mut last = civil(days(1600, 1, 1));
        for day in days(1600, 1, 1) + 1..=days(2400, 12, 31) {
            let next = civil(day);
            assert_eq!(days(next.0, next.1, next.2), day);
            let follows = next == (last.0, last.1, last.2 + 1)
                || next == (last.0, last.1 + 1, 1)
                || next == (last.0 + 1, 1, 1);
            assert!(follows, "{last:?} {next:?}");
            last = next;
        }
        assert_eq!(last, (2400, 12, 31));
    }
}
