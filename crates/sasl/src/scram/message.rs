//! The grammar of SCRAM (RFC 5802 §7), read and written.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::error::{Error, ErrorKind};
use crate::nonce;

/// Most extensions in one message. None is defined; they are skipped.
const MAX_EXTENSIONS: usize = 16;

const fn malformed(detail: &'static str) -> Error {
    Error::new(ErrorKind::Malformed, detail)
}

/// The bytes as text.
pub(crate) fn text(message: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(message).map_err(|_| Error::new(ErrorKind::Encoding, "SCRAM message is not UTF-8"))
}

/// What the client says about channel binding (gs2-cbind-flag).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag<'a> {
    /// `n`: the client cannot bind.
    No,
    /// `y`: the client could bind, but believes that the server cannot.
    CouldHave,
    /// `p=name`: the exchange is bound to this.
    Bound(&'a str),
}

/// The first message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst<'a> {
    pub(crate) flag: Flag<'a>,
    /// Everything up to and including the second comma, which the client repeats in the channel binding.
    pub(crate) gs2_header: &'a str,
    /// The user that the client wants to act as, unescaped; absent if it is itself.
    pub(crate) authzid: Option<String>,
    /// Unescaped, not normalised.
    pub(crate) username: String,
    pub(crate) nonce: &'a str,
    /// What follows the gs2 header: the client's part of the signed message.
    pub(crate) bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(message: &'a str) -> Result<Self, Error> {
        // RFC 5802 §7: gs2-header = gs2-cbind-flag "," [ authzid ] ","
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("SCRAM message without gs2 header"));
        };
        let flag = match flag {
            "n" => Flag::No,
            "y" => Flag::CouldHave,
            _ => Flag::Bound(
                flag.strip_prefix("p=")
                    .filter(|name| is_binding_name(name))
                    .ok_or(malformed("SCRAM flag for channel binding is none of n, y and p"))?,
            ),
        };
        let authzid = match authzid {
            "" => None,
            given => {
                Some(unescape(given.strip_prefix("a=").ok_or(malformed("SCRAM gs2 header has no a="))?)?)
            }
        };
        // `bare` is the end of `message`, so the subtraction is its start.
        let gs2_header = message.get(..message.len() - bare.len()).unwrap_or_default();

        let mut attributes = Attributes::of(bare)?;
        let username = unescape(attributes.take('n')?)?;
        let nonce = attributes.take('r')?;
        nonce::check(nonce)?;
        attributes.skip_rest()?;
        Ok(Self { flag, gs2_header, authzid, username, nonce, bare })
    }
}

/// RFC 5802 §7: cb-name = 1*(ALPHA / DIGIT / "." / "-").
fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// The first message of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerFirst<'a> {
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: NonZeroU32,
}

impl<'a> ServerFirst<'a> {
    pub(crate) fn parse(message: &'a str) -> Result<Self, Error> {
        let mut attributes = Attributes::of(message)?;
        let nonce = attributes.take('r')?;
        nonce::check(nonce)?;
        let salt = base64(attributes.take('s')?)?;
        // RFC 5802 §7: iteration-count = "i=" posit-number, which does not start with a zero.
        let count = attributes.take('i')?;
        let digits = !count.starts_with('0') && count.bytes().all(|b| b.is_ascii_digit());
        let iterations = count
            .parse()
            .ok()
            .filter(|_| digits)
            .ok_or(malformed("SCRAM iteration count is not a number"))?;
        attributes.skip_rest()?;
        Ok(Self { nonce, salt, iterations })
    }

    /// `client_nonce` and `server_nonce` make the nonce together.
    pub(crate) fn print(
        client_nonce: &str,
        server_nonce: &str,
        salt: &[u8],
        iterations: NonZeroU32,
    ) -> String {
        format!("r={client_nonce}{server_nonce},s={},i={iterations}", BASE64.encode(salt))
    }
}

