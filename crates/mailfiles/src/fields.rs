//! Header fields in which mail programs keep flags inside files: those of Unix programs, of Mozilla, and of Google.
//!
//! A program writes its fields at the top of the header or at its end. If some are at the top, only those count: fields
//! further down came with the message, perhaps from a stranger. The fields are no part of the message, so reading removes
//! them. Those of Google stay, because labels say more than flags can.

use crate::flags::{Flag, Flags};
use crate::times::plausible;
use message::{Date, decode_words, headers, without_fields};

/// The programs that write a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Unix,
    Mozilla,
}

/// Fields that programs write. The last two have no flags in them, and stay in the message.
const FIELDS: [(&str, Program); 8] = [
    ("Status", Program::Unix),
    ("X-Status", Program::Unix),
    ("X-Keywords", Program::Unix),
    ("X-Mozilla-Status", Program::Mozilla),
    ("X-Mozilla-Status2", Program::Mozilla),
    ("X-Mozilla-Keys", Program::Mozilla),
    ("X-Account-Key", Program::Mozilla),
    ("X-UIDL", Program::Mozilla),
];

/// Letters of `Status` and `X-Status` for flags. `O` (old), `N` (new) and `U` (unread) stand for no flag of ours.
const LETTERS: [(u8, Option<Flag>); 8] = [
    (b'R', Some(Flag::Seen)),
    (b'A', Some(Flag::Answered)),
    (b'F', Some(Flag::Flagged)),
    (b'T', Some(Flag::Draft)),
    (b'D', Some(Flag::Deleted)),
    (b'O', None),
    (b'N', None),
    (b'U', None),
];

/// Bits of `X-Mozilla-Status`, and above them those of `X-Mozilla-Status2`. The file may have expunged messages, until
/// Thunderbird compacts it.
const BITS: [(u32, Flag); 6] = [
    (0x0001, Flag::Seen),
    (0x0002, Flag::Answered),
    (0x0004, Flag::Flagged),
    (0x0008, Flag::Deleted),
    (0x1000, Flag::Forwarded),
    (0x0080_0000, Flag::MdnSent),
];

/// How the subject begins of the first entry of an mbox in which c-client and its heirs keep data about the mailbox.
const INTERNAL: &str = "DON'T DELETE THIS MESSAGE";

/// Flags, time and kind of an entry of an mbox, by its header.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) flags: Flags,
    /// The time of its Date field.
    pub(crate) date: Option<i64>,
    /// The entry is no mail: c-client and its heirs keep data about the mailbox in it.
    pub(crate) is_internal: bool,
}

/// Reads flags and date from a header, and removes the fields of mail programs from it.
pub(crate) fn take(header: &mut Vec<u8>) -> Found {
    let top = at_top(header);
    let is_marked = top.is_some();
    let flags = top.map(|top| top.take_from(header)).unwrap_or_default();
    let mut found = Found { flags, ..Found::default() };
    let fields = headers(header);
    let value =
        |name: &str| fields.first(name).map(|field| String::from_utf8_lossy(&field.unfolded()).into_owned());
    let date = value("Date").and_then(|date| date.parse::<Date>().ok());
    found.date = date.and_then(|date| plausible(date.unix()));
    if is_marked {
        return found;
    }
    let has_index = value("X-IMAP").or_else(|| value("X-IMAPbase")).is_some();
    found.is_internal =
        has_index && value("Subject").is_some_and(|subject| subject.trim_start().starts_with(INTERNAL));
    match value("X-Gmail-Labels") {
        Some(labels) => add_labels(&labels, &mut found.flags),
        None => take_anywhere(header, &mut found.flags),
    }
    found
}

/// Reads and removes the fields of Mozilla at the start of a file that is a message: Thunderbird keeps flags in the files of a
/// Maildir too.
pub(crate) fn take_mozilla(start: &mut Vec<u8>) -> Flags {
    let top = at_top(start).filter(|top| top.program == Program::Mozilla);
    top.map(|top| top.take_from(start)).unwrap_or_default()
}

