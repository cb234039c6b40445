//! Writing a folded header field of tags.

/// RFC 5322 §2.1.1: lines should have at most 78 characters.
const WIDTH: usize = 78;

/// A header field that is being written.
pub(crate) struct FieldWriter {
    text: String,
    /// Bytes in the last line.
    column: usize,
}

impl FieldWriter {
    /// Begins a field: `name:`.
    pub(crate) fn new(name: &str) -> Self {
        Self { text: format!("{name}:"), column: name.len() + 1 }
    }

    /// Adds a word after a space, or on a new line if it does not fit.
    pub(crate) fn word(&mut self, word: &str) {
        if self.column + 1 + word.len() > WIDTH {
            self.fold();
        } else {
            self.text.push(' ');
            self.column += 1;
        }
        self.push(word);
    }

    /// Adds a part without a space, or on a new line if it does not fit. For places where white space has no meaning.
    pub(crate) fn part(&mut self, part: &str) {
        if self.column + part.len() > WIDTH {
            self.fold();
        }
        self.push(part);
    }

    /// Adds ASCII text that may be broken anywhere.
    pub(crate) fn breakable(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            if self.column >= WIDTH {
                self.fold();
            }
            let (line, more) = rest.split_at_checked(WIDTH - self.column).unwrap_or((rest, ""));
            self.push(line);
            rest = more;
        }
    }

    /// Returns the field without its final line end.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn fold(&mut self) {
        self.text.push_str("\r\n\t");
        self.column = 1;
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_78() {
        let mut field = FieldWriter::new("Name");
        field.word("a=1;");
        field.word(&"b".repeat(68));
        field.word("c;");
        field.part(&"d".repeat(75));
        field.part("e");
        field.word("b=");
        field.breakable(&"f".repeat(200));
        let text = field.finish();
        let lengths: Vec<usize> = text.split("\r\n").map(str::len).collect();
        assert_eq!(lengths, [10, 72, 77, 78, 78, 49]);
    }
}
