//! Authentication-Results (RFC 8601): writing our own, reading them, and finding forged ones.

mod claims;
mod parse;

pub use claims::{claims, without_claims};

use crate::fold::{comment, folded, plain};
use crate::lex::{Cursor, is_atext, is_token};
use dns::Domain;
use smtp_parser::Mailbox;
use std::fmt;

/// Characters of a reason or comment that are written; longer ones are cut. The limit keeps a value that cannot be folded
/// within the 998 bytes of a line, with any escapes and UTF-8 (RFC 5322 §2.1.1).
pub const MAX_VALUE: usize = 200;

/// Bytes of a property value as written, for the same reason; every name and address in ASCII fits. A longer property is
/// left out and not cut: a cut name could be the name of another domain, which would seem to have proven something.
pub const MAX_PROPERTY: usize = 800;

/// Characters of a keyword that are written; the longest registered one has 18.
const MAX_KEYWORD: usize = 64;

/// One Authentication-Results field: the host that judged, and the result of each method.
///
/// `Display` writes it on one line, for people; [`AuthResults::field`] writes it folded, for a message.
///
/// ```
/// use moxd_message::{AuthResults, MethodResult};
///
/// let mut results = AuthResults::new("mx.example.org");
/// results.methods.push(MethodResult::new("iprev", "pass").property("policy", "iprev", "192.0.2.1"));
/// results.methods.push(MethodResult::new("dmarc", "none"));
/// let text = "Authentication-Results: mx.example.org; iprev=pass policy.iprev=192.0.2.1; dmarc=none";
/// assert_eq!(results.to_string(), text);
/// assert_eq!(AuthResults::parse(b" mx.example.org; iprev=pass policy.iprev=192.0.2.1; dmarc=none")?, results);
/// # Ok::<(), moxd_message::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AuthResults {
    /// The authentication service identifier (RFC 8601 §2.5): our host name.
    pub authserv_id: String,
    /// A comment behind it: the ASCII form of an internationalised name.
    pub comment: Option<String>,
    /// The results, in order. None are written as `none` (RFC 8601 §2.2, no-result).
    pub methods: Vec<MethodResult>,
}

/// The result of one method, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodResult {
    /// Method of the IANA registry: `auth`, `iprev`, `dkim`, `spf`, `dmarc`, `arc`, …
    pub method: String,
    /// Version of the method, if one other than 1 is given.
    pub version: Option<u32>,
    /// Result word: `pass`, `fail`, `none`, `temperror`, …
    pub result: String,
    /// Comment on the result. Written only if a reason or a property follows.
    pub comment: Option<String>,
    /// Why the result is what it is.
    pub reason: Option<String>,
    /// The evidence.
    pub properties: Vec<Property>,
}

/// A part of the message or the session that a method looked at, such as `header.d=example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property {
    /// Property type: `smtp`, `header`, `body`, `policy` (RFC 8601 §2.3).
    pub ptype: String,
    /// Name of the property within its type.
    pub name: String,
    /// The value, without quoting; an address is written as in SMTP, with a quoted local part where it needs one.
    pub value: String,
    /// A comment behind the value: the ASCII form of an internationalised domain.
    pub comment: Option<String>,
}

impl AuthResults {
    /// Creates results without methods for the service with this identifier.
    pub fn new(authserv_id: impl Into<String>) -> Self {
        Self { authserv_id: authserv_id.into(), comment: None, methods: Vec::new() }
    }

    /// Creates results for this host. With `utf8` the message may have UTF-8 in its header (RFC 6532), and an
    /// internationalised name is written in Unicode with its ASCII form in a comment.
    pub fn of_host(host: &Domain, utf8: bool) -> Self {
        let (authserv_id, comment) = spelled(host, utf8);
        Self { authserv_id, comment, methods: Vec::new() }
    }

    /// Reads the value of an Authentication-Results field, folded or not.
    ///
    /// # Errors
    /// The value does not follow RFC 8601 §2.2. Missing quotes around values are no error.
    pub fn parse(value: &[u8]) -> Result<Self, crate::Error> {
        parse::parse(value)
    }

    /// Reads the value of an ARC-Authentication-Results field: its instance and its results (RFC 8617 §4.1.1).
    ///
    /// # Errors
    /// As [`AuthResults::parse`]; also if the value does not begin with an instance from 1 to 50.
    pub fn parse_arc(value: &[u8]) -> Result<(u32, Self), crate::Error> {
        parse::parse_arc(value)
    }

    /// The field for a message: folded at 78 characters, with CRLF at its end.
    pub fn field(&self) -> String {
        folded("Authentication-Results", &self.words())
    }

    /// The same results as an ARC-Authentication-Results field of one instance (RFC 8617 §4.1.1).
    pub fn arc_field(&self, instance: u32) -> String {
        let mut words = vec![format!("i={instance};")];
        words.extend(self.words());
        folded("ARC-Authentication-Results", &words)
    }

    /// The value as words that a folded line end may separate.
    fn words(&self) -> Vec<String> {
        let mut words = vec![value(&self.authserv_id)];
        words.extend(self.comment.as_deref().map(|text| comment(cut(text))));
        if self.methods.is_empty() {
            close(&mut words);
            // RFC 8601 §2.2: no-result.
            words.push("none".to_owned());
        }
        for method in &self.methods {
            close(&mut words);
            method.words(&mut words);
        }
        words
    }
}

/// Ends what was written so far with a semicolon.
fn close(words: &mut [String]) {
    if let Some(last) = words.last_mut() {
        last.push(';');
    }
}

