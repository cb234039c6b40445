//! Errors of the store, by kind: each kind asks something else of the caller.

use std::{fmt, io};

use nix::errno::Errno;

use crate::engine::BodyId;

/// Why an operation of the store did not happen.
///
/// Opaque on purpose: match on [`Error::kind`], log the `Display` text.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    subject: String,
    source: Option<io::Error>,
}

/// The kinds of [`Error`]; new ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No space on the disk. Nothing was changed; SMTP replies 452.
    Full,
    /// Other transactions changed the same rows too often; try again later.
    Conflict,
    /// Reading or writing failed; the change did not happen.
    Failed,
    /// Whether the change happened is not known, because the engine stopped before it answered.
    Unknown,
    /// The store was closed.
    Closed,
    /// Another process has this data directory open.
    Locked,
    /// Stored bytes do not match their checksum, or stored rows contradict each other.
    Damaged,
    /// Written by a newer version, in a format this one does not know.
    Version,
    /// No account of that name or number.
    NoAccount,
    /// No mailbox of that name or number.
    NoMailbox,
    /// No message of that number, or it was removed.
    NoMessage,
    /// No body of that number.
    NoBody,
    /// A mailbox name that is not allowed.
    BadName,
    /// A key, value or record over its limit.
    TooLarge,
    /// The account's quota would be exceeded; SMTP replies 452.
    OverQuota,
}

impl ErrorKind {
    /// The stable token of this kind, for logs, labels and tests.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            ErrorKind::Full => "store.full",
            ErrorKind::Conflict => "store.conflict",
            ErrorKind::Failed => "store.failed",
            ErrorKind::Unknown => "store.unknown",
            ErrorKind::Closed => "store.closed",
            ErrorKind::Locked => "store.locked",
            ErrorKind::Damaged => "store.damaged",
            ErrorKind::Version => "store.version",
            ErrorKind::NoAccount => "store.no-account",
            ErrorKind::NoMailbox => "store.no-mailbox",
            ErrorKind::NoMessage => "store.no-message",
            ErrorKind::NoBody => "store.no-body",
            ErrorKind::BadName => "store.bad-name",
            ErrorKind::TooLarge => "store.too-large",
            ErrorKind::OverQuota => "store.over-quota",
        }
    }
}

/// What the store's functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` about `subject`.
    #[must_use]
    pub fn new(kind: ErrorKind, subject: impl Into<String>) -> Error {
        Error { kind, subject: subject.into(), source: None }
    }

    /// An I/O error while doing what `subject` says; [`ErrorKind::Full`] if there is no space.
    #[must_use]
    pub fn io(subject: impl Into<String>, source: io::Error) -> Error {
        let kind = if is_full(&source) { ErrorKind::Full } else { ErrorKind::Failed };
        Error { kind, subject: subject.into(), source: Some(source) }
    }

    /// An I/O error while reading a file that must be there. An error that means lost content becomes
    /// [`ErrorKind::Damaged`], and what was lost may be rebuilt. Other errors, such as no descriptors left or no
    /// permission, may be temporary: nothing is rebuilt for them.
    #[must_use]
    pub fn reading(subject: impl Into<String>, source: io::Error) -> Error {
        let unreadable = [Errno::EIO, Errno::EBADMSG, Errno::EUCLEAN];
        let is_loss = matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
            || source.raw_os_error().is_some_and(|errno| unreadable.contains(&Errno::from_raw(errno)));
        let error = Error::io(subject, source);
        if is_loss { Error { kind: ErrorKind::Damaged, ..error } } else { error }
    }

    /// The error for a body that is not stored.
    #[must_use]
    pub fn no_body(id: BodyId) -> Error {
        Error::new(ErrorKind::NoBody, format!("body {} is not stored", id.get()))
    }

    /// The kind, for callers that react to it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Whether an I/O error means that there is no space: disk full, quota, or file size limit.
pub(crate) fn is_full(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.token(), self.subject)?;
        match &self.source {
            Some(e) => write!(f, ": {e}"),
            None => Ok(()),
        }
    }
}

/// `source` returns nothing, because the `Display` text contains the cause already.
impl std::error::Error for Error {}
