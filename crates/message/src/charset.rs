//! Decodes text of any charset to UTF-8.
//!
//! Most charsets are in the WHATWG Encoding Standard. Mail has more: other names of the same, UTF-7, the code pages of DOS,
//! and two seven-bit encodings that browsers refuse.

use charset::Charset as Web;
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8, WINDOWS_1252};
use memchr::{memrchr, memrchr2};
use oem_cp::code_table::DECODING_TABLE_CP_MAP;
use oem_cp::code_table_type::TableType;

/// The decoder of a charset.
#[derive(Clone, Copy)]
enum Decoder {
    /// A charset of the Encoding Standard, or UTF-7.
    Web(Web),
    /// A code page of DOS.
    Dos(&'static TableType),
    /// HZ (RFC 1843): GB 2312 between `~{` and `~}`.
    Hz,
    /// ISO-2022-KR (RFC 1557): KS X 1001 between the shifts.
    Korean,
    /// Bytes whose charset the sender did not know.
    Unknown,
}

/// The charset name for bytes whose charset the sender did not know (RFC 1428 §3). Any bytes can be decoded with it.
pub(crate) const UNKNOWN: &str = "unknown-8bit";

const ESCAPE: u8 = 0x1b;
const SHIFT_OUT: u8 = 0x0e;
const SHIFT_IN: u8 = 0x0f;

/// Decodes bytes of a charset, with replacement characters for what cannot be mapped. None if the charset is unknown.
///
/// Knows the names of the WHATWG Encoding Standard, which reads ASCII and Latin-1 as windows-1252, as mail needs, and more
/// names that mail uses.
pub fn to_utf8(bytes: &[u8], charset: &str) -> Option<String> {
    let label = charset.trim().to_ascii_lowercase();
    // A body labelled ASCII that is valid UTF-8 is UTF-8: bytes over 127 mean nothing in ASCII.
    let ascii = matches!(label.as_str(), "us-ascii" | "ascii");
    let decoder = decoder(&label)?;
    if (ascii || matches!(decoder, Decoder::Unknown))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Some(text.to_owned());
    }
    Some(match decoder {
        Decoder::Web(web) => web.decode(bytes).0.into_owned(),
        Decoder::Dos(table) => table.decode_string_lossy(bytes),
        Decoder::Hz => GBK.decode_without_bom_handling(&hz(bytes)).0.into_owned(),
        Decoder::Korean => EUC_KR.decode_without_bom_handling(&korean(bytes)).0.into_owned(),
        Decoder::Unknown => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    })
}

/// Finds the decoder of a charset by its name in lower case.
fn decoder(label: &str) -> Option<Decoder> {
    match label {
        "hz-gb-2312" | "hz" => return Some(Decoder::Hz),
        "iso-2022-kr" | "csiso2022kr" => return Some(Decoder::Korean),
        // RFC 1428 §3: a gateway that does not know the charset writes this.
        UNKNOWN | "x-unknown" | "unknown" | "default" => return Some(Decoder::Unknown),
        _ => {}
    }
    // Charsets that the standard replaces with a single replacement character count as unknown, so that the text stays.
    if let Some(web) = Web::for_label_no_replacement(label.as_bytes()) {
        return Some(Decoder::Web(web));
    }
    code_page(label)
}

/// Finds the decoder of a code page by its number, as in `cp850`, `IBM00858`, `csPC850Multilingual`, `850`.
fn code_page(label: &str) -> Option<Decoder> {
    const PREFIXES: [&str; 9] = ["cp", "x-cp", "ibm", "csibm", "cspc", "ms", "dos", "oem", "windows"];
    let named = PREFIXES.iter().any(|prefix| label.starts_with(prefix));
    if !named && !label.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u16 =
        label.rsplit(|c: char| !c.is_ascii_digit()).find(|run| !run.is_empty())?.parse().ok()?;
    let web = |encoding: &'static Encoding| Some(Decoder::Web(Web::for_encoding(encoding)));
    match number {
        932 => web(SHIFT_JIS),
        936 => web(GBK),
        949 => web(EUC_KR),
        950 => web(BIG5),
        65_001 => web(UTF_8),
        65_000 => Web::for_label(b"utf-7").map(Decoder::Web),
        1250..=1258 => Web::for_label(format!("windows-{number}").as_bytes()).map(Decoder::Web),
        _ => DECODING_TABLE_CP_MAP.get(&number).map(Decoder::Dos),
    }
}

/// Does the charset have shift states, so that the meaning of a byte depends on earlier ones?
pub(crate) fn is_stateful(charset: &str) -> bool {
    match decoder(&charset.trim().to_ascii_lowercase()) {
        Some(Decoder::Hz | Decoder::Korean) => true,
        Some(Decoder::Web(web)) => web == Web::for_encoding(ISO_2022_JP) || web == charset::UTF_7,
        _ => false,
    }
}

