//! What is wrong with a configuration, and what to do about it.

use std::fmt;

/// One thing that is wrong, where it is, and what to do about it.
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

    /// What kind of problem it is.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The file, as it was named to the parser.
    pub fn origin(&self) -> &str {
        &self.place.origin
    }

    /// The line in the file; the first is 1.
    pub fn line(&self) -> usize {
        self.place.line
    }

    /// The setting, such as `listeners.public.smtp.port`; empty where it is the whole file.
    pub fn key(&self) -> &str {
        &self.place.key
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
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

/// Text as TOML has it between quotes, so that it can be found in the file and copied into it: what cannot be seen is
/// escaped, letters of every script stay.
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
    /// A setting that has no default is not there.
    MissingKey,
    /// A setting has a value of another type, such as a number where there should be text.
    WrongType,
    /// A setting has a value that it cannot have.
    BadValue,
    /// Something is named that is defined nowhere.
    UnknownName,
    /// Two want what only one can have: an address, a port.
    Duplicate,
    /// Two settings contradict each other.
    Conflict,
    /// It can be used, and is probably not what was meant.
    Questionable,
}

impl ProblemKind {
    /// Every kind, for documents and tests.
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
