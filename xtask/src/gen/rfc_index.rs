//! `docs/rfc-index.md`: leads from each section of an RFC to the lines that obey it.

use super::heading;
use crate::rust::RustFile;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Titles of the RFCs, shortened.
const TITLES: &[(u32, &str)] = &[
    (1034, "DNS concepts"),
    (1035, "DNS"),
    (1123, "requirements for hosts"),
    (1421, "PEM of 1993"),
    (1428, "8-bit mail"),
    (1870, "SIZE"),
    (1982, "serial number arithmetic"),
    (2034, "ENHANCEDSTATUSCODES"),
    (2045, "MIME: bodies"),
    (2046, "MIME: media types"),
    (2047, "MIME: encoded words"),
    (2104, "HMAC"),
    (2181, "DNS clarifications"),
    (2195, "CRAM-MD5"),
    (2231, "MIME: parameters"),
    (2308, "negative caching"),
    (2369, "list header fields"),
    (2782, "SRV records"),
    (2821, "SMTP of 2001"),
    (2920, "PIPELINING"),
    (3030, "CHUNKING and BINARYMIME"),
    (3207, "STARTTLS"),
    (3339, "date and time"),
    (3461, "DSN parameters"),
    (3463, "enhanced status codes"),
    (3464, "delivery status notifications"),
    (3501, "IMAP of 2003"),
    (3596, "AAAA records"),
    (3834, "automatic replies"),
    (3848, "transmission types"),
    (3986, "URI"),
    (4034, "DNSSEC records"),
    (4035, "DNSSEC"),
    (4291, "IPv6 addresses"),
    (4422, "SASL"),
    (4592, "DNS wildcards"),
    (4616, "PLAIN"),
    (4648, "base64"),
    (4865, "FUTURERELEASE"),
    (4954, "AUTH"),
    (5155, "NSEC3"),
    (5234, "ABNF"),
    (5248, "registry of status codes"),
    (5256, "threading"),
    (5280, "X.509"),
    (5321, "SMTP"),
    (5322, "message format"),
    (5451, "Authentication-Results of 2009"),
    (5782, "DNS block lists"),
    (5802, "SCRAM"),
    (5803, "stored SCRAM secrets"),
    (5890, "IDNA"),
    (5892, "IDNA: code points"),
    (5929, "channel binding"),
    (5958, "PKCS#8"),
    (6008, "DKIM in Authentication-Results"),
    (6152, "8BITMIME"),
    (6266, "Content-Disposition"),
    (6376, "DKIM"),
    (6409, "submission"),
    (6522, "multipart/report"),
    (6531, "SMTPUTF8"),
    (6532, "internationalised messages"),
    (6533, "internationalised DSN"),
    (6604, "CNAME and response codes"),
    (6672, "DNAME"),
    (6698, "DANE"),
    (6840, "DNSSEC clarifications"),
    (6857, "downgrade of internationalised messages"),
    (6874, "IPv6 zones in URIs"),
    (6891, "EDNS"),
    (7208, "SPF"),
    (7372, "status codes of authentication"),
    (7468, "PEM"),
    (7489, "DMARC of 2015"),
    (7504, "521 and 556"),
    (7505, "null MX"),
    (7677, "SCRAM-SHA-256"),
    (8017, "RSA"),
    (8020, "NXDOMAIN"),
    (8032, "Ed25519"),
    (8265, "PRECIS for names and passwords"),
    (8301, "DKIM algorithms"),
    (8314, "implicit TLS"),
    (8410, "Ed25519 in X.509"),
    (8460, "TLS reports"),
    (8463, "DKIM with Ed25519"),
    (8499, "DNS terms"),
    (8601, "Authentication-Results"),
    (8616, "internationalised mail authentication"),
    (8617, "ARC"),
    (8689, "REQUIRETLS"),
    (9051, "IMAP"),
    (9106, "Argon2"),
    (9228, "Delivered-To"),
    (9266, "channel binding of TLS 1.3"),
    (9422, "LIMITS"),
    (9520, "caching of failures"),
    (9715, "DNS over UDP without fragments"),
    (9989, "DMARC"),
    (9990, "DMARC aggregate reports"),
    (9991, "DMARC failure reports"),
];

/// A section, split so that §4.10 sorts behind §4.9.
type Section = Vec<(u32, String)>;
/// The files that name a section, each with the lines.
type Places = BTreeMap<String, BTreeSet<usize>>;
/// The places of each section of each RFC.
type Index = BTreeMap<u32, BTreeMap<Section, Places>>;

