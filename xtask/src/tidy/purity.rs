//! What may not be named below the line: runtime, sockets, files, clocks, dice.

use super::Finding;
use crate::layers;
use crate::workspace::Source;

/// Words that make code impure. Time, randomness and the outside world are arguments.
const IMPURE: [&str; 16] = [
    "tokio::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "rand::",
    "metrics::",
    "tracing::",
    "thread_local!",
    "static mut",
];

/// Folders that are pure although their crate is above the line.
const PURE_FOLDERS: [&str; 1] = ["crates/smtpserver/src/session/"];

/// Names what a pure file uses and should not.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    if !is_pure(&source.path) || source.is_test() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in source.lines().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for word in IMPURE.iter().filter(|word| names(line, word)) {
            findings.push(Finding::new(&source.path, number, format!("`{word}` has no place in pure code")));
        }
    }
    findings
}

/// Does `line` hold `word` as itself, and not as the end of a longer name? `ring::rand` takes its octets from nobody
/// else's dice: it is what ring wants for signing with RSA, and changes no result.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let longer = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let of_ring = word == "rand::" && before.ends_with("ring::");
        !(longer || of_ring)
    })
}

fn is_pure(path: &str) -> bool {
    let below = |name: &str| layers::rule(name).is_some_and(|rule| rule.layer < layers::FIRST_WITH_RUNTIME);
    let mut parts = path.split('/');
    let pure_crate =
        parts.next() == Some("crates") && parts.next().is_some_and(below) && parts.next() == Some("src");
    pure_crate || PURE_FOLDERS.iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(path: &str, text: &str, expected: &[usize]) {
        let found = check(&Source { path: path.to_owned(), text: text.to_owned() });
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn refuses_the_outside_world_in_pure_code() {
        check_text("crates/smtpserver/src/session/mod.rs", "\nlet now = Instant::now();\n", &[2]);
        check_text("crates/spf/src/check.rs", "use tokio::net::TcpStream;\n", &[1, 1]);
        check_text("crates/dns/src/lib.rs", "std::fs::read(path)\nrand::rng()\n", &[1, 2]);
    }

    #[test]
    fn accepts_it_in_drivers_tests_and_comments() {
        check_text("crates/smtpserver/src/driver/mod.rs", "use tokio::net::TcpStream;\n", &[]);
        check_text("crates/spf/src/check_tests.rs", "std::fs::read(path)\n", &[]);
        check_text("crates/spf/tests/rules.rs", "std::fs::read(path)\n", &[]);
        check_text(
            "crates/spf/src/check.rs",
            "// no tokio:: here\n#[cfg(test)]\nmod tests {\nuse std::fs;\n",
            &[],
        );
        check_text("crates/spf/src/check.rs", "let brand::Name = ring::rand::X;\n", &[]);
    }
}
