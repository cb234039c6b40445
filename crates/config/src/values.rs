//! Reads the values of settings: times, sizes, addresses, names and patterns.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dns::{Domain, NameError};
use regex_lite::Regex;
use toml::de::DeValue;
use unicode_normalization::UnicodeNormalization as _;

use crate::problem::in_quotes;
use crate::read::Wrong;

type Read<T> = Result<T, Wrong>;

pub(crate) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| Wrong::kind_of_value(value, "true or false"))
}

pub(crate) fn text(value: &DeValue<'_>) -> Read<String> {
    string(value, "text in quotes").map(str::to_owned)
}

fn string<'v>(value: &'v DeValue<'_>, wanted: &str) -> Read<&'v str> {
    value.as_str().ok_or_else(|| Wrong::kind_of_value(value, wanted))
}

fn integer(value: &DeValue<'_>, wanted: &str) -> Read<i128> {
    let integer = value.as_integer().ok_or_else(|| Wrong::kind_of_value(value, wanted))?;
    i128::from_str_radix(integer.as_str(), integer.radix())
        .map_err(|_| Wrong::value("is a number that no setting has", format!("give {wanted}")))
}

/// A whole number from `least` on.
pub(crate) fn number(least: u32) -> impl Fn(&DeValue<'_>) -> Read<u32> {
    move |value| {
        let number = integer(value, "a whole number")?;
        u32::try_from(number).ok().filter(|number| *number >= least).ok_or_else(|| {
            Wrong::value(
                format!("{number} is out of range"),
                format!("give a number from {least} to {}", u32::MAX),
            )
        })
    }
}

/// A TCP port from 1 to 65535.
pub(crate) fn port(value: &DeValue<'_>) -> Read<u16> {
    let number = integer(value, "a port number")?;
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| Wrong::value(format!("{number} is not a port"), "give a number from 1 to 65535"))
}

/// One of the given words.
pub(crate) fn choice<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Read<T> {
    move |value| {
        let list = || words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let given = string(value, "text in quotes")?;
        let found = words.iter().find(|(word, _)| *word == given);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            Wrong::value(format!("{} is not known here", in_quotes(given)), format!("use one of {}", list()))
        })
    }
}

pub(crate) fn ip(value: &DeValue<'_>) -> Read<IpAddr> {
    let given = string(value, "an IP address in quotes")?;
    let wrong = |_| {
        let what = format!("{} is not an IP address", in_quotes(given));
        Wrong::value(what, "give one such as \"192.0.2.1\" or \"::1\"")
    };
    given.parse().map_err(wrong)
}

/// An IP address with a port. `usual` is the port that error messages suggest.
pub(crate) fn socket(usual: u16) -> impl Fn(&DeValue<'_>) -> Read<SocketAddr> {
    move |value| {
        let given = string(value, "an address with port in quotes")?;
        let wrong = |_| match given.parse::<IpAddr>() {
            Ok(ip) => {
                let mend = format!("write \"{}\"", SocketAddr::new(ip, usual));
                Wrong::value(format!("{} has no port", in_quotes(given)), mend)
            }
            Err(_) => {
                let what = format!("{} is not an IP address with port", in_quotes(given));
                Wrong::value(what, format!("give one such as \"127.0.0.1:{usual}\" or \"[::1]:{usual}\""))
            }
        };
        given.parse().map_err(wrong)
    }
}

pub(crate) fn domain(value: &DeValue<'_>) -> Read<Domain> {
    const WANTED: &str = "a domain name such as \"mail.example.org\"";
    let given = string(value, WANTED)?;
    domain_name(given).map_err(|why| {
        Wrong::value(format!("{} is not a domain name: {why}", in_quotes(given)), format!("give {WANTED}"))
    })
}

/// The name of one of our hosts: peers and certificate authorities accept only names that RFC 1123 §2.1 allows.
pub(crate) fn hostname(value: &DeValue<'_>) -> Read<Domain> {
    let domain = domain(value)?;
    if domain.is_hostname() {
        return Ok(domain);
    }
    Err(Wrong::value(
        format!("{} has an underscore", in_quotes(string(value, "a host name")?)),
        "give a host name of letters, digits and hyphens",
    ))
}

/// Parses a domain name, or says why it is none.
pub(crate) fn domain_name(text: &str) -> Result<Domain, String> {
    let domain: Domain = text.parse().map_err(|error: NameError| error.to_string())?;
    // RFC 1123 §2.1: the last label of a name is not a number, so that no name looks like an address.
    let last = domain.as_str().rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) { Err("it ends in a number".to_owned()) } else { Ok(domain) }
}

