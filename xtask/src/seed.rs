//! `cargo xtask seed`: writes the inputs that fuzz targets start from, made from the fixtures of the tests.

use crate::workspace::{entries, relative};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A source of inputs.
#[derive(Debug, Clone, Copy)]
enum From {
    /// The files below a folder whose names have this ending.
    Files(&'static str, &'static str),
    /// The inputs (lines with `> `) of the tables in a folder of smtp-parser.
    Tables(&'static str),
    /// The lines of the client in each talk file of a folder, joined by this separator to one input a file.
    Talks(&'static str, &'static str),
    /// These inputs, for binary formats without fixtures.
    Written(&'static [&'static [u8]]),
    /// The values of header fields with these names, in the messages of a folder.
    Fields(&'static str, &'static [&'static str]),
    /// The lines of the client in the talk files of a folder, each an input.
    TalkLines(&'static str),
    /// The quoted texts with this beginning, in the zones and tables of a folder.
    ZoneTexts(&'static str, &'static str),
    /// As `ZoneTexts`, but the texts of one paragraph of a `.rules` file are the lines of one input.
    Paragraphs(&'static str, &'static str),
}

/// A target, the bytes that its entry function expects before an input, and the sources of inputs. Each input is written once
/// for each entry of `before`.
struct Target {
    name: &'static str,
    before: &'static [&'static [u8]],
    from: &'static [From],
}

const PLAIN: &[&[u8]] = &[b""];
const SMTP_TALKS: &str = "crates/smtpserver/testdata/talk";
const MESSAGES: From = From::Files("testdata/messages", ".eml");

const TARGETS: &[Target] = &[
    Target {
        name: "smtp_command",
        before: PLAIN,
        from: &[From::Tables("commands"), From::TalkLines(SMTP_TALKS)],
    },
    Target { name: "smtp_reply", before: PLAIN, from: &[From::Tables("replies")] },
    // The first byte chooses the framing and the size of the pieces.
    Target {
        name: "data_decode",
        before: &[b"\x00", b"\x0d", b"\x07"],
        from: &[From::Tables("data"), MESSAGES],
    },
    Target {
        name: "session_talk",
        before: &[b"\x00", b"\x01", b"\x02"],
        from: &[From::Talks(SMTP_TALKS, "\r\n")],
    },
    // The first byte chooses the mechanism.
    Target {
        name: "scram",
        before: &[b"\x00", b"\x02", b"\x85"],
        from: &[
            From::Talks("crates/sasl/testdata/server", "\n"),
            From::Talks("crates/sasl/testdata/exchanges", "\n"),
        ],
    },
    Target { name: "dns_name", before: PLAIN, from: &[From::Files("testdata/zones", ".zone")] },
    Target {
        name: "headers",
        before: PLAIN,
        from: &[From::Files("crates/message/testdata", ".msg"), MESSAGES],
    },
    Target { name: "mime", before: PLAIN, from: &[From::Files("crates/message/testdata", ".msg"), MESSAGES] },
    Target { name: "dsn", before: PLAIN, from: &[From::Files("crates/message/testdata/dsn", ".msg")] },
    Target {
        name: "addresses",
        before: PLAIN,
        from: &[
            From::Fields("crates/message/testdata", &["From", "To", "Cc", "Reply-To", "Message-ID", "Date"]),
            From::Files("crates/message/testdata/addresses", ".msg"),
        ],
    },
    Target {
        name: "auth_results",
        before: PLAIN,
        from: &[
            From::Fields("crates/message/testdata", &["Authentication-Results"]),
            From::Fields("crates/dkim/testdata", &["ARC-Authentication-Results"]),
        ],
    },
    Target {
        name: "dkim_header",
        before: PLAIN,
        from: &[From::Fields(
            "crates/dkim/testdata",
            &["DKIM-Signature", "ARC-Message-Signature", "ARC-Seal"],
        )],
    },
    Target {
        name: "dkim_record",
        before: PLAIN,
        from: &[From::ZoneTexts("crates/dkim/testdata", "v=DKIM1"), From::ZoneTexts("testdata", "v=DKIM1")],
    },
    Target {
        name: "dkim_verify",
        before: PLAIN,
        from: &[
            From::Files("crates/dkim/testdata/verify", ".msg"),
            From::Files("crates/dkim/testdata/arc", ".msg"),
        ],
    },
    Target {
        name: "dmarc_record",
        before: PLAIN,
        from: &[From::ZoneTexts("crates/dmarc", "v=DMARC1"), From::ZoneTexts("testdata", "v=DMARC1")],
    },
    Target {
        name: "spf_record",
        before: PLAIN,
        from: &[From::ZoneTexts("crates/spf", "v=spf1"), From::ZoneTexts("testdata", "v=spf1")],
    },
    // The first byte chooses the kind of address that asks.
    Target {
        name: "spf_check",
        before: &[b"\x00", b"\x01"],
        from: &[From::Paragraphs("crates/spf/testdata", "v=spf1"), From::Files("testdata/zones", ".zone")],
    },
    // An empty table; a table of one body of 5 bytes; operations behind it.
    Target {
        name: "store_journal",
        before: PLAIN,
        from: &[From::Written(&[
            b"\x00\x00",
            b"\x04\x05\x01\x01\x05\x00",
            b"\x00\x00\x01\x03key\x05value\x02\x03key",
        ])],
    },
    Target {
        name: "store_block",
        before: PLAIN,
        from: &[From::Written(&[b"", b"\x00\x03key\x05value\x02\x01z\x00"])],
    },
    // Version, kind, and fields of number, length and bytes.
    Target {
        name: "store_record",
        before: &[b"\x01\x01", b"\x01\x02"],
        from: &[From::Written(&[b"", b"\x01\x01\x05\x02\x04\x00\x00\x00\x01\x03\x00"])],
    },
    // Steps of three bytes: operation, key, length. Put, put, reopen, remove, compact, put.
    Target {
        name: "store_model",
        before: PLAIN,
        from: &[From::Written(&[
            b"\x06\x01\x10\x07\x11\xff\x00\x00\x00\x02\x01\x00\x01\x00\x00\x06\x01\x20",
            b"\x06\x01\x10\x11\x00\x00\x02\x01\x00\x00\x00\x00\x06\x22\x80\x01\x00\x00",
        ])],
    },
    Target { name: "mbox", before: PLAIN, from: &[From::Files("crates/mailfiles/testdata/mbox", ".mbox")] },
    Target {
        name: "maildir",
        before: PLAIN,
        from: &[From::Files("crates/mailfiles/testdata/maildir", ".names")],
    },
    Target { name: "config", before: PLAIN, from: &[From::Files("crates/config/testdata", ".toml")] },
];

/// Returns the names of all targets.
pub fn targets() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|target| target.name)
}

