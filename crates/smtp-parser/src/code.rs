//! Reply codes and enhanced status codes.

use crate::{SyntaxError, SyntaxErrorKind};
use std::fmt;
use std::str::FromStr;

/// A reply code of three digits (RFC 5321 §4.2): any from 200 to 599, with names for those SMTP gives a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u16);

impl Code {
    /// RFC 5321 §4.2.2: help message.
    pub const HELP: Self = Self(214);
    /// RFC 5321 §4.2.2: service ready.
    pub const READY: Self = Self(220);
    /// RFC 5321 §4.2.2: closing.
    pub const CLOSING: Self = Self(221);
    /// RFC 4954 §6: authenticated.
    pub const AUTHENTICATED: Self = Self(235);
    /// RFC 5321 §4.2.2: done.
    pub const OK: Self = Self(250);
    /// RFC 5321 §4.2.2: accepted without verification.
    pub const CANNOT_VERIFY: Self = Self(252);
    /// RFC 4954 §4: a challenge follows.
    pub const CHALLENGE: Self = Self(334);
    /// RFC 5321 §4.2.2: send the message.
    pub const START_INPUT: Self = Self(354);
    /// RFC 5321 §4.2.2: service not available, connection closes.
    pub const UNAVAILABLE: Self = Self(421);
    /// RFC 4954 §6: a password transition is needed.
    pub const PASSWORD_TRANSITION: Self = Self(432);
    /// RFC 5321 §4.2.2: mailbox unavailable for now.
    pub const MAILBOX_BUSY: Self = Self(450);
    /// RFC 5321 §4.2.2: local error.
    pub const LOCAL_ERROR: Self = Self(451);
    /// RFC 5321 §4.2.2: insufficient storage, or too many recipients.
    pub const INSUFFICIENT_STORAGE: Self = Self(452);
    /// RFC 4954 §6: temporary authentication failure.
    pub const TEMPORARY_AUTH_FAILURE: Self = Self(454);
    /// RFC 5321 §4.2.2: parameters cannot be accommodated.
    pub const CANNOT_ACCOMMODATE: Self = Self(455);
    /// RFC 5321 §4.2.2: unrecognised command, or line too long.
    pub const BAD_COMMAND: Self = Self(500);
    /// RFC 5321 §4.2.2: syntax error in arguments.
    pub const BAD_ARGUMENTS: Self = Self(501);
    /// RFC 5321 §4.2.2: command not implemented.
    pub const NOT_IMPLEMENTED: Self = Self(502);
    /// RFC 5321 §4.2.2: bad sequence of commands.
    pub const BAD_SEQUENCE: Self = Self(503);
    /// RFC 5321 §4.2.2: parameter not implemented.
    pub const PARAMETER_NOT_IMPLEMENTED: Self = Self(504);
    /// RFC 7504 §3: the host accepts no mail.
    pub const NO_MAIL: Self = Self(521);
    /// RFC 8689 §4.2: the requirement of TLS cannot be kept here.
    pub const TLS_REQUIRED_BUT_ABSENT: Self = Self(523);
    /// RFC 5248 §2.4: the account is disabled.
    pub const ACCOUNT_DISABLED: Self = Self(525);
    /// RFC 4954 §6: authentication required.
    pub const AUTH_REQUIRED: Self = Self(530);
    /// RFC 4954 §6: authentication mechanism too weak.
    pub const MECHANISM_TOO_WEAK: Self = Self(534);
    /// RFC 4954 §6: credentials invalid.
    pub const BAD_CREDENTIALS: Self = Self(535);
    /// RFC 4954 §6: encryption required for the mechanism.
    pub const ENCRYPTION_REQUIRED: Self = Self(538);
    /// RFC 5321 §4.2.2: mailbox unavailable.
    pub const MAILBOX_UNAVAILABLE: Self = Self(550);
    /// RFC 5321 §4.2.2: user not local.
    pub const NOT_LOCAL: Self = Self(551);
    /// RFC 5321 §4.2.2: storage allocation exceeded.
    pub const TOO_LARGE: Self = Self(552);
    /// RFC 5321 §4.2.2: mailbox name not allowed.
    pub const BAD_MAILBOX: Self = Self(553);
    /// RFC 5321 §4.2.2: transaction failed.
    pub const FAILED: Self = Self(554);
    /// RFC 5321 §4.2.2: parameters not recognised.
    pub const PARAMETER_NOT_RECOGNISED: Self = Self(555);
    /// RFC 7504 §4: the domain accepts no mail.
    pub const DOMAIN_ACCEPTS_NO_MAIL: Self = Self(556);