/// The fields of one program at the top of a header.
#[derive(Debug)]
struct Top {
    program: Program,
    flags: Flags,
    length: usize,
    /// The fields among them that stay in the message.
    kept: Vec<u8>,
}

impl Top {
    /// Removes the fields from the header, and returns their flags.
    fn take_from(self, header: &mut Vec<u8>) -> Flags {
        header.splice(..self.length, self.kept);
        self.flags
    }
}

/// Finds the fields of one program at the top, each at most once. None if none of them is about flags.
fn at_top(header: &[u8]) -> Option<Top> {
    let mut top: Option<Top> = None;
    let mut seen = [false; FIELDS.len()];
    let mut has_flags = false;
    for line in header.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let Some((name, value)) = line.iter().position(|b| *b == b':').map(|colon| line.split_at(colon))
        else {
            break;
        };
        let Some((field, value)) = read(name, value.get(1..).unwrap_or_default()) else { break };
        let Some((_, program)) = FIELDS.get(field) else { break };
        let again = seen.get_mut(field).is_none_or(|seen| std::mem::replace(seen, true));
        let begun = Top { program: *program, flags: Flags::default(), length: 0, kept: Vec::new() };
        let top = top.get_or_insert(begun);
        if again || top.program != *program {
            break;
        }
        match value {
            Value::Nothing => top.kept.extend_from_slice(line),
            value => {
                has_flags = true;
                add(value, &mut top.flags);
            }
        }
        top.length += line.len();
    }
    top.filter(|_| has_flags)
}

/// Reads and removes the fields of all programs anywhere in the header.
fn take_anywhere(header: &mut Vec<u8>, flags: &mut Flags) {
    let kept = without_fields(header, |name, value| match read(name, value) {
        None | Some((_, Value::Nothing)) => false,
        Some((_, value)) => {
            add(value, flags);
            true
        }
    });
    *header = kept.into_iter().filter_map(|range| header.get(range)).collect::<Vec<_>>().concat();
}

/// The value of a field.
enum Value<'a> {
    Letters(&'a str),
    Bits(u32),
    Keywords(&'a str),
    Nothing,
}

/// Reads a field. Returns its index in [`FIELDS`] and its value; None if it is none of them, or only has the name of one.
fn read<'a>(name: &[u8], value: &'a [u8]) -> Option<(usize, Value<'a>)> {
    let field = FIELDS.iter().position(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))?;
    let value = std::str::from_utf8(value).ok()?.trim();
    let hex = || u32::from_str_radix(value, 16).ok().filter(|_| value.len() <= 8);
    let value = match field {
        0 | 1 => {
            let known = |byte: u8| LETTERS.iter().any(|(letter, _)| *letter == byte);
            value.bytes().all(known).then_some(Value::Letters(value))?
        }
        3 => Value::Bits(hex()? & 0xffff),
        4 => Value::Bits(hex()? & 0xffff_0000),
        2 | 5 => Value::Keywords(value),
        _ => Value::Nothing,
    };
    Some((field, value))
}

fn add(value: Value<'_>, flags: &mut Flags) {
    match value {
        Value::Letters(letters) => {
            let flag = |byte| LETTERS.iter().find(|(letter, _)| *letter == byte).and_then(|(_, flag)| *flag);
            flags.known.extend(letters.bytes().filter_map(flag));
        }
        Value::Bits(bits) => {
            flags.known.extend(BITS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, flag)| *flag));
        }
        Value::Keywords(words) => words.split_whitespace().for_each(|word| flags.add_keyword(word)),
        Value::Nothing => (),
    }
}

