//! Who says to have written a message: the From address that DMARC and reputation rest on.

use crate::address::{Quotes, salvage};
use crate::charset::{UNKNOWN, to_utf8};
use crate::words::guess_words;
use crate::{
    Address, AddressList, FindingKind, FromError, FromErrorKind, Headers, MAX_ADDRESSES, Site, addresses,
    decode_words,
};
use dns::{Domain, Host, MAX_LABELS, MAX_NAME};
use std::borrow::Cow;

/// The one author of a message: exactly one From field with exactly one address, which has a domain.
///
/// Names without an address beside it are no authors: many write `Example, Inc. <a@example.org>` without quotes.
///
/// # Errors
/// There is no such author; the kind says why. A message without a clear author proves nothing about anybody.
pub fn author(headers: &Headers<'_>) -> Result<Address, FromError> {
    let list = authors(from_field(headers)?)?;
    let mut with_site = list.mailboxes().filter(|address| address.site != Site::Missing);
    match (with_site.next(), with_site.next()) {
        (Some(author), None) => site(author).map(|_| author.clone()),
        (Some(_), Some(_)) => Err(FromError::new(FromErrorKind::SeveralAuthors)),
        (None, _) => Err(FromError::new(match (list.mailboxes().next(), list.malformed) {
            (Some(_), _) => FromErrorKind::NoDomain,
            (None, 0) => FromErrorKind::NoAuthor,
            (None, _) => FromErrorKind::Malformed,
        })),
    }
}

/// The value of the one From field.
fn from_field<'h>(headers: &'h Headers<'_>) -> Result<&'h [u8], FromError> {
    let limited = |kind| matches!(kind, FindingKind::HeaderTooLarge | FindingKind::TooManyFields);
    if headers.findings().iter().any(|finding| limited(finding.kind)) {
        // A second From may be among what was not read.
        return Err(FromError::new(FromErrorKind::Unread));
    }
    let mut fields = headers.all("From");
    // RFC 5322 §3.6: the From field occurs once, no less and no more.
    let Some(field) = fields.next() else { return Err(FromError::new(FromErrorKind::NoField)) };
    if fields.next().is_some() {
        return Err(FromError::new(FromErrorKind::SeveralFields));
    }
    Ok(field.value)
}

/// The addresses of a From value.
fn authors(value: &[u8]) -> Result<AddressList, FromError> {
    let list = addresses(&visible(value));
    if list.cut { Err(FromError::new(FromErrorKind::SeveralAuthors)) } else { Ok(list) }
}

/// The text as a reader sees it: white space of any kind as a space, and without the characters that nobody sees, some of
/// which end it for programs.
fn visible(value: &[u8]) -> Cow<'_, [u8]> {
    let plain = |b: &u8| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    if value.iter().all(plain) {
        return Cow::Borrowed(value);
    }
    let shown = |c: char| match c {
        '\t' | '\r' | '\n' => Some(c),
        _ if c.is_control() => None,
        // Format characters (Unicode Cf): joiners, marks of direction, and other signs of no width.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => None,
        // The pattern of Braille without a dot is blank.
        '\u{2800}' => Some(' '),
        _ if c.is_whitespace() => Some(' '),
        // The leader of one dot looks like one, and no name has it.
        '\u{2024}' => Some('.'),
        _ => Some(c),
    };
    // Octets that are no UTF-8 are shown as those of a charset of one octet for a character, if at all.
    let text = to_utf8(value, UNKNOWN).unwrap_or_default();
    Cow::Owned(text.chars().filter_map(shown).collect::<String>().into_bytes())
}

/// The domain of an address.
fn site(address: &Address) -> Result<&Domain, FromError> {
    Err(FromError::new(match &address.site {
        Site::Host(Host::Domain(domain)) => return Ok(domain),
        Site::Host(Host::Ip(_)) => FromErrorKind::AddressLiteral,
        Site::Invalid(_) => FromErrorKind::BadDomain,
        Site::Missing => FromErrorKind::NoDomain,
    }))
}

