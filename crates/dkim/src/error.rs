//! Errors of signatures, key records, chains and private keys.

use crate::Status;
use std::fmt;

/// What is wrong, with a stable token ([`ErrorKind::token`]) and a text for people ([`fmt::Display`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    subject: Option<Box<str>>,
}

/// Bytes of the message's text that an error repeats.
const MAX_SUBJECT: usize = 64;

impl Error {
    /// Creates the error with the tag, field or value that it is about; unprintable characters are escaped.
    pub(crate) fn about(kind: ErrorKind, subject: &[u8]) -> Self {
        let shown = subject.get(..MAX_SUBJECT).unwrap_or(subject);
        Self { kind, subject: Some(shown.escape_ascii().to_string().into_boxed_str()) }
    }

    /// Creates the error with a reason that does not come from a message.
    pub(crate) fn because(kind: ErrorKind, why: &'static str) -> Self {
        Self { kind, subject: Some(why.into()) }
    }

    /// What is wrong; tokens and statuses depend on it alone.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The tag, field or value that it is about; printable ASCII.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, subject: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.words())?;
        match &self.subject {
            Some(subject) => write!(f, ": {subject}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident $status:ident $token:literal $words:literal)+) => {
        /// The kinds of [`Error`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ErrorKind {
            /// Every kind, for generated documents.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the kind's stable token, for logs and JSON.
            pub fn token(self) -> &'static str {
                match self { $(Self::$name => $token,)+ }
            }

            /// Returns the status of a signature with this error, unless its key is in test mode.
            pub fn status(self) -> Status {
                match self { $(Self::$name => Status::$status,)+ }
            }

            fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)+ }
            }
        }
    };
}

