//! [`Ruleset`]: sends some mail for an address to another mailbox.

use dns::Domain;
use message::{Header, Headers};
use regex_lite::Regex;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// Bytes of a header that rulesets look at; later fields are ignored. Patterns take time for each byte, and a stranger chooses
/// the size of the header.
const MAX_MATCHED: usize = 64 * 1024;

/// A regular expression that matches anywhere in a text.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles the expression.
    ///
    /// # Errors
    /// The text is not a regular expression; the error says why.
    pub fn new(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|error| error.to_string())
    }

    fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_str().fmt(f)
    }
}

/// Mail that goes to a mailbox of its own: mail that matches all conditions that are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// Matches MAIL FROM, which is empty for the null path.
    pub mail_from: Option<Pattern>,
    /// SPF or DKIM has passed for this domain or a subdomain.
    pub verified_domain: Option<Domain>,
    /// Each pair matches name and value of a field, in lower case and without white space around the value.
    pub headers: Vec<(Pattern, Pattern)>,
    /// For mail that matches.
    pub mailbox: Arc<str>,
}

/// One message as rulesets see it; the same for all recipients.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    mail_from: &'a str,
    proven: &'a BTreeSet<Domain>,
    received: Fields,
    /// Results of pairs of patterns on the received header. Matching takes time, and the result is the same for every
    /// recipient.
    known: HashMap<(&'a str, &'a str), bool>,
}

/// Names and values of header fields as they are compared.
type Fields = Vec<(String, String)>;

impl<'a> Candidate<'a> {
    /// `added` are the fields that we put before the message. Received fields of the same names are ignored, because we did not
    /// write them. None if the header of the message cannot be read.
    pub(crate) fn new(
        mail_from: &'a str,
        proven: &'a BTreeSet<Domain>,
        added: &Headers<'_>,
        received: &Headers<'_>,
    ) -> Option<Self> {
        if received.malformed().is_some() {
            return None;
        }
        let mut bytes = 0;
        let theirs = received.iter().filter(|field| added.first(&field.name.to_string()).is_none());
        let theirs = theirs.take_while(|field| {
            bytes += field.raw.len();
            bytes <= MAX_MATCHED
        });
        Some(Self { mail_from, proven, received: theirs.map(compared).collect(), known: HashMap::new() })
    }

    /// The first ruleset that matches a copy of the message with the fields `added` before it.
    pub(crate) fn first(&mut self, rulesets: &'a [Ruleset], added: &Headers<'_>) -> Option<&'a Ruleset> {
        let added: Fields = added.iter().map(compared).collect();
        rulesets.iter().find(|ruleset| self.fits(ruleset, &added))
    }

    fn fits(&mut self, ruleset: &'a Ruleset, added: &Fields) -> bool {
        let proven = |domain: &Domain| self.proven.iter().any(|proven| proven.is_at_or_below(domain));
        ruleset.mail_from.as_ref().is_none_or(|pattern| pattern.fits(self.mail_from))
            && ruleset.verified_domain.as_ref().is_none_or(proven)
            && ruleset.headers.iter().all(|pair| {
                let key = (pair.0.0.as_str(), pair.1.0.as_str());
                has(added, pair) || *self.known.entry(key).or_insert_with(|| has(&self.received, pair))
            })
    }
}

fn compared(field: &Header<'_>) -> (String, String) {
    (field.name.to_string().to_lowercase(), field.unfolded().to_string().to_lowercase())
}

