//! Why a record could not be read, or an evaluation ended before the record decided.

use crate::Outcome;
use dns::{LookupError, Name};
use std::fmt;

/// A fault with its place: the record, the term, and the number of includes that led there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    domain: Option<Name>,
    term: Option<String>,
    position: Option<usize>,
    depth: usize,
    lookup: Option<LookupError>,
}

/// What went wrong. [`ErrorKind::outcome`] is the result that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Neither identity has a domain: a null reverse-path, and no name or an address literal in HELO.
    NoIdentity,
    /// The domain cannot have a record: malformed, or a single label (RFC 7208 §4.3).
    BadDomain,
    /// No TXT record that begins with `v=spf1` (RFC 7208 §4.5).
    NoRecord,
    /// DNS did not answer, or gave an answer that cannot be used (RFC 7208 §4.4, §5).
    Dns,
    /// More than one record that begins with `v=spf1` (RFC 7208 §4.5).
    SeveralRecords,
    /// The text does not begin with `v=spf1` (RFC 7208 §4.5).
    BadVersion,
    /// The record is longer than any DNS answer can carry.
    RecordTooLong,
    /// A term that is neither a known mechanism nor a modifier (RFC 7208 §4.6.1).
    UnknownMechanism,
    /// A byte that is not visible ASCII (RFC 7208 §7.1).
    BadCharacter,
    /// A mechanism that needs an argument has none, or one that takes none has one (RFC 7208 §5).
    BadArgument,
    /// Not a domain-spec (RFC 7208 §7.1).
    BadDomainSpec,
    /// A `%` that begins no macro, or a macro that is not well-formed (RFC 7208 §7.1).
    BadMacro,
    /// One of the macros `c`, `r` and `t`, which only explanations may have (RFC 7208 §7.2).
    ExplanationMacro,
    /// Not an address of the family that the mechanism names (RFC 7208 §5.6).
    BadAddress,
    /// A prefix length with a leading zero, or out of its range (RFC 7208 §5.6).
    BadPrefixLength,
    /// `redirect` or `exp` stands in the record twice (RFC 7208 §6).
    RepeatedModifier,
    /// More terms that query DNS than allowed (RFC 7208 §4.6.4).
    TooManyLookups,
    /// More terms whose queries found nothing than allowed (RFC 7208 §4.6.4).
    TooManyVoidLookups,
    /// An `mx` with more hosts than may be queried (RFC 7208 §4.6.4), alone or together with other terms.
    TooManyHosts,
    /// The target of an `include` has no record (RFC 7208 §5.2).
    IncludeWithoutRecord,
    /// The target of a `redirect` has no record (RFC 7208 §6.1).
    RedirectWithoutRecord,
    /// Not a Received-SPF field (RFC 7208 §9.1).
    BadReceivedSpf,
}

