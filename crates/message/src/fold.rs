//! Writing a header field with lines of at most 78 characters.

/// RFC 5322 §2.1.1: characters a line should have at most, without its CRLF.
pub const FOLD_AT: usize = 78;

/// A header field being written word by word; a word that would make the line longer than 78 characters goes to
/// the next line, behind CR LF TAB.
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
    /// Begins the field with its name and colon.
    pub fn new(name: &str) -> Self {
        Self { out: format!("{name}:"), line: name.chars().count() + 1, begun: false }
    }

    /// Adds a word, with a space or a folded line end before it. A word is never split.
    pub fn word(&mut self, word: &str) {
        let length = word.chars().count();
        // RFC 5322 §2.1.1: each line SHOULD be no more than 78 characters. The first word stays with the name, since
        // some readers take a first line without a value for an empty field.
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

/// A field out of words, folded.
pub(crate) fn folded(name: &str, words: &[String]) -> String {
    let mut fold = Fold::new(name);
    for word in words {
        fold.word(word);
    }
    fold.finish()
}

/// Text for a comment: parentheses and backslashes escaped, control characters replaced.
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

/// Control characters have no place in a header value, quoted or not; a CRLF would begin a field of its own.
pub(crate) fn plain(c: char) -> char {
    if c.is_control() { '?' } else { c }
}