impl fmt::Display for AuthResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authentication-Results: {}", self.words().join(" "))
    }
}

impl MethodResult {
    /// Creates a result without evidence.
    pub fn new(method: impl Into<String>, result: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            version: None,
            result: result.into(),
            comment: None,
            reason: None,
            properties: Vec::new(),
        }
    }

    /// Sets the comment on the result, which is written only if a reason or property follows.
    #[must_use]
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.comment = Some(text.into());
        self
    }

    /// Sets the reason, a text for people that is cut at [`MAX_VALUE`] characters when written.
    #[must_use]
    pub fn reason(mut self, text: impl Into<String>) -> Self {
        self.reason = Some(text.into());
        self
    }

    /// Adds a property, `ptype.name=value`.
    #[must_use]
    pub fn property(
        mut self,
        ptype: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let (ptype, name, value) = (ptype.into(), name.into(), value.into());
        self.properties.push(Property { ptype, name, value, comment: None });
        self
    }

    /// Adds a property whose value is a domain. `utf8` as in [`AuthResults::of_host`].
    #[must_use]
    pub fn domain(
        mut self,
        ptype: impl Into<String>,
        name: impl Into<String>,
        domain: &Domain,
        utf8: bool,
    ) -> Self {
        let (value, comment) = spelled(domain, utf8);
        self.properties.push(Property { ptype: ptype.into(), name: name.into(), value, comment });
        self
    }

    /// Adds a property whose value is an address. `utf8` as in [`AuthResults::of_host`].
    #[must_use]
    pub fn mailbox(
        mut self,
        ptype: impl Into<String>,
        name: impl Into<String>,
        mailbox: &Mailbox,
        utf8: bool,
    ) -> Self {
        let ascii = mailbox.to_string();
        let value = if utf8 { mailbox.unicode() } else { ascii.clone() };
        let comment = Some(ascii).filter(|ascii| *ascii != value);
        self.properties.push(Property { ptype: ptype.into(), name: name.into(), value, comment });
        self
    }

    /// Returns the value of a property.
    pub fn get(&self, ptype: &str, name: &str) -> Option<&str> {
        let same = |p: &&Property| p.ptype.eq_ignore_ascii_case(ptype) && p.name.eq_ignore_ascii_case(name);
        self.properties.iter().find(same).map(|property| property.value.as_str())
    }

    fn words(&self, words: &mut Vec<String>) {
        let version = self.version.map(|v| format!("/{v}")).unwrap_or_default();
        words.push(format!("{}{version}={}", keyword(&self.method), keyword(&self.result)));
        let mut evidence: Vec<String> = Vec::new();
        evidence.extend(self.reason.as_deref().map(|text| format!("reason={}", value(text))));
        for Property { ptype, name, value, comment: aside } in &self.properties {
            let (value, aside) = (quoted(value), aside.as_deref().map(comment));
            if value.len() <= MAX_PROPERTY && aside.as_ref().is_none_or(|aside| aside.len() <= MAX_PROPERTY) {
                evidence.push(format!("{}.{}={value}", keyword(ptype), keyword(name)));
                evidence.extend(aside);
            }
        }
        if !evidence.is_empty() {
            words.extend(self.comment.as_deref().map(|text| comment(cut(text))));
        }
        words.extend(evidence);
    }
}

impl fmt::Display for MethodResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        self.words(&mut words);
        f.write_str(&words.join(" "))
    }
}

/// Returns a domain in the form the message may have, and its ASCII form where that differs.
pub(crate) fn spelled(domain: &Domain, utf8: bool) -> (String, Option<String>) {
    let unicode = if utf8 { domain.unicode() } else { domain.to_string() };
    let ascii = Some(domain.to_string()).filter(|ascii| *ascii != unicode);
    (unicode, ascii)
}

/// RFC 8601 §2.2: a Keyword has letters, digits and hyphens. Other characters are left out, except the underscore, which
/// registered names have (`smtp.rcpt_to`).
fn keyword(text: &str) -> String {
    let word = text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    word.take(MAX_KEYWORD).collect()
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_VALUE).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Formats free text as a value.
fn value(text: &str) -> String {
    quoted(cut(text))
}

/// Formats a value, with quotes unless RFC 8601 §2.2 allows it without: a token of RFC 2045 §5.1, or
/// `[ [ local-part ] "@" ] domain-name`. Strict readers ignore the entire field if base64 or an IPv6 address has no quotes.
fn quoted(text: &str) -> String {
    let text: String = text.chars().map(plain).collect();
    if (!text.is_empty() && text.bytes().all(is_token)) || is_address(&text) {
        return text;
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Is it a domain, or an address whose local part is an atom, a quoted string, or left out?
fn is_address(text: &str) -> bool {
    let mut cursor = Cursor::new(text.as_bytes());
    if cursor.quoted().is_some() {
        if cursor.broken || !cursor.eat(b'@') {
            return false;
        }
    } else {
        let mut ahead = cursor.clone();
        ahead.take_while(|b| is_atext(b) || b == b'.');
        if ahead.eat(b'@') {
            cursor = ahead;
        }
    }
    let local = text.strip_suffix(str::from_utf8(cursor.rest()).unwrap_or_default()).unwrap_or_default();
    // For some readers any white space ends the value.
    let atom = local.starts_with('"') || !local.contains(char::is_whitespace);
    atom && str::from_utf8(cursor.rest()).is_ok_and(|site| site.parse::<Domain>().is_ok())
}

#[cfg(test)]
mod tests;