/// A network as an address and its prefix length, such as `192.0.2.0/24`. An IPv4-mapped one (`::ffff:192.0.2.0/120`) is the
/// IPv4 network that it stands for. One that is wider than all IPv4 addresses (`::ffff:0:0/80`) is refused: it has no IPv4
/// form.
pub(crate) fn network(value: &DeValue<'_>) -> Read<(IpAddr, u8)> {
    const WANTED: &str = "an address or network such as \"192.0.2.0/24\"";
    let given = string(value, WANTED)?;
    let (address, length) =
        given.split_once('/').map_or((given, None), |(address, length)| (address, Some(length)));
    let read = || {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length =
            length.map_or(Some(bits), |length| length.parse().ok()).filter(|length| *length <= bits)?;
        match address.to_canonical() {
            mapped @ IpAddr::V4(_) if address.is_ipv6() => Some((mapped, length.checked_sub(MAPPED_BITS)?)),
            _ => Some((address, length)),
        }
    };
    read().ok_or_else(|| {
        Wrong::value(format!("{} is not an address or network", in_quotes(given)), format!("give {WANTED}"))
    })
}

/// Bits in front of the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A duration such as `30s`, `5m`, `72h`, `7d`.
pub(crate) fn duration(value: &DeValue<'_>) -> Read<Duration> {
    const WANTED: &str = "a time such as \"30s\", \"5m\", \"2h\" or \"7d\"";
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let given = string(value, WANTED)?;
    let read = || {
        let (count, seconds) = UNITS.iter().find_map(|(unit, s)| Some((given.strip_suffix(*unit)?, *s)))?;
        let digits = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
        count
            .parse::<u32>()
            .ok()
            .filter(|_| digits)
            .map(|count| Duration::from_secs(u64::from(count) * seconds))
    };
    read()
        .ok_or_else(|| Wrong::value(format!("{} is not a time", in_quotes(given)), format!("give {WANTED}")))
}

/// A size in bytes: a number, or text such as `100 MiB`. At least 1.
pub(crate) fn size(value: &DeValue<'_>) -> Read<u64> {
    const WANTED: &str = "a size such as 65536 or \"100 MiB\"";
    const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    let (count, unit, shown) = match value {
        DeValue::Integer(_) => {
            let count = integer(value, WANTED)?;
            (u64::try_from(count).ok(), 1, format!("\"{count}\""))
        }
        _ => {
            let given = string(value, WANTED)?;
            let found = UNITS.iter().find_map(|(unit, bytes)| Some((given.strip_suffix(*unit)?, *bytes)));
            let (digits, unit) = found.unwrap_or((given, 1));
            let digits = digits.trim_end();
            let count = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
            (count, unit, in_quotes(given))
        }
    };
    count
        .and_then(|count| count.checked_mul(unit))
        .filter(|bytes| *bytes > 0 && *bytes < i64::MAX as u64)
        .ok_or_else(|| Wrong::value(format!("{shown} is not a size"), format!("give {WANTED}")))
}

/// Composes letters (NFC): the form in which names and addresses are compared and stored.
pub(crate) fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// A regular expression.
pub(crate) fn pattern(value: &DeValue<'_>) -> Read<String> {
    let given = string(value, "a regular expression in quotes")?;
    if given.is_empty() {
        return Err(Wrong::value(
            "is empty, and so fits everything",
            "give a regular expression, or leave it out",
        ));
    }
    match Regex::new(given) {
        Ok(_) => Ok(given.to_owned()),
        Err(error) => {
            let what = format!("{} is no regular expression: {error}", in_quotes(given));
            Err(Wrong::value(what, "fix it; escape literal characters with \\"))
        }
    }
}

/// A regular expression for text that is lower-cased before the comparison.
pub(crate) fn lower_pattern(value: &DeValue<'_>) -> Read<String> {
    let given = pattern(value)?;
    let mut is_escaped = false;
    let is_capital = |c: char| {
        // `\D` and its like are classes, not letters.
        let capital = c.is_uppercase() && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        capital
    };
    if given.chars().any(is_capital) {
        return Err(Wrong::value("has capital letters, and so fits nothing", "write it in lower case"));
    }
    Ok(given)
}

/// One line of text: not empty, without control characters.
pub(crate) fn line(value: &DeValue<'_>) -> Read<String> {
    let given = string(value, "text in quotes")?;
    if given.is_empty() || given.chars().any(char::is_control) {
        return Err(Wrong::value("is empty or has control characters", "give one line of text"));
    }
    Ok(given.to_owned())
}

/// Longest name of a mailbox in bytes: the limit of the store.
const MAX_MAILBOX: usize = 400;
/// Deepest mailbox, in levels: the limit of the store.
const MAX_LEVELS: usize = 32;

