//! `docs/rfc-index.md`: which section of which RFC is obeyed where.

use super::heading;
use crate::workspace::Source;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// What the RFCs are about, for those who do not know the numbers.
const TITLES: &[(u32, &str)] = &[
    (1034, "DNS concepts"),
    (1035, "DNS"),
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
    (3596, "AAAA records"),
    (3834, "automatic replies"),
    (3848, "transmission types"),
    (3986, "URI"),
    (4034, "DNSSEC records"),
    (4035, "DNSSEC"),
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
    (9989, "DMARC"),
    (9990, "DMARC aggregate reports"),
    (9991, "DMARC failure reports"),
];

/// A section as its parts, so that §4.10 comes after §4.9.
type Section = Vec<(u32, String)>;
/// The files of each section of each RFC.
type Index = BTreeMap<u32, BTreeMap<Section, BTreeSet<String>>>;

pub(super) fn document(sources: &[Source]) -> Result<String> {
    let about = "The sections that comments in the code name, and the files where they stand.";
    let mut out = heading("RFC index", about);
    for (number, sections) in index(sources) {
        let title = TITLES.iter().find(|(known, _)| *known == number).map(|(_, title)| format!(": {title}"));
        out += &format!(
            "\n## RFC {number}{}\n\n| section | files |\n| --- | --- |\n",
            title.unwrap_or_default()
        );
        for (section, files) in sections {
            let section: Vec<String> = section.into_iter().map(|(_, part)| part).collect();
            let files: Vec<String> = files.into_iter().collect();
            out += &format!("| §{} | {} |\n", section.join("."), files.join(", "));
        }
    }
    Ok(out)
}

fn index(sources: &[Source]) -> Index {
    let mut found = Index::new();
    for source in sources.iter().filter(|source| !source.is_test() && source.path.contains("/src/")) {
        for (_, line) in source.lines() {
            let Some((_, comment)) = line.split_once("//") else { continue };
            for (number, section) in references(comment) {
                found.entry(number).or_default().entry(section).or_default().insert(source.path.clone());
            }
        }
    }
    found
}

/// `RFC 5321 §4.1.2, §4.2 and RFC 3463 §2`: each section belongs to the RFC last named.
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

fn parts(section: &str) -> Option<Section> {
    let section = section.trim_end_matches([':', '.']);
    let part = |part: &str| {
        let shaped = !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_alphanumeric());
        shaped.then(|| (part.parse().unwrap_or(u32::MAX), part.to_owned()))
    };
    section.split('.').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn sections_are_sorted_by_number() {
        assert!(parts("4.9") < parts("4.10"));
        assert!(parts("4.10") < parts("A.1"));
    }
}
