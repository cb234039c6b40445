//! A resolver that answers from text, for tests, fixtures and records given on a command line.
//!
//! The text has one record or directive per line; `;` outside quotes begins a comment. Several strings of one TXT record are
//! joined.
//!
//! ```text
//! example.test.        TXT  "v=spf1 ip4:192.0.2.0/24 -all"
//! example.test.        MX   10 mail.example.test.
//! mail.example.test.   A    192.0.2.1
//! www.example.test.    CNAME example.test.
//! *.wild.test.         A    192.0.2.9
//! !servfail slow.test.            every lookup of the name fails; a type may follow the name
//! !timeout  dead.test.   TXT
//! !bogus    forged.test.
//! !secure   example.test.         answers about the name and all below it are validated
//! ```

use crate::{
    Answer, Kind, Lookup, LookupError, LookupErrorKind, Mx, Name, Outcome, Question, Record, Resolver,
    Security, Tlsa,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Aliases followed for one question; a longer chain is a malformed answer.
pub const MAX_ALIASES: usize = 8;

/// Records and failures by name.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    records: BTreeMap<Name, Vec<Record>>,
    failures: Vec<(Name, Option<Kind>, LookupErrorKind)>,
    secure: BTreeSet<Name>,
}

/// A line of zone text that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneError {
    line: usize,
    problem: &'static str,
}

impl ZoneError {
    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zone line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for ZoneError {}

impl Zone {
    /// Reads zone text.
    ///
    /// # Errors
    /// The first line that is neither a record nor a directive.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let mut zone = Self::default();
        for (number, line) in text.lines().enumerate() {
            let words = words(line);
            if words.is_empty() {
                continue;
            }
            zone.line(&words).map_err(|problem| ZoneError { line: number + 1, problem })?;
        }
        Ok(zone)
    }

    /// Adds one record.
    pub fn insert(&mut self, name: Name, record: Record) {
        self.records.entry(name).or_default().push(record);
    }

    /// All records by name, for a name server that serves the same text.
    pub fn records(&self) -> impl Iterator<Item = (&Name, &[Record])> {
        self.records.iter().map(|(name, records)| (name, records.as_slice()))
    }

    /// The failure that a directive sets for this name and type.
    pub fn failure(&self, name: &Name, kind: Kind) -> Option<LookupErrorKind> {
        let hit =
            |(n, k, _): &&(Name, Option<Kind>, LookupErrorKind)| n == name && k.is_none_or(|k| k == kind);
        self.failures.iter().find(hit).map(|(_, _, failure)| *failure)
    }

