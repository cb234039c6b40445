//! Printing a record in plain form, which parses back to the same record.

use super::{Directive, DualPrefix, Mechanism, Qualifier, Record};
use crate::DomainSpec;
use std::fmt;

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        for directive in &self.directives {
            write!(f, " {directive}")?;
        }
        if let Some(target) = &self.redirect {
            write!(f, " redirect={target}")?;
        }
        if let Some(target) = &self.explanation {
            write!(f, " exp={target}")?;
        }
        for modifier in &self.unknown {
            write!(f, " {}={}", modifier.name, modifier.value)?;
        }
        Ok(())
    }
}

impl fmt::Display for Directive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.qualifier, self.mechanism)
    }
}

impl fmt::Display for Qualifier {
    /// The sign; nothing for pass.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "",
            Self::Fail => "-",
            Self::SoftFail => "~",
            Self::Neutral => "?",
        })
    }
}

impl fmt::Display for Mechanism<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = |f: &mut fmt::Formatter<'_>, name: &str, target: &Option<DomainSpec<'_>>| match target
        {
            Some(target) => write!(f, "{name}:{target}"),
            None => f.write_str(name),
        };
        match self {
            Self::All => f.write_str("all"),
            Self::Include(target) => write!(f, "include:{target}"),
            Self::A { target, prefix } => {
                optional(f, "a", target)?;
                prefix.fmt(f)
            }
            Self::Mx { target, prefix } => {
                optional(f, "mx", target)?;
                prefix.fmt(f)
            }
            Self::Ptr(target) => optional(f, "ptr", target),
            Self::Ip4 { network, prefix: 32 } => write!(f, "ip4:{network}"),
            Self::Ip4 { network, prefix } => write!(f, "ip4:{network}/{prefix}"),
            Self::Ip6 { network, prefix: 128 } => write!(f, "ip6:{network}"),
            Self::Ip6 { network, prefix } => write!(f, "ip6:{network}/{prefix}"),
            Self::Exists(target) => write!(f, "exists:{target}"),
        }
    }
}

impl fmt::Display for DualPrefix {
    /// `/n`, `//n` or `/n//n`; nothing for whole addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 != Self::WHOLE.v4 {
            write!(f, "/{}", self.v4)?;
        }
        if self.v6 != Self::WHOLE.v6 {
            write!(f, "//{}", self.v6)?;
        }
        Ok(())
    }
}
