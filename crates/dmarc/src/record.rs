//! [`Record`]: what a domain owner publishes, as a value that prints as a record.

use crate::{Error, Uri, parse};
use std::fmt;
use std::str::FromStr;

/// The specification that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Rules {
    /// The standard: tree walk, `np=`, `psd=`, `t=`.
    #[default]
    Rfc9989,
    /// Its predecessor: public suffix list, `pct=`.
    Rfc7489,
}

impl Rules {
    /// Returns the word for an aggregate report's `discovery_method` (RFC 9990): how the organizational domain is found.
    pub fn discovery_method(self) -> &'static str {
        match self {
            Self::Rfc9989 => "treewalk",
            Self::Rfc7489 => "psl",
        }
    }
}

/// What a domain owner asks for when a message fails. Ordered from mild to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Policy {
    /// No preference.
    #[default]
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl Policy {
    /// Returns the word in a record and in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// Returns the policy one step milder; `none` stays.
    #[must_use]
    pub fn milder(self) -> Self {
        match self {
            Self::None | Self::Quarantine => Self::None,
            Self::Reject => Self::Quarantine,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How closely a proven domain must match the author domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Alignment {
    /// The same organizational domain is enough.
    #[default]
    Relaxed,
    /// The names must be equal.
    Strict,
}

/// `psd`: whether the domain of the record is a public suffix (RFC 9989 §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PublicSuffix {
    /// `u`: the tree walk decides.
    #[default]
    Unsaid,
    /// `y`: it is a public suffix, with independent domains below it.
    Yes,
    /// `n`: it is the organizational domain of itself and of all domains below it.
    No,
}

/// `fo`: when the owner wants a failure report. Ignored without `ruf` (RFC 9989 §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FailureOptions {
    /// `0`: when nothing passed in alignment.
    pub all: bool,
    /// `1`: when anything did not pass in alignment.
    pub any: bool,
    /// `d`: when a DKIM signature failed, aligned or not.
    pub dkim: bool,
    /// `s`: when SPF failed, aligned or not.
    pub spf: bool,
}

impl FailureOptions {
    /// No option: the start value for parsing a list.
    pub(crate) const EMPTY: Self = Self { all: false, any: false, dkim: false, spf: false };
}

impl Default for FailureOptions {
    fn default() -> Self {
        Self { all: true, ..Self::EMPTY }
    }
}

/// A DMARC policy record; the fields are its tags.
///
/// Printing leaves out tags that have their default values. A printed record parses back to an equal one by the rules
/// that it was parsed by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Policy of the domain itself. `None`: the record has no usable policy, so that DMARC does not apply to messages for
    /// which this record is chosen (RFC 9989 §4.10.1); it still counts in a tree walk.
    pub p: Option<Policy>,
    /// Policy of subdomains; by default `p`.
    pub sp: Option<Policy>,
    /// Policy of subdomains that do not exist; by default `sp`. RFC 9989 only.
    pub np: Option<Policy>,
    /// Alignment of DKIM.
    pub adkim: Alignment,
    /// Alignment of SPF.
    pub aspf: Alignment,
    /// When a failure report is wanted.
    pub fo: FailureOptions,
    /// Where aggregate reports go.
    pub rua: Vec<Uri>,
    /// Where failure reports go.
    pub ruf: Vec<Uri>,
    /// Whether this is a public suffix. RFC 9989 only.
    pub psd: PublicSuffix,
    /// Test mode: receivers apply a policy one step milder. RFC 9989 only.
    pub t: bool,
    /// Percentage of failing messages to which the policy applies, 0 to 100. RFC 7489 only.
    pub pct: u8,
    /// Seconds between aggregate reports. RFC 7489 only.
    pub ri: u32,
    /// Formats of failure reports. RFC 7489 only.
    pub rf: Vec<String>,
}

impl Record {
    /// RFC 7489 §6.3: the default of `ri`, a day.
    pub const DEFAULT_INTERVAL: u32 = 86_400;
    /// RFC 7489 §6.3: the default of `rf`.
    pub const DEFAULT_FORMAT: &'static str = "afrf";

    /// Creates a record with a policy, and defaults for all else.
    pub fn new(p: Policy) -> Self {
        Self { p: Some(p), ..Self::default() }
    }

    /// Parses a record by one set of rules.
    ///
    /// RFC 9989 §4.7 tolerates everything but a wrong version: tags that cannot be parsed are ignored.
    ///
    /// # Errors
    /// The text is not a DMARC record; by RFC 7489 also if it is a malformed one.
    pub fn parse(text: &str, rules: Rules) -> Result<Self, Error> {
        parse::record(text, rules)
    }

    /// Returns the policy for a subdomain of the domain that has this record. With `exists` unknown (`None`) the milder of
    /// the two policies counts.
    pub fn subdomain_policy(&self, exists: Option<bool>) -> Policy {
        let existing = self.sp.or(self.p).unwrap_or_default();
        let missing = self.np.unwrap_or(existing);
        match exists {
            Some(true) => existing,
            Some(false) => missing,
            None => existing.min(missing),
        }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            p: None,
            sp: None,
            np: None,
            adkim: Alignment::Relaxed,
            aspf: Alignment::Relaxed,
            fo: FailureOptions::default(),
            rua: Vec::new(),
            ruf: Vec::new(),
            psd: PublicSuffix::Unsaid,
            t: false,
            pct: 100,
            ri: Self::DEFAULT_INTERVAL,
            rf: vec![Self::DEFAULT_FORMAT.to_owned()],
        }
    }
}

impl FromStr for Record {
    type Err = Error;

    /// Parses by the default rules, RFC 9989.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text, Rules::default())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DMARC1")?;
        // RFC 7489 §6.3: `p` right after `v`; RFC 9989 takes any order.
        for (tag, policy) in [("p", self.p), ("sp", self.sp), ("np", self.np)] {
            if let Some(policy) = policy {
                write!(f, "; {tag}={policy}")?;
            }
        }
        for (tag, alignment) in [("adkim", self.adkim), ("aspf", self.aspf)] {
            if alignment == Alignment::Strict {
                write!(f, "; {tag}=s")?;
            }
        }
        for (tag, uris) in [("rua", &self.rua), ("ruf", &self.ruf)] {
            for (n, uri) in uris.iter().enumerate() {
                if n == 0 { write!(f, "; {tag}={uri}")? } else { write!(f, ",{uri}")? }
            }
        }
        if self.fo != FailureOptions::default() {
            write!(f, "; fo={}", self.fo)?;
        }
        match self.psd {
            PublicSuffix::Unsaid => {}
            PublicSuffix::Yes => f.write_str("; psd=y")?,
            PublicSuffix::No => f.write_str("; psd=n")?,
        }
        if self.t {
            f.write_str("; t=y")?;
        }
        if self.pct != 100 {
            write!(f, "; pct={}", self.pct)?;
        }
        if self.ri != Self::DEFAULT_INTERVAL {
            write!(f, "; ri={}", self.ri)?;
        }
        if self.rf != [Self::DEFAULT_FORMAT] {
            write!(f, "; rf={}", self.rf.join(":"))?;
        }
        Ok(())
    }
}

impl fmt::Display for FailureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [(self.all, '0'), (self.any, '1'), (self.dkim, 'd'), (self.spf, 's')];
        let mut separator = "";
        for (_, letter) in options.iter().filter(|(wanted, _)| *wanted) {
            write!(f, "{separator}{letter}")?;
            separator = ":";
        }
        Ok(())
    }
}
