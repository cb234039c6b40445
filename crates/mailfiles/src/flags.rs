//! Flags and keywords of a message, in whatever kind of file.

use std::collections::BTreeSet;

/// How many keywords of one message are kept; further ones are dropped.
pub const MAX_KEYWORDS: usize = 100;
/// The longest keyword, in bytes; longer ones are dropped.
pub const MAX_KEYWORD: usize = 100;

/// A flag with a meaning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// `\Seen`
    Seen,
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `$Forwarded`
    Forwarded,
    /// `$Junk`
    Junk,
    /// `$NotJunk`
    NotJunk,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// `$Phishing`
    Phishing,
    /// `$MDNSent`
    MdnSent,
}

impl Flag {
    /// Every flag, in the order in which names are listed.
    pub const ALL: [Flag; 10] = [
        Flag::Seen,
        Flag::Answered,
        Flag::Flagged,
        Flag::Forwarded,
        Flag::Junk,
        Flag::NotJunk,
        Flag::Deleted,
        Flag::Draft,
        Flag::Phishing,
        Flag::MdnSent,
    ];

    /// The name for people and interfaces, such as `seen`.
    pub fn name(self) -> &'static str {
        match self {
            Flag::Seen => "seen",
            Flag::Answered => "answered",
            Flag::Flagged => "flagged",
            Flag::Forwarded => "forwarded",
            Flag::Junk => "junk",
            Flag::NotJunk => "notjunk",
            Flag::Deleted => "deleted",
            Flag::Draft => "draft",
            Flag::Phishing => "phishing",
            Flag::MdnSent => "mdnsent",
        }
    }

    /// The flag of this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.name() == name)
    }

    /// The keyword that means the same. None if IMAP has a system flag for it (RFC 9051 §2.3.2).
    pub(crate) fn keyword(self) -> Option<&'static str> {
        match self {
            Flag::Forwarded => Some("$Forwarded"),
            Flag::Junk => Some("$Junk"),
            Flag::NotJunk => Some("$NotJunk"),
            Flag::Phishing => Some("$Phishing"),
            Flag::MdnSent => Some("$MDNSent"),
            _ => None,
        }
    }

    /// The flag that a keyword stands for: in any case, with or without `$`, and with the older `NonJunk`.
    fn from_keyword(word: &str) -> Option<Self> {
        let word = word.strip_prefix('$').unwrap_or(word);
        if word.eq_ignore_ascii_case("nonjunk") {
            return Some(Flag::NotJunk);
        }
        let is = |flag: &Flag| {
            flag.keyword().is_some_and(|known| known.trim_start_matches('$').eq_ignore_ascii_case(word))
        };
        Self::ALL.into_iter().find(is)
    }
}

/// The flags and keywords of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// Flags with a meaning of their own.
    pub known: BTreeSet<Flag>,
    /// Other keywords, as they are written. [`Flags::add_keyword`] keeps the limits.
    pub keywords: BTreeSet<String>,
}

impl Flags {
    /// Adds a keyword, or the flag that it stands for. Drops a word that is no keyword in IMAP.
    pub fn add_keyword(&mut self, word: &str) {
        if let Some(flag) = Flag::from_keyword(word) {
            self.known.insert(flag);
        } else if is_keyword(word) && self.keywords.len() < MAX_KEYWORDS {
            self.keywords.insert(word.to_owned());
        }
    }

    /// The keywords, and those that stand for flags for which `written` says no.
    pub(crate) fn keywords_and(&self, written: impl Fn(Flag) -> bool) -> impl Iterator<Item = &str> {
        let flags = self.known.iter().filter(move |flag| !written(**flag));
        flags.filter_map(|flag| flag.keyword()).chain(self.keywords.iter().map(String::as_str))
    }
}

/// RFC 9051 §9: a keyword is an atom.
fn is_keyword(word: &str) -> bool {
    let atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    !word.is_empty() && word.len() <= MAX_KEYWORD && word.bytes().all(atom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_become_flags_or_stay() {
        let mut flags = Flags::default();
        for word in ["$Forwarded", "junk", "NonJunk", "$MDNSent", "$label1", "a b", "x\"", "", "seen"] {
            flags.add_keyword(word);
        }
        assert_eq!(
            flags.known.iter().map(|flag| flag.name()).collect::<Vec<_>>(),
            ["forwarded", "junk", "notjunk", "mdnsent"]
        );
        assert_eq!(flags.keywords.iter().map(String::as_str).collect::<Vec<_>>(), ["$label1", "seen"]);
    }

    #[test]
    fn keywords_are_bounded() {
        let mut flags = Flags::default();
        flags.add_keyword(&"x".repeat(MAX_KEYWORD + 1));
        (0..MAX_KEYWORDS + 5).for_each(|n| flags.add_keyword(&format!("k{n}")));
        assert_eq!(flags.keywords.len(), MAX_KEYWORDS);
    }

    #[test]
    fn names_are_read_back() {
        assert!(Flag::ALL.into_iter().all(|flag| Flag::from_name(flag.name()) == Some(flag)));
        assert_eq!(Flag::from_name("Seen"), None);
    }
}
