//! [`JunkFlags`]: marks mail as junk or not by the mailbox it goes to.

use store::Flags;

/// Prefixes of mailbox names, in lower case. The first list with a prefix of the mailbox decides, in the order junk, neutral,
/// not junk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JunkFlags {
    /// Prefixes of mailboxes whose mail is marked as junk.
    pub junk: Vec<String>,
    /// Prefixes of mailboxes whose mail is not marked.
    pub neutral: Vec<String>,
    /// Prefixes of mailboxes whose mail is marked as not junk.
    pub not_junk: Vec<String>,
}

impl JunkFlags {
    /// The flag for mail that is delivered to this mailbox.
    pub fn of(&self, mailbox: &str) -> Flags {
        let mailbox = mailbox.to_lowercase();
        let lists =
            [(&self.junk, Flags::JUNK), (&self.neutral, Flags::default()), (&self.not_junk, Flags::NOT_JUNK)];
        let decides =
            |(list, _): &(&Vec<String>, Flags)| list.iter().any(|start| mailbox.starts_with(start.as_str()));
        lists.into_iter().find(decides).map(|(_, flag)| flag).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_list_that_matches_decides() {
        let list = |starts: &[&str]| starts.iter().map(ToString::to_string).collect();
        let usual = JunkFlags {
            junk: list(&["junk", "spam"]),
            neutral: list(&["inbox", "rejects"]),
            not_junk: list(&[""]),
        };
        for (mailbox, flag) in [
            ("Junk", Flags::JUNK),
            ("SPAM/2026", Flags::JUNK),
            ("Inbox", Flags::default()),
            ("Rejects", Flags::default()),
            ("Archive", Flags::NOT_JUNK),
            ("Not junk", Flags::NOT_JUNK),
        ] {
            assert_eq!(usual.of(mailbox), flag, "{mailbox}");
        }
        assert_eq!(JunkFlags::default().of("Junk"), Flags::default());
    }
}
