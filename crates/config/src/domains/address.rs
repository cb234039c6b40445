//! Addresses of accounts.

use std::fmt;

use dns::Domain;
use smtp_parser::Localpart;

use crate::domains::LocalDomain;
use crate::problem::ProblemKind;

/// An address of an account, or a catch-all for a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// One address. The local part is canonical: lower-case unless the domain says that case counts.
    Exact {
        /// Before the `@`, without quotes.
        localpart: String,
        /// After it.
        domain: Domain,
    },
    /// `@domain`: all addresses of the domain that belong to no account by name.
    CatchAll(Domain),
}

/// A mistake in an address, and how to mend it.
pub(crate) struct NoAddress {
    pub(crate) kind: ProblemKind,
    pub(crate) what: &'static str,
    pub(crate) mend: String,
}

impl NoAddress {
    fn new(what: &'static str, mend: &str) -> Self {
        Self { kind: ProblemKind::BadValue, what, mend: mend.to_owned() }
    }
}

impl Address {
    /// Reads `localpart@domain` or `@domain`. `rules` returns the settings of a domain in the file.
    pub(crate) fn parse<'d>(
        text: &str,
        rules: impl FnOnce(&Domain) -> Option<&'d LocalDomain>,
    ) -> Result<Address, NoAddress> {
        let Some((localpart, domain)) = text.rsplit_once('@') else {
            return Err(NoAddress::new("is not an address", "write \"name@domain\" or \"@domain\""));
        };
        let domain: Domain = domain.parse().map_err(|_| {
            NoAddress::new(
                "has a domain that cannot exist",
                "write \"name@domain\" with a domain of this file",
            )
        })?;
        let Some(rules) = rules(&domain) else {
            let mend = format!("add a section [domains.\"{}\"]", domain.unicode());
            return Err(NoAddress {
                kind: ProblemKind::UnknownName,
                what: "has a domain that is not here",
                mend,
            });
        };
        if localpart.is_empty() {
            return Ok(Self::CatchAll(domain));
        }
        if localpart.len() > 1 && localpart.starts_with('"') && localpart.ends_with('"') {
            return Err(NoAddress::new(
                "has quotes before the @, which would be part of the name",
                "leave them out: \"a b@example.org\" is meant as it stands",
            ));
        }
        let localpart = Localpart::new(localpart).map_err(|_| {
            NoAddress::new(
                "has too much or control characters before the @",
                "write at most 64 characters before the @",
            )
        })?;
        if localpart.as_str().contains(rules.catchall_separators.as_slice()) {
            return Err(NoAddress::new(
                "contains a separator of its domain, so that mail for it would go to the name before that",
                "leave the separator and what follows out, or take it from catchall_separators",
            ));
        }
        Ok(Self::Exact { localpart: rules.fold(localpart.as_str()), domain })
    }
}

impl fmt::Display for Address {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { localpart, domain } => write!(f, "{localpart}@{}", domain.unicode()),
            Self::CatchAll(domain) => write!(f, "@{}", domain.unicode()),
        }
    }
}
