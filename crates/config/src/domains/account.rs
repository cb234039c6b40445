//! `[accounts.NAME]` and its addresses.

use std::collections::BTreeMap;

use dns::Domain;
use toml::de::DeValue;

use crate::domains::{Address, LocalDomain};
use crate::problem::{Place, ProblemKind, in_quotes};
use crate::read::{Table, Wrong};
use crate::schema::{Child, Key, Sample, Section, Shape};
use crate::values;

/// Longest account name in bytes. The name is part of keys in the store.
pub const MAX_ACCOUNT_NAME: usize = 64;

/// An account: a mail store with its addresses and limits.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name of the person.
    pub full_name: Option<String>,
    /// A note for operators; nothing depends on it.
    pub description: Option<String>,
    /// Recipients of submitted messages in any 24 hours; 1000 by default.
    pub max_messages_per_day: u32,
    /// Recipients never written to before, in any 24 hours; 200 by default.
    pub max_first_time_recipients_per_day: u32,
    /// The mailbox that keeps refused mail for two weeks; none by default.
    pub rejects_mailbox: Option<String>,
    /// Keep refused mail for longer than two weeks?
    pub keep_rejects: bool,
    /// Marks mail by the mailbox that it is in; none marks nothing.
    pub junk_flags: Option<JunkFlags>,
    /// The addresses, in the order of the file.
    pub destinations: Vec<Destination>,
    pub(crate) place: Place,
}

/// The mailbox of an address.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// One address, or a catch-all.
    pub address: Address,
    /// For mail that matches no ruleset; created when the first message arrives.
    pub mailbox: String,
    /// Mail that goes elsewhere; the first ruleset that matches decides.
    pub rulesets: Vec<Ruleset>,
}

/// Mail that goes to a mailbox of its own: mail that matches all conditions. At least one is given.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// A regular expression that is found in MAIL FROM.
    pub mail_from: Option<String>,
    /// A domain that SPF or DKIM has passed for, or one above such a domain.
    pub verified_domain: Option<Domain>,
    /// Regular expressions that are found in the name and the value of a header field, both in lower case.
    pub headers: Vec<(String, String)>,
    /// For mail that matches; created when the first message arrives.
    pub mailbox: String,
}

/// Marks mail as junk or not by the mailbox that it is delivered or moved to.
///
/// Each list has prefixes of mailbox names in lower case. The first list with a matching prefix decides, in the order junk,
/// neutral, not junk; a mailbox that matches none is not marked. The empty prefix matches every mailbox.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JunkFlags {
    /// Prefixes of mailboxes whose mail is marked as junk.
    pub junk: Vec<String>,
    /// Prefixes of mailboxes whose mail is not marked.
    pub neutral: Vec<String>,
    /// Prefixes of mailboxes whose mail is marked as not junk.
    pub not_junk: Vec<String>,
}

pub(crate) static SECTION: Section = Section {
    doc: &["An account. `moxd setaccountpassword NAME` sets the password; until then nobody can log in."],
    keys: &[
        Key {
            name: "full_name",
            sample: Sample::Optional("\"Alice Example\""),
            doc: &["The name of the person."],
        },
        Key {
            name: "description",
            sample: Sample::Optional("\"The one who runs this server\""),
            doc: &["A note for operators. Nothing depends on it."],
        },
        Key {
            name: "max_messages_per_day",
            sample: Sample::Default("1000"),
            doc: &["Recipients of submitted messages in any 24 hours. Bounds the harm of a stolen password."],
        },
        Key {
            name: "max_first_time_recipients_per_day",
            sample: Sample::Default("200"),
            doc: &["Recipients never written to before, in any 24 hours."],
        },
        Key {
            name: "rejects_mailbox",
            sample: Sample::Optional("\"Rejects\""),
            doc: &["Keep refused mail in this mailbox for two weeks."],
        },
        Key {
            name: "keep_rejects",
            sample: Sample::Default("false"),
            doc: &["true: do not remove refused mail after two weeks."],
        },
    ],
    children: &[
        Child { name: "junk_flags", shape: Shape::One, is_optional: true, section: &JUNK_FLAGS },
        Child {
            name: "destinations",
            shape: Shape::Named(&["alice@example.org", "@example.org"]),
            is_optional: false,
            section: &DESTINATION,
        },
    ],
};

