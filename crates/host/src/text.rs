//! Makes strangers' text safe to print: it must not move the cursor, change colours or reorder the text around it.

use serde_json::Value;

/// Does this character show as itself and do nothing else? Control characters (C0, C1, DEL) act on the terminal, and
/// the marks and overrides of the bidirectional algorithm (UAX #9 §2) reorder what stands around them.
fn is_harmless(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Line and paragraph separators, and the byte order mark, are invisible.
    let hides = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    !c.is_control() && !turns && !hides
}

/// One line of text with every harmful character replaced by U+FFFD.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

/// The same for text of several lines: line ends and tabs stay.
pub fn printable_lines(text: &str) -> String {
    let stays = |c: char| is_harmless(c) || matches!(c, '\n' | '\t');
    text.chars().filter(|c| *c != '\r').map(|c| if stays(c) { c } else { '\u{fffd}' }).collect()
}

/// A JSON document for people and programs, without a line end: harmful characters are written as `\uXXXX` (RFC 8259
/// §7), which every parser reads as the character itself.
pub fn json(value: &Value) -> String {
    let written = format!("{value:#}");
    let mut out = String::with_capacity(written.len());
    for c in written.chars() {
        // Line ends stand between values; within text the library has escaped them, and everything below U+0020.
        if c == '\n' || is_harmless(c) {
            out.push(c);
        } else {
            // All of them are below U+10000, so that one escape is enough.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HARMFUL: &str = "a\u{9b}31m\u{7f}\u{85}\u{202e}b\u{2066}\u{200f}\u{2028}\u{feff}\u{1b}[0m\n\"ü";

    #[test]
    fn json_means_the_same_and_harms_no_terminal() {
        let value = json!({ "subject": HARMFUL, "\u{202e}": [1, "😀"] });
        let text = json(&value);
        assert!(text.chars().all(|c| is_harmless(c) || c == '\n'), "{text:?}");
        assert!(
            text.contains("\\u009b") && text.contains("\\u202e") && text.contains("ü") && text.contains("😀")
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert_eq!(json(&json!({ "a": [1, 2] })), format!("{:#}", json!({ "a": [1, 2] })));
    }

    #[test]
    fn text_harms_no_terminal() {
        assert!(printable(HARMFUL).chars().all(is_harmless));
        assert_eq!(printable("Grüße, 世界"), "Grüße, 世界");
        assert_eq!(printable_lines("a\r\n\tb\u{9b}"), "a\n\tb\u{fffd}");
    }
}