/// Writes the seeds of one target, or of all, below `fuzz/seeds`. Returns how many each has.
///
/// # Errors
/// The target does not exist, a fixture cannot be read, or a seed cannot be written.
pub fn seed(root: &Path, only: Option<&str>) -> Result<Vec<(&'static str, usize)>> {
    let wanted: Vec<&Target> =
        TARGETS.iter().filter(|target| only.is_none_or(|only| only == target.name)).collect();
    ensure!(!wanted.is_empty(), "there is no target `{}`", only.unwrap_or_default());
    let mut made = Vec::new();
    for target in wanted {
        let folder = root.join("fuzz/seeds").join(target.name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let inputs = inputs(root, target)?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(folder.join(format!("{number:04}")), input)?;
        }
        made.push((target.name, inputs.len()));
    }
    Ok(made)
}

fn inputs(root: &Path, target: &Target) -> Result<BTreeSet<Vec<u8>>> {
    let mut found = BTreeSet::new();
    for from in target.from {
        for input in read(root, *from)? {
            found.extend(target.before.iter().map(|before| [before, input.as_slice()].concat()));
        }
    }
    Ok(found)
}

fn read(root: &Path, from: From) -> Result<Vec<Vec<u8>>> {
    let texts = |folder: &str, ending: &str| -> Result<Vec<String>> {
        Ok(files(root, folder, ending)?.into_iter().filter_map(|file| String::from_utf8(file).ok()).collect())
    };
    Ok(match from {
        From::Files(folder, ending) => files(root, folder, ending)?,
        From::Tables(suite) => {
            let tables = texts(&format!("crates/smtp-parser/testdata/{suite}"), ".txt")?;
            let lines = tables.iter().flat_map(|table| table.lines());
            lines.filter_map(|line| line.strip_prefix("> ")).map(unescape).collect()
        }
        From::Talks(folder, between) => {
            let joined = |talk: &String| {
                [client_lines(talk).join(between.as_bytes()), between.as_bytes().to_vec()].concat()
            };
            texts(folder, ".talk")?.iter().map(joined).collect()
        }
        From::Written(inputs) => inputs.iter().map(|input| input.to_vec()).collect(),
        From::Fields(folder, names) => {
            let messages = [".msg", ".eml"].map(|ending| files(root, folder, ending));
            let messages = messages.into_iter().collect::<Result<Vec<_>>>()?.concat();
            messages.iter().flat_map(|message| fields(message, names)).collect()
        }
        From::TalkLines(folder) => {
            texts(folder, ".talk")?.iter().flat_map(|talk| client_lines(talk)).collect()
        }
        From::ZoneTexts(folder, mark) => {
            let zones = [".zone", ".rules", ".toml", ".txt", ".rs"].map(|ending| texts(folder, ending));
            let zones = zones.into_iter().collect::<Result<Vec<_>>>()?.concat();
            zones.iter().flat_map(|zone| quoted(zone, mark)).collect()
        }
        From::Paragraphs(folder, mark) => {
            let rules = texts(folder, ".rules")?;
            let paragraphs = rules.iter().flat_map(|text| text.split("\n\n"));
            paragraphs
                .map(|text| quoted(text, mark).join(&b"\n"[..]))
                .filter(|input| !input.is_empty())
                .collect()
        }
    })
}

