//! CRAM-MD5 (RFC 2195): the client answers a challenge with its HMAC under the password.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::block_api::Md5Core;
use md5::digest::block_api::{Buffer, CoreProxy};
use md5::digest::common::hazmat::SerializableState;
use md5::{Digest as _, Md5};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Error, ErrorKind};
use crate::hash::equal;
use crate::prepare::Password;

/// Bytes of an MD5 block, digest and chaining state.
const BLOCK: usize = 64;
const DIGEST: usize = 16;

/// What a server keeps to verify CRAM-MD5: the two MD5 states of HMAC after the padded key.
///
/// The password cannot be computed from them. But they suffice to log in with CRAM-MD5, so they are as secret as the
/// password. Print it with [`CramMd5Secret::to_text`], read it with `parse`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct CramMd5Secret {
    inner: [u8; DIGEST],
    outer: [u8; DIGEST],
    /// Why there is no login by this secret, for the fake ones.
    #[zeroize(skip)]
    pub(crate) absent: Option<crate::Absent>,
}

impl CramMd5Secret {
    /// The states for a password.
    pub fn derive(password: &Password) -> Self {
        let mut key = Zeroizing::new([0_u8; BLOCK]);
        // RFC 2104 §2: a key longer than a block is replaced by its digest, a shorter one is padded with zeros.
        let hashed = Zeroizing::new(Md5::digest(password.as_bytes()).0);
        let bytes = if password.as_bytes().len() > BLOCK { &hashed[..] } else { password.as_bytes() };
        key.iter_mut().zip(bytes).for_each(|(k, o)| *k = *o);
        Self { inner: absorb(&key, 0x36), outer: absorb(&key, 0x5c), absent: None }
    }

    /// A secret that no password fits, from bytes that only this server knows.
    pub(crate) fn fake(inner: [u8; DIGEST], outer: [u8; DIGEST], absent: crate::Absent) -> Self {
        Self { inner, outer, absent: Some(absent) }
    }

    /// `HMAC-MD5(password, challenge)`.
    fn digest(&self, challenge: &[u8]) -> [u8; DIGEST] {
        let inner = resume(&self.inner).chain_update(challenge).finalize();
        resume(&self.outer).chain_update(inner).finalize().0
    }

    /// The form to store: `CRAM-MD5$` inner `:` outer, both in base64. As secret as the password.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("CRAM-MD5${}:{}", BASE64.encode(self.inner), BASE64.encode(self.outer)))
    }
}

impl FromStr for CramMd5Secret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let state = |part: &str| BASE64.decode(part).ok().and_then(|bytes| bytes.try_into().ok());
        text.strip_prefix("CRAM-MD5$")
            .and_then(|states| states.split_once(':'))
            .and_then(|(inner, outer)| {
                Some(Self { inner: state(inner)?, outer: state(outer)?, absent: None })
            })
            .ok_or(Error::new(ErrorKind::Stored, "stored CRAM-MD5 secret cannot be read"))
    }
}

impl fmt::Debug for CramMd5Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CramMd5Secret(..)")
    }
}

/// The MD5 chaining state after one block: the key, each byte XORed with `pad` (RFC 2104 §2).
fn absorb(key: &[u8; BLOCK], pad: u8) -> [u8; DIGEST] {
    let block = Zeroizing::new(key.map(|byte| byte ^ pad));
    let (core, _) = Md5::new_with_prefix(&block[..]).decompose();
    let state = core.serialize();
    std::array::from_fn(|i| state.get(i).copied().unwrap_or_default())
}

/// An MD5 that has absorbed the one block of `state`.
fn resume(state: &[u8; DIGEST]) -> Md5 {
    // The library's own form of a state: the four words, then the number of blocks, each little-endian.
    let mut serialized = md5::digest::common::hazmat::SerializedState::<Md5Core>::default();
    let blocks = 1_u64.to_le_bytes();
    serialized.iter_mut().zip(state.iter().chain(&blocks)).for_each(|(to, from)| *to = *from);
    // Any 24 bytes are a state, so the default is never used.
    Md5::compose(Md5Core::deserialize(&serialized).unwrap_or_default(), Buffer::<Md5Core>::default())
}