/// Adds the flags that labels of Google Mail stand for. The labels are separated by commas. Without `Unread` the message is
/// seen: older files have no label for that.
fn add_labels(value: &str, flags: &mut Flags) {
    let text = decode_words(value.as_bytes());
    let mut unread = false;
    for label in text.split(',').map(|label| label.trim().trim_matches('"')) {
        match label {
            "Unread" => unread = true,
            "Starred" => drop(flags.known.insert(Flag::Flagged)),
            "Spam" => drop(flags.known.insert(Flag::Junk)),
            "Draft" | "Drafts" => drop(flags.known.insert(Flag::Draft)),
            "Trash" => drop(flags.known.insert(Flag::Deleted)),
            _ => (),
        }
    }
    if !unread {
        flags.known.insert(Flag::Seen);
    }
}

/// Writes the fields for flags, even for flags that are not set. A field of the same name that came with the message can then not
/// be taken for ours.
pub(crate) fn write(flags: &Flags, out: &mut Vec<u8>) {
    let has = |flag: Option<Flag>| flag.is_some_and(|flag| flags.known.contains(&flag));
    let letter =
        |wanted: Flag| LETTERS.iter().find(|(_, flag)| *flag == Some(wanted)).map(|(letter, _)| *letter);
    out.extend_from_slice(b"Status: ");
    out.extend(letter(Flag::Seen).filter(|_| has(Some(Flag::Seen))));
    out.extend_from_slice(b"O\nX-Status: ");
    let others = LETTERS.iter().filter(|(_, flag)| *flag != Some(Flag::Seen) && has(*flag));
    out.extend(others.map(|(letter, _)| *letter));
    let is_letter = |flag: Flag| letter(flag).is_some();
    out.extend_from_slice(b"\nX-Keywords:");
    for keyword in flags.keywords_and(is_letter) {
        out.push(b' ');
        out.extend_from_slice(keyword.as_bytes());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of flags and keywords, and what is left of the header.
    #[track_caller]
    fn check(header: &str, expected: &str, left: &str) {
        let mut bytes = header.as_bytes().to_vec();
        let Found { flags, .. } = take(&mut bytes);
        let names =
            flags.known.iter().map(|flag| flag.name()).chain(flags.keywords.iter().map(String::as_str));
        assert_eq!(names.collect::<Vec<_>>().join(" "), expected, "{header}");
        assert_eq!(String::from_utf8(bytes).unwrap(), left, "{header}");
    }

    #[test]
    fn reads_the_fields_at_the_top_and_those_alone() {
        check("Status: RO\nX-Status: AF\nSubject: x\n", "seen answered flagged", "Subject: x\n");
        check("Status: O\r\nX-Status: \r\nX-Keywords:\r\nStatus: RO\r\n", "", "Status: RO\r\n");
        check("Status: O\nA: b\nX-Status: F\n", "", "A: b\nX-Status: F\n");
        check("X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nStatus: D\n", "seen", "Status: D\n");
        let thunderbird = "X-Account-Key: account1\nX-UIDL: 1\n";
        let bits = "X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\nX-Mozilla-Keys: $label1 \n";
        check(
            &format!("{thunderbird}{bits}Status: D\n"),
            "seen $label1",
            &format!("{thunderbird}Status: D\n"),
        );
        check(&format!("{thunderbird}A: b\nStatus: RO\n"), "seen", &format!("{thunderbird}A: b\n"));
        check("X-Keywords: $Forwarded Junk  $label1 \nA: b\n", "forwarded junk $label1", "A: b\n");
        check("status: ro\n", "", "status: ro\n");
    }

    #[test]
    fn reads_the_fields_at_the_end() {
        check("Subject: x\nStatus: RO\nX-Status: DT\n", "seen deleted draft", "Subject: x\n");
        check("Subject: x\nX-Keywords: a\n b\nTo: c\n", "a b", "Subject: x\nTo: c\n");
        check("Subject: x\nStatus: Resolved\n", "", "Subject: x\nStatus: Resolved\n");
    }

    #[test]
    fn reads_the_bits_of_mozilla() {
        for (bits, expected) in [
            ("0000", ""),
            ("0001", "seen"),
            ("0002", "answered"),
            ("0004", "flagged"),
            ("0007", "seen answered flagged"),
            ("0009", "seen deleted"),
            ("1001", "seen forwarded"),
            ("ffff", "seen answered flagged forwarded deleted"),
        ] {
            check(&format!("X-Mozilla-Status: {bits}\n"), expected, "");
        }
        check("X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00800000\n", "seen mdnsent", "");
        check("X-Mozilla-Status: x\n", "", "X-Mozilla-Status: x\n");
    }

    #[test]
    fn reads_the_fields_of_mozilla_from_the_start_of_a_file() {
        for (start, expected, left) in [
            ("X-Mozilla-Status: 0005\nX-Mozilla-Status2: 00000000\nA: b\n", "seen flagged", "A: b\n"),
            ("X-Mozilla-Status: 0001\r\nX-Mozilla-Keys: $la", "seen", "X-Mozilla-Keys: $la"),
            ("X-UIDL: 1\nX-Mozilla-Status: 0001\nA: b\n", "seen", "X-UIDL: 1\nA: b\n"),
            ("X-UIDL: 1\nA: b\n", "", "X-UIDL: 1\nA: b\n"),
            ("Status: RO\nA: b\n", "", "Status: RO\nA: b\n"),
            ("A: b\nX-Mozilla-Status: 0001\n", "", "A: b\nX-Mozilla-Status: 0001\n"),
            ("", "", ""),
        ] {
            let mut bytes = start.as_bytes().to_vec();
            let flags = take_mozilla(&mut bytes);
            let names: Vec<_> = flags.known.iter().map(|flag| flag.name()).collect();
            assert_eq!((names.join(" ").as_str(), bytes.as_slice()), (expected, left.as_bytes()), "{start}");
        }
    }

    #[test]
    fn reads_labels_and_leaves_them() {
        for (labels, expected) in [
            ("Inbox,Opened,Starred", "seen flagged"),
            ("Inbox, Unread", ""),
            ("Sent", "seen"),
            ("=?UTF-8?Q?Gr=C3=BC=C3=9Fe,Spam,?= Unread", "junk"),
            ("\"Trash\",Draft,Opened", "seen deleted draft"),
        ] {
            let header = format!("X-GM-THRID: 1\nX-Gmail-Labels: {labels}\n");
            check(&header, expected, &header);
        }
        let ours = "Status: O\nX-Status: \nX-Keywords:\n";
        let rest = "X-Gmail-Labels: Starred\n";
        check(&format!("{ours}{rest}"), "", rest);
    }

    #[test]
    fn finds_what_a_program_keeps_about_the_mailbox() {
        let internal = "From: Mail System Internal Data <MAILER-DAEMON@host>\nSubject: DON'T DELETE THIS MESSAGE -- \
                        FOLDER INTERNAL DATA\nX-IMAP: 1604412245 0000000003\nStatus: RO\n";
        assert!(take(&mut internal.as_bytes().to_vec()).is_internal);
        let mail = internal.replace("X-IMAP", "X-Other");
        assert!(!take(&mut mail.into_bytes()).is_internal);
        let exported = format!("Status: O\n{internal}");
        assert!(!take(&mut exported.into_bytes()).is_internal);
    }

    #[test]
    fn round_trips_all_flags() {
        let mut flags = Flags { known: Flag::ALL.into_iter().collect(), ..Flags::default() };
        flags.add_keyword("$label1");
        let mut out = Vec::new();
        write(&flags, &mut out);
        let text = String::from_utf8(out.clone()).unwrap();
        assert_eq!(
            text,
            "Status: RO\nX-Status: AFTD\nX-Keywords: $Forwarded $Junk $NotJunk $Phishing $MDNSent $label1\n"
        );
        assert_eq!(take(&mut out).flags, flags);
        assert!(out.is_empty());
    }
}
