//! The times in `From ` lines of an mbox, in the many forms that programs write.

use message::Date;

/// The latest time that a message can have, in seconds since 1970: 7 February 2106. A larger number counts milliseconds or
/// something else.
pub const LATEST: i64 = u32::MAX as i64;

/// Names of time zones, with minutes east of UTC. Ambiguous names, such as IST, have their usual meaning in mail.
const ZONES: [(&str, i64); 38] = [
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("MET", 60),
    ("MEZ", 60),
    ("CEST", 120),
    ("MEST", 120),
    ("MESZ", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("IST", 330),
    ("HKT", 480),
    ("SGT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("BRT", -180),
    ("EDT", -240),
    ("EST", -300),
    ("CDT", -300),
    ("CST", -360),
    ("MDT", -360),
    ("MST", -420),
    ("PDT", -420),
    ("PST", -480),
    ("AKDT", -480),
    ("AKST", -540),
    ("HST", -600),
];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Returns `seconds` if a message can have been received then.
pub(crate) fn plausible(seconds: i64) -> Option<i64> {
    (1..=LATEST).contains(&seconds).then_some(seconds)
}

/// Reads the time from the words after the sender of a `From ` line; it is in UTC if no zone is named. The order of the words
/// does not matter: `Tue Nov  3 15:04:05 2026`, `Tue, 3 Nov 2026 15:04 +0100`, `2026-11-03T15:04:05Z`.
pub(crate) fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Option<i64> {
    let mut parts = Parts::default();
    words.for_each(|word| parts.add(word));
    parts.moment()
}

/// Is it the name of a month, a day of the week or a time zone, in any case?
pub(crate) fn is_name(word: &str) -> bool {
    let begins = |name: &&str| word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let is_zone =
        |(zone, _): &(&str, i64)| zone.eq_ignore_ascii_case(word) || word.eq_ignore_ascii_case("DST");
    MONTHS.iter().chain(&WEEKDAYS).any(begins) || ZONES.iter().any(is_zone)
}

/// The time as `ctime` writes it, in UTC: `Tue Nov  3 15:04:05 2026`.
pub(crate) fn asctime(seconds: i64) -> String {
    let date = Date::new(seconds, 0).to_string();
    let words: Vec<&str> = date.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    let [weekday, day, month, year, time, ..] = words.as_slice() else { return date };
    format!("{weekday} {month} {day:>2} {time} {year}")
}

/// The parts of a date that were found so far; the first of each kind counts.
#[derive(Default)]
struct Parts {
    day: Option<String>,
    month: Option<&'static str>,
    year: Option<String>,
    time: Option<String>,
    zone: Option<i64>,
    is_summer: bool,
}

impl Parts {
    fn add(&mut self, word: &str) {
        let word = word.trim_matches([',', '(', ')', '.']);
        if let Some((date, time)) = word.split_once(['T', 't']).filter(|_| is_iso_date(word)) {
            self.iso_date(date);
            return self.clock(time);
        }
        if is_iso_date(word) {
            self.iso_date(word);
        } else if word.contains('-') && word.split('-').count() == 3 && !word.starts_with('-') {
            // RFC 9051 §9: `3-Nov-2026` is a date of IMAP.
            word.split('-').for_each(|part| self.add(part));
        } else if word.contains(':') && word.starts_with(|c: char| c.is_ascii_digit()) {
            self.clock(word);
        } else if word.starts_with(['+', '-']) {
            self.zone = self.zone.or_else(|| offset(word));
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            self.number(word);
        } else {
            self.name(word);
        }
    }

    fn iso_date(&mut self, date: &str) {
        let mut parts = date.split('-');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (year, month, day) = (part(), part(), part());
        let month = month.parse::<usize>().ok().and_then(|number| MONTHS.get(number.checked_sub(1)?));
        if self.month.is_none() {
            (self.year, self.month, self.day) = (Some(year), month.copied(), Some(day));
        }
    }

    /// Reads `15:04:05`, and what may follow it at once: fractions of a second, `Z`, an offset.
    fn clock(&mut self, word: &str) {
        let end = word.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(word.len());
        let (time, rest) = word.split_at(end);
        let parts: Vec<&str> = time.split(':').collect();
        let is_clock = matches!(parts.len(), 2 | 3) && parts.iter().all(|part| matches!(part.len(), 1 | 2));
        if !is_clock || self.time.is_some() {
            return;
        }
        self.time = Some(time.to_owned());
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        if rest.starts_with(['+', '-']) {
            self.zone = self.zone.or_else(|| offset(rest));
        } else {
            self.name(rest);
        }
    }

    /// Reads the day, or the year: four digits are the year, and so is the second number of two digits.
    fn number(&mut self, word: &str) {
        let whole = are_digits(word);
        let slot = match word.len() {
            1 | 2 if self.day.is_none() => &mut self.day,
            2 | 4 => &mut self.year,
            _ => return,
        };
        if whole && slot.is_none() {
            *slot = Some(word.to_owned());
        }
    }

    /// Reads a month, or a zone with or without an offset (`GMT+0100`).
    fn name(&mut self, word: &str) {
        let end = word.find(['+', '-']).unwrap_or(word.len());
        let (name, rest) = word.split_at(end);
        let begins = |month: &&&str| name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(month));
        let known = ZONES.iter().find(|(zone, _)| zone.eq_ignore_ascii_case(name));
        if name.eq_ignore_ascii_case("DST") {
            self.is_summer = true;
        } else if let Some((_, east)) = known {
            self.zone = self.zone.or_else(|| offset(rest).or(Some(*east)));
        } else if self.month.is_none() && name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            self.month = MONTHS.iter().find(begins).copied();
        }
    }

    fn moment(self) -> Option<i64> {
        let (day, month, year, time) = (self.day?, self.month?, self.year?, self.time?);
        // `MET DST` is an hour east of `MET`.
        let zone = self.zone.unwrap_or_default() + if self.is_summer { 60 } else { 0 };
        let date: Date = format!("{day} {month} {year} {time} +0000").parse().ok()?;
        plausible(date.unix() - zone * 60)
    }
}

