//! What a check prints for people.

use anyhow::Result;
use host::terminal;
use host::text::printable_lines;

/// A report for people: names and values in two columns.
#[derive(Debug, Default)]
pub struct Report(String);

impl Report {
    /// Adds a line, if there is a value.
    pub fn line(&mut self, name: &str, value: impl Into<Option<String>>) {
        if let Some(value) = value.into() {
            self.0.push_str(&format!("{name:<14} {}\n", printable_lines(&value)));
        }
    }

    /// Adds a line with a result, in colour on a terminal.
    pub fn result(&mut self, name: &str, word: &str) {
        self.0.push_str(&format!("{name:<14} {}\n", coloured(word)));
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.0.push('\n');
    }

    /// Prints the report.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn print(self) -> Result<()> {
        terminal::print(self.0.as_bytes())
    }
}

/// A result word in green, red or yellow, if it is for a terminal.
fn coloured(word: &str) -> String {
    if !terminal::has_colours(&std::io::stdout()) {
        return word.to_owned();
    }
    let colour = match word {
        "pass" => 32,
        "fail" | "permerror" | "reject" | "listed" => 31,
        "softfail" | "temperror" | "policy" | "quarantine" => 33,
        _ => return word.to_owned(),
    };
    format!("\u{1b}[{colour}m{word}\u{1b}[0m")
}
