//! Encoded words (RFC 2047).

use crate::charset::{UNKNOWN, ends_in_ascii, is_stateful, to_utf8};
use crate::encoding::{decode_base64, decode_q};
use crate::lex::text;
use memchr::memmem;

/// Returns the text of an unstructured field or a display name with its encoded words decoded (RFC 2047), on one line.
///
/// Other text and encoded words of unknown charsets stay as they are. The cost is linear in the input.
///
/// ```
/// assert_eq!(moxd_message::decode_words(b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?IQ==?= an alle"), "Grüße! an alle");
/// ```
pub fn decode_words(value: &[u8]) -> String {
    decode(value, to_utf8)
}

/// Decodes like the most lenient mail client: also decodes words of unknown charsets, and removes invisible characters.
pub(crate) fn guess_words(value: &[u8]) -> String {
    decode(value, |bytes, charset| {
        let text = to_utf8(bytes, charset).or_else(|| to_utf8(bytes, UNKNOWN))?;
        Some(text.replace(|c: char| c.is_control() && !c.is_whitespace(), ""))
    })
}

/// Returns the text of a value; `read` decodes the bytes of a word, given the name of its charset.
fn decode(value: &[u8], read: impl Fn(&[u8], &str) -> Option<String>) -> String {
    let mut out = String::new();
    // Bytes of encoded words that are not decoded yet: some senders split a character between neighbours (against RFC 2047
    // §5.3).
    let mut pending: Option<Pending<'_>> = None;
    let mut rest = value;
    // Where to look for the next encoded word in `rest`.
    let mut gap = 0;
    while let Some(at) = rest.get(gap..).and_then(|tail| memmem::find(tail, b"=?")) {
        let at = gap + at;
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        let Some((word, length)) = word(from) else {
            gap = at + 2;
            continue;
        };
        // RFC 2047 §6.2: white space between neighbouring encoded words is not shown.
        let neighbours = pending.is_some() && before.trim_ascii().is_empty();
        let switched = ends_in_ascii(&word.bytes, word.charset);
        match &mut pending {
            Some(last) if neighbours && !last.complete && last.charset.eq_ignore_ascii_case(word.charset) => {
                last.bytes.extend(word.bytes);
                last.raw.1 += before.len() + length;
                last.complete = switched.unwrap_or(last.complete);
            }
            _ => {
                flush(&mut out, pending.take(), value, &read);
                if !neighbours {
                    out.push_str(&line(before));
                }
                let start = value.len() - from.len();
                let complete = switched.unwrap_or_else(|| is_stateful(word.charset));
                pending = Some(Pending { raw: (start, start + length), complete, ..word });
            }
        }
        rest = from.get(length..).unwrap_or_default();
        gap = 0;
    }
    flush(&mut out, pending, value, &read);
    out.push_str(&line(rest));
    out
}

struct Pending<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
    /// Its charset has shift states and it ends in the initial one, as each word should (RFC 2047 §3): the next word is
    /// separate text, which may begin with the same escape again.
    complete: bool,
    /// Where it stands in the value.
    raw: (usize, usize),
}

fn flush(
    out: &mut String,
    pending: Option<Pending<'_>>,
    value: &[u8],
    read: impl Fn(&[u8], &str) -> Option<String>,
) {
    let Some(Pending { charset, bytes, raw: (start, end), .. }) = pending else { return };
    let decoded = read(&bytes, charset).unwrap_or_else(|| line(value.get(start..end).unwrap_or_default()));
    // A line end hidden in an encoded word must not break the line either.
    out.extend(decoded.chars().map(|c| if c.is_control() { ' ' } else { c }));
}

/// Unencoded text, without line ends.
fn line(bytes: &[u8]) -> String {
    text(bytes).replace(['\r', '\n'], "")
}

