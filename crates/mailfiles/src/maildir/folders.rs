//! The folders of mailboxes.
//!
//! On writing, each level of a mailbox's name becomes a folder in the one above. Some names are impossible for a folder: `..`,
//! the parts of a Maildir such as `cur`, and long names, which become several folders. They are written with `%`, which no
//! mailbox name contains. Reading also understands Maildir++ (`.Lists.Rust`), modified UTF-7, and Thunderbird's
//! `Lists.sbd`.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};

/// The longest name of a folder, in bytes: what Linux and most file systems allow.
pub const MAX_COMPONENT: usize = 255;

/// The end of the folder in which Thunderbird keeps the mailboxes below a mailbox.
const SUBFOLDERS: &str = ".sbd";

/// Names of a Maildir's own folders, and the escape for their first letter.
const RESERVED: [(&str, &str); 3] = [("cur", "%63"), ("new", "%6E"), ("tmp", "%74")];

/// The escapes, and what they stand for.
const ESCAPES: [(&str, &str); 4] = [("%2E", "."), ("%63", "c"), ("%6E", "n"), ("%74", "t")];

/// Returns the folder for a mailbox, with `/` between levels. Different mailboxes get different folders. No folder leads out
/// of the one it is in, and no part of it is longer than [`MAX_COMPONENT`].
pub fn folder_of(mailbox: &str) -> String {
    mailbox.split('/').map(level_folder).collect::<Vec<_>>().join("/")
}

fn level_folder(level: &str) -> String {
    let mut escaped = level.to_owned();
    if let Some((name, letter)) = RESERVED.iter().find(|(name, _)| *name == level) {
        escaped = format!("{letter}{}", name.get(1..).unwrap_or_default());
    }
    if let Some(rest) = level.strip_prefix('.') {
        escaped = format!("%2E{rest}");
    }
    if let Some(start) = escaped.strip_suffix(SUBFOLDERS) {
        escaped = format!("{start}%2Esbd");
    }
    // A `%` at the end of a folder and one at the start of the next say that the level continues there.
    let mut pieces = vec![];
    let mut rest = escaped.as_str();
    while rest.len() > MAX_COMPONENT - 2 {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(MAX_COMPONENT - 2));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces.join("%/%")
}

/// Returns the mailbox that a folder stands for, by the names of the folders that lead to it; empty if none do. The result may
/// contain characters that the caller does not allow in names of mailboxes.
pub fn mailbox_of<'a>(folders: impl IntoIterator<Item = &'a str>) -> String {
    let mut levels: Vec<String> = Vec::new();
    let mut begun: Option<String> = None;
    for folder in folders {
        let before = begun.take();
        let folder = before.as_ref().and_then(|_| folder.strip_prefix('%')).unwrap_or(folder);
        let whole = before.unwrap_or_default() + folder;
        if let Some(part) = whole.strip_suffix('%') {
            begun = Some(part.to_owned());
        } else if let Some(names) = whole.strip_prefix('.') {
            levels.extend(names.split('.').filter(|name| !name.is_empty()).map(decode_utf7));
        } else {
            levels.push(decode(&whole));
        }
    }
    levels.extend(begun.map(|part| decode(&part)));
    levels.join("/")
}

fn decode(folder: &str) -> String {
    let mut name = folder.strip_suffix(SUBFOLDERS).unwrap_or(folder).to_owned();
    for (escape, letter) in ESCAPES {
        name = name.replace(escape, letter);
    }
    decode_utf7(&name)
}

/// Decodes the modified UTF-7 of mailbox names, and leaves everything else as it is.
fn decode_utf7(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match after.split_once('-') {
            Some(("", tail)) => {
                out.push('&');
                rest = tail;
            }
            Some((code, tail)) if let Some(text) = decode_shifted(code) => {
                out.push_str(&text);
                rest = tail;
            }
            _ => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}

/// RFC 3501 §5.1.3: base64 with "," for "/" and without padding. Bits that belong to no byte may be set.
const MODIFIED_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// RFC 3501 §5.1.3: modified base64 of UTF-16 in network order.
fn decode_shifted(code: &str) -> Option<String> {
    let bytes = MODIFIED_BASE64.decode(code).ok()?;
    let (units, odd) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    (odd.is_empty() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn round_trips(mailbox: &str, folder: &str) {
        assert_eq!(folder_of(mailbox), folder, "{mailbox}");
        assert_eq!(mailbox_of(folder.split('/')), mailbox, "{folder}");
    }

    #[test]
    fn no_folder_is_another_or_out_of_place() {
        for (mailbox, folder) in [
            ("Inbox", "Inbox"),
            ("Lists/Rust", "Lists/Rust"),
            ("Müll", "Müll"),
            ("../../x", "%2E./%2E./x"),
            ("a/./b", "a/%2E/b"),
            ("...", "%2E.."),
            (".Sent", "%2ESent"),
            ("a/cur", "a/%63ur"),
            ("new/tmp", "%6Eew/%74mp"),
            ("current/renew", "current/renew"),
            ("a.sbd/b", "a%2Esbd/b"),
            (".sbd", "%2Esbd"),
            ("a.b", "a.b"),
        ] {
            round_trips(mailbox, folder);
        }
    }

    #[test]
    fn long_levels_become_several_folders() {
        round_trips(&"x".repeat(253), &"x".repeat(253));
        for mailbox in
            ["x".repeat(254), "ü".repeat(200), format!("{}.sbd", "x".repeat(252)), ".cur".repeat(99)]
        {
            let folder = folder_of(&mailbox);
            assert!(folder.split('/').all(|part| part.len() <= MAX_COMPONENT), "{folder}");
            assert!(folder.contains('/'), "{folder}");
            round_trips(&mailbox, &folder);
            let inside = format!("a/{mailbox}/cur");
            round_trips(&inside, &format!("a/{folder}/%63ur"));
        }
    }

    #[test]
    fn reads_the_folders_of_others() {
        for (folder, mailbox) in [
            (".Sent", "Sent"),
            (".M&APw-ll", "Müll"),
            (".Müll", "Müll"),
            (".Lists.Rust.2020", "Lists/Rust/2020"),
            (".A&-B", "A&B"),
            (".&U,BTFw-", "台北"),
            (".&2D3eAA-", "\u{1f600}"),
            (".&2D0-", "&2D0-"),
            (".&x", "&x"),
            (".&=-", "&=-"),
            ("M&APw-ll", "Müll"),
            ("Lists.sbd/Rust", "Lists/Rust"),
            ("..Sent.", "Sent"),
            ("50%", "50"),
            ("", ""),
        ] {
            assert_eq!(mailbox_of(folder.split('/')), mailbox, "{folder}");
        }
    }
}