/// Returns the texts between quotes that begin with `mark`.
fn quoted(text: &str, mark: &str) -> Vec<Vec<u8>> {
    text.split('"').filter(|text| text.starts_with(mark)).map(|text| text.as_bytes().to_vec()).collect()
}

/// Returns the lines of the client in a talk.
fn client_lines(talk: &str) -> Vec<Vec<u8>> {
    talk.lines().filter_map(|line| line.strip_prefix("C: ")).map(unescape).collect()
}

/// Returns the values of the fields with these names, still folded.
fn fields(message: &[u8], names: &[&str]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut wanted = false;
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        match line {
            b"\r\n" | b"\n" => break,
            [b' ' | b'\t', ..] => {
                if let Some(value) = found.last_mut().filter(|_| wanted) {
                    value.extend_from_slice(line);
                }
            }
            _ => {
                let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
                let (name, value) = line.split_at(colon);
                wanted = names.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name));
                if wanted {
                    found.push(value.get(1..).unwrap_or_default().to_vec());
                }
            }
        }
    }
    found
}

/// Reads all files below `folder` whose names have this ending.
fn files(root: &Path, folder: &str, ending: &str) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for path in entries(&root.join(folder))? {
        if path.is_dir() {
            found.extend(files(root, &relative(root, &path), ending)?);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(fs::read(&path).with_context(|| path.display().to_string())?);
        }
    }
    Ok(found)
}

/// Reads the escapes of the tables: `\r`, `\n`, `\t`, `\0`, `\\` and `\x80`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let mut chars = after.chars();
        match chars.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('0') => out.push(0),
            Some('x') if after.get(1..3).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok()) => {
                out.extend(after.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok()));
                chars = after.get(3..).unwrap_or_default().chars();
            }
            Some(other) => out.extend_from_slice(other.to_string().as_bytes()),
            None => out.push(b'\\'),
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_escapes() {
        assert_eq!(unescape(r"a\r\n\\\x80\0\q\xzz\"), b"a\r\n\\\x80\0qxzz\\");
    }

    #[test]
    fn finds_folded_fields() {
        let message = b"A: 1\r\nB: 2\r\n\t3\r\na:4\r\n\r\nA: body\r\n";
        assert_eq!(fields(message, &["a"]), [b" 1\r\n".to_vec(), b"4\r\n".to_vec()]);
        assert_eq!(fields(message, &["B"]), [b" 2\r\n\t3\r\n".to_vec()]);
    }

    #[test]
    fn every_fuzz_target_is_whole() {
        let root = crate::workspace::root();
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let targets = entries(&root.join("fuzz/fuzz_targets")).unwrap();
        assert!(!targets.is_empty());
        for path in targets {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(
                manifest.contains(&format!("name = \"{name}\"\npath")),
                "{name} is not in fuzz/Cargo.toml"
            );
            let target = TARGETS.iter().find(|target| target.name == name);
            let target = target.unwrap_or_else(|| panic!("{name} has no seeds"));
            assert!(!inputs(&root, target).unwrap().is_empty(), "{name} has no seeds");
        }
    }

    #[test]
    fn every_entry_function_has_a_target() {
        let root = crate::workspace::root();
        let targets = crate::workspace::sources(&root, "fuzz/fuzz_targets", &[".rs"]).unwrap();
        let sources = crate::workspace::crate_sources(&root).unwrap();
        for source in sources.iter().filter(|source| source.path.ends_with("src/fuzzing.rs")) {
            let entries =
                source.text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split('(').next());
            for entry in entries {
                let called =
                    targets.iter().any(|target| target.text.contains(&format!("::fuzzing::{entry}(")));
                assert!(called, "{}: no fuzz target calls `{entry}`", source.path);
            }
        }
    }
}
