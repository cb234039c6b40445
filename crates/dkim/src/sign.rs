//! Signing (RFC 6376 §5).

use crate::block::{Block, Index};
use crate::{
    BodyHasher, BodyHashes, Canonicalization, Error, ErrorKind, FieldNames, Identity, Selector, Signature,
    SigningKey,
};
use dns::Domain;

/// The fields that are signed by default: those that readers see, and those that replies depend on.
pub const DEFAULT_FIELDS: &str =
    "From:To:Cc:Bcc:Reply-To:References:In-Reply-To:Subject:Date:Message-Id:Content-Type";

/// What a new signature states and covers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignOptions {
    /// `d=`: the domain that vouches for the message.
    pub domain: Domain,
    /// `s=`: the name of the key.
    pub selector: Selector,
    /// `i=`: the user or agent. Its domain must be `domain` or below.
    pub identity: Option<Identity>,
    /// Canonicalisation of the header.
    pub header: Canonicalization,
    /// Canonicalisation of the body.
    pub body: Canonicalization,
    /// The fields to cover, each named once; From is required.
    pub fields: FieldNames,
    /// Whether `h=` names every field once more than the message has it, so that none can be added (RFC 6376 §8.15).
    pub oversign: bool,
    /// Seconds until the signature expires; `None`: it does not expire.
    pub expiration: Option<u64>,
}

impl SignOptions {
    /// Returns options with relaxed canonicalisation, [`DEFAULT_FIELDS`] over-signed, and no expiration: such a signature
    /// survives ordinary transport, and no field can be added.
    pub fn new(domain: Domain, selector: Selector) -> Self {
        Self {
            domain,
            selector,
            identity: None,
            header: Canonicalization::Relaxed,
            body: Canonicalization::Relaxed,
            fields: FieldNames::known(DEFAULT_FIELDS),
            oversign: true,
            expiration: None,
        }
    }
}

/// Signs a message. `header` is the header block, `bodies` the hashes of its body, `now` the time in Unix seconds.
///
/// Put [`Signature::header_field`] before the message. For several signatures sign the same header with each key, without
/// the fields of the others.
///
/// ```
/// use moxd_dkim::{BodyHasher, Canonicalization, SignOptions, SigningKey, sign};
/// # let pem = include_str!("../testdata/keys/ed25519.pem");
/// let header = b"From: a@example.org\r\nSubject: hello\r\n\r\n";
/// let mut body = BodyHasher::new([Canonicalization::Relaxed]);
/// body.update(b"hello\r\n");
///
/// let key = SigningKey::from_pem(pem)?;
/// let signing = SignOptions::new("example.org".parse()?, "mail".parse()?);
/// let signature = sign(header, &body.finish(), &key, &signing, 1_700_000_000)?;
/// assert!(signature.header_field().starts_with("DKIM-Signature: v=1; d=example.org; s=mail; a=ed25519-sha256;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The header is malformed or has not exactly one From field, From is not to be signed, the identity is outside of the
/// domain, or the body was not hashed for the canonicalisation.
pub fn sign(
    header: &[u8],
    bodies: &BodyHashes,
    key: &SigningKey,
    signing: &SignOptions,
    now: u64,
) -> Result<Signature, Error> {
    // RFC 6376 §3.5: the domain of i= must be d= or below.
    if signing.identity.as_ref().is_some_and(|identity| !identity.domain().is_at_or_below(&signing.domain)) {
        return Err(ErrorKind::IdentityOutsideDomain.into());
    }
    complete(header, bodies, key, signing, now, &|signature| signature.header_field())
}

/// Signs a complete message, whose lines end in CRLF. Put [`Signature::header_field`] before it.
///
/// ```
/// use moxd_dkim::{SignOptions, SigningKey, sign_message};
/// # let pem = include_str!("../testdata/keys/ed25519.pem");
/// let key = SigningKey::from_pem(pem)?;
/// let signing = SignOptions::new("example.org".parse()?, "mail".parse()?);
///
/// let message = "From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n";
/// let signature = sign_message(message.as_bytes(), &key, &signing, 1_700_000_000)?;
/// let signed = signature.header_field() + message;
/// # assert!(signed.starts_with("DKIM-Signature: v=1; d=example.org; s=mail; a=ed25519-sha256;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`sign`].
pub fn sign_message(
    message: &[u8],
    key: &SigningKey,
    signing: &SignOptions,
    now: u64,
) -> Result<Signature, Error> {
    let end = message::header_end(message).unwrap_or(message.len());
    let (header, body) = message.split_at(end);
    let mut hasher = BodyHasher::new([signing.body]);
    hasher.update(body);
    sign(header, &hasher.finish(), key, signing, now)
}

/// Creates a signature whose field `write` prints.
pub(crate) fn complete(
    header: &[u8],
    bodies: &BodyHashes,
    key: &SigningKey,
    signing: &SignOptions,
    now: u64,
    write: &dyn Fn(&Signature) -> String,
) -> Result<Signature, Error> {
    let headers = message::headers(header);
    if let Some(finding) = headers.malformed() {
        return Err(Error::about(ErrorKind::MalformedHeader, finding.kind.token().as_bytes()));
    }
    let index = Index::new(&headers);
    let block = index.over(header);
    // RFC 6376 §5.4: From must be signed. RFC 5322 §3.6: a message has exactly one.
    if !signing.fields.contains("from") {
        return Err(ErrorKind::FromNotSigned.into());
    }
    if block.count("from") != 1 {
        return Err(ErrorKind::FromField.into());
    }
    let mut signature = Signature {
        algorithm: key.algorithm(),
        signature: Vec::new(),
        body_hash: bodies.get(signing.body).ok_or(ErrorKind::BodyNotHashed)?.to_vec(),
        header_canonicalization: signing.header,
        body_canonicalization: signing.body,
        domain: signing.domain.clone(),
        selector: signing.selector.clone(),
        identity: signing.identity.clone(),
        fields: covered(block, signing),
        body_length: None,
        timestamp: Some(now),
        expiration: signing.expiration.map(|seconds| now.saturating_add(seconds)),
        copied_fields: Vec::new(),
    };
    let mut data = Vec::new();
    block.append_fields(&signature.fields, None, signing.header, &mut data);
    let unsigned = write(&signature);
    let field = message::headers(unsigned.as_bytes());
    // RFC 6376 §3.7: the signature's own field comes last, with an empty b=, with which the text ends here.
    let end = unsigned.trim_end().len();
    Index::new(&field).over(unsigned.as_bytes()).append_signature(
        0,
        end..unsigned.len(),
        signing.header,
        &mut data,
    );
    signature.signature = key.sign(&data)?;
    Ok(signature)
}

/// Returns the names for `h=`: each as often as the message has the field, and once more to over-sign.
fn covered(block: Block<'_>, signing: &SignOptions) -> FieldNames {
    let more = usize::from(signing.oversign);
    let names = signing.fields.iter().flat_map(|name| std::iter::repeat_n(name, block.count(name) + more));
    FieldNames::known(&names.collect::<Vec<_>>().join(":"))
}
