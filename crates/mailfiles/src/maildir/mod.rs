//! Maildir: what the names of files and folders mean, and what mail programs put beside them.
//!
//! A name is `time.unique.host:2,FLAGS` (<https://cr.yp.to/proto/maildir.html>); Dovecot adds letters for keywords and may
//! compress the files; mailboxes are folders within each other, or beside each other with dots in their names (Maildir++).

mod folders;
mod keywords;

pub use folders::{MAX_COMPONENT, folder_of, mailbox_of};
pub use keywords::{KEYWORDS_FILE, Keywords, MAX_KEYWORDS_FILE};

use crate::fields::take_mozilla;
use crate::flags::{Flag, Flags};
use crate::times::plausible;

/// The folders of a Maildir that hold messages. Messages in a third one, `tmp`, are still being delivered.
pub const PARTS: [&str; 2] = ["new", "cur"];

/// The earliest time that a name can have: March 1973. Smaller numbers count messages, or are days such as 20201103.
const EARLIEST: i64 = 100_000_000;

/// The separators before the flags in a file name. On file systems that allow no colon, programs use another character.
const INFO: [&str; 3] = [":2,", ";2,", "!2,"];

/// Letters for flags in a name, in ASCII order, as Maildir demands.
const LETTERS: [(char, Flag); 6] = [
    ('D', Flag::Draft),
    ('F', Flag::Flagged),
    ('P', Flag::Forwarded),
    ('R', Flag::Answered),
    ('S', Flag::Seen),
    ('T', Flag::Deleted),
];

/// What the name of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// When the message was delivered, in seconds since 1970. None if the name begins otherwise: the caller then uses the
    /// time of the file.
    pub received: Option<i64>,
    /// None if the name has no place for flags.
    letters: Option<&'a str>,
}

impl<'a> Name<'a> {
    /// Reads a name without its folder. Any text is a name.
    pub fn parse(name: &'a str) -> Self {
        let received = name.split('.').next().and_then(seconds);
        let info = INFO.iter().filter_map(|mark| name.rfind(mark)).max();
        // Some programs add data of their own after another comma.
        let letters = info.and_then(|at| name.get(at + 3..)?.split(',').next());
        Self { received, letters }
    }

    /// Does the name have a place for flags? If not, [`take_flags`] may find some.
    pub fn has_flags(&self) -> bool {
        self.letters.is_some()
    }

    /// The flags and keywords that the letters of the name stand for. `keywords` are those of its folder.
    pub fn flags(&self, keywords: &Keywords) -> Flags {
        let mut flags = Flags::default();
        for letter in self.letters.unwrap_or_default().chars() {
            if let Some((_, flag)) = LETTERS.iter().find(|(known, _)| *known == letter) {
                flags.known.insert(*flag);
            } else if let Some(word) = keywords.word(letter) {
                flags.add_keyword(word);
            }
        }
        flags
    }
}

fn seconds(text: &str) -> Option<i64> {
    let number: i64 = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())??;
    plausible(number).filter(|seconds| *seconds >= EARLIEST)
}

/// Composes the name of a message in `cur`. No other message may have the same `number`. Keywords without a letter get one
/// in `keywords`.
pub fn file_name(received: i64, number: u64, flags: &Flags, keywords: &mut Keywords) -> String {
    let letter = |flag: Flag| LETTERS.iter().find(|(_, known)| *known == flag).map(|(letter, _)| *letter);
    let mut letters: Vec<char> = flags.known.iter().filter_map(|flag| letter(*flag)).collect();
    letters
        .extend(flags.keywords_and(|flag| letter(flag).is_some()).filter_map(|word| keywords.letter(word)));
    letters.sort_unstable();
    format!("{received}.M{number}.moxd:2,{}", letters.into_iter().collect::<String>())
}

/// The compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not compressed.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// Another compression, by its name.
    Other(&'static str),
}

/// How many bytes of a file [`packing`] and [`take_flags`] look at.
pub const MAX_START: usize = 1024;

/// Removes the fields in which Thunderbird keeps flags from the start of a message, and returns the flags. `start` should have
/// [`MAX_START`] bytes or the whole file.
pub fn take_flags(start: &mut Vec<u8>) -> Flags {
    take_mozilla(start)
}