/// The second message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFinal<'a> {
    /// The gs2 header again, and the bytes of the channel binding.
    pub(crate) binding: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: Vec<u8>,
    /// The part before the proof, which is signed.
    pub(crate) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a str) -> Result<Self, Error> {
        // RFC 5802 §7: the proof is the last attribute.
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(malformed("SCRAM message does not end with a proof"))?;
        let mut attributes = Attributes::of(without_proof)?;
        let binding = base64(attributes.take('c')?)?;
        let nonce = attributes.take('r')?;
        attributes.skip_rest()?;
        Ok(Self { binding, nonce, proof: base64(proof)?, without_proof })
    }

    pub(crate) fn print_without_proof(gs2_header: &str, binding: &[u8], nonce: &str) -> String {
        format!("c={},r={nonce}", BASE64.encode([gs2_header.as_bytes(), binding].concat()))
    }

    pub(crate) fn print(without_proof: &str, proof: &[u8]) -> String {
        format!("{without_proof},p={}", BASE64.encode(proof))
    }
}

/// The last message of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ServerFinal {
    /// `v=`: the signature.
    Signature(Vec<u8>),
    /// `e=`: the server refuses.
    Refused,
}

impl ServerFinal {
    pub(crate) fn parse(message: &str) -> Result<Self, Error> {
        let mut attributes = Attributes::of(message)?;
        let (name, value) = attributes.next_attribute()?;
        let parsed = match name {
            'v' => Self::Signature(base64(value)?),
            'e' if !value.is_empty() => Self::Refused,
            _ => return Err(malformed("SCRAM message of the server is neither v= nor e=")),
        };
        attributes.skip_rest()?;
        Ok(parsed)
    }

    pub(crate) fn print_signature(signature: &[u8]) -> String {
        format!("v={}", BASE64.encode(signature))
    }
}

/// Escapes a user name for a message.
pub(crate) fn escape(name: &str) -> String {
    // RFC 5802 §5.1: "," and "=" are sent as "=2C" and "=3D".
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape(name: &str) -> Result<String, Error> {
    let mut pieces = name.split('=');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // RFC 5802 §5.1: the server must fail on "=" not followed by 2C or 3D.
        let (character, rest) = match piece.split_at_checked(2) {
            Some(("2C", rest)) => (',', rest),
            Some(("3D", rest)) => ('=', rest),
            _ => return Err(malformed("SCRAM name with = that is neither =2C nor =3D")),
        };
        out.push(character);
        out.push_str(rest);
    }
    if out.is_empty() {
        return Err(malformed("SCRAM name is empty"));
    }
    Ok(out)
}

fn base64(value: &str) -> Result<Vec<u8>, Error> {
    BASE64.decode(value).map_err(|_| Error::new(ErrorKind::Encoding, "SCRAM attribute is not base64"))
}

/// The attributes of one message, front to back.
struct Attributes<'a> {
    rest: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn of(message: &'a str) -> Result<Self, Error> {
        // RFC 5802 §5.1: "m=" is reserved for mandatory extensions; none is known, so its presence ends the exchange.
        if message.starts_with("m=") {
            return Err(Error::new(ErrorKind::Extension, "SCRAM extension that is mandatory and not known"));
        }
        Ok(Self { rest: Some(message) })
    }

    fn next_attribute(&mut self) -> Result<(char, &'a str), Error> {
        let rest = self.rest.ok_or(malformed("SCRAM message lacks an attribute"))?;
        let (attribute, rest) = match rest.split_once(',') {
            Some((attribute, rest)) => (attribute, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        // RFC 5802 §7: attr-val = ALPHA "=" value, and a value has no NUL.
        let (name, value) = attribute.split_once('=').ok_or(malformed("SCRAM attribute without ="))?;
        let mut letters = name.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if letter.is_ascii_alphabetic() && !value.contains('\0') => {
                Ok((letter, value))
            }
            _ => Err(malformed("SCRAM attribute name is not one letter")),
        }
    }

    /// The value of the next attribute, which must be `name`: their order is fixed, their case counts (RFC 5802 §5).
    fn take(&mut self, name: char) -> Result<&'a str, Error> {
        match self.next_attribute()? {
            (found, value) if found == name => Ok(value),
            _ => Err(malformed("SCRAM attributes out of order")),
        }
    }

    /// Skips optional extensions.
    fn skip_rest(mut self) -> Result<(), Error> {
        let mut seen = 0;
        while self.rest.is_some() {
            let (_, value) = self.next_attribute()?;
            seen += 1;
            if value.is_empty() || seen > MAX_EXTENSIONS {
                return Err(malformed("SCRAM extensions are empty or too many"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