/// Does `response` to `challenge` prove knowledge of the password?
pub(crate) fn verify(secret: &CramMd5Secret, challenge: &[u8], digest: &[u8]) -> bool {
    equal(hex(&secret.digest(challenge)).as_bytes(), digest)
}

/// Reads `username SP digest`.
pub(crate) fn parse(response: &[u8]) -> Result<(&str, &str), Error> {
    let text = std::str::from_utf8(response)
        .map_err(|_| Error::new(ErrorKind::Encoding, "CRAM-MD5 response is not UTF-8"))?;
    // A user name may have spaces, the digest has none: the last space separates them.
    text.rsplit_once(' ')
        .filter(|(username, digest)| !username.is_empty() && is_digest(digest))
        .ok_or(Error::new(ErrorKind::Malformed, "CRAM-MD5 response is not a user name and a digest"))
}

/// RFC 2195 §2: the digest is sent as 32 lower-case hexadecimal digits.
fn is_digest(text: &str) -> bool {
    text.len() == 2 * DIGEST && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The client's answer to a challenge.
pub(crate) fn respond(username: &str, password: &Password, challenge: &[u8]) -> Vec<u8> {
    format!("{username} {}", hex(&CramMd5Secret::derive(password).digest(challenge))).into_bytes()
}

/// Does a challenge look like one? A client must not compute its HMAC over arbitrary text from a stranger.
pub(crate) fn is_challenge(challenge: &[u8]) -> bool {
    // RFC 2195 §2: msg-id syntax with random digits, a timestamp and the host name.
    let inside = challenge.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    inside.is_some_and(|inside| {
        inside.contains(&b'@') && inside.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'))
    })
}

fn hex(bytes: &[u8; DIGEST]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(password: &str, challenge: &str, expected: &str) {
        let password = Password::new(password).unwrap();
        let response = respond("user", &password, challenge.as_bytes());
        assert_eq!(response, format!("user {expected}").into_bytes());
        let stored: CramMd5Secret = CramMd5Secret::derive(&password).to_text().parse().unwrap();
        assert!(verify(&stored, challenge.as_bytes(), expected.as_bytes()));
        assert!(!verify(&stored, b"<other@challenge>", expected.as_bytes()));
    }

    #[test]
    fn agrees_with_published_digests() {
        // RFC 2195 §2: its example; the other is the second test case of RFC 2202.
        check(
            "tanstaaftanstaaf",
            "<1896.697170952@postoffice.reston.mci.net>",
            "b913a602c7eda7a495b4e6e7334d3890",
        );
        check("Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738");
    }

    #[test]
    fn hashes_a_key_longer_than_a_block() {
        // RFC 2104 §2: done by hand, the key is the digest of the password.
        let long = "p".repeat(BLOCK + 1);
        let mut key = [0_u8; BLOCK];
        key[..DIGEST].copy_from_slice(&Md5::digest(&long));
        let inner = Md5::new_with_prefix(key.map(|k| k ^ 0x36)).chain_update("<c@h>").finalize();
        let outer = Md5::new_with_prefix(key.map(|k| k ^ 0x5c)).chain_update(inner).finalize();
        check(&long, "<c@h>", &hex(&outer.0));
    }

    #[test]
    fn refuses_malformed_responses() {
        let digest = "b913a602c7eda7a495b4e6e7334d3890";
        assert_eq!(parse(format!("\"a b\"@x {digest}").as_bytes()).unwrap(), ("\"a b\"@x", digest));
        for bad in
            ["", " ", digest, &format!(" {digest}"), "tim b913", &format!("tim {}", digest.to_uppercase())]
        {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().kind(), ErrorKind::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn challenges_are_message_ids() {
        assert!(is_challenge(b"<1896.697170952@postoffice.reston.mci.net>"));
        for bad in [&b""[..], b"<>", b"1@h", b"<1@h", b"<1>", b"<1 2@h>", b"<a@b<c@d>>"] {
            assert!(!is_challenge(bad), "{bad:?}");
        }
    }
}