    fn line(&mut self, words: &[String]) -> Result<(), &'static str> {
        let (first, rest) = words.split_first().ok_or("empty")?;
        if let Some(directive) = first.strip_prefix('!') {
            return self.directive(directive, rest);
        }
        let name = read(first)?;
        let (kind, data) = rest.split_first().ok_or("record type is missing")?;
        let record = record(kind, data)?;
        self.insert(name, record);
        Ok(())
    }

    fn directive(&mut self, directive: &str, rest: &[String]) -> Result<(), &'static str> {
        let name: Name = read(rest.first().ok_or("name is missing")?)?;
        let kind = rest.get(1).map(|word| read_kind(word)).transpose()?;
        let failure = match directive {
            "servfail" => LookupErrorKind::Temporary,
            "timeout" => LookupErrorKind::Timeout,
            "bogus" => LookupErrorKind::Bogus,
            "refused" => LookupErrorKind::Refused,
            "malformed" => LookupErrorKind::Malformed,
            "secure" => {
                self.secure.insert(name);
                return Ok(());
            }
            _ => return Err("unknown directive"),
        };
        self.failures.push((name, kind, failure));
        Ok(())
    }

    fn security(&self, name: &Name) -> Security {
        let signed = self.secure.iter().any(|apex| name.is_at_or_below(apex));
        if signed { Security::Secure } else { Security::Insecure }
    }

    /// Returns the records of a name, or of the wildcard that covers it (RFC 4592 §3.3.1). None if the name does not exist.
    fn node(&self, name: &Name) -> Option<&[Record]> {
        if let Some(records) = self.records.get(name) {
            return Some(records);
        }
        if self.exists(name) {
            return Some(&[]);
        }
        let mut closest = name.parent();
        while let Some(parent) = closest {
            if let Some(records) = Name::prefixed("*", &parent).ok().and_then(|wild| self.records.get(&wild))
            {
                return Some(records);
            }
            if self.exists(&parent) {
                return None;
            }
            closest = parent.parent();
        }
        None
    }

    /// RFC 4592 §2.2.2: a name that has names below it exists, though it has no records.
    fn exists(&self, name: &Name) -> bool {
        !name.is_root() && self.records.keys().any(|other| other.is_at_or_below(name))
    }

    fn answer(&self, question: Question<'_>) -> Outcome {
        let Question { name, kind } = question;
        let fail = |error| LookupError::new(error, name.clone(), kind);
        let mut current = name.clone();
        let mut security = Security::Secure;
        for _ in 0..=MAX_ALIASES {
            if let Some(failure) = self.failure(&current, kind) {
                return Err(fail(failure));
            }
            security = security.min(self.security(&current));
            let Some(node) = self.node(&current) else {
                return Err(fail(LookupErrorKind::NoName).with_security(security));
            };
            let records: Arc<[Record]> = node.iter().filter(|r| r.kind() == kind).cloned().collect();
            if !records.is_empty() {
                return Ok(Answer { records, security });
            }
            let alias =
                node.iter().find_map(|r| if let Record::Cname(to) = r { Some(to.clone()) } else { None });
            match alias {
                Some(to) => current = to,
                None => return Err(fail(LookupErrorKind::NoData).with_security(security)),
            }
        }
        Err(fail(LookupErrorKind::Malformed))
    }
}

impl Resolver for Zone {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        Lookup::ready(self.answer(question))
    }
}

/// Runs a future that never waits, such as a judge over a [`Zone`].
///
/// # Panics
/// If the future is not ready at the first poll.
#[expect(clippy::panic, reason = "waiting here is a fault of the caller, and there is nothing to return")]
pub fn block_on_ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits for something that is not ready"),
    }
}

/// Splits a line into words. Quoted strings keep their white space; a backslash keeps the next character.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            ';' if !quoted => break,
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn read<T: FromStr>(word: &str) -> Result<T, &'static str> {
    word.parse().map_err(|_| "bad name, number or address")
}

fn read_kind(word: &str) -> Result<Kind, &'static str> {
    Ok(match word.to_ascii_uppercase().as_str() {
        "A" => Kind::A,
        "AAAA" => Kind::Aaaa,
        "MX" => Kind::Mx,
        "TXT" => Kind::Txt,
        "PTR" => Kind::Ptr,
        "TLSA" => Kind::Tlsa,
        "CNAME" => Kind::Cname,
        _ => return Err("unknown record type"),
    })
}

fn record(kind: &str, data: &[String]) -> Result<Record, &'static str> {
    let word = |n: usize| data.get(n).map(String::as_str).ok_or("record data is missing");
    Ok(match read_kind(kind)? {
        Kind::A => Record::A(read(word(0)?)?),
        Kind::Aaaa => Record::Aaaa(read(word(0)?)?),
        Kind::Mx => Record::Mx(Mx { preference: read(word(0)?)?, exchange: read(word(1)?)? }),
        Kind::Txt => Record::Txt(data.concat().into_bytes()),
        Kind::Ptr => Record::Ptr(read(word(0)?)?),
        Kind::Cname => Record::Cname(read(word(0)?)?),
        Kind::Tlsa => Record::Tlsa(Tlsa {
            usage: read(word(0)?)?,
            selector: read(word(1)?)?,
            matching: read(word(2)?)?,
            data: hex(word(3)?)?,
        }),
    })
}

fn hex(text: &str) -> Result<Vec<u8>, &'static str> {
    let digit = |c: u8| char::from(c).to_digit(16).ok_or("bad hexadecimal digit");
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("odd number of hexadecimal digits");
    }
    pairs.iter().map(|[a, b]| Ok((digit(*a)? * 16 + digit(*b)?) as u8)).collect()
}

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;
