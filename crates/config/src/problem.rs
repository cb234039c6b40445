//! [`Problem`]: a mistake in a configuration, and how to mend it.

use std::fmt;

/// A mistake, its place in the file, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    place: Place,
    what: String,
    mend: String,
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) origin: String,
    pub(crate) line: usize,
    pub(crate) key: String,
}

impl Problem {
    pub(crate) fn new(
        kind: ProblemKind,
        place: Place,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { kind, place, what: what.into(), mend: mend.into() }
    }

    /// The kind, for callers that treat some problems differently; its token ends the line.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The path of the file, as the caller gave it.
    pub fn origin(&self) -> &str {
        &self.place.origin
    }

    /// The line in the file; the first is 1.
    pub fn line(&self) -> usize {
        self.place.line
    }

    /// The setting, such as `listeners.public.smtp.port`; empty for the file as such.
    pub fn key(&self) -> &str {
        &self.place.key
    }

    /// The mistake, as a clause that follows the name of the setting.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// How to mend it, in the imperative.
    pub fn mend(&self) -> &str {
        &self.mend
    }
}

impl fmt::Display for Problem {
    /// One line: `moxd.toml:12: listeners.public.ips: what is wrong; what to do [token]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { origin, line, key } = &self.place;
        write!(f, "{origin}:{line}: ")?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        write!(f, "{}; {} [{}]", self.what, self.mend, self.kind.token())
    }
}

impl std::error::Error for Problem {}

/// Quotes text as TOML does, so that it can be found in the file and copied into it. Escapes control characters; letters of
/// every script stay.
pub(crate) fn in_quotes(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The kinds of [`Problem`]. Texts may change, kinds and tokens may not.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The file is not TOML.
    Syntax,
    /// The file is larger than any configuration.
    TooLarge,
    /// No such setting exists.
    UnknownKey,
    /// A setting without a default is missing.
    MissingKey,
    /// A value has the wrong type, such as a number instead of text.
    WrongType,
    /// A value is out of range, or cannot be read.
    BadValue,
    /// A name is used that is defined nowhere.
    UnknownName,
    /// Two settings claim what only one can have: an address, a port.
    Duplicate,
    /// Two settings contradict each other.
    Conflict,
    /// The setting is valid, and probably a mistake.
    Questionable,
}

impl ProblemKind {
    /// All kinds, for documents and tests.
    pub const ALL: [ProblemKind; 10] = [
        Self::Syntax,
        Self::TooLarge,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::BadValue,
        Self::UnknownName,
        Self::Duplicate,
        Self::Conflict,
        Self::Questionable,
    ];

    /// The stable name: for logs and tests.
    pub fn token(self) -> &'static str {
        match self {
            Self::Syntax => "config.syntax",
            Self::TooLarge => "config.too-large",
            Self::UnknownKey => "config.unknown-key",
            Self::MissingKey => "config.missing-key",
            Self::WrongType => "config.wrong-type",
            Self::BadValue => "config.bad-value",
            Self::UnknownName => "config.unknown-name",
            Self::Duplicate => "config.duplicate",
            Self::Conflict => "config.conflict",
            Self::Questionable => "config.questionable",
        }
    }
}
