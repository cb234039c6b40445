//! `[domains.NAME]` and its DKIM keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use dns::Domain;

use crate::problem::{Place, ProblemKind, in_quotes};
use crate::read::{Table, Wrong};
use crate::schema::{Child, Key, Sample, Section, Shape};
use crate::values;
use toml::de::DeValue;

/// A domain whose mail this server accepts.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct LocalDomain {
    /// A note for operators; nothing depends on it.
    pub description: Option<String>,
    /// The local part ends at the first of these; the rest is ignored.
    pub catchall_separators: Vec<char>,
    /// Are `User` and `user` different addresses?
    pub case_sensitive: bool,
    /// DKIM signatures for mail from this domain.
    pub dkim: Dkim,
}

impl LocalDomain {
    /// A local part in the form in which it is compared: composed, and in lower case unless case counts.
    pub(crate) fn fold(&self, localpart: &str) -> String {
        if self.case_sensitive {
            values::composed(localpart)
        } else {
            values::composed(&localpart.to_lowercase())
        }
    }
}

/// DKIM signatures for mail from a domain.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Dkim {
    /// The selectors to sign with, in this order. Each is in [`Dkim::selectors`].
    pub sign: Vec<String>,
    /// All selectors with their keys, by name.
    pub selectors: BTreeMap<String, Selector>,
    /// The places of selectors with an underscore, which pedantic mode refuses.
    pub(crate) with_underscore: Vec<Place>,
}

/// A DKIM key and how it signs.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// PEM file with the private key (PKCS#8).
    pub key: PathBuf,
    /// The algorithm that the key must have; any by default.
    pub algorithm: Option<Algorithm>,
    /// The header fields to sign.
    pub headers: Vec<String>,
    /// Oversign: do signatures also cover that there are no more of these fields?
    pub seal: bool,
    /// Canonicalization of the header (RFC 6376 §3.4).
    pub header_canonicalization: Canonicalization,
    /// Canonicalization of the body (RFC 6376 §3.4).
    pub body_canonicalization: Canonicalization,
    /// How long a signature is valid (RFC 6376 §3.5, x=).
    pub expiration: Duration,
}

/// Signature algorithms (RFC 8301, RFC 8463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `ed25519-sha256`.
    Ed25519Sha256,
    /// `rsa-sha256`.
    RsaSha256,
}

/// The changes in transit that a signature tolerates (RFC 6376 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonicalization {
    /// Almost none.
    Simple,
    /// Changes of white space and of the case of field names.
    Relaxed,
}

pub(crate) static SECTION: Section = Section {
    doc: &["A domain whose mail this server accepts. International names may be written as they are."],
    keys: &[
        Key {
            name: "description",
            sample: Sample::Optional("\"The family\""),
            doc: &["A note for operators. Nothing depends on it."],
        },
        Key {
            name: "catchall_separators",
            sample: Sample::Default("[\"+\"]"),
            doc: &["Separators for subaddresses: mail for alice+shop@ goes to alice@. [] for none."],
        },
        Key {
            name: "case_sensitive",
            sample: Sample::Default("false"),
            doc: &["true: Alice@ and alice@ are different addresses."],
        },
    ],
    children: &[Child { name: "dkim", shape: Shape::One, is_optional: false, section: &DKIM }],
};

static DKIM: Section = Section {
    doc: &["DKIM signatures for mail from this domain."],
    keys: &[Key {
        name: "sign",
        sample: Sample::Default("[]"),
        doc: &["The selectors to sign with, such as [\"2026a\", \"2026b\"]. Others are not used yet."],
    }],
    children: &[Child {
        name: "selectors",
        shape: Shape::Named(&["2026a"]),
        is_optional: true,
        section: &SELECTOR,
    }],
};

static SELECTOR: Section = Section {
    doc: &["A key. `moxd dkim keygen` makes one, `moxd dkim txt` prints the DNS record for it."],
    keys: &[
        Key {
            name: "key",
            sample: Sample::Required("\"dkim/2026a.example.org.pem\""),
            doc: &["PEM file with the private key."],
        },
        Key {
            name: "algorithm",
            sample: Sample::Optional("\"ed25519-sha256\""),
            doc: &["Refuse a key of another algorithm: \"ed25519-sha256\" or \"rsa-sha256\"."],
        },
        Key {
            name: "headers",
            sample: Sample::Default(
                "[\"From\", \"To\", \"Cc\", \"Bcc\", \"Reply-To\", \"References\", \"In-Reply-To\", \"Subject\", \"Date\", \"Message-Id\", \"Content-Type\"]",
            ),
            doc: &["The header fields to sign. From must be among them."],
        },
        Key {
            name: "seal",
            sample: Sample::Default("true"),
            doc: &["Also sign that there are no more of these fields, so that nobody can add one."],
        },
        Key {
            name: "canonicalization",
            sample: Sample::Default("\"relaxed/relaxed\""),
            doc: &[
                "Changes in transit that header/body tolerate: \"simple\" (none) or \"relaxed\" (white space).",
            ],
        },
        Key {
            name: "expiration",
            sample: Sample::Default("\"72h\""),
            doc: &["How long a signature is valid."],
        },
    ],
    children: &[],
};

