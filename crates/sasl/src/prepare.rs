//! Normalisation of names and passwords, the same for all mechanisms.
//!
//! Keyboards, operating systems and mail programs encode "é" in different ways. Both sides normalise every name and
//! password before they store, compare or hash it, so that it works with all of them.

use std::fmt;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// Most bytes of a user name, as it comes and as it is composed: an address of 64 + 1 + 255 bytes, with room for what
/// normalisation composes. RFC 4616 §2 demands at least 255.
pub const MAX_NAME: usize = 512;

/// Most bytes of a password, as it comes and as it is prepared. RFC 4616 §2 demands at least 255.
pub const MAX_PASSWORD: usize = 1024;

/// Fewest characters of a new password.
pub const MIN_NEW_PASSWORD: usize = 8;

/// The form of a user name in which it is looked up: composed (NFC), case kept.
///
/// A user name is a mail address here, whose domain decides whether case matters. Its local part may be quoted and contain
/// what a PRECIS user name must not, such as a space, so only control characters are refused.
///
/// # Errors
/// [`ErrorKind::Unprepared`] where it is empty or has control characters, [`ErrorKind::TooLong`].
pub fn username(text: &str) -> Result<String, Error> {
    let too_long = || Error::new(ErrorKind::TooLong, "user name too long");
    // Bound the work of composing before it starts.
    if text.len() > MAX_NAME {
        return Err(too_long());
    }
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::new(ErrorKind::Unprepared, "user name empty or with control characters"));
    }
    let composed: String = text.nfc().collect();
    // Some characters become longer: NFC never has those that Unicode excludes from composition (UAX #15 §5).
    if composed.len() > MAX_NAME { Err(too_long()) } else { Ok(composed) }
}

/// A normalised password. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The PRECIS OpaqueString of `text`: composed (NFC), with every kind of space replaced by U+0020.
    ///
    /// # Errors
    /// [`ErrorKind::Unprepared`] where it is empty or has characters that may not be typed the same everywhere (control
    /// characters, unassigned code points); [`ErrorKind::TooLong`].
    pub fn new(text: &str) -> Result<Self, Error> {
        let too_long = || Error::new(ErrorKind::TooLong, "password too long");
        if text.len() > MAX_PASSWORD {
            return Err(too_long());
        }
        // RFC 8265 §4.2.2: OpaqueString maps spaces and applies NFC; it takes the place of SASLprep in all mechanisms.
        match OpaqueString::enforce(text).map(|prepared| Zeroizing::new(prepared.into_owned())) {
            // A client sends it in this form, which is longer where a character has to be written as two.
            Ok(prepared) if prepared.len() > MAX_PASSWORD => Err(too_long()),
            Ok(prepared) => Ok(Self(prepared)),
            Err(_) => Err(Error::new(
                ErrorKind::Unprepared,
                "the password is empty or has characters that no password may have (RFC 8265)",
            )),
        }
    }

    /// A password for a new account or a change: as [`Password::new`], and at least [`MIN_NEW_PASSWORD`] characters.
    ///
    /// # Errors
    /// As [`Password::new`], and [`ErrorKind::TooShort`].
    pub fn chosen(text: &str) -> Result<Self, Error> {
        let password = Self::new(text)?;
        if password.as_str().chars().count() < MIN_NEW_PASSWORD {
            return Err(Error::new(ErrorKind::TooShort, "password shorter than 8 characters"));
        }
        Ok(password)
    }

    /// The password itself, to be hashed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Result<&str, &str>) {
        let got = Password::new(input);
        let got = got.as_ref().map(Password::as_str).map_err(|e| e.kind().token());
        assert_eq!(got, expected);
    }

    #[test]
    fn passwords_have_one_form() {
        check("pencil", Ok("pencil"));
        check("I Love\u{a0}Spaces\u{3000}!", Ok("I Love Spaces !"));
        check("caf\u{65}\u{301}", Ok("café"));
        check("🐒 monkey", Ok("🐒 monkey"));
        check("Groß", Ok("Groß"));
    }

    #[test]
    fn refuses_passwords_that_cannot_be_typed_again() {
        check("", Err("sasl.unprepared"));
        check("tab\tbed", Err("sasl.unprepared"));
        check("nul\0", Err("sasl.unprepared"));
        check(&"x".repeat(MAX_PASSWORD + 1), Err("sasl.too-long"));
        assert_eq!(Password::chosen("2short").map(drop).unwrap_err().kind(), ErrorKind::TooShort);
        assert!(Password::chosen("moxmoxmox").is_ok());
    }

    #[test]
    fn names_are_composed_and_keep_their_case() {
        assert_eq!(username("Jose\u{301}@Example.org").unwrap(), "José@Example.org");
        assert_eq!(username("\"a b\"@example.org").unwrap(), "\"a b\"@example.org");
        for bad in ["", "a\0b", "a\nb", "a\u{85}b"] {
            assert_eq!(username(bad).unwrap_err().kind(), ErrorKind::Unprepared, "{bad:?}");
        }
    }

    #[test]
    fn what_grows_when_it_is_composed_is_measured_afterwards() {
        // U+0344 is two bytes, and four in NFC; U+0958 is three, and six.
        for (grows, most) in [("\u{344}", MAX_NAME / 4), ("\u{958}", MAX_NAME / 6)] {
            let composed = username(&grows.repeat(most)).unwrap();
            assert_eq!(username(&composed).unwrap(), composed, "what is accepted has its form");
            assert_eq!(username(&grows.repeat(most + 1)).unwrap_err().kind(), ErrorKind::TooLong);
        }
        let most = MAX_PASSWORD / 6;
        let prepared = Password::new(&"\u{958}".repeat(most)).unwrap();
        check(prepared.as_str(), Ok(prepared.as_str()));
        check(&"\u{958}".repeat(most + 1), Err("sasl.too-long"));
    }

    #[test]
    fn debug_does_not_show_the_password() {
        assert_eq!(format!("{:?}", Password::new("pencil").unwrap()), "Password(..)");
    }
}