fn has(fields: &Fields, (name, value): &(Pattern, Pattern)) -> bool {
    fields.iter().any(|(n, v)| name.fits(n) && value.fits(v))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDED: &str = "Return-Path: <list-bounces@lists.example>\r\n";
    const RECEIVED: &str =
        "List-Id: The Rust list\r\n  <Rust.Lists.Example> \r\nReturn-Path: <boss@work.example>\r\n";

    fn pattern(text: &str) -> Option<Pattern> {
        (!text.is_empty()).then(|| Pattern::new(text).unwrap())
    }

    fn proven() -> BTreeSet<Domain> {
        ["mail.lists.example".parse().unwrap()].into()
    }

    #[track_caller]
    fn check(mail_from: &str, verified: &str, headers: &[(&str, &str)], expected: bool) {
        let ruleset = Ruleset {
            mail_from: pattern(mail_from),
            verified_domain: (!verified.is_empty()).then(|| verified.parse().unwrap()),
            headers: headers
                .iter()
                .map(|(n, v)| (Pattern::new(n).unwrap(), Pattern::new(v).unwrap()))
                .collect(),
            mailbox: "Lists".into(),
        };
        let (added, received) = (message::headers(ADDED.as_bytes()), message::headers(RECEIVED.as_bytes()));
        let proven = proven();
        let rulesets = [ruleset];
        let mut candidate = Candidate::new("list-bounces@lists.example", &proven, &added, &received).unwrap();
        for _ in 0..2 {
            assert_eq!(candidate.first(&rulesets, &added).is_some(), expected);
        }
    }

    #[test]
    fn all_conditions_must_match() {
        check("@lists\\.example$", "", &[], true);
        check("^bounces", "", &[], false);
        check("", "lists.example", &[], true);
        check("", "mail.lists.example", &[], true);
        check("", "x.lists.example", &[], false);
        check("", "", &[("^list-id$", "<rust\\.lists\\.example>$")], true);
        check("", "", &[("^list-id$", "the rust list")], true);
        check("", "", &[("list-id", "go")], false);
        check("", "", &[("^id$", "rust")], false);
        check("", "", &[("list-id", "rust"), ("subject", "")], false);
        check("bounces", "lists.example", &[("list-id", "rust")], true);
        check("bounces", "work.example", &[("list-id", "rust")], false);
        // A received field that looks like one of ours.
        check("", "", &[("return-path", "lists\\.example")], true);
        check("", "", &[("return-path", "work\\.example")], false);
    }

    #[test]
    fn the_first_match_decides_and_nothing_is_proven_without_dns() {
        let to = |verified: Option<&str>, mailbox: &str| Ruleset {
            mail_from: pattern("^$"),
            verified_domain: verified.map(|domain| domain.parse().unwrap()),
            headers: Vec::new(),
            mailbox: mailbox.into(),
        };
        let rulesets = [to(Some("lists.example"), "A"), to(None, "B"), to(None, "C")];
        let mailbox = |mail_from, proven: &BTreeSet<Domain>| {
            let none = message::headers(b"");
            let mut candidate = Candidate::new(mail_from, proven, &none, &none).unwrap();
            candidate.first(&rulesets, &none).map(|ruleset| ruleset.mailbox.to_string())
        };
        assert_eq!(mailbox("", &BTreeSet::new()).as_deref(), Some("B"));
        assert_eq!(mailbox("", &proven()).as_deref(), Some("A"));
        assert_eq!(mailbox("x@b.example", &proven()), None);
    }

    #[test]
    fn unreadable_headers_match_nothing_and_long_ones_are_not_read_to_their_end() {
        let none = message::headers(b"");
        let broken = message::headers(b"no field\r\n");
        let proven = proven();
        assert!(Candidate::new("", &proven, &none, &broken).is_none());
        let long = format!("{}X-Last: z\r\n", format!("X: {}\r\n", "y".repeat(900)).repeat(100));
        let long = message::headers(long.as_bytes());
        let candidate = Candidate::new("", &proven, &none, &long).unwrap();
        assert!(candidate.received.len() < 100 && candidate.received.iter().all(|(name, _)| name == "x"));
    }

    #[test]
    fn a_bad_pattern_says_why() {
        assert!(Pattern::new("(").unwrap_err().contains("group"));
        assert_eq!(Pattern::new("a+").unwrap(), Pattern::new("a+").unwrap());
    }
}
