//! Looking up key records, while the body is still on its way if the caller likes.

use crate::{Error, ErrorKind, Record};
use dns::{Answer, LookupError, Name, Resolver, Security, join_all, txt};
use std::collections::BTreeMap;

/// Key records at one name that are tried. RFC 6376 §3.6.2.2 wants one; more appear when keys are exchanged.
pub const MAX_KEY_RECORDS: usize = 4;

/// The questions that the signatures of one message ask of DNS: each name once. It borrows nothing, so it can be run
/// elsewhere while the verifier is fed.
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

    /// The names whose TXT records are asked for.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Asks for all of them at the same time.
    pub async fn run(self, dns: &dyn Resolver) -> Keys {
        let ask = |name: &Name| {
            let name = name.clone();
            Box::pin(async move {
                let answer = txt(dns, &name).await;
                (name, answer)
            }) as _
        };
        let mut keys = Keys::default();
        for (name, answer) in join_all(self.names.iter().map(ask).collect()).await {
            keys.insert(name, answer);
        }
        keys
    }
}

/// The answers of DNS, as far as they were needed.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<Name, Key>);

/// What DNS has at one name.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Never empty when it is there.
    pub(crate) records: Result<Vec<Record>, Error>,
    pub(crate) security: Security,
}

impl Keys {
    /// Notes the answer for one name, for callers that ask DNS in their own way.
    pub fn insert(&mut self, name: Name, answer: Result<Answer<Vec<u8>>, LookupError>) {
        let key = match answer {
            Ok(answer) => Key { records: records(&answer.records), security: answer.security },
            // RFC 6376 §6.1.2: no key for the signature is permanent; a query that fails to be answered is not.
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
            // Of several, the one that tells what is wrong with a key record is of use to its owner.
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