/// Does the word begin with a date such as `2026-11-03`?
fn is_iso_date(word: &str) -> bool {
    let digits = |from: usize, to: usize| word.get(from..to).is_some_and(are_digits);
    let hyphens = word.get(4..5) == Some("-") && word.get(7..8) == Some("-");
    hyphens && digits(0, 4) && digits(5, 7) && digits(8, 10) && !word.get(10..11).is_some_and(are_digits)
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Minutes east of UTC of `+0100` or `+01:00`.
fn offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-'])?.replacen(':', "", 1);
    if digits.len() != 4 || !are_digits(&digits) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    (number % 100 < 60).then_some(sign * (number / 100 * 60 + number % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 November 2020, 14:04:05 UTC.
    const MOMENT: i64 = 1_604_412_245;

    #[track_caller]
    fn check(text: &str, expected: impl Into<Option<i64>>) {
        assert_eq!(from_words(text.split_whitespace()), expected.into(), "{text}");
    }

    #[test]
    fn reads_the_forms_that_programs_write() {
        for text in [
            "Tue Nov  3 14:04:05 2020",
            "Tue Nov 03 14:04:05 +0000 2020",
            "Tue Nov  3 15:04:05 2020 +0100",
            "Tue Nov  3 15:04:05 CET 2020",
            "Tue Nov  3 09:04:05 EST 2020",
            "Tue Nov  3 9:04:05 EST 2020",
            "Tue Nov  3 15:04:05 2020 CET",
            "Tue Nov  3 16:04:05 MET DST 2020",
            "Tue, 3 Nov 2020 15:04:05 +0100",
            "Tue, 03 Nov 20 15:04:05 +0100 (CET)",
            "Tue Nov  3 14:04:05 20",
            "Tue Nov 3 2020 15:04:05 GMT+0100",
            "Tue Nov 3 2020 15:04:05 GMT+01:00 (CET)",
            "2020-11-03T14:04:05Z",
            "2020-11-03t14:04:05.123z",
            "2020-11-03T15:04:05+01:00",
            "2020-11-03 15:04:05 +0100",
            "3-Nov-2020 15:04:05 +0100",
            "Tuesday, November 3, 2020 14:04:05 UTC",
            "Tue Nov  3 14:04:05 2020 remote from host",
        ] {
            check(text, MOMENT);
        }
        check("Tue Nov  3 14:04 2020", MOMENT - 5);
        check("2020-11-03T14:04Z", MOMENT - 5);
        check("Tue Nov  3 04:04:05 HST 2020", MOMENT);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "-",
            "now on we meet at 15:04",
            "Tue Nov  3 2020",
            "2020-11-03",
            "Tue Nov 31 14:04:05 2020",
            "Tue Nov  3 25:04:05 2020",
            "Thu Jan  1 00:00:00 1970",
            "Tue Nov  3 14:04:05 9999",
            "2020-13-03T14:04:05Z",
            "2020-00-03T14:04:05Z",
            "Tue Nov  3 14:04:05:06 2020",
            "Tüe Növ  3 14:04:05 2020",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn writes_what_it_reads() {
        assert_eq!(asctime(MOMENT), "Tue Nov  3 14:04:05 2020");
        assert_eq!(asctime(0), "Thu Jan  1 00:00:00 1970");
        for seconds in [1, 86_399, MOMENT, 1_709_251_199, LATEST] {
            check(&asctime(seconds), seconds);
        }
    }
}