/// The domain whose DMARC policy a message is under: that of its author, or of all its authors, should there be several
/// (RFC 9989 §5.3.1). Otherwise naming a domain twice would switch its policy off.
///
/// Whatever single address a reader of the From field sees has a domain here, or breaking the grammar would switch a
/// policy off: where no address can be read, one in quotes, in a comment or in encoded words counts, and for a domain
/// that cannot exist the domain above it.
///
/// # Errors
/// There is no From field or more than one; no domain is seen in it, or more than one.
///
/// ```
/// use moxd_message::{FromErrorKind, from_domain, headers};
///
/// let one = headers(b"From: J <j@Example.ORG>\r\n\r\n");
/// assert_eq!(from_domain(&one)?.as_str(), "example.org");
/// let two = headers(b"From: a@example.org, b@example.com\r\n\r\n");
/// assert_eq!(from_domain(&two).unwrap_err().kind(), FromErrorKind::SeveralAuthors);
/// # Ok::<(), moxd_message::FromError>(())
/// ```
pub fn from_domain(headers: &Headers<'_>) -> Result<Domain, FromError> {
    let value = from_field(headers)?;
    let list = authors(value)?;
    if let Some(domain) = common(list.mailboxes())? {
        return Ok(domain);
    }
    // Some readers show encoded words in quotes as they stand, and others decoded.
    let decoded = guess_words(&visible(value));
    // The signs of East Asian width look the same. They count last: in a display name they are nothing but text.
    let narrow = decoded.replace(['\u{ff20}', '\u{fe6b}'], "@");
    for text in [value, decoded.as_bytes(), narrow.as_bytes()] {
        let seen = salvage(&visible(text), Quotes::Plain, MAX_ADDRESSES);
        if let Some(domain) = common(seen.iter())? {
            return Ok(domain);
        }
    }
    match author(headers) {
        Ok(author) => site(&author).cloned(),
        Err(error) => Err(error),
    }
}

/// The one domain of all the addresses that have one.
fn common<'a>(addresses: impl Iterator<Item = &'a Address>) -> Result<Option<Domain>, FromError> {
    let mut found: Option<Domain> = None;
    for domain in addresses.filter_map(nearest_domain) {
        if found.as_ref().is_some_and(|found| *found != domain) {
            return Err(FromError::new(FromErrorKind::SeveralAuthors));
        }
        found = Some(domain);
    }
    Ok(found)
}

/// The domain of an address; for a name that cannot exist the nearest one above it that can, else the one between the
/// characters around it that no name has. Of two labels at the least.
fn nearest_domain(address: &Address) -> Option<Domain> {
    let written = match &address.site {
        Site::Host(host) => return host.domain().cloned(),
        Site::Invalid(written) => written.trim_matches(['[', ']', '.']),
        Site::Missing => return None,
    };
    // RFC 1123 §2.1: the last label of a name is not a number; this is half an address literal.
    if written.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let labels = written.rsplit('.').filter(|label| !label.is_empty()).take(MAX_LABELS);
    let (mut nearest, mut name) = (None, String::new());
    for label in labels {
        if name.len() + label.len() > MAX_NAME {
            break;
        }
        name = if name.is_empty() { label.to_owned() } else { format!("{label}.{name}") };
        let Ok(domain) = name.parse::<Domain>() else { break };
        nearest = domain.parent().is_some().then_some(domain);
    }
    nearest.or_else(|| {
        let in_names = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        let from = written.trim_start_matches(|c: char| !c.is_alphanumeric());
        let name = from.split(|c| !in_names(c)).next()?.trim_end_matches(['.', '-']);
        name.parse::<Domain>().ok().filter(|domain| domain.parent().is_some())
    })
}