static JUNK_FLAGS: Section = Section {
    doc: &[
        "Mark mail as junk or not when it is delivered or moved to a mailbox whose name begins with one of these prefixes, in",
        "lower case. The first list that matches decides; \"\" matches every mailbox. Without this section nothing is marked.",
    ],
    keys: &[
        Key { name: "junk", sample: Sample::Default("[\"junk\", \"spam\"]"), doc: &["Marked as junk."] },
        Key {
            name: "neutral",
            sample: Sample::Default(
                "[\"inbox\", \"neutral\", \"postmaster\", \"dmarc\", \"tlsrpt\", \"rejects\"]",
            ),
            doc: &["Not marked."],
        },
        Key { name: "not_junk", sample: Sample::Default("[\"\"]"), doc: &["Marked as not junk."] },
    ],
    children: &[],
};

static DESTINATION: Section = Section {
    doc: &[
        "An address of the account, or \"@example.org\" (a catch-all): mail to that domain that no other address takes.",
        "Users can log in with each address and send from it.",
    ],
    keys: &[Key {
        name: "mailbox",
        sample: Sample::Default("\"Inbox\""),
        doc: &["The mailbox, created when the first message arrives."],
    }],
    children: &[Child { name: "rulesets", shape: Shape::List, is_optional: true, section: &RULESET }],
};

static RULESET: Section = Section {
    doc: &[
        "Mail that goes to a mailbox of its own: mail that matches all conditions given here. The first ruleset that matches",
        "decides. Patterns are regular expressions that match anywhere; ^ and $ tie them to the start and the end.",
    ],
    keys: &[
        Key {
            name: "mail_from",
            sample: Sample::Optional(r"'@lists\.example\.net$'"),
            doc: &["Matches the address in MAIL FROM, which is empty for bounces."],
        },
        Key {
            name: "verified_domain",
            sample: Sample::Chosen("\"lists.example.net\""),
            doc: &["SPF or DKIM has passed for this domain or a subdomain, so the sender cannot be forged."],
        },
        Key {
            name: "headers",
            sample: Sample::Default("[]"),
            doc: &[
                "Pairs of patterns for name and value of a header field, in lower case, such as ['^list-id$', '<cooking\\.'].",
                "Each pair must match a field.",
            ],
        },
        Key {
            name: "mailbox",
            sample: Sample::Required("\"Lists/Cooking\""),
            doc: &["The mailbox, created when the first message arrives."],
        },
    ],
    children: &[],
};

pub(crate) fn read_all(
    root: &Table<'_>,
    domains: Option<&BTreeMap<Domain, LocalDomain>>,
) -> Option<BTreeMap<String, Account>> {
    let tables = root.named("accounts");
    let count = tables.len();
    let mut owners = BTreeMap::new();
    let mut accounts = BTreeMap::new();
    for (name, table) in tables {
        check_name(name, &table);
        let destinations = read_destinations(name, &table, domains, &mut owners);
        if let Some(account) = read(&table, destinations) {
            accounts.insert(name.to_owned(), account);
        }
    }
    (accounts.len() == count).then_some(accounts)
}

/// Reports a name that would not work in commands, logs and keys of the store.
fn check_name(name: &str, table: &Table<'_>) {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if name.is_empty() || name.len() > MAX_ACCOUNT_NAME || name.starts_with(['.', '-']) || !plain {
        let mend = "use at most 64 letters, digits, hyphens, underscores and dots, and begin with none of the last three";
        table.problem(ProblemKind::BadValue, "", "is no name for an account", mend);
    }
}

fn read(table: &Table<'_>, destinations: Option<Vec<Destination>>) -> Option<Account> {
    let full_name = table.get("full_name", values::line);
    let description = table.get("description", values::line);
    let max_messages_per_day = table.get("max_messages_per_day", values::number(1));
    let max_first_time = table.get("max_first_time_recipients_per_day", values::number(1));
    let rejects_mailbox = table.get("rejects_mailbox", values::mailbox);
    let keep_rejects = table.get("keep_rejects", values::boolean);
    let junk_flags = table.child("junk_flags").and_then(|table| read_junk_flags(&table));
    if rejects_mailbox.as_deref() == Some("Inbox") {
        let mend = "name another mailbox, such as \"Rejects\"";
        table.problem(
            ProblemKind::Conflict,
            "rejects_mailbox",
            "puts refused mail with all other mail",
            mend,
        );
    }
    Some(Account {
        full_name,
        description,
        max_messages_per_day: max_messages_per_day?,
        max_first_time_recipients_per_day: max_first_time?,
        rejects_mailbox,
        keep_rejects: keep_rejects?,
        junk_flags,
        destinations: destinations?,
        place: table.place(""),
    })
}

