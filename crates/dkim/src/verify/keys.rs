//! Looking up key records, which can be done while the body arrives.

use crate::{Error, ErrorKind, Record};
use dns::{Answer, LookupError, Name, Resolver, Security, txt};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// Key records at one name that are tried. RFC 6376 §3.6.2.2 allows one; more appear while keys are rotated.
pub const MAX_KEY_RECORDS: usize = 4;

/// The DNS queries for the signatures of one message, each name once. It borrows nothing, so another task can run it
/// while the verifier takes the body.
#[derive(Debug, Clone, Default)]
pub struct KeyLookups {
    names: Vec<Name>,
}

impl KeyLookups {
    pub(crate) fn new(mut names: Vec<Name>) -> Self {
        names.sort_unstable();
        names.dedup();
        Self { names }
    }

    /// The names whose TXT records are queried.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Sends all queries at the same time.
    pub async fn run(self, dns: &dyn Resolver) -> Keys {
        let ask = |name: &Name| {
            let name = name.clone();
            async move {
                let answer = txt(dns, &name).await;
                (name, answer)
            }
        };
        let mut keys = Keys::default();
        for (name, answer) in join_all(self.names.iter().map(ask)).await {
            keys.insert(name, answer);
        }
        keys
    }
}

/// The answers to [`KeyLookups`].
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<Name, Key>);

/// What DNS has at one name.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Never empty if there is an answer.
    pub(crate) records: Result<Vec<Record>, Error>,
    pub(crate) security: Security,
}

impl Keys {
    /// Adds the answer for one name, for callers that query DNS on their own.
    pub fn insert(&mut self, name: Name, answer: Result<Answer<Vec<u8>>, LookupError>) {
        let key = match answer {
            Ok(answer) => Key { records: records(&answer.records), security: answer.security },
            // RFC 6376 §6.1.2: a missing key is a permanent failure; a query without an answer is a temporary one.
            Err(error) if error.is_absent() => {
                let absent = Error::about(ErrorKind::NoKey, name.as_str().as_bytes());
                Key { records: Err(absent), security: error.security() }
            }
            Err(error) => {
                let failed = Error::about(ErrorKind::KeyLookup, error.kind().token().as_bytes());
                Key { records: Err(failed), security: error.security() }
            }
        };
        self.0.insert(name, key);
    }

    pub(crate) fn get(&self, name: &Name) -> Option<&Key> {
        self.0.get(name)
    }
}

/// RFC 6376 §6.1.2: what is not a key record is ignored; if nothing is left, the error is permanent.
fn records(texts: &[Vec<u8>]) -> Result<Vec<Record>, Error> {
    let mut problem: Option<Error> = None;
    let mut records = Vec::new();
    for text in texts {
        match Record::parse(text) {
            Ok(record) if records.len() < MAX_KEY_RECORDS => records.push(record),
            Ok(_) => {}
            // Of several errors, the one of a malformed key record helps its owner most.
            Err(error) => match &problem {
                Some(known) if known.kind() != ErrorKind::NotKeyRecord => {}
                _ => problem = Some(error),
            },
        }
    }
    match problem {
        _ if !records.is_empty() => Ok(records),
        Some(error) => Err(error),
        None => Err(ErrorKind::NoKey.into()),
    }
}
