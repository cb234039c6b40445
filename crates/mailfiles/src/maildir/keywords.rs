//! `dovecot-keywords`: the keywords of a folder. In the names of its messages, a letter stands for each of them.

use super::LETTERS;
use crate::flags::{Flags, MAX_KEYWORD};

/// The name of the file, in the folder that has `cur`.
pub const KEYWORDS_FILE: &str = "dovecot-keywords";
/// The largest file of keywords that is read, in bytes.
pub const MAX_KEYWORDS_FILE: u64 = 64 * 1024;

/// How many letters there are from `a` to `z`.
const COUNT: usize = 26;

/// The keywords of a folder, each with its letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keywords([Option<String>; COUNT]);

impl Keywords {
    /// Reads the file: a number from 0 and a keyword on each line. Ignores other lines.
    pub fn parse(file: &[u8]) -> Self {
        let mut keywords = Self::default();
        for line in String::from_utf8_lossy(file).lines() {
            let Some((number, word)) = line.split_once(' ') else { continue };
            let slot = number.parse::<usize>().ok().and_then(|number| keywords.0.get_mut(number));
            if let Some(slot) = slot
                && word.len() <= MAX_KEYWORD
            {
                *slot = Some(word.trim_end().to_owned());
            }
        }
        keywords
    }

    /// The keyword that a letter stands for.
    pub(super) fn word(&self, letter: char) -> Option<&str> {
        let number = u32::from(letter).checked_sub(u32::from('a'))?;
        self.0.get(usize::try_from(number).ok()?)?.as_deref()
    }

    /// The letter of a keyword. A new keyword gets one; None if all letters are taken.
    pub(super) fn letter(&mut self, word: &str) -> Option<char> {
        let known = self.0.iter().position(|known| known.as_deref() == Some(word));
        let number = known.or_else(|| self.0.iter().position(Option::is_none))?;
        let slot = self.0.get_mut(number)?;
        slot.get_or_insert_with(|| word.to_owned());
        ('a'..='z').nth(number)
    }

    /// Has every keyword of these flags a letter?
    pub fn has_all(&self, flags: &Flags) -> bool {
        let has_own = |flag| LETTERS.iter().any(|(_, known)| *known == flag);
        flags.keywords_and(has_own).all(|word| self.0.iter().flatten().any(|known| known == word))
    }

    /// The text of the file. It is empty if there are no keywords; then no file is needed.
    pub fn file(&self) -> String {
        let lines = self.0.iter().enumerate();
        lines.filter_map(|(number, word)| Some(format!("{number} {}\n", word.as_ref()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dovecot_writes() {
        let keywords = Keywords::parse(b"0 $Junk\r\n25 last\n26 none\n-1 x\nx y\n\n\xff\n1\n");
        assert_eq!(keywords.word('a'), Some("$Junk"));
        assert_eq!(keywords.word('z'), Some("last"));
        for letter in ['b', 'A', '{', '`', 'é'] {
            assert_eq!(keywords.word(letter), None, "{letter}");
        }
        assert_eq!(keywords.file(), "0 $Junk\n25 last\n");
    }

    #[test]
    fn there_are_no_letters_past_z() {
        let mut keywords = Keywords::default();
        let letters: String = (0..30).filter_map(|n| keywords.letter(&format!("k{n}"))).collect();
        assert_eq!(letters, "abcdefghijklmnopqrstuvwxyz");
        assert_eq!(keywords.letter("k3"), Some('d'));
        for (word, has_letter) in [("k3", true), ("k29", false), ("$Junk", false), ("$Forwarded", true)] {
            let mut flags = Flags::default();
            flags.add_keyword(word);
            assert_eq!(keywords.has_all(&flags), has_letter, "{word}");
        }
    }
}
