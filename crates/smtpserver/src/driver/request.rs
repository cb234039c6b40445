//! Request ids: the number of a connection, encrypted for outsiders.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;

use crate::client::RequestId;

/// Translates numbers of connections into request ids, and back.
///
/// Outsiders learn nothing from an id, and cannot forge one. It is 8 bytes of HMAC-SHA-256 over the number, then
/// the number, masked by 8 bytes of HMAC-SHA-256 over the first. (A synthetic initialisation vector, as in RFC 5297,
/// so that no randomness is needed and one number has one id.)
pub struct RequestKey {
    tag: hmac::Key,
    mask: hmac::Key,
}

impl RequestKey {
    /// The length of the random data that a key is made of.
    pub const BYTES: usize = 32;

    /// From random bytes, which are kept: ids in old headers and logs can be read as long as the key is the same.
    pub fn new(bytes: &[u8; Self::BYTES]) -> Self {
        let (tag, mask) = bytes.split_at(Self::BYTES / 2);
        Self { tag: hmac::Key::new(hmac::HMAC_SHA256, tag), mask: hmac::Key::new(hmac::HMAC_SHA256, mask) }
    }

    /// The id of connection `cid`.
    pub fn id(&self, cid: u64) -> RequestId {
        let tag = first(&hmac::sign(&self.tag, &cid.to_be_bytes()));
        let mask = first(&hmac::sign(&self.mask, &tag.to_be_bytes()));
        let mut text = [b'0'; RequestId::LEN];
        // Sixteen bytes are always 22 characters, all of which an id may have.
        let bytes = (u128::from(tag) << 64 | u128::from(cid ^ mask)).to_be_bytes();
        let written = BASE64.encode_slice(bytes, &mut text);
        debug_assert_eq!(written, Ok(RequestId::LEN));
        RequestId::new(text).unwrap_or_else(RequestId::zero)
    }

    /// The connection that `id` was made for; `None` where it is not an id of this key.
    pub fn cid(&self, id: &str) -> Option<u64> {
        let mut bytes = [0; 16];
        (BASE64.decode_slice(id, &mut bytes) == Ok(bytes.len())).then_some(())?;
        let whole = u128::from_be_bytes(bytes);
        let (tag, hidden) = ((whole >> 64) as u64, whole as u64);
        let cid = hidden ^ first(&hmac::sign(&self.mask, &tag.to_be_bytes()));
        (tag == first(&hmac::sign(&self.tag, &cid.to_be_bytes()))).then_some(cid)
    }
}

impl std::fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestKey(..)")
    }
}

/// The first eight bytes.
fn first(tag: &hmac::Tag) -> u64 {
    tag.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_numbers() {
        let key = RequestKey::new(&[7; RequestKey::BYTES]);
        for cid in [0, 1, 0x1_9000_0000_0000, u64::MAX] {
            let id = key.id(cid);
            assert_eq!((id.as_str().len(), key.cid(id.as_str())), (22, Some(cid)));
        }
    }

    #[test]
    fn refuses_ids_of_others() {
        let (ours, theirs) =
            (RequestKey::new(&[7; RequestKey::BYTES]), RequestKey::new(&[8; RequestKey::BYTES]));
        assert_eq!(ours.cid(theirs.id(1).as_str()), None);
        for id in ["", "0000000000000000000000", "short", "not base64 not base64 .", &"A".repeat(400)] {
            assert_eq!(ours.cid(id), None, "{id}");
        }
        assert_ne!(ours.id(1), ours.id(2));
    }
}
