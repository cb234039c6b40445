//! Decides which lines that begin with `From ` begin a message. Programs differ in what follows `From `, and not all of them
//! quote such lines in a text. So two of three signs are demanded: the form of the line, an empty line before it, and a header
//! field after it.

use crate::times;

/// The longest line that begins a message.
const MAX_LINE: usize = 1000;
/// The longest name that is taken for that of a header field.
const MAX_NAME: usize = 76;

/// Header fields that begin messages, in lower case: a sentence before a colon is none of them.
const COMMON: [&str; 22] = [
    "bcc",
    "cc",
    "content-type",
    "date",
    "delivered-to",
    "dkim-signature",
    "envelope-to",
    "from",
    "message-id",
    "mime-version",
    "received",
    "references",
    "in-reply-to",
    "reply-to",
    "return-path",
    "sender",
    "status",
    "subject",
    "to",
    "user-agent",
    "authentication-results",
    "arc-seal",
];

/// The form of a line that begins with `From `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With a time, in seconds since 1970.
    Dated(i64),
    /// With a sender and no time that can be read: `From -`, `From ann@example.org`.
    Bare,
    /// Like the start of a sentence.
    Prose,
}

/// The form of the line after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// One of the usual header fields, or another line that programs write at the top of messages.
    Common,
    /// It has the form of a header field.
    Field,
    /// An empty line, or the end of the file: a message without a header.
    Nothing,
    /// Anything else.
    Text,
}

/// The form of a whole line. None if it does not begin with `From ` in its first column.
pub(super) fn form(line: &[u8]) -> Option<Form> {
    let rest = line.strip_prefix(b"From ").filter(|_| line.len() <= MAX_LINE)?;
    let text = String::from_utf8_lossy(rest);
    let mut words = text.split_whitespace();
    let sender = words.next().unwrap_or_default();
    if let Some(time) = times::from_words(words.clone()) {
        return Some(if is_sentence(words) { Form::Prose } else { Form::Dated(time) });
    }
    let is_sender = sender == "-" || sender.contains('@') || sender.eq_ignore_ascii_case("MAILER-DAEMON");
    Some(if is_sender || words.next().is_none() { Form::Bare } else { Form::Prose })
}

/// Are these words, which have a time among them, a sentence? Programs add zones, which begin with a capital letter, remarks in
/// parentheses, and `remote from` with a host.
fn is_sentence<'a>(words: impl Iterator<Item = &'a str>) -> bool {
    let mut plain = words.take_while(|word| !word.starts_with('(') && *word != "remote");
    plain.any(|word| {
        let word = word.trim_end_matches([',', '.', ':', ';']);
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) && !times::is_name(word)
    })
}

/// What the line, or the start of a long one, looks like below a line that begins with `From `.
pub(super) fn next(line: &[u8]) -> Next {
    if matches!(line, b"" | b"\n" | b"\r\n") {
        return Next::Nothing;
    }
    // Mail that came by UUCP has quoted `From ` lines of its hops at the top.
    if line.starts_with(b">From ") || matches!(form(line), Some(Form::Dated(_))) {
        return Next::Common;
    }
    let ftext = line.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
    let (name, rest) = line.split_at_checked(ftext).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let Some([b':', value @ ..]) = rest.get(blank..) else { return Next::Text };
    let is_address_of_a_page = value.starts_with(b"//");
    if name.len() > MAX_NAME || !name.first().is_some_and(u8::is_ascii_alphabetic) || is_address_of_a_page {
        return Next::Text;
    }
    let name = name.to_ascii_lowercase();
    let is_common = name.starts_with(b"x-") || COMMON.iter().any(|common| common.as_bytes() == name);
    if is_common { Next::Common } else { Next::Field }
}

/// Does the line begin a message?
pub(super) fn begins_message(form: Form, after_empty_line: bool, next: Next) -> bool {
    match form {
        Form::Dated(_) if after_empty_line => next != Next::Text,
        Form::Dated(_) => next == Next::Common,
        Form::Bare => after_empty_line && matches!(next, Next::Common | Next::Field),
        Form::Prose => after_empty_line && next == Next::Common,
    }
}

/// Does a line that begins none look as if it should?
pub(super) fn is_in_doubt(form: Form, next: Next) -> bool {
    match form {
        Form::Dated(_) => true,
        Form::Bare => matches!(next, Next::Common | Next::Field),
        Form::Prose => next == Next::Common,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_forms_apart() {
        let dated = [
            "From a@b Tue Nov  3 15:04:05 2026\n",
            "From - Tue Nov 3 2020 15:04:05 GMT+0100\r\n",
            "From a@b 2026-11-03T15:04:05Z",
            "From \"a b\"@c Tue Nov  3 15:04 2026",
            "From jan Tue Nov  3 15:04 2026",
            "From Tue Nov  3 15:04 2026",
            "From a@b Tue Nov 3 2020 15:04:05 GMT+0100 (central European time)",
            "From a@b Tue Nov  3 15:04:05 2026 remote from c",
            "From a@b tue nov  3 15:04:05 utc 2026",
        ];
        for line in dated {
            assert!(matches!(form(line.as_bytes()), Some(Form::Dated(_))), "{line}");
        }
        for line in
            ["From - \n", "From a@b\n", "From 1@xxx\r\n", "From jan\n", "From \n", "From a@b Di 3.11."]
        {
            assert_eq!(form(line.as_bytes()), Some(Form::Bare), "{line}");
        }
        for line in [
            "From now on\n",
            "From the meeting at 15:04 in 2026\n",
            "From Monday, Nov 3, 2025 at 15:00\n",
            "From 10:00 to 12:00 on 3 Nov 2025\n",
            "From Nov 3 10:00 2025 on, we meet\n",
        ] {
            assert_eq!(form(line.as_bytes()), Some(Form::Prose), "{line}");
        }
        let long = format!("From a@b Tue Nov  3 15:04:05 2026 {}\n", "x".repeat(MAX_LINE));
        for line in ["", "From", "From\n", "from a@b\n", " From a@b\n", ">From a@b\n", long.as_str()] {
            assert_eq!(form(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn tells_header_fields_from_sentences() {
        for (line, expected) in [
            ("Subject: x\n", Next::Common),
            ("received:\n", Next::Common),
            ("X-Anything: x\n", Next::Common),
            (">From a@b Tue Nov  3 15:04:05 2026 remote from c\n", Next::Common),
            ("From a@b Tue Nov  3 15:04:05 2026\n", Next::Common),
            ("Thread-Topic: x\n", Next::Field),
            ("Organization : x\n", Next::Field),
            ("\n", Next::Nothing),
            ("\r\n", Next::Nothing),
            ("", Next::Nothing),
            ("hello\n", Next::Text),
            ("two words: x\n", Next::Text),
            ("15:04 is early\n", Next::Text),
            ("https://example.org/\n", Next::Text),
            (": x\n", Next::Text),
            (" Subject: x\n", Next::Text),
            ("Grüße: x\n", Next::Text),
        ] {
            assert_eq!(next(line.as_bytes()), expected, "{line:?}");
        }
    }
}
