//! Addresses in header fields: lists, groups, comments, quoted strings, and obsolete syntax.

mod salvage;

pub(crate) use salvage::{Quotes, salvage};

use crate::lex::{Cursor, is_atext, text};
use dns::{Domain, Host};
use smtp_parser::{Localpart, Mailbox};

/// Entries and group members of one list that are read. RFC 5321 §4.5.3.1.8 asks for at least 100 recipients.
pub const MAX_ADDRESSES: usize = 1000;

/// The entries of an address field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressList {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// Number of entries that break the grammar. Addresses found in them are among `entries`.
    pub malformed: usize,
    /// There are more than [`MAX_ADDRESSES`]; the rest was not read.
    pub cut: bool,
}

/// One entry of an address field (RFC 5322 §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// One address, with or without a display name.
    Mailbox(Address),
    /// A named group, which may be empty.
    Group {
        /// The name, unquoted.
        name: String,
        /// The mailboxes in it.
        members: Vec<Address>,
    },
}

/// A mailbox of a header field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The display name, unquoted; without one, the comment behind the address. Encoded words (RFC 2047) are not decoded.
    pub name: Option<String>,
    /// The local part without quoting.
    pub localpart: String,
    /// The part behind the `@`.
    pub site: Site,
}

/// The part of an address behind the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// A domain name or an address literal.
    Host(Host),
    /// Text that is neither.
    Invalid(String),
    /// There is no `@`.
    Missing,
}

impl Address {
    /// The domain, if the address has a valid one.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.site {
            Site::Host(host) => host.domain(),
            Site::Invalid(_) | Site::Missing => None,
        }
    }

    /// The address in the form of SMTP, if it has one.
    pub fn mailbox(&self) -> Option<Mailbox> {
        let domain = self.domain()?.clone();
        Localpart::new(&self.localpart).ok().map(|localpart| Mailbox::new(localpart, domain))
    }
}

impl AddressList {
    /// All mailboxes, those in groups too.
    pub fn mailboxes(&self) -> impl Iterator<Item = &Address> {
        self.entries.iter().flat_map(|entry| match entry {
            Entry::Mailbox(address) => std::slice::from_ref(address),
            Entry::Group { members, .. } => members.as_slice(),
        })
    }

    /// The same as [`AddressList::mailboxes`], for callers that keep them.
    pub fn into_mailboxes(self) -> impl Iterator<Item = Address> {
        self.entries.into_iter().flat_map(|entry| match entry {
            Entry::Mailbox(address) => vec![address],
            Entry::Group { members, .. } => members,
        })
    }
}

/// Reads the value of a From, To, Cc, Reply-To or similar field, folded or not.
///
/// Never fails. Counts entries that break the grammar, and still takes the addresses that a reader would see in them,
/// because mail clients show those as well.
///
/// ```
/// let list = moxd_message::addresses(b"\"Doe, J.\" <j@example.org>, team: a@example.org, b@example.org;");
/// let locals: Vec<_> = list.mailboxes().map(|a| a.localpart.as_str()).collect();
/// assert_eq!(locals, ["j", "a", "b"]);
/// ```
pub fn addresses(value: &[u8]) -> AddressList {
    let mut list = AddressList::default();
    let mut group: Option<(String, Vec<Address>)> = None;
    let mut cursor = Cursor::new(value);
    let mut count = 0;
    loop {
        let (start, broken) = (cursor.rest(), cursor.broken);
        let mut comment = cursor.cfws();
        // RFC 5322 §4.4: obsolete lists have empty entries.
        if cursor.eat(b',') {
            continue;
        }
        if group.is_some() && cursor.eat(b';') {
            list.entries.extend(group.take().map(|(name, members)| Entry::Group { name, members }));
            cursor.cfws();
            list.malformed += usize::from(!matches!(cursor.peek(), None | Some(b',')));
            continue;
        }
        if cursor.is_empty() && cursor.broken == broken {
            break;
        }
        if count >= MAX_ADDRESSES {
            list.cut = true;
            break;
        }
        count += 1;
        let parsed = entry(&mut cursor, group.is_some(), &mut comment);
        if parsed.is_none() {
            list.malformed += usize::from(cursor.broken == broken);
            resync(&mut cursor, group.is_some());
        }
        let raw = start.get(..start.len() - cursor.rest().len()).unwrap_or(start);
        // An entry without an end, such as an open quote, includes everything that follows.
        let mut found = if parsed.is_none() || cursor.broken != broken {
            salvage(raw, Quotes::Respected, MAX_ADDRESSES - count + 1)
        } else {
            Vec::new()
        };
        match parsed {
            Some(Parsed::GroupStart(name)) => {
                group = Some((name, Vec::new()));
                continue;
            }
            Some(Parsed::Address(mut address)) if found.is_empty() => {
                address.name = address.name.or(comment);
                found.push(address);
            }
            Some(Parsed::Address(_)) | None => {}
        }
        count += found.len().saturating_sub(1);
        match &mut group {
            Some((_, members)) => members.extend(found),
            None => list.entries.extend(found.into_iter().map(Entry::Mailbox)),
        }
    }
    if let Some((name, members)) = group {
        list.entries.push(Entry::Group { name, members });
        list.malformed += 1;
    }
    list.malformed += usize::from(cursor.broken);
    list
}

enum Parsed {
    Address(Address),
    GroupStart(String),
}

