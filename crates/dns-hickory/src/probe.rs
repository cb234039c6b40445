//! [`Finding`]: can answers of these servers be validated?

use dns::LookupErrorKind;
use std::fmt;

/// The result of probing the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Signatures arrive and lead to the trust anchor: answers are validated.
    Validating,
    /// Validation is switched off by option.
    SwitchedOff,
    /// The keys at the trust anchor arrive without signatures, or do not arrive.
    SignaturesStripped,
    /// Keys are signed, but denials arrive without their proof (NSEC).
    DenialsStripped,
    /// Keys arrive with signatures that do not lead to the trust anchor: a forgery, a wrong clock or an old anchor.
    NotTrusted,
    /// The servers do not answer.
    Unreachable(LookupErrorKind),
}

impl Finding {
    /// The stable token of this finding.
    pub fn token(self) -> &'static str {
        match self {
            Self::Validating => "dns-hickory.validating",
            Self::SwitchedOff => "dns-hickory.validation-switched-off",
            Self::SignaturesStripped => "dns-hickory.signatures-stripped",
            Self::DenialsStripped => "dns-hickory.denials-stripped",
            Self::NotTrusted => "dns-hickory.not-trusted",
            Self::Unreachable(_) => "dns-hickory.unreachable",
        }
    }

    /// Should the operator be warned?
    pub fn is_warning(self) -> bool {
        !matches!(self, Self::Validating | Self::SwitchedOff)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Validating => f.write_str("DNS answers are validated with DNSSEC"),
            Self::SwitchedOff => f.write_str("DNSSEC validation is switched off"),
            Self::SignaturesStripped => f.write_str(
                "the DNS servers do not pass DNSSEC signatures on, so no answer can be validated (use a resolver that \
                 does, such as unbound on this machine)",
            ),
            Self::DenialsStripped => f.write_str(
                "the DNS servers do not pass on what proves absence (NSEC), so no answer can be validated (use a \
                 resolver that does, such as unbound on this machine)",
            ),
            Self::NotTrusted => f.write_str(
                "the keys that the DNS servers give for the root do not lead to the built-in trust anchor (is the clock \
                 right? is DNS forged?)",
            ),
            Self::Unreachable(kind) => {
                write!(f, "the DNS servers do not answer ({})", kind.token())
            }
        }
    }
}