/// The name of a mailbox, with `/` between levels.
pub(crate) fn mailbox(value: &DeValue<'_>) -> Read<String> {
    let name = composed(&line(value)?);
    let bad = |what: &str, mend: &str| Err(Wrong::value(format!("{} {what}", in_quotes(&name)), mend));
    let levels = name.split('/').all(|level| !level.is_empty());
    if !levels || name.contains(['%', '*', '#', '&', '\u{2028}', '\u{2029}']) {
        let mend = "leave out %, *, # and &, and do not begin, end or double the /";
        return bad("is no name for a mailbox", mend);
    }
    if name.len() > MAX_MAILBOX || name.split('/').count() > MAX_LEVELS {
        return bad("is too long a name for a mailbox", "give at most 400 bytes and 32 levels");
    }
    if name.eq_ignore_ascii_case("inbox") && name != "Inbox" {
        return bad("is the inbox, which is written differently", "write \"Inbox\"");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(
        read: impl Fn(&DeValue<'_>) -> Read<T>,
        text: &str,
        expected: Option<T>,
    ) {
        let value = DeValue::parse(text).unwrap();
        assert_eq!(read(value.get_ref()).ok(), expected, "{text}");
    }

    #[test]
    fn patterns() {
        check(pattern, r"'@lists\.example$'", Some(r"@lists\.example$".to_owned()));
        check(pattern, "'BOUNCES'", Some("BOUNCES".to_owned()));
        for bad in ["''", "'('", "'a{2'", "1"] {
            check(pattern, bad, None);
        }
        check(lower_pattern, r"'^list-\D+\\$'", Some(r"^list-\D+\\$".to_owned()));
        for bad in ["'List-Id'", r"'\\D'", "'\u{dc}'"] {
            check(lower_pattern, bad, None);
        }
    }

    #[test]
    fn durations() {
        for (text, seconds) in
            [("\"0s\"", 0), ("\"30s\"", 30), ("\"5m\"", 300), ("\"2h\"", 7200), ("\"7d\"", 604_800)]
        {
            check(duration, text, Some(Duration::from_secs(seconds)));
        }
        for bad in
            ["30", "\"\"", "\"s\"", "\"30\"", "\"+3s\"", "\"3 s\"", "\"1.5h\"", "\"99999999999d\"", "\"3w\""]
        {
            check(duration, bad, None);
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", 1),
            ("0x10", 16),
            ("\"65536\"", 65_536),
            ("\"1 KiB\"", 1024),
            ("\"100MiB\"", 100 << 20),
            ("\"2 GiB\"", 2 << 30),
        ] {
            check(size, text, Some(bytes));
        }
        for bad in
            ["0", "-1", "1.5", "\"\"", "\"MiB\"", "\"1 MB\"", "\"-1 KiB\"", "\"99999999999999 GiB\"", "true"]
        {
            check(size, bad, None);
        }
    }

    #[test]
    fn numbers_and_ports() {
        check(number(1), "1", Some(1));
        check(number(1), "4294967295", Some(u32::MAX));
        for bad in ["0", "-1", "4294967296", "99999999999999999999999999999999999999999999", "1.0", "\"1\""] {
            check(number(1), bad, None);
        }
        check(port, "25", Some(25));
        for bad in ["0", "65536", "-25", "\"25\""] {
            check(port, bad, None);
        }
    }

    #[test]
    fn mailboxes() {
        for good in ["\"Inbox\"", "\"Lists/Rust\"", "\"Entwürfe\"", "\"Inbox/Sub\""] {
            assert!(mailbox(DeValue::parse(good).unwrap().get_ref()).is_ok(), "{good}");
        }
        for bad in ["\"\"", "\"INBOX\"", "\"/a\"", "\"a/\"", "\"a//b\"", "\"a%\"", "\"a\\u0007\"", "1"] {
            check(mailbox, bad, None);
        }
        check(mailbox, "\"Entwu\u{308}rfe\"", Some("Entw\u{fc}rfe".to_owned()));
        // The store could not create such a mailbox, and would refuse every message for it.
        for bad in ["x".repeat(401), "x/".repeat(32) + "x", "a\u{2028}b".to_owned(), "a\u{2029}b".to_owned()]
        {
            check(mailbox, &format!("\"{bad}\""), None);
        }
        for good in ["x".repeat(400), "x/".repeat(31) + "x"] {
            check(mailbox, &format!("\"{good}\""), Some(good));
        }
    }

    #[test]
    fn networks() {
        check(network, "\"192.0.2.0/24\"", Some(("192.0.2.0".parse().unwrap(), 24)));
        check(network, "\"::1\"", Some(("::1".parse().unwrap(), 128)));
        check(network, "\"::ffff:192.0.2.0/120\"", Some(("192.0.2.0".parse().unwrap(), 24)));
        check(network, "\"::ffff:192.0.2.1\"", Some(("192.0.2.1".parse().unwrap(), 32)));
        check(network, "\"::ffff:0.0.0.0/96\"", Some(("0.0.0.0".parse().unwrap(), 0)));
        for bad in
            ["192.0.2.0/33", "192.0.2.0/", "/24", "host", "::ffff:192.0.2.0/95", "::ffff:192.0.2.0/129"]
        {
            check(network, &format!("\"{bad}\""), None);
        }
        check(network, "24", None);
    }
}
