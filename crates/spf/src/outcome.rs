//! The seven words of RFC 7208 §2.6, and the two identities of §2.3 and §2.4.

use std::fmt;
use std::str::FromStr;

/// The result of an evaluation; exhaustive, since RFC 7208 §2.6 closes the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There is no domain to check, or it publishes no record (§2.6.1).
    None,
    /// The domain asserts nothing about the address (§2.6.2); receivers treat it as none (§8.2).
    Neutral,
    /// The address is authorized (§2.6.3).
    Pass,
    /// The address is not authorized (§2.6.4).
    Fail,
    /// The address is probably not authorized (§2.6.5).
    SoftFail,
    /// A DNS query failed; a later try may succeed (§2.6.6).
    TempError,
    /// The published records cannot be interpreted (§2.6.7).
    PermError,
}

impl Outcome {
    /// Every outcome, in the order of RFC 7208 §2.6.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Neutral, Self::Pass, Self::Fail, Self::SoftFail, Self::TempError, Self::PermError];

    /// Returns the word of the RFC, as in header fields and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is none of RFC 7208 §2.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseOutcomeError(());

impl fmt::Display for ParseOutcomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an SPF result")
    }
}

impl std::error::Error for ParseOutcomeError {}

impl FromStr for Outcome {
    type Err = ParseOutcomeError;

    /// Reads the word in any case.
    fn from_str(text: &str) -> Result<Self, ParseOutcomeError> {
        Self::ALL
            .into_iter()
            .find(|word| word.as_str().eq_ignore_ascii_case(text))
            .ok_or(ParseOutcomeError(()))
    }
}

/// Whose domain was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The domain of MAIL FROM (RFC 7208 §2.4).
    MailFrom,
    /// The domain of HELO or EHLO (RFC 7208 §2.3).
    Helo,
}

impl Identity {
    /// Returns the word of RFC 7208 §9.1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MailFrom => "mailfrom",
            Self::Helo => "helo",
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.to_string().to_uppercase().parse(), Ok(outcome));
        }
        assert_eq!("hardfail".parse::<Outcome>(), Err(ParseOutcomeError(())));
    }
}