pub(super) fn document(files: &[RustFile]) -> Result<String> {
    let about = "Each section that a comment in the code names, with the files and lines of these comments.";
    let mut out = heading("RFC index", about);
    for (number, sections) in index(files) {
        let title = TITLES.iter().find(|(known, _)| *known == number).map(|(_, title)| format!(": {title}"));
        out += &format!(
            "\n## RFC {number}{}\n\n| section | places |\n| --- | --- |\n",
            title.unwrap_or_default()
        );
        for (section, places) in sections {
            let section: Vec<String> = section.into_iter().map(|(_, part)| part).collect();
            let places: Vec<String> = places.into_iter().map(|(path, lines)| place(&path, &lines)).collect();
            out += &format!("| §{} | {} |\n", section.join("."), places.join("; "));
        }
    }
    Ok(out)
}

/// `crates/dns/src/name.rs:12, 40`.
fn place(path: &str, lines: &BTreeSet<usize>) -> String {
    let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
    format!("{path}:{}", lines.join(", "))
}

/// Removes the line numbers from the document.
pub(super) fn without_lines(document: &str) -> String {
    let mut out = String::new();
    for (at, part) in document.split(".rs:").enumerate() {
        let text = if at == 0 {
            part
        } else {
            part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ',' || c == ' ')
        };
        out += text;
        out += "\n";
    }
    out
}

/// Finds all sections named in code, tests aside.
fn index(files: &[RustFile]) -> Index {
    let mut found = Index::new();
    for file in files {
        for (line, text) in file.code() {
            let Some((_, comment)) = text.split_once("//") else { continue };
            for (number, section) in references(comment) {
                let places = found.entry(number).or_default().entry(section).or_default();
                places.entry(file.path.clone()).or_default().insert(line);
            }
        }
    }
    found
}

/// Finds the sections in a comment. In `RFC 5321 §4.1.2, §4.2 and RFC 3463 §2` each section belongs to the RFC before it.
fn references(comment: &str) -> Vec<(u32, Section)> {
    let mut found = Vec::new();
    let mut rfc = None;
    let mut words = comment.split([' ', ',', '(', ')', ';']).peekable();
    while let Some(word) = words.next() {
        if word == "RFC" {
            rfc = words.peek().and_then(|number| number.parse().ok());
        } else if let (Some(number), Some(section)) = (rfc, word.strip_prefix('§')) {
            found.extend(parts(section).map(|section| (number, section)));
        }
    }
    found
}

/// Splits a section at its dots; `None` if it is none.
fn parts(section: &str) -> Option<Section> {
    let section = section.trim_end_matches([':', '.']);
    let part = |part: &str| {
        let shaped = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        shaped.then(|| (part.parse().unwrap_or(u32::MAX), part.to_owned()))
    };
    section.split('.').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    #[track_caller]
    fn check(comment: &str, expected: &[(u32, &str)]) {
        let found: Vec<_> = references(comment)
            .into_iter()
            .map(|(rfc, section)| {
                (rfc, section.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join("."))
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(rfc, section)| (*rfc, (*section).to_owned())).collect();
        assert_eq!(found, expected, "{comment}");
    }

    #[test]
    fn finds_sections_and_their_rfc() {
        check(" RFC 5321 §4.5.3.1.4: local part", &[(5321, "4.5.3.1.4")]);
        check(
            "/ As RFC 5321 (§4.2, §4.2.1) and RFC 3463 §2.",
            &[(5321, "4.2"), (5321, "4.2.1"), (3463, "2")],
        );
        check(" §4.2 of what?", &[]);
        check(" RFC 5322 §A.1.", &[(5322, "A.1")]);
    }

    #[test]
    fn leads_to_files_and_lines() {
        let text = "// RFC 5321 §4.2: x.\n\n#[cfg(test)]\nmod tests {\n    // RFC 5321 §4.2: x.\n}\n\n// RFC 5321 §4.2: y.\n";
        let source = Source { path: "crates/x/src/x.rs".to_owned(), text: text.to_owned() };
        let written = document(&[RustFile::parse(&source).unwrap()]).unwrap();
        assert!(written.contains("| §4.2 | crates/x/src/x.rs:1, 8 |\n"), "{written}");
    }

    #[test]
    fn moved_lines_change_nothing_else() {
        let text = "| §1 | a.rs:1, 20; b.rs:3 |\n| §2 | a.rs:4 |\n";
        let moved = "| §1 | a.rs:2; b.rs:30 |\n| §2 | a.rs:5, 6 |\n";
        let other = "| §1 | a.rs:1, 20; c.rs:3 |\n| §2 | a.rs:4 |\n";
        assert_eq!(without_lines(text), without_lines(moved));
        assert_ne!(without_lines(text), without_lines(other));
    }

    #[test]
    fn sections_are_sorted_by_number() {
        assert!(parts("4.9") < parts("4.10"));
        assert!(parts("4.10") < parts("A.1"));
    }
}