/// Skips the rest of an entry that breaks the grammar. A comma in a quoted string or comment does not end it.
fn resync(cursor: &mut Cursor<'_>, in_group: bool) {
    loop {
        cursor.cfws();
        match cursor.peek() {
            None | Some(b',') => return,
            Some(b';') if in_group => return,
            Some(b'"') => drop(cursor.quoted()),
            Some(_) => drop(cursor.next()),
        }
    }
}

/// Words that may turn out to be a display name, a local part or a group name.
#[derive(Default)]
struct Words {
    /// The words with one space where white space or a comment was.
    phrase: String,
    /// The words without spaces.
    joined: String,
    /// There is white space between two words that no dot joins, so they are no local part.
    gap: bool,
    any: bool,
}

impl Words {
    /// Reads words and dots as far as they go.
    fn read(cursor: &mut Cursor<'_>, comment: &mut Option<String>) -> Self {
        let mut words = Self::default();
        let mut spaced = false;
        let mut after_dot = true;
        loop {
            let before = cursor.rest().len();
            if let Some(found) = cursor.cfws() {
                *comment = Some(found);
            }
            spaced |= cursor.rest().len() != before;
            let (word, dot) = match cursor.peek() {
                Some(b'"') => (text(&cursor.quoted().unwrap_or_default()), false),
                Some(b'.') => {
                    cursor.next();
                    (".".to_owned(), true)
                }
                Some(b) if is_atext(b) => (text(cursor.atom()), false),
                _ => return words,
            };
            words.gap |= words.any && !dot && !after_dot;
            if spaced && words.any {
                words.phrase.push(' ');
            }
            words.phrase.push_str(&word);
            words.joined.push_str(&word);
            words.any = true;
            spaced = false;
            after_dot = dot;
        }
    }
}

/// Reads one entry up to the comma, semicolon or end behind it.
fn entry(cursor: &mut Cursor<'_>, in_group: bool, comment: &mut Option<String>) -> Option<Parsed> {
    let words = Words::read(cursor, comment);
    let name = Some(words.phrase.clone()).filter(|phrase| !phrase.is_empty());
    let parsed = match cursor.peek() {
        Some(b'<') => {
            let (localpart, site) = angle(cursor)?;
            Address { name, localpart, site }
        }
        Some(b'@') if words.any && !words.gap => {
            cursor.next();
            let site = site(cursor, comment)?;
            // Many senders write an address as its own display name without quotes. That is clear if both are the same.
            if cursor.peek() == Some(b'<') && angle(cursor)? != (words.joined.clone(), site.clone()) {
                return None;
            }
            Address { name: None, localpart: words.joined, site }
        }
        Some(b':') if !in_group => {
            cursor.next();
            return Some(Parsed::GroupStart(words.phrase));
        }
        None | Some(b',' | b';') if words.any && !words.gap => {
            Address { name: None, localpart: words.joined, site: Site::Missing }
        }
        _ => return None,
    };
    if let Some(found) = cursor.cfws() {
        *comment = Some(found);
    }
    let ended = match cursor.peek() {
        None | Some(b',') => true,
        Some(b';') => in_group,
        Some(_) => false,
    };
    ended.then_some(Parsed::Address(parsed))
}

/// Reads `<…>` and skips an obsolete source route in it (RFC 5322 §4.4).
fn angle(cursor: &mut Cursor<'_>) -> Option<(String, Site)> {
    cursor.next();
    cursor.cfws();
    let mut route = false;
    while matches!(cursor.peek(), Some(b'@' | b',')) {
        if cursor.next() == Some(b'@') {
            site(cursor, &mut None)?;
            route = true;
        }
        cursor.cfws();
    }
    if route && !cursor.eat(b':') {
        return None;
    }
    let words = Words::read(cursor, &mut None);
    if !words.any || words.gap {
        return None;
    }
    let site = if cursor.eat(b'@') { site(cursor, &mut None)? } else { Site::Missing };
    cursor.cfws();
    cursor.eat(b'>').then_some((words.joined, site))
}

/// Reads the part behind an `@`.
fn site(cursor: &mut Cursor<'_>, comment: &mut Option<String>) -> Option<Site> {
    if let Some(found) = cursor.cfws() {
        *comment = Some(found);
    }
    let mut written = Vec::new();
    if cursor.peek() == Some(b'[') {
        // RFC 5322 §3.4.1: a domain literal may be folded inside.
        let inner = cursor.take_while(|b| b != b']');
        cursor.broken |= !cursor.eat(b']');
        written.extend(inner.iter().filter(|b| !b.is_ascii_whitespace()));
        written.push(b']');
    } else {
        loop {
            let atom = cursor.atom();
            written.extend_from_slice(atom);
            if let Some(found) = cursor.cfws() {
                *comment = Some(found);
            }
            // RFC 5322 §4.4: obsolete domains have white space around their dots.
            if !cursor.eat(b'.') {
                break;
            }
            written.push(b'.');
            cursor.cfws();
        }
    }
    if written.is_empty() {
        return None;
    }
    Some(host(&written))
}

/// Parses the part behind the `@`, without typographical signs around it.
fn host(written: &[u8]) -> Site {
    let written = text(written);
    written.trim_matches(is_sign).parse().map_or(Site::Invalid(written), Site::Host)
}

/// Is it a typographical sign: a quote, dash, arrow or picture? No domain name has one (RFC 5892 §3), but IDNA mapping
/// accepts some, and people read an address without the signs around it.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{ab}' | '\u{bb}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20ff}'
        | '\u{2190}'..='\u{245f}' | '\u{2500}'..='\u{2bff}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3020}'
        | '\u{1f300}'..='\u{1faff}')
}

#[cfg(test)]
mod tests;
