//! `domains.toml`: domains and accounts. It is read again on reload.

mod account;
mod address;
mod domain;

pub use account::{Account, Destination, JunkFlags, MAX_ACCOUNT_NAME, Ruleset};
pub use address::Address;
pub use domain::{Algorithm, Canonicalization, Dkim, LocalDomain, Selector};

use std::collections::BTreeMap;

use dns::Domain;

use crate::read::Table;
use crate::schema::{Child, Section, Shape};

/// Everything in `domains.toml`.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Domains {
    /// The domains whose mail this server accepts.
    pub domains: BTreeMap<Domain, LocalDomain>,
    /// The accounts, by their names in the file.
    pub accounts: BTreeMap<String, Account>,
}

impl Domains {
    /// Parses an address of one of these domains into its canonical form; it may belong to no account.
    pub fn address(&self, text: &str) -> Option<Address> {
        Address::parse(text, |domain| self.domains.get(domain)).ok()
    }

    /// The name of the account that an operator means: by its name, by its name in another case, or by one of its addresses.
    pub fn account(&self, given: &str) -> Option<&str> {
        let exact = self.accounts.get_key_value(given).map(|(name, _)| name);
        let alike = || {
            let mut alike = self.accounts.keys().filter(|name| name.eq_ignore_ascii_case(given));
            // Of two names that differ only in case, neither is a match: the right one is unknown.
            alike.next().filter(|_| alike.next().is_none())
        };
        let by_address = || {
            let address = self.address(given)?;
            let has = |account: &Account| account.destinations.iter().any(|to| to.address == address);
            self.accounts.iter().find(|(_, account)| has(account)).map(|(name, _)| name)
        };
        exact.or_else(alike).or_else(by_address).map(String::as_str)
    }
}

pub(crate) static SECTION: Section = Section {
    doc: &[
        "domains.toml: domains and accounts. A running server reads it again on SIGHUP or `moxd ctl reload`; if",
        "something in it is wrong, the server keeps the old settings.",
    ],
    keys: &[],
    children: &[
        Child {
            name: "domains",
            shape: Shape::Named(&["example.org"]),
            is_optional: false,
            section: &domain::SECTION,
        },
        Child {
            name: "accounts",
            shape: Shape::Named(&["alice"]),
            is_optional: false,
            section: &account::SECTION,
        },
    ],
};

pub(crate) fn read(root: &Table<'_>) -> Option<Domains> {
    let domains = domain::read_all(root);
    let accounts = account::read_all(root, domains.as_ref());
    Some(Domains { domains: domains?, accounts: accounts? })
}

#[cfg(test)]
mod tests;