impl ErrorKind {
    /// Returns the kind's stable token, for logs and JSON.
    pub fn token(self) -> &'static str {
        match self {
            Self::NoIdentity => "spf.no-identity",
            Self::BadDomain => "spf.bad-domain",
            Self::NoRecord => "spf.no-record",
            Self::Dns => "spf.dns",
            Self::SeveralRecords => "spf.several-records",
            Self::BadVersion => "spf.bad-version",
            Self::RecordTooLong => "spf.record-too-long",
            Self::UnknownMechanism => "spf.unknown-mechanism",
            Self::BadCharacter => "spf.bad-character",
            Self::BadArgument => "spf.bad-argument",
            Self::BadDomainSpec => "spf.bad-domain-spec",
            Self::BadMacro => "spf.bad-macro",
            Self::ExplanationMacro => "spf.explanation-macro",
            Self::BadAddress => "spf.bad-address",
            Self::BadPrefixLength => "spf.bad-prefix-length",
            Self::RepeatedModifier => "spf.repeated-modifier",
            Self::TooManyLookups => "spf.too-many-lookups",
            Self::TooManyVoidLookups => "spf.too-many-void-lookups",
            Self::TooManyHosts => "spf.too-many-hosts",
            Self::IncludeWithoutRecord => "spf.include-without-record",
            Self::RedirectWithoutRecord => "spf.redirect-without-record",
            Self::BadReceivedSpf => "spf.bad-received-spf",
        }
    }

    /// Returns the result of an evaluation that ends with this fault.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::NoIdentity | Self::BadDomain | Self::NoRecord => Outcome::None,
            Self::Dns => Outcome::TempError,
            _ => Outcome::PermError,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::NoIdentity => "no domain to check",
            Self::BadDomain => "not a domain name of at least two labels",
            Self::NoRecord => "no SPF record",
            Self::Dns => "DNS lookup failed",
            Self::SeveralRecords => "more than one SPF record",
            Self::BadVersion => "the record does not begin with v=spf1",
            Self::RecordTooLong => "the record is too long",
            Self::UnknownMechanism => "unknown mechanism",
            Self::BadCharacter => "character that is not visible ASCII",
            Self::BadArgument => "missing or unexpected argument",
            Self::BadDomainSpec => "malformed domain",
            Self::BadMacro => "malformed macro",
            Self::ExplanationMacro => "macro allowed in explanations only",
            Self::BadAddress => "malformed address",
            Self::BadPrefixLength => "bad prefix length",
            Self::RepeatedModifier => "modifier given twice",
            Self::TooManyLookups => "too many terms that need DNS",
            Self::TooManyVoidLookups => "too many DNS lookups without an answer",
            Self::TooManyHosts => "too many mail exchanges",
            Self::IncludeWithoutRecord => "included domain has no SPF record",
            Self::RedirectWithoutRecord => "domain of redirect has no SPF record",
            Self::BadReceivedSpf => "not a Received-SPF field",
        }
    }
}

/// Bytes of a term that an error keeps.
const MAX_TERM: usize = 200;

/// Makes a term fit for people and logs: of bounded length, without control characters.
fn shown(term: &str) -> String {
    let kept = term.get(..term.floor_char_boundary(MAX_TERM)).unwrap_or_default();
    kept.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, domain: None, term: None, position: None, depth: 0, lookup: None }))
    }

    /// A fault of the term that begins `position` bytes into the record.
    pub(crate) fn in_term(kind: ErrorKind, term: &[u8], position: usize) -> Self {
        let mut error = Self::new(kind);
        error.0.term = Some(shown(&String::from_utf8_lossy(term)));
        error.0.position = Some(position);
        error
    }

    /// A failed DNS query.
    pub(crate) fn lookup(lookup: LookupError) -> Self {
        let mut error = Self::new(ErrorKind::Dns);
        error.0.lookup = Some(lookup);
        error
    }

    /// Names the term, unless a term nearer to the fault is named already.
    pub(crate) fn at_term(mut self, term: impl fmt::Display) -> Self {
        self.0.term.get_or_insert_with(|| shown(&term.to_string()));
        self
    }

    /// Names the record, unless a record nearer to the fault is named already.
    pub(crate) fn in_record(mut self, domain: &Name, depth: usize) -> Self {
        if self.0.domain.is_none() {
            self.0.domain = Some(domain.clone());
            self.0.depth = depth;
        }
        self
    }

    /// Changes the kind and keeps the place: for a `none` that an include or redirect meets.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The domain whose record was read or queried; `None` for a record that was parsed alone.
    pub fn domain(&self) -> Option<&Name> {
        self.0.domain.as_ref()
    }

    /// The published term that has the fault, if one does; cut if long, with control characters replaced.
    pub fn term(&self) -> Option<&str> {
        self.0.term.as_deref()
    }

    /// Where the term begins, in bytes of the record; known for faults of syntax.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// How many includes and redirects lead from the checked domain to the record: 0 for its own.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// The failed lookup behind [`ErrorKind::Dns`].
    pub fn lookup_error(&self) -> Option<&LookupError> {
        self.0.lookup.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.lookup {
            Some(lookup) => lookup.fmt(f)?,
            None => f.write_str(self.0.kind.text())?,
        }
        if let Some(term) = &self.0.term {
            write!(f, ": {term}")?;
        }
        if let Some(position) = self.0.position {
            write!(f, " at byte {position}")?;
        }
        match &self.0.domain {
            Some(domain) => write!(f, " ({domain})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.lookup.as_ref().map(|lookup| lookup as _)
    }
}