/// The author for people, where [`author`] finds none: the first address of the first From field, or its text where it has
/// no address, such as `MAILER-DAEMON`.
pub fn shown_author(headers: &Headers<'_>) -> Option<String> {
    let value = visible(headers.first("From")?.value);
    let list = addresses(&value);
    let shown = list.mailboxes().find(|a| a.site != Site::Missing).or_else(|| list.mailboxes().next());
    Some(match shown {
        Some(address) => match &address.site {
            Site::Host(Host::Domain(domain)) => format!("{}@{}", address.localpart, domain.unicode()),
            Site::Host(host) => format!("{}@{host}", address.localpart),
            Site::Invalid(written) => format!("{}@{written}", address.localpart),
            Site::Missing => address.localpart.clone(),
        },
        None => decode_words(&value).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_FIELDS, headers};

    #[track_caller]
    fn check(block: &str, expected: Result<&str, FromErrorKind>) {
        let found = from_domain(&headers(block.as_bytes()));
        assert_eq!(found.as_ref().map(Domain::as_str).map_err(|e| e.kind()), expected, "{block}");
    }

    #[test]
    fn accepts_one_author() {
        check("From: a@Example.ORG\r\n", Ok("example.org"));
        check("to: x@y\r\nFROM : \"b@evil.example\" <a@example.org> (c@evil.example)\r\n", Ok("example.org"));
        check("From: ü@bücher.example\r\n", Ok("xn--bcher-kva.example"));
        check("From: Head Office <boss@Head_Office.example.com>\r\n", Ok("head_office.example.com"));
        check("From: <boss@_.bücher_.example.com.>\r\n", Ok("_.xn--bcher_-3ya.example.com"));
        // RFC 6854 §2: a group may stand in From.
        check("From: Team: a@example.org;\r\n", Ok("example.org"));
    }

    #[test]
    fn accepts_several_authors_of_one_domain() {
        check("From: a@example.org, B <b@EXAMPLE.org>\r\n", Ok("example.org"));
        check("From: g: a@example.org, a@example.org;\r\n", Ok("example.org"));
        check("From: a@example.org, b@sub.example.org\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: a@example.org, root\r\n", Ok("example.org"));
        let two = author(&headers(b"From: a@example.org, b@example.org\r\n"));
        assert_eq!(two.unwrap_err().kind(), FromErrorKind::SeveralAuthors);
    }

    /// The one address that is seen in a From value is its author, or at least the domain is known.
    #[test]
    fn breaking_the_grammar_switches_no_policy_off() {
        for from in [
            // Display names that need quotes.
            "[Ticket 7] <boss@example.com>",
            "Example, Inc. <boss@example.com>",
            "Sales: Boss <boss@example.com>",
            "boss@evil.example <boss@example.com>",
            "@Boss <boss@example.com>",
            "Boss; CEO <boss@example.com>",
            "Boss \\ CEO <boss@example.com>",
            "Boss <CEO> <boss@example.com>",
            "a:b:c <boss@example.com>",
            "http://evil.example/ <boss@example.com>",
            ".Boss. <boss@example.com>",
            "=?utf-8?q?Boss?= (CEO) [x] <boss@example.com>",
            // Before and behind the address.
            "Boss <boss@example.com> extra",
            "Boss <boss@example.com>, ",
            "Boss <boss@example.com>;",
            "root, boss@example.com",
            "Boss boss@example.com",
            "[x] boss@example.com.",
            "boss@example.com [x]",
            "mailto:boss@example.com",
            "boss@example.com:;",
            "boss@example.com; boss@example.com",
            // Brackets, quotes, comments without an end.
            "Boss <boss@example.com",
            "Boss boss@example.com>",
            "<<boss@example.com>>",
            "\"Boss <boss@example.com>",
            "Boss\" <boss@example.com>",
            "\"Boss\" \"x <boss@example.com>",
            "Boss (CEO <boss@example.com>",
            "(Boss <boss@example.com>",
            "Boss ((CEO) <boss@example.com>",
            "Boss CEO) <boss@example.com>",
            "\"x@evil.example\" [x] <boss@example.com>",
            "(x@evil.example) [x] boss@example.com",
            "boss@example.com (open",
            // Groups.
            "Team: boss@example.com",
            "Team:; boss@example.com",
            "Team: Sales: boss@example.com;",
            "a:; b:; Boss <boss@example.com>",
            // Obsolete forms.
            "<@relay.example:boss@example.com>",
            "<@relay.example, boss@example.com>",
            "[x] <boss @ example.com>",
            "Boss <boss@example . com>",
            "boss@example.com@evil.example",
            "boss@x@example.com",
            "Boss <boss@x@@example.com@y>",
            // Domains.
            "boss@Example.COM.",
            "boss@example..com",
            "boss@.example.com",
            "boss@[example.com]",
            // What is not seen.
            "Boss\0 <boss@example.com>",
            "Boss <boss@exam\0ple.com>",
            "\u{1}boss@example.com\u{7f}",
            "Boss <boss@example.com\u{200e}>",
            "Boss <boss@\u{202d}example.com>",
            "Boss <bo\u{200b}ss@exam\u{ad}ple.com>",
            "[x] Bö\u{fffd}ss <boss@example.com>",
            "Boss <boss@example.com\u{a0}>",
            "Boss <boss@\u{3000}example.\u{2009}com>",
            "Boss\u{a0}boss@example.com\u{2028}",
            "Boss <boss@example.com\u{2800}>",
            // Folded.
            "Boss\r\n\t[x]\r\n <boss@example.com>",
            "Boss <boss@\r\n example.com",
            // No address but in quotes, comments, encoded words.
            "\"boss@example.com\"",
            "\"Boss <boss@example.com>\"",
            "(boss@example.com)",
            "\"boss@example.com\":;",
            "=?utf-8?q?boss=40example=2Ecom?=",
            "=?utf-8?b?Qm9zcyA8Ym9zc0BleGFtcGxlLmNvbT4=?=",
            "Boss <=?utf-8?q?boss=40example.com?=>",
            "boss@=?utf-8?q?example.com?=",
            "=?x-none?q?boss=40example.com?=",
            "=?utf-8?q?boss=40exam=00ple.com?=",
            "=?iso-8859-1?q?boss=40example.com=A0?=",
            // Comments and quotes that some readers pass over.
            "Boss <boss@exam(x)ple.com>",
            "boss@exam(x)ple.com",
            "Boss <boss@\"example.com\">",
            "Boss <boss@\"example\".com>",
            "Boss <boss@ex\\ample.com>",
            // Signs around the domain that no name has, and signs that look like others.
            "Boss <boss@example.com/>",
            "Boss <boss@example.com?subject=x>",
            "Boss <boss@example.com->",
            "Boss <boss@$example.com>",
            "Boss \u{ff1c}boss@example.com\u{ff1e}",
            "\u{201c}boss@example.com\u{201d}",
            "Boss <boss@\u{300a}example.com\u{300b}>",
            "\u{1f4e7} boss@example.com\u{1f4e7}",
            "[x] \u{ab}boss@example.com\u{bb}",
            "boss@example\u{2024}com",
            "boss\u{ff20}example.com",
            "Boss <boss\u{fe6b}example.com>",
            "Boss\u{ff20}evil.example <boss@example.com>",
            "\u{ff1c}x@evil.example\u{ff1e} <boss@example.com>",
        ] {
            check(&format!("From: {from}\r\n"), Ok("example.com"));
            crate::fuzzing::addresses(from.as_bytes());
        }
        for from in [&b"boss@example.com\xa0"[..], b"B\xf6ss <boss@exam\xadple.com>"] {
            let found = from_domain(&headers(&[b"From: ", from, b"\r\n"].concat())).unwrap();
            assert_eq!(found.as_str(), "example.com", "{from:?}");
        }
        // The name that cannot exist has no policy of its own, and the one above it counts.
        for domain in ["-x.example.com", "a!b.example.com", "xn--a.example.com", "x.-.example.com"] {
            check(&format!("From: boss@{domain}\r\n"), Ok("example.com"));
        }
        check("From: =?utf-8?q?x?= boss@mail.example.com, \"x\" root\r\n", Ok("mail.example.com"));
        // Names whose ends look odd to programs, and are letters and marks.
        check(
            "From: a@\u{92d}\u{93e}\u{930}\u{924}\u{92e}\u{94d}.\u{92d}\u{93e}\u{930}\u{924}\u{92e}\u{94d}\r\n",
            Ok("xn--h2breg3eve.xn--h2breg3eve"),
        );
        check("From: [x] ann@a_b.example.com\r\n", Ok("a_b.example.com"));
        check("From: boss@exa!mple.com\r\n", Err(FromErrorKind::BadDomain));
        check("From: a@[999.0.2.1]\r\n", Err(FromErrorKind::BadDomain));
    }

    #[test]
    fn shows_what_stands_in_from_where_there_is_no_one_author() {
        for (from, shown) in [
            ("Mail System <MAILER-DAEMON>", "MAILER-DAEMON"),
            ("Ann <ann@example.com>, Bob <bob@example.org>", "ann@example.com"),
            ("Anna, Bert <b@bücher.example>", "b@bücher.example"),
            ("ann@-.example", "ann@-.example"),
            ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
            ("=?utf-8?q?J=C3=BCrgen?= !", "Jürgen !"),
            ("[x]", "[x]"),
            ("", ""),
        ] {
            let header = format!("From: {from}\r\nFrom: other@example.net\r\n");
            assert_eq!(shown_author(&headers(header.as_bytes())).as_deref(), Some(shown), "{from}");
        }
        assert_eq!(shown_author(&headers(b"To: x@y\r\n")), None);
    }

    #[test]
    fn refuses_everything_that_leaves_doubt() {
        check("To: a@example.org\r\n", Err(FromErrorKind::NoField));
        check("From: a@example.org\r\nfrom: a@example.org\r\n", Err(FromErrorKind::SeveralFields));
        check("From:\r\n", Err(FromErrorKind::NoAuthor));
        check("From: Nobody:;\r\n", Err(FromErrorKind::NoAuthor));
        check("From: a@example.org, b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: a@example.org, <b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: <a@example.org> <b@example.com>\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: a@example.org\rFrom: b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: a@\r\n", Err(FromErrorKind::Malformed));
        check("From: root\r\n", Err(FromErrorKind::NoDomain));
        check("From: a@-example\r\n", Err(FromErrorKind::BadDomain));
        check("From: a@[192.0.2.1]\r\n", Err(FromErrorKind::AddressLiteral));
        let many = "A: b\r\n".repeat(MAX_FIELDS - 1);
        check(&format!("{many}From: a@example.org\r\n"), Ok("example.org"));
        check(&format!("{many}From: a@example.org\r\nA: b\r\n"), Err(FromErrorKind::Unread));
    }
}