// One table, so that token, words and status of a kind cannot drift apart.
kinds! {
    /// Not a tag list (RFC 6376 §3.2).
    TagList PermError "dkim.bad-tag-list" "not a list of tags"
    /// A tag is repeated (RFC 6376 §3.2).
    DuplicateTag PermError "dkim.duplicate-tag" "tag given twice"
    /// More than [`crate::MAX_TAGS`] tags.
    TooManyTags PermError "dkim.too-many-tags" "too many tags"
    /// A required tag is missing (RFC 6376 §6.1.1).
    MissingTag PermError "dkim.missing-tag" "required tag is missing"
    /// The value of a tag breaks its grammar.
    TagValue PermError "dkim.bad-tag-value" "bad value of tag"
    /// `v=` is not 1 (RFC 6376 §3.5).
    Version PermError "dkim.unknown-version" "unknown version"
    /// `a=` names an algorithm that is not known.
    Algorithm PermError "dkim.unknown-algorithm" "unknown algorithm"
    /// `c=` names a canonicalisation that is not known.
    Canonicalization PermError "dkim.unknown-canonicalization" "unknown canonicalization"
    /// `q=` has no method that is known.
    QueryMethod PermError "dkim.unknown-query-method" "no known query method"
    /// `h=` does not list From (RFC 6376 §5.4).
    FromNotSigned PermError "dkim.from-not-signed" "From field is not signed"
    /// The domain of `i=` is neither `d=` nor below it (RFC 6376 §6.1.1).
    IdentityOutsideDomain PermError "dkim.identity-outside-domain" "identity is not within the signing domain"
    /// `x=` is not later than `t=` (RFC 6376 §3.5).
    ExpiresBeforeSigned PermError "dkim.expires-before-signed" "expiration is not later than the signing time"
    /// `x=` is in the past.
    Expired PermError "dkim.expired" "signature has expired"
    /// `t=` is in the future.
    SignedInFuture PermError "dkim.signed-in-future" "signing time is in the future"
    /// `d=` is a public suffix or above one, which belongs to no one sender.
    PublicSuffix PermError "dkim.public-suffix" "signing domain is a public suffix"
    /// The header is malformed: readers may understand it differently, so a signature over it proves nothing.
    MalformedHeader PermError "dkim.malformed-header" "message header is malformed"

    /// `l=` is used: anyone can append to the signed part of the body.
    BodyLength Policy "dkim.body-length-used" "only part of the body is signed"
    /// The message has a Subject, and `h=` does not list it.
    SubjectNotSigned Policy "dkim.subject-not-signed" "Subject field is not signed"
    /// A field that may occur once occurs more often than `h=` lists it (RFC 6376 §8.15).
    UnsignedCopy Policy "dkim.unsigned-copy" "a copy of a signed field is not signed"
    /// rsa-sha1, which no longer proves anything (RFC 8301 §3.1).
    Sha1 Policy "dkim.sha1-refused" "SHA-1 signatures are not accepted"
    /// The message has more signatures than are evaluated.
    TooManySignatures Policy "dkim.too-many-signatures" "not evaluated, too many signatures"

    /// There is no key record at the name (RFC 6376 §6.1.2).
    NoKey PermError "dkim.no-key" "no key record"
    /// DNS did not answer.
    KeyLookup TempError "dkim.key-lookup-failed" "key record cannot be looked up"
    /// There are TXT records, but none is a key record.
    NotKeyRecord PermError "dkim.not-a-key-record" "TXT record is not a key record"
    /// The key record breaks its grammar (RFC 6376 §3.6.1).
    KeyRecord PermError "dkim.bad-key-record" "malformed key record"
    /// `k=` of the record is not known.
    KeyType PermError "dkim.unknown-key-type" "unknown key type"
    /// `p=` is not a public key.
    PublicKey PermError "dkim.bad-public-key" "malformed public key"
    /// `p=` is empty: the key was revoked (RFC 6376 §3.6.1).
    KeyRevoked PermError "dkim.key-revoked" "key has been revoked"
    /// `h=` of the record does not allow the hash of the signature.
    HashNotAllowed PermError "dkim.hash-not-allowed" "key record does not allow the hash algorithm"
    /// `k=` of the record differs from the key type of the signature.
    KeyTypeMismatch PermError "dkim.key-type-mismatch" "key is of another type than the signature"
    /// An RSA key below 1024 bits (RFC 8301 §3.2).
    KeyTooSmall PermError "dkim.key-too-small" "RSA key is too small"
    /// An RSA key above 8192 bits.
    KeyTooLarge PermError "dkim.key-too-large" "RSA key is too large"
    /// `s=` of the record allows neither `email` nor `*`.
    ServiceNotAllowed PermError "dkim.service-not-allowed" "key is not for email"
    /// The record has `t=s`, and the domain of `i=` is not `d=`.
    SubdomainNotAllowed PermError "dkim.subdomain-not-allowed" "key is not for subdomains"
    /// The signature does not match the header and the key.
    SignatureMismatch Fail "dkim.bad-signature" "signature does not verify"
    /// The body does not match `bh=`.
    BodyHashMismatch Fail "dkim.body-hash-mismatch" "body has changed since it was signed"
    /// `l=` is larger than the body (RFC 6376 §3.5).
    BodyTooShort PermError "dkim.body-too-short" "body is shorter than its signed part"

    /// A chain of more than 50 sets (RFC 8617 §5.2).
    ArcTooManySets PermError "dkim.arc-too-many-sets" "more than 50 ARC sets"
    /// `i=` is missing or not 1 to 50 (RFC 8617 §4.2.1).
    ArcInstance PermError "dkim.arc-bad-instance" "bad ARC instance"
    /// A set lacks one of its three fields (RFC 8617 §5.2).
    ArcIncomplete PermError "dkim.arc-incomplete-set" "incomplete ARC set"
    /// A set has a repeated field (RFC 8617 §5.2).
    ArcDuplicate PermError "dkim.arc-duplicate-field" "ARC field given twice for one instance"
    /// The instances are not 1 to N without gaps (RFC 8617 §5.2).
    ArcGap PermError "dkim.arc-gap" "gap in the ARC instances"
    /// `cv=` is missing or not known.
    ArcStatusValue PermError "dkim.arc-bad-cv" "bad chain validation status"
    /// `cv=` does not fit the place of its set (RFC 8617 §5.2).
    ArcStatusPlace PermError "dkim.arc-wrong-cv" "chain validation status does not fit its instance"
    /// The newest seal states that the chain failed earlier (RFC 8617 §5.2).
    ArcFailedBefore PermError "dkim.arc-failed-before" "chain had failed before"
    /// An ARC-Seal with `h=` (RFC 8617 §4.1.3).
    ArcSealFields PermError "dkim.arc-seal-with-h" "ARC-Seal has a list of fields"
    /// An ARC-Message-Signature that covers ARC fields (RFC 8617 §4.1.2).
    ArcFieldSigned PermError "dkim.arc-field-signed" "ARC-Message-Signature covers an ARC field"

    /// The private key cannot be used; RSA takes 2048 to 4096 bits.
    PrivateKey PermError "dkim.bad-private-key" "private key cannot be used"
    /// A message to sign has not exactly one From field (RFC 5322 §3.6).
    FromField PermError "dkim.not-one-from" "not exactly one From field"
    /// The body was not hashed with the canonicalisation of the signature.
    BodyNotHashed PermError "dkim.body-not-hashed" "body was not hashed for this canonicalization"
    /// Text that would break the header field it is for.
    FieldText PermError "dkim.bad-field-text" "text cannot stand in a header field"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn tokens_are_unique_and_well_formed() {
        let tokens: BTreeSet<&str> = ErrorKind::ALL.iter().map(|kind| kind.token()).collect();
        assert_eq!(tokens.len(), ErrorKind::ALL.len());
        assert!(tokens.iter().all(|token| token.starts_with("dkim.")));
    }

    #[test]
    fn a_strangers_text_is_cut_and_escaped() {
        let error = Error::about(ErrorKind::TagValue, b"x\r\nInjected: yes");
        assert_eq!(error.to_string(), "bad value of tag: x\\r\\nInjected: yes");
        assert_eq!(Error::about(ErrorKind::TagValue, &[b'x'; 500]).subject().map(str::len), Some(64));
    }
}
