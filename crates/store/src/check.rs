//! Findings of a check: what is wrong with a store.

use std::fmt;

use crate::{
    engine::BodyId,
    message::{MessageId, Uid},
};

/// One inconsistency: where it is, and what was found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    place: String,
    text: String,
    concerned: Option<Concerned>,
    body: Option<BodyId>,
}

/// What a finding is about: an account, or something in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Concerned {
    pub(crate) account: String,
    pub(crate) mailbox: Option<String>,
    pub(crate) uid: Option<Uid>,
    pub(crate) message: Option<MessageId>,
}

impl Concerned {
    /// A mailbox of the account.
    pub(crate) fn mailbox(name: &str) -> Concerned {
        Concerned { mailbox: Some(name.to_owned()), ..Concerned::default() }
    }
}

impl fmt::Display for Concerned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}", self.account)?;
        if let Some(mailbox) = &self.mailbox {
            write!(f, ", mailbox {mailbox}")?;
        }
        if let Some(uid) = self.uid {
            write!(f, ", uid {}", uid.get())?;
        }
        match self.message {
            Some(message) => write!(f, ", message {}", message.get()),
            None => Ok(()),
        }
    }
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
    /// A number is used twice, or is not below the next one to be given out.
    Number,
    /// A file of a backup differs from the backup's list.
    Backup,
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
            FindingKind::Backup => "store.finding.backup",
        }
    }
}

impl Finding {
    /// One at `place`, such as a file with an offset.
    #[must_use]
    pub fn new(kind: FindingKind, place: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { kind, place: place.into(), text: text.into(), concerned: None, body: None }
    }

    /// One about an account, or something of it.
    pub(crate) fn about(kind: FindingKind, concerned: Concerned, text: impl Into<String>) -> Finding {
        Finding { concerned: Some(concerned.clone()), ..Finding::new(kind, concerned.to_string(), text) }
    }

    /// A body that cannot be read. The store adds the messages that have it.
    #[must_use]
    pub fn of_body(id: BodyId, text: impl Into<String>) -> Finding {
        let place = format!("body {}", id.get());
        Finding { body: Some(id), ..Finding::new(FindingKind::Body, place, text) }
    }

    /// The body that cannot be read, if the finding is about one.
    pub(crate) fn body(&self) -> Option<BodyId> {
        self.body
    }

    /// The kind of inconsistency, for callers that count or filter.
    #[must_use]
    pub fn kind(&self) -> FindingKind {
        self.kind
    }

    /// Where, for people: a file with an offset, or an account, mailbox and message.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was found there.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of the account concerned, if the finding is about one.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.concerned.as_ref().map(|concerned| concerned.account.as_str())
    }

    /// The name of the mailbox concerned, if the finding is about one.
    #[must_use]
    pub fn mailbox(&self) -> Option<&str> {
        self.concerned.as_ref()?.mailbox.as_deref()
    }

    /// The UID of the message concerned, if known.
    #[must_use]
    pub fn uid(&self) -> Option<Uid> {
        self.concerned.as_ref()?.uid
    }

    /// The permanent number of the message concerned, if known.
    #[must_use]
    pub fn message(&self) -> Option<MessageId> {
        self.concerned.as_ref()?.message
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.kind.token(), self.place, self.text)
    }
}
