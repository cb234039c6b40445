//! Entry points for fuzzing. Not part of the interface.
#![allow(clippy::panic, reason = "a broken property has to stop the fuzzer")]

use crate::{Problem, parse_domains, parse_server};

/// Checks that any text is either a configuration or has problems with a place, and that reading it twice gives the same.
///
/// # Panics
/// When the property does not hold.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check(&text, parse_server(&text, "moxd.toml").err(), parse_server(&text, "moxd.toml").err());
    check(&text, parse_domains(&text, "domains.toml").err(), parse_domains(&text, "domains.toml").err());
}

fn check(text: &str, problems: Option<Vec<Problem>>, again: Option<Vec<Problem>>) {
    assert_eq!(problems, again);
    let Some(problems) = problems else { return };
    assert!(!problems.is_empty(), "refused without a reason");
    let lines = text.split('\n').count();
    for problem in problems {
        assert!((1..=lines).contains(&problem.line()), "{problem}");
        assert!(!problem.what().is_empty() && !problem.mend().is_empty(), "{problem}");
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
}