pub(crate) fn read_all(root: &Table<'_>) -> Option<BTreeMap<Domain, LocalDomain>> {
    let tables = root.named("domains");
    let count = tables.len();
    let mut domains = BTreeMap::new();
    for (name, table) in tables {
        let rules = read(&table);
        match values::domain_name(name) {
            Ok(domain) if domains.contains_key(&domain) => {
                let what = format!("is {} once more", domain.unicode());
                table.problem(ProblemKind::Duplicate, "", what, "keep one of the two");
            }
            Ok(domain) => drop(rules.map(|rules| domains.insert(domain, rules))),
            Err(why) => table.problem(ProblemKind::BadValue, "", why, "write a domain name"),
        }
    }
    (domains.len() == count).then_some(domains)
}

fn read(table: &Table<'_>) -> Option<LocalDomain> {
    let description = table.get("description", values::line);
    let catchall_separators = table.list("catchall_separators", separator);
    let case_sensitive = table.get("case_sensitive", values::boolean);
    let dkim = match table.child("dkim") {
        Some(table) => read_dkim(&table),
        None => Some(Dkim::default()),
    };
    Some(LocalDomain {
        description,
        catchall_separators: catchall_separators?,
        case_sensitive: case_sensitive?,
        dkim: dkim?,
    })
}

/// A separator: one character that a local part may have, but no letter, digit or dot.
fn separator(value: &DeValue<'_>) -> Result<char, Wrong> {
    let given = values::text(value)?;
    let mut characters = given.chars();
    match (characters.next(), characters.next()) {
        // RFC 5321 §4.1.2: what can stand in a Dot-string without quotes, but for letters, digits and the dot.
        (Some(separator), None) if "!#$%&'*+-/=?^_`{|}~".contains(separator) => Ok(separator),
        _ => Err(Wrong::value(
            format!("{} is no separator", in_quotes(&given)),
            "give one character, such as \"+\"",
        )),
    }
}

fn read_dkim(table: &Table<'_>) -> Option<Dkim> {
    let sign = table.list("sign", values::line);
    let named = table.named("selectors");
    let count = named.len();
    let mut selectors = BTreeMap::new();
    let mut with_underscore = Vec::new();
    check_sign(table, sign.as_deref().unwrap_or_default(), &named);
    for (name, table) in named {
        // RFC 6376 §3.1: selector = sub-domain *( "." sub-domain ). Real selectors have underscores, and DNS allows them.
        match name.parse::<Domain>() {
            Ok(domain) if !name.ends_with('.') => {
                with_underscore.extend((!domain.is_hostname()).then(|| table.place("")));
            }
            _ => {
                table.problem(ProblemKind::BadValue, "", "is no selector", "use letters, digits and hyphens")
            }
        }
        if let Some(selector) = read_selector(&table) {
            selectors.insert(name.to_owned(), selector);
        }
    }
    (selectors.len() == count).then_some(Dkim { sign: sign?, selectors, with_underscore })
}

/// Reports selectors that are missing or listed twice.
fn check_sign(table: &Table<'_>, sign: &[String], named: &[(&str, Table<'_>)]) {
    let mut seen = BTreeSet::new();
    for selector in sign {
        let shown = in_quotes(selector);
        if !seen.insert(selector) {
            let what = format!("has {shown} more than once");
            table.problem(ProblemKind::Duplicate, "sign", what, "keep one of them");
        } else if !named.iter().any(|(name, _)| name == selector) {
            let mend = format!("add a section for it under selectors, or take {shown} out");
            table.problem(ProblemKind::UnknownName, "sign", format!("there is no selector {shown}"), mend);
        }
    }
}

fn read_selector(table: &Table<'_>) -> Option<Selector> {
    use Canonicalization::{Relaxed, Simple};
    let key = table.file("key");
    let algorithms = &[("ed25519-sha256", Algorithm::Ed25519Sha256), ("rsa-sha256", Algorithm::RsaSha256)];
    let algorithm = table.get("algorithm", values::choice(algorithms));
    let headers = table.list("headers", field_name);
    let seal = table.get("seal", values::boolean);
    let canonicalizations = &[
        ("relaxed/relaxed", (Relaxed, Relaxed)),
        ("relaxed/simple", (Relaxed, Simple)),
        ("simple/relaxed", (Simple, Relaxed)),
        ("simple/simple", (Simple, Simple)),
    ];
    let canonicalization = table.get("canonicalization", values::choice(canonicalizations));
    let expiration = table.get("expiration", values::duration);
    // RFC 6376 §5.4: the From field must be signed.
    if headers.as_ref().is_some_and(|names| !names.iter().any(|name| name.eq_ignore_ascii_case("from"))) {
        table.problem(ProblemKind::BadValue, "headers", "does not sign the From field", "add \"From\"");
    }
    if expiration.is_some_and(|time| time.is_zero()) {
        table.problem(
            ProblemKind::BadValue,
            "expiration",
            "lets every signature be too old",
            "give at least \"1h\"",
        );
    }
    let (header_canonicalization, body_canonicalization) = canonicalization?;
    Some(Selector {
        key: key?,
        algorithm,
        headers: headers?,
        seal: seal?,
        header_canonicalization,
        body_canonicalization,
        expiration: expiration?,
    })
}

/// The name of a header field, as DKIM's h= tag can carry it.
fn field_name(value: &DeValue<'_>) -> Result<String, Wrong> {
    let name = values::text(value)?;
    // RFC 5322 §3.6.8: ftext is printable ASCII but ":"; RFC 6376 §3.5 separates names in h= by ":" and ends it at ";".
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':' && b != b';') {
        let what = format!("{} is no name of a header field", in_quotes(&name));
        return Err(Wrong::value(what, "give a name such as \"Subject\""));
    }
    Ok(name)
}