    /// The code of this number, if it is from 200 to 599.
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 200 && number <= 599 { Some(Self(number)) } else { None }
    }

    /// The three digits as a number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The first digit: 2 done, 3 go on, 4 failed for now, 5 failed (RFC 5321 §4.2.1).
    pub const fn class(self) -> u8 {
        (self.0 / 100) as u8
    }

    /// 2xx: what was asked is done.
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// 4xx: trying again later may help.
    pub const fn is_temporary(self) -> bool {
        self.class() == 4
    }

    /// 5xx: trying the same again will not help.
    pub const fn is_permanent(self) -> bool {
        self.class() == 5
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.0)
    }
}

/// An enhanced status code such as `5.1.1` (RFC 3463 §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// RFC 3463 §2: subject and detail have up to three digits.
    const MAX_PART: u16 = 999;

    /// `2.subject.detail`. Subject and detail over 999 are taken as 999, here and below.
    pub const fn success(subject: u16, detail: u16) -> Self {
        Self::of(2, subject, detail)
    }

    /// `4.subject.detail`: failed for now.
    pub const fn temporary(subject: u16, detail: u16) -> Self {
        Self::of(4, subject, detail)
    }

    /// `5.subject.detail`: failed for good.
    pub const fn permanent(subject: u16, detail: u16) -> Self {
        Self::of(5, subject, detail)
    }

    /// The enhanced code that goes with `code`: its class is the first digit of the code.
    /// None for 3xx, which has no enhanced code (RFC 2034 §4).
    pub const fn for_code(code: Code, subject: u16, detail: u16) -> Option<Self> {
        match code.class() {
            3 => None,
            class => Some(Self::of(class, subject, detail)),
        }
    }

    const fn of(class: u8, subject: u16, detail: u16) -> Self {
        let max = Self::MAX_PART;
        Self {
            class,
            subject: if subject > max { max } else { subject },
            detail: if detail > max { max } else { detail },
        }
    }

    /// The first number: 2 success, 4 temporary failure, 5 permanent failure (RFC 3463 §2).
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The second number: the subject (RFC 3463 §3).
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number: the detail within the subject (RFC 3463 §3).
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnhancedCode({self})")
    }
}

impl FromStr for EnhancedCode {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let part = |digits: &str| {
            // RFC 3463 §2: subject = 1*3DIGIT, without leading zeros that change nothing.
            let plain = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
            let number = digits.parse::<u16>().ok()?;
            (plain && (digits.len() == 1 || !digits.starts_with('0'))).then_some(number)
        };
        let read = || {
            let (class, rest) = text.split_once('.')?;
            let (subject, detail) = rest.split_once('.')?;
            let class = part(class).filter(|class| [2, 4, 5].contains(class))?;
            Some(Self::of(u8::try_from(class).ok()?, part(subject)?, part(detail)?))
        };
        read().ok_or_else(|| SyntaxError::new(None, SyntaxErrorKind::BadEnhancedCode, 0, text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_from_200_to_599() {
        assert_eq!(Code::new(250), Some(Code::OK));
        assert_eq!([199, 600, 0, u16::MAX].map(Code::new), [None; 4]);
        assert!(Code::new(299).is_some_and(Code::is_success));
        assert!(Code::new(400).is_some_and(Code::is_temporary));
        assert!(Code::new(599).is_some_and(Code::is_permanent));
    }

    #[track_caller]
    fn accepts(text: &str) {
        assert_eq!(text.parse::<EnhancedCode>().unwrap().to_string(), text);
    }

    #[test]
    fn accepts_enhanced_codes() {
        accepts("2.0.0");
        accepts("4.7.0");
        accepts("5.999.999");
    }

    #[test]
    fn refuses_what_is_no_enhanced_code() {
        for text in
            ["", "5", "5.1", "5.1.1.1", "3.0.0", "5.1000.0", "5.01.0", "5.1.+1", "5.1.", " 5.1.1", "55.1.1"]
        {
            assert!(text.parse::<EnhancedCode>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_class_follows_the_code() {
        let of = |code| EnhancedCode::for_code(code, 1, 2).map(|enhanced| enhanced.to_string());
        assert_eq!(of(Code::OK).as_deref(), Some("2.1.2"));
        assert_eq!(of(Code::LOCAL_ERROR).as_deref(), Some("4.1.2"));
        assert_eq!(of(Code::START_INPUT), None);
        assert_eq!(EnhancedCode::permanent(1000, 4).to_string(), "5.999.4");
    }
}