fn read_junk_flags(table: &Table<'_>) -> Option<JunkFlags> {
    let (junk, neutral) = (table.list("junk", beginning), table.list("neutral", beginning));
    let not_junk = table.list("not_junk", beginning);
    Some(JunkFlags { junk: junk?, neutral: neutral?, not_junk: not_junk? })
}

/// A prefix of mailbox names, which are compared in lower case.
fn beginning(value: &DeValue<'_>) -> Result<String, Wrong> {
    let given = values::composed(&values::text(value)?);
    let lower = given.to_lowercase();
    if given != lower {
        let mend = format!("write {}", in_quotes(&lower));
        return Err(Wrong::value("has capital letters, and so no mailbox begins with it", mend));
    }
    Ok(given)
}

fn read_destinations(
    account: &str,
    table: &Table<'_>,
    domains: Option<&BTreeMap<Domain, LocalDomain>>,
    owners: &mut BTreeMap<Address, (String, usize)>,
) -> Option<Vec<Destination>> {
    let tables = table.named("destinations");
    let count = tables.len();
    let mut destinations = Vec::new();
    for (text, table) in tables {
        let mailbox = table.get("mailbox", values::mailbox);
        let rulesets = read_rulesets(&table);
        // If a domain cannot be read, all its addresses would be reported as unknown, which hides the real problem.
        let Some(domains) = domains else { continue };
        match Address::parse(text, |domain| domains.get(domain)) {
            Err(no) => table.problem(no.kind, "", no.what, no.mend),
            Ok(address) => {
                let line = table.place("").line;
                if let Some((owner, other)) = owners.insert(address.clone(), (account.to_owned(), line)) {
                    let what = format!("is an address of account \"{owner}\" too, in line {other}");
                    table.problem(ProblemKind::Duplicate, "", what, "leave it to one of them");
                }
                let both = mailbox.zip(rulesets);
                destinations.extend(both.map(|(mailbox, rulesets)| Destination {
                    address,
                    mailbox,
                    rulesets,
                }));
            }
        }
    }
    (destinations.len() == count).then_some(destinations)
}

fn read_rulesets(destination: &Table<'_>) -> Option<Vec<Ruleset>> {
    let tables = destination.tables("rulesets");
    let rulesets: Vec<_> = tables.iter().filter_map(read_ruleset).collect();
    (rulesets.len() == tables.len()).then_some(rulesets)
}

fn read_ruleset(table: &Table<'_>) -> Option<Ruleset> {
    let mail_from = table.get("mail_from", values::pattern);
    let verified_domain = table.get("verified_domain", values::domain);
    let headers = table.list("headers", header_patterns);
    let mailbox = table.get("mailbox", values::mailbox);
    let has_headers = headers.as_ref().is_none_or(|headers| !headers.is_empty());
    if !has_headers && !table.has("mail_from") && !table.has("verified_domain") {
        let mend = "give it mail_from, verified_domain or headers";
        table.problem(ProblemKind::MissingKey, "", "has no condition, so all mail would fit it", mend);
    }
    Some(Ruleset { mail_from, verified_domain, headers: headers?, mailbox: mailbox? })
}

/// A pattern for the name of a header field, and one for its value; both are compared in lower case.
fn header_patterns(value: &DeValue<'_>) -> Result<(String, String), Wrong> {
    const WANTED: &str = "a pair of patterns such as ['^list-id$', '<cooking\\.']";
    match value.as_array().map(|pair| pair.iter().collect::<Vec<_>>()).as_deref() {
        Some([name, value]) => {
            Ok((values::lower_pattern(name.get_ref())?, values::lower_pattern(value.get_ref())?))
        }
        _ => Err(Wrong::kind_of_value(value, WANTED)),
    }
}
