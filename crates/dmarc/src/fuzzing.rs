//! Entry points for fuzzing, each with the property it holds. Not part of the public face.

use crate::{Record, Rules};

/// A record that was parsed by one set of rules and printed parses back to an equal one by the same rules.
pub fn dmarc_record(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for rules in [Rules::Rfc9989, Rules::Rfc7489] {
        if let Ok(record) = Record::parse(&text, rules) {
            let printed = record.to_string();
            assert_eq!(Record::parse(&printed, rules).as_ref(), Ok(&record), "{rules:?}: {printed}");
        }
    }
}
