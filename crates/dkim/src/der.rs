//! The part of DER (X.690) that public keys need.

/// Reads elements one after another. DER has definite lengths only.
pub(crate) struct Reader<'a>(&'a [u8]);

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT_ID: u8 = 0x06;

/// 1.2.840.113549.1.1.1, rsaEncryption (RFC 8017 §A.1).
pub(crate) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.3.101.112, id-Ed25519 (RFC 8410 §3).
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads the content of the next element, if it has this tag.
    pub(crate) fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        if *found != tag {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            length @ 0..=0x7f => (usize::from(*length), rest),
            // A length in more than four bytes belongs to no key.
            count @ 0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(count & 0x7f))?;
                let length = bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// Reads a positive INTEGER: big-endian bytes without leading zeros.
    pub(crate) fn positive(&mut self) -> Option<&'a [u8]> {
        let content = self.element(INTEGER)?;
        if content.first()? & 0x80 != 0 {
            return None;
        }
        let zeros = content.iter().take_while(|byte| **byte == 0).count();
        content.get(zeros..).filter(|digits| !digits.is_empty())
    }

    /// Reads a BIT STRING of whole bytes.
    pub(crate) fn bits(&mut self) -> Option<&'a [u8]> {
        self.element(BIT_STRING)?.strip_prefix(&[0])
    }

    /// Whether everything was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads the algorithm and the key bits of a SubjectPublicKeyInfo (RFC 5280 §4.1).
pub(crate) fn subject_public_key(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Reader::new(bytes);
    let mut info = Reader::new(outer.element(SEQUENCE)?);
    let mut algorithm = Reader::new(info.element(SEQUENCE)?);
    // The parameters of these two algorithms are NULL or absent.
    let id = algorithm.element(OBJECT_ID)?;
    let key = info.bits()?;
    (outer.is_empty() && info.is_empty()).then_some((id, key))
}

/// Reads modulus and exponent of an RSAPublicKey (RFC 8017 §A.1.1).
pub(crate) fn rsa_public_key(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Reader::new(bytes);
    let mut key = Reader::new(outer.element(SEQUENCE)?);
    let parts = (key.positive()?, key.positive()?);
    (outer.is_empty() && key.is_empty()).then_some(parts)
}

/// Wraps an RSAPublicKey in a SubjectPublicKeyInfo, the form that key records have.
pub(crate) fn wrap_rsa(public_key: &[u8]) -> Vec<u8> {
    let algorithm = encode(SEQUENCE, &[&encode(OBJECT_ID, &[RSA]), &encode(0x05, &[])]);
    encode(SEQUENCE, &[&algorithm, &encode(BIT_STRING, &[&[0], public_key])])
}

fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let digits = bytes.get(zeros..).unwrap_or_default();
            // The length has at most eight bytes, so the count fits beside the high bit.
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
            out.extend_from_slice(digits);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_der() {
        for bytes in [
            &b""[..],
            &[0x30],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x05, 1],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x31, 0],
        ] {
            assert_eq!(Reader::new(bytes).element(SEQUENCE), None, "{bytes:?}");
        }
        assert_eq!(Reader::new(&[INTEGER, 1, 0x80]).positive(), None, "negative");
        assert_eq!(Reader::new(&[INTEGER, 1, 0]).positive(), None, "zero");
        assert_eq!(Reader::new(&[BIT_STRING, 2, 1, 0xfe]).bits(), None, "seven bits");
    }

    #[test]
    fn what_is_wrapped_is_unwrapped() {
        for length in [1, 100, 140, 300, 70_000] {
            let key = vec![7; length];
            assert_eq!(subject_public_key(&wrap_rsa(&key)), Some((RSA, key.as_slice())));
        }
    }
}