/// Does a text in a charset with shift states end in the ASCII state? None if the text never switches, or the charset has
/// no such states.
pub(crate) fn ends_in_ascii(bytes: &[u8], charset: &str) -> Option<bool> {
    match decoder(&charset.trim().to_ascii_lowercase())? {
        Decoder::Hz => {
            let at = memrchr2(b'{', b'}', bytes)?;
            let (before, from) = bytes.split_at_checked(at)?;
            before.ends_with(b"~").then(|| from.starts_with(b"}"))
        }
        Decoder::Korean => memrchr2(SHIFT_OUT, SHIFT_IN, bytes).map(|at| bytes.get(at) == Some(&SHIFT_IN)),
        Decoder::Web(web) if web == Web::for_encoding(ISO_2022_JP) => {
            // ESC ( B and ESC ( J return to one byte per character (RFC 1468).
            let escape = bytes.get(memrchr(ESCAPE, bytes)?..)?;
            Some(escape.starts_with(b"\x1b(B") || escape.starts_with(b"\x1b(J"))
        }
        _ => None,
    }
}

/// Converts HZ to GBK by setting the high bits of the pairs between `~{` and `~}`.
fn hz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut rest, mut shifted) = (bytes, false);
    loop {
        rest = match rest {
            [] => return out,
            [b'~', b'{', tail @ ..] => {
                shifted = true;
                tail
            }
            [b'~', b'}', tail @ ..] => {
                shifted = false;
                tail
            }
            // Two tildes stand for one, and a tilde before a line end joins lines (RFC 1843).
            [b'~', b'~', tail @ ..] if !shifted => {
                out.push(b'~');
                tail
            }
            [b'~', b'\n', tail @ ..] if !shifted => tail,
            [first, second, tail @ ..] if shifted && first.is_ascii_graphic() => {
                out.extend([first | 0x80, second | 0x80]);
                tail
            }
            [b, tail @ ..] => {
                // A line end also returns to ASCII.
                shifted &= *b != b'\n';
                out.push(*b);
                tail
            }
        };
    }
}

/// Converts ISO-2022-KR to EUC-KR: sets the high bits of the bytes between the shifts, and drops the designation.
fn korean(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut rest, mut shifted) = (bytes, false);
    loop {
        rest = match rest {
            [] => return out,
            [ESCAPE, b'$', b')', b'C', tail @ ..] => tail,
            [SHIFT_OUT | SHIFT_IN, tail @ ..] => {
                shifted = rest.first() == Some(&SHIFT_OUT);
                tail
            }
            [b, tail @ ..] => {
                out.push(if shifted && b.is_ascii_graphic() { b | 0x80 } else { *b });
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(charset: &str, bytes: &[u8], text: &str) {
        assert_eq!(to_utf8(bytes, charset).as_deref(), Some(text), "{charset}");
    }

    #[test]
    fn reads_ascii_that_is_utf8() {
        check("us-ascii", "ü".as_bytes(), "ü");
        check("US-ASCII", b"\xfc", "ü");
        check("unknown-8bit", "ü".as_bytes(), "ü");
        check("x-unknown", b"\xfc", "ü");
        assert_eq!(to_utf8(b"a", "no-such-charset"), None);
    }

    #[test]
    fn reads_what_browsers_do_not() {
        check("utf-7", b"Gru+AN8- an alle", "Gruß an alle");
        check("UNICODE-1-1-UTF-7", b"1 +- 1 +2D3cqQ-", "1 + 1 \u{1f4a9}");
        check("hz-gb-2312", b"a~{VPND~}b~~c", "a中文b~c");
        check("HZ", b"~{VPND\nVP", "中文\nVP");
        check("iso-2022-kr", b"\x1b$)C\x0eGQ1[\x0f!", "한글!");
        check("ISO-2022-KR", b"\x0eGQ1[", "한글");
    }

    #[test]
    fn knows_other_names() {
        for name in ["cp932", "MS932", "windows-31j", "cp-932"] {
            check(name, b"\x87\x40", "①");
        }
        for (name, bytes, text) in [
            ("cp936", &b"\xd6\xd0"[..], "中"),
            ("ms949", b"\xb0\xa1", "가"),
            ("cp950", b"\xa4\xa4", "中"),
            ("cp1251", b"\xcf", "П"),
            ("windows1252", b"\x80", "€"),
            ("cp65001", "ü".as_bytes(), "ü"),
            ("cp65000", b"+AN8-", "ß"),
        ] {
            check(name, bytes, text);
        }
    }

    #[test]
    fn reads_the_code_pages_of_dos() {
        for name in ["cp850", "IBM850", "850", "cspc850multilingual", "dos-850", "ibm-850"] {
            check(name, b"caf\x82", "café");
        }
        for (name, byte, text) in [
            ("cp437", b"\xe1", "ß"),
            ("cspc8codepage437", b"\xe1", "ß"),
            ("cp852", b"\x88", "ł"),
            ("cp855", b"\xa1", "А"),
            ("IBM00858", b"\xd5", "€"),
            ("cp866", b"\x8f", "П"),
            ("cp737", b"\x80", "Α"),
        ] {
            check(name, byte, text);
        }
    }

    #[test]
    fn unknown_numbers_and_replaced_charsets_stay_raw() {
        for name in
            ["cp", "cp0", "cp99999999", "ibm037", "a850", "iso-2022-cn", "replacement", "", "windows-1259"]
        {
            assert_eq!(to_utf8(b"a", name), None, "{name}");
        }
    }

    #[test]
    fn decodes_any_bytes() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        for name in ["utf-7", "hz", "iso-2022-kr", "cp864", "cp932", "iso-2022-jp", "x-unknown"] {
            for start in 0..all.len() {
                assert!(to_utf8(&all[start..], name).is_some());
                ends_in_ascii(&all[start..], name);
            }
        }
    }
}