/// Reads the encoded word at the start of `input`; returns it with its length.
fn word(input: &[u8]) -> Option<(Pending<'_>, usize)> {
    // RFC 2047 §2: encoded-word = "=?" charset "?" encoding "?" encoded-text "?=".
    let mut parts = input.get(2..)?.splitn(4, |b| *b == b'?');
    let (charset, encoding, content, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) || rest.first() != Some(&b'=') {
        return None;
    }
    if content.iter().any(|b| matches!(b, b'\r' | b'\n')) {
        return None;
    }
    let bytes = match encoding {
        b"q" | b"Q" => decode_q(content),
        b"b" | b"B" => decode_base64(content, usize::MAX).bytes,
        _ => return None,
    };
    // RFC 2231 §5: a language may follow the charset behind an asterisk.
    let charset =
        charset.split(|b| *b == b'*').next().and_then(|charset| std::str::from_utf8(charset).ok())?;
    Some((Pending { charset, bytes, complete: false, raw: (0, 0) }, input.len() - rest.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(decode_words(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn decodes_the_examples_of_rfc_2047() {
        // RFC 2047 §8: examples.
        check("=?US-ASCII?Q?Keith_Moore?=", "Keith Moore");
        check("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen");
        check(
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        );
        check("(=?ISO-8859-1?Q?a?= b)", "(a b)");
        check("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)");
        check("(=?ISO-8859-1?Q?a_b?=)", "(a b)");
    }

    #[test]
    fn decodes_charsets_languages_and_split_characters() {
        check("=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは");
        check("=?koi8-r?Q?=F0=D2=C9=D7=C5=D4?=", "Привет");
        check("=?US-ASCII*en?Q?hi?=", "hi");
        check("=?utf-8?Q?=C3?= =?UTF-8?B?vA==?=", "ü");
    }

    #[test]
    fn words_of_stateful_charsets_are_texts_of_their_own() {
        check(
            "=?iso-2022-jp?B?GyRCMnE1RCROGyhC?=\r\n =?ISO-2022-JP?B?GyRCJCpDTiRpJDsbKEI=?=",
            "会議のお知らせ",
        );
        // Some split a text where they should not, and go on without the escape.
        check("=?iso-2022-jp?B?GyRCMnE1RA==?= =?iso-2022-jp?B?JE4bKEI=?= =?iso-2022-jp?Q?!?=", "会議の!");
        check("=?iso-2022-jp?Q?a?= =?iso-2022-jp?B?GyRCMnE1RCROGyhC?=", "a会議の");
        check("=?hz-gb-2312?Q?~{VPND~}?= =?hz-gb-2312?Q?~{VP?= =?hz-gb-2312?Q?ND~}?=", "中文中文");
        check("=?iso-2022-kr?B?GyQpQw5HUTFbDw==?= =?iso-2022-kr?B?GyQpQw5HUTFbDw==?=", "한글한글");
        check("=?utf-7?Q?+AN8?= =?utf-7?Q?+AN8-?=", "ßß");
    }

    #[test]
    fn many_words_cost_little() {
        let text = decode_words("=?iso-2022-jp?Q?=1B$B2q?= ".repeat(20_000).as_bytes());
        assert_eq!(text.chars().filter(|c| *c == '会').count(), 20_000);
        let text = decode_words(
            format!("=?iso-2022-jp?Q?=1B$B?= {}", "=?iso-2022-jp?Q?2q?= ".repeat(20_000)).as_bytes(),
        );
        assert_eq!(text.chars().filter(|c| *c == '会').count(), 20_000);
    }

    #[test]
    fn leaves_what_is_no_encoded_word() {
        for text in [
            "",
            "plain",
            "=?",
            "=?=?=?",
            "=?utf-8?q?open",
            "=?utf-8?x?a?=",
            "=?nonsense?q?a?=",
            "a =? b",
            "=??q?a?=",
            "=?utf-8?q?a?b?=",
        ] {
            check(text, text);
        }
        check("=?a?q?=?utf-8?q?x?=", "=?a?q?x");
        check("folded\r\n text", "folded text");
        check("=?utf-8?q?a=0D=0AEvil:_1?=", "a  Evil: 1");
    }
}
