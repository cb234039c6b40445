//! Writing a header field with lines of at most 78 characters.

/// RFC 5322 §2.1.1: characters a line should have at most, without its CRLF.
pub const FOLD_AT: usize = 78;

/// Writes a header field word by word. A word that would make the line longer than 78 characters goes to the next line,
/// after CR LF TAB.
///
/// ```
/// let mut field = moxd_message::Fold::new("References");
/// field.word("<1@example.org>");
/// field.word("<2@example.org>");
/// assert_eq!(field.finish(), "References: <1@example.org> <2@example.org>\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct Fold {
    out: String,
    line: usize,
    begun: bool,
}

impl Fold {
    /// Starts the field with its name and colon.
    pub fn new(name: &str) -> Self {
        Self { out: format!("{name}:"), line: name.chars().count() + 1, begun: false }
    }

    /// Adds a word, with a space or a folded line end before it. A word is never split.
    pub fn word(&mut self, word: &str) {
        let length = word.chars().count();
        // RFC 5322 §2.1.1: each line SHOULD be no more than 78 characters. The first word stays with the name, because
        // some readers treat a first line without a value as an empty field.
        if self.begun && self.line + 1 + length > FOLD_AT {
            self.out.push_str("\r\n\t");
            self.line = 1;
        } else {
            self.out.push(' ');
            self.line += 1;
        }
        self.out.push_str(word);
        self.line += length;
        self.begun = true;
    }

    /// Ends the field with CRLF.
    pub fn finish(mut self) -> String {
        self.out.push_str("\r\n");
        self.out
    }
}

/// Writes a folded field from words.
pub(crate) fn folded(name: &str, words: &[String]) -> String {
    let mut fold = Fold::new(name);
    for word in words {
        fold.word(word);
    }
    fold.finish()
}

/// Formats text as a comment: escapes parentheses and backslashes, and replaces control characters.
pub(crate) fn comment(text: &str) -> String {
    let mut out = String::from("(");
    for c in text.chars() {
        // RFC 5322 §3.2.2: ccontent needs a backslash before these.
        if matches!(c, '(' | ')' | '\\') {
            out.push('\\');
        }
        out.push(plain(c));
    }
    out.push(')');
    out
}

/// Replaces a control character: a header value may have none, quoted or not, and a CRLF would start another field.
pub(crate) fn plain(c: char) -> char {
    if c.is_control() { '?' } else { c }
}