/// Tells by its start how a file is compressed. No message begins with these bytes.
pub fn packing(start: &[u8]) -> Packing {
    const OTHERS: [(&[u8], &str); 4] = [
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"Dovecot-LZ4", "lz4"),
        // A digit for the size of the blocks follows, then a mark, which is checked below.
        (b"BZh", "bzip2"),
    ];
    if start.starts_with(b"\x1f\x8b") {
        return Packing::Gzip;
    }
    let other = OTHERS.iter().find(|(magic, _)| start.starts_with(magic));
    match other {
        Some((_, "bzip2")) if start.get(4..10) != Some(b"1AY&SY") => Packing::Plain,
        Some((_, name)) => Packing::Other(name),
        None => Packing::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, received: impl Into<Option<i64>>, flags: &str) {
        let keywords = Keywords::parse(b"0 $Junk\n1 $Forwarded\n3 $label1\n");
        let parsed = Name::parse(name);
        assert_eq!(parsed.received, received.into(), "{name}");
        let found = parsed.flags(&keywords);
        let names =
            found.known.iter().map(|flag| flag.name()).chain(found.keywords.iter().map(String::as_str));
        assert_eq!(names.collect::<Vec<_>>().join(" "), flags, "{name}");
    }

    #[test]
    fn reads_times_and_flags() {
        check("1604415845.M1P2.host:2,FS", 1_604_415_845, "seen flagged");
        check("1604415845.M1P2.host,S=50,W=53:2,Sab", 1_604_415_845, "seen forwarded junk");
        check("1604415845.M1P2.host;2,FS", 1_604_415_845, "seen flagged");
        check("1604415845.M1P2.host!2,PRTD", 1_604_415_845, "answered forwarded deleted draft");
        check("1604415845.M1P2.host:2,S,x", 1_604_415_845, "seen");
        check("1604415845.M1P2.host:2,dcZ", 1_604_415_845, "$label1");
        check("1604415845.M1P2.host", 1_604_415_845, "");
        check("1604415845.M1P2.host:1,S", 1_604_415_845, "");
        check("1604415845.M1P2.a;2,b:2,S", 1_604_415_845, "seen");
        check("1604415845", 1_604_415_845, "");
    }

    #[test]
    fn takes_no_other_number_for_seconds() {
        for name in [
            "1604415845123.eml",
            "1604415845123456",
            "20201103.eml",
            "1.host",
            "0",
            "",
            "-1604415845.x",
            "+1604415845.x",
            "4294967296.x",
            "99999999999999999999999.x",
            "mail-1604415845",
            ":2,",
        ] {
            check(name, None, "");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let mut keywords = Keywords::default();
        let mut flags = Flags { known: Flag::ALL.into_iter().collect(), ..Flags::default() };
        flags.add_keyword("$label1");
        let name = file_name(1_604_415_845, 7, &flags, &mut keywords);
        assert_eq!(name, "1604415845.M7.moxd:2,DFPRSTabcde");
        assert_eq!(keywords.file(), "0 $Junk\n1 $NotJunk\n2 $Phishing\n3 $MDNSent\n4 $label1\n");
        let keywords = Keywords::parse(keywords.file().as_bytes());
        assert_eq!(Name::parse(&name).flags(&keywords), flags);
    }

    #[test]
    fn tells_how_files_are_packed() {
        assert_eq!(packing(b"\x1f\x8b\x08"), Packing::Gzip);
        assert_eq!(packing(b"\x28\xb5\x2f\xfd\x00"), Packing::Other("zstd"));
        assert_eq!(packing(b"\xfd7zXZ\x00"), Packing::Other("xz"));
        assert_eq!(packing(b"BZh91AY&SY"), Packing::Other("bzip2"));
        assert_eq!(packing(b"Dovecot-LZ4\x0d"), Packing::Other("lz4"));
        for start in ["", "BZh", "BZhivago: x", "Subject: x"] {
            assert_eq!(packing(start.as_bytes()), Packing::Plain, "{start}");
        }
    }
}
