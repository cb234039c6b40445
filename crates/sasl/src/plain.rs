//! PLAIN (RFC 4616): one message with name and password.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::hash::Secret;

/// The fields of a PLAIN message, as the client sent them.
pub(crate) struct Message<'a> {
    pub(crate) authzid: &'a str,
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
}

/// Reads `[authzid] NUL username NUL password`.
pub(crate) fn parse(message: &[u8]) -> Result<Message<'_>, Error> {
    let text =
        std::str::from_utf8(message).map_err(|_| Error::new(ErrorKind::Encoding, "PLAIN is not UTF-8"))?;
    let mut fields = text.split('\0');
    // RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd, and no NUL in any of them.
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(authzid), Some(username), Some(password), None)
            if !username.is_empty() && !password.is_empty() =>
        {
            Ok(Message { authzid, username, password })
        }
        _ => Err(Error::new(
            ErrorKind::Malformed,
            "PLAIN needs an authorization name, a user name and a password",
        )),
    }
}

/// Writes the message of a client that acts as itself.
pub(crate) fn print(username: &str, password: &str) -> Secret {
    Zeroizing::new(["", username, password].join("\0").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &[u8], expected: Result<[&str; 3], &str>) {
        let got = parse(message).map(|m| [m.authzid, m.username, m.password]).map_err(|e| e.kind().token());
        assert_eq!(got, expected);
    }

    #[test]
    fn accepts_two_nuls_exactly() {
        check(b"\0tim\0tanstaaftanstaaf", Ok(["", "tim", "tanstaaftanstaaf"]));
        check(b"Ursel\0Kurt\0xipj3plmq", Ok(["Ursel", "Kurt", "xipj3plmq"]));
        for bad in [
            &b""[..],
            b"\0",
            b"tim\0pass",
            b"\0\0",
            b"\0tim\0",
            b"\0\0pass",
            b"\0tim\0pass\0",
            b"\0\0tim\0pass",
        ] {
            check(bad, Err("sasl.malformed"));
        }
        check(b"\0tim\0\xff", Err("sasl.bad-encoding"));
    }

    #[test]
    fn round_trips_what_a_client_writes() {
        check(&print("tim", "tanstaaf"), Ok(["", "tim", "tanstaaf"]));
    }
}
