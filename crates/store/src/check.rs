//! What is wrong with a store.

use std::fmt;

use crate::engine::BodyId;

/// One inconsistency: what it is about, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    place: String,
    text: String,
    body: Option<BodyId>,
}

/// The kinds of findings; new ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A part of the journal cannot be read.
    Journal,
    /// A body is missing or does not match its checksum.
    Body,
    /// The view disagrees with the journal; it will be rebuilt when the store is opened.
    View,
    /// A row cannot be read, or contradicts another.
    Record,
    /// Counts do not agree with what is counted.
    Count,
    /// A number is used twice, or lies behind its next value.
    Number,
}

impl FindingKind {
    /// The stable token of this kind.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            FindingKind::Journal => "store.finding.journal",
            FindingKind::Body => "store.finding.body",
            FindingKind::View => "store.finding.view",
            FindingKind::Record => "store.finding.record",
            FindingKind::Count => "store.finding.count",
            FindingKind::Number => "store.finding.number",
        }
    }
}

impl Finding {
    pub(crate) fn new(kind: FindingKind, place: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { kind, place: place.into(), text: text.into(), body: None }
    }

    /// A body that cannot be read.
    pub(crate) fn of_body(id: BodyId, text: impl Into<String>) -> Finding {
        let place = format!("body {}", id.get());
        Finding { kind: FindingKind::Body, place, text: text.into(), body: Some(id) }
    }

    /// The body that cannot be read, if it is about one.
    pub(crate) fn body(&self) -> Option<BodyId> {
        self.body
    }

    /// Names a message concerned.
    pub(crate) fn concerns(&mut self, message: &str) {
        self.place.push_str(", ");
        self.place.push_str(message);
    }

    /// What kind of inconsistency it is.
    #[must_use]
    pub fn kind(&self) -> FindingKind {
        self.kind
    }

    /// Where: a file with an offset, or an account, mailbox and message.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.kind.token(), self.place, self.text)
    }
}
