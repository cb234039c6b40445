//! Printing the field, folded.

use super::ReceivedSpf;
use std::fmt;

/// RFC 5322 §2.1.1: lines should be no more than 78 characters.
const LINE: usize = 78;

impl fmt::Display for ReceivedSpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line { out: f, used: 0 };
        line.put("Received-SPF:", "")?;
        line.put(self.result.as_str(), " ")?;
        if !self.comment.is_empty() {
            let comment = format!("({})", escaped(&self.comment, "()\\"));
            for word in comment.split(' ') {
                line.put(word, " ")?;
            }
        }
        let last = self.pairs.len().saturating_sub(1);
        for (n, (key, value)) in self.pairs.iter().enumerate() {
            let end = if n == last { "" } else { ";" };
            line.put(&format!("{key}={}{end}", Value(value)), " ")?;
        }
        Ok(())
    }
}

/// Writes tokens, and folds before one that does not fit.
struct Line<'f, 'o> {
    out: &'f mut fmt::Formatter<'o>,
    used: usize,
}

impl Line<'_, '_> {
    /// Writes `blank` and `token`, or `token` on a new line if this one has no room.
    fn put(&mut self, token: &str, blank: &str) -> fmt::Result {
        let width = token.chars().count();
        if self.used > 1 && self.used + blank.len() + width > LINE {
            self.out.write_str("\r\n\t")?;
            self.used = 1;
        } else {
            self.out.write_str(blank)?;
            self.used += blank.len();
        }
        self.used += width;
        self.out.write_str(token)
    }
}

/// RFC 7208 §9.1: a value is a dot-atom or a quoted-string.
struct Value<'a>(&'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(self.0) { f.write_str(self.0) } else { write!(f, "\"{}\"", escaped(self.0, "\"\\")) }
    }
}

/// Whether a text is a dot-atom (RFC 5322 §3.2.3), with the characters beyond ASCII of RFC 6532 §3.2.
pub(crate) fn is_dot_atom(text: &str) -> bool {
    let is_atext = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Returns the text with a backslash before each of the `special` characters (RFC 5322 §3.2.1).
pub(crate) fn escaped(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
