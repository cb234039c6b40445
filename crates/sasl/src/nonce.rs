//! The nonce of an exchange. Randomness is an argument, so that tests can replay an exchange.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::error::{Error, ErrorKind};

/// Random bytes in a nonce: 144 bits, which base64 prints without padding.
pub const NONCE_BYTES: usize = 18;

/// Fewest characters of a nonce that we send or take. RFC 5802 leaves the length open.
pub const MIN_NONCE: usize = 8;

/// Most characters of the other side's nonce that are kept.
pub const MAX_NONCE: usize = 1024;

/// The value that must be new in every exchange: a nonce for SCRAM, or a challenge for CRAM-MD5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// The nonce of SCRAM.
    text: String,
    /// The challenge of CRAM-MD5, without its angle brackets.
    challenge: String,
}

impl Nonce {
    /// From bytes of a cryptographic random generator that are used for nothing else.
    pub fn from_random(random: [u8; NONCE_BYTES]) -> Self {
        Self::stamped(random, 0, "localhost")
    }

    /// As [`Nonce::from_random`], with the time and host name that a CRAM-MD5 challenge should carry. Other
    /// mechanisms ignore both, so that a server may use this for all.
    pub fn stamped(random: [u8; NONCE_BYTES], unix_seconds: u64, host: &str) -> Self {
        // RFC 2195 §2: random digits, a timestamp and the host name of the server, in the form of a message id.
        let digits = random.iter().fold(0_u64, |n, &byte| n.rotate_left(8) ^ u64::from(byte));
        Self { text: BASE64.encode(random), challenge: format!("{digits}.{unix_seconds}@{host}") }
    }

    /// A nonce as recorded, to replay an exchange: printable ASCII without comma.
    ///
    /// For CRAM-MD5 it is what stands between the angle brackets of the challenge.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] where it is no nonce.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        check(text)?;
        Ok(Self { text: text.to_owned(), challenge: text.to_owned() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The CRAM-MD5 challenge, a message id in form.
    pub(crate) fn challenge(&self) -> String {
        format!("<{}>", self.challenge)
    }
}

/// Is this a SCRAM nonce?
pub(crate) fn check(nonce: &str) -> Result<(), Error> {
    // RFC 5802 §7: c-nonce = printable, which is %x21-2B / %x2D-7E.
    if nonce.bytes().any(|b| !b.is_ascii_graphic() || b == b',') {
        return Err(Error::new(ErrorKind::Malformed, "nonce with characters that are not allowed"));
    }
    if nonce.len() < MIN_NONCE {
        return Err(Error::new(ErrorKind::Malformed, "nonce too short"));
    }
    if nonce.len() > MAX_NONCE {
        return Err(Error::new(ErrorKind::TooLong, "nonce too long"));
    }
    Ok(())
}
