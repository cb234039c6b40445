//! Login attempts that have not finished.

use std::collections::HashMap;

use crate::login_key::LoginKey;
use crate::network::{Class, Network};

/// A subject that attempts under way are counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Network(Class, Network),
    Account(LoginKey),
    Pair(LoginKey, Network),
}

/// Counts attempts under way. Has up to five entries for each attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(HashMap<Subject, u64>);

impl UnderWay {
    pub(crate) fn count(&self, subject: &Subject) -> u64 {
        self.0.get(subject).copied().unwrap_or(0)
    }

    pub(crate) fn begin(&mut self, subjects: impl IntoIterator<Item = Subject>) {
        for subject in subjects {
            let count = self.0.entry(subject).or_default();
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn end(&mut self, subjects: impl IntoIterator<Item = Subject>) {
        for subject in subjects {
            if let Some(count) = self.0.get_mut(&subject) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.0.remove(&subject);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
