//! The author that a message claims: the From address that DMARC and reputation rest on.

use crate::address::{Quotes, salvage};
use crate::charset::{UNKNOWN, to_utf8};
use crate::words::guess_words;
use crate::{
    Address, AddressList, FindingKind, FromError, FromErrorKind, Headers, MAX_ADDRESSES, Site, addresses,
    decode_words,
};
use dns::{Domain, Host, MAX_LABELS, MAX_NAME};
use std::borrow::Cow;

/// Returns the one author of a message: exactly one From field with exactly one address, which has a domain.
///
/// Names without an address beside it do not count as authors: many senders write `Example, Inc. <a@example.org>` without
/// quotes.
///
/// # Errors
/// There is no such author; the kind says why. A message without a clear author proves nothing about any domain.
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
        // The part that was not read may have a second From field.
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

/// Returns the text as a reader sees it: any white space becomes a space, and invisible characters are removed, because
/// some of them end the text for programs.
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
        // The Braille pattern without dots is blank.
        '\u{2800}' => Some(' '),
        _ if c.is_whitespace() => Some(' '),
        // ONE DOT LEADER looks like a dot, and no name has it.
        '\u{2024}' => Some('.'),
        _ => Some(c),
    };
    // Mail clients show bytes that are not UTF-8 in a single-byte charset, if at all.
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

/// Returns the domain whose DMARC policy applies to a message: the domain of its author, or the one that several authors
/// have in common (RFC 9989 §5.3.1). Otherwise naming a domain twice would switch its policy off.
///
/// If a reader of the From field sees a single address, this function finds its domain, because otherwise breaking the
/// grammar would switch a policy off. Where no address can be parsed, one in quotes, in a comment or in encoded words
/// counts; for a domain that cannot exist, the domain above it counts.
///
/// # Errors
/// There is no From field or more than one; or it shows no domain, or several.
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
    // Some mail clients decode encoded words in quotes, and others do not.
    let decoded = guess_words(&visible(value));
    // Full-width at signs look the same. They count last, because in a display name they are only text.
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

/// Returns the domain that all addresses with a domain have in common.
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

/// Returns the domain of an address. For a name that cannot exist, returns the nearest name above it that can, or else the
/// name that is left without the characters that no name has. It has at least two labels.
fn nearest_domain(address: &Address) -> Option<Domain> {
    let written = match &address.site {
        Site::Host(host) => return host.domain().cloned(),
        Site::Invalid(written) => written.trim_matches(['[', ']', '.']),
        Site::Missing => return None,
    };
    // RFC 1123 §2.1: the last label of a name is not a number, so this is part of an address literal.
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

/// Returns an author to show to people where [`author`] finds none: the first address of the first From field, or the text
/// of the field if it has no address, such as `MAILER-DAEMON`.
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
mod tests;
