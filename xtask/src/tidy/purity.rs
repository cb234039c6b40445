//! Finds names that pure code must not use: runtime, sockets, files, clocks, random numbers.

use super::Finding;
use crate::layers;
use crate::rust::{Path, RustFile, paths};
use quote::ToTokens;

/// Crates that reach the outside world. Pure code gets time, randomness and data as arguments.
const CRATES: [&str; 4] = ["metrics", "rand", "tokio", "tracing"];

/// Parts of other paths that reach it.
const NAMES: [&[&str]; 16] = [
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["TcpListener"],
    &["TcpStream"],
    &["UdpSocket"],
    &["UnixDatagram"],
    &["UnixListener"],
    &["UnixStream"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "process"],
    &["std", "thread"],
    &["thread_local"],
];

/// Folders of pure code in crates that are not pure.
const PURE_FOLDERS: [&str; 1] = ["crates/smtpserver/src/session/"];

/// Finds impure names in `file`, if it is one of pure code.
pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    if !is_pure(&file.path) {
        return Vec::new();
    }
    let paths = paths(file.syntax.to_token_stream());
    let outside_tests = paths.iter().filter(|path| !file.is_test(path.line));
    let found = outside_tests.filter_map(|path| Some((path.line, impure(path)?)));
    found
        .map(|(line, name)| Finding::new(&file.path, line, format!("`{name}` has no place in pure code")))
        .collect()
}

/// Returns the part of `path` that is impure.
fn impure(path: &Path) -> Option<String> {
    let mut words = path.words.iter();
    // A single word is a local name.
    if let (Some(first), Some(_)) = (words.next(), words.next())
        && CRATES.contains(&first.as_str())
    {
        return Some(first.clone());
    }
    let is_named = |name: &&&[&str]| path.words.windows(name.len()).any(|words| words == **name);
    NAMES.iter().find(is_named).map(|name| name.join("::"))
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
    use crate::workspace::Source;

    #[track_caller]
    fn check_text(path: &str, text: &str, expected: &[usize]) {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let found = check(&RustFile::parse(&source).unwrap());
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn refuses_the_outside_world_in_pure_code() {
        let session = "crates/smtpserver/src/session/mod.rs";
        check_text(session, "fn f() {\n    let now = Instant::now();\n}\n", &[2]);
        check_text("crates/spf/src/check.rs", "use tokio::net::TcpStream;\n", &[1]);
        check_text(
            "crates/dns/src/lib.rs",
            "fn f() {\n    std::fs::read(path);\n    rand::rng();\n}\n",
            &[2, 3],
        );
        check_text(
            "crates/dns/src/lib.rs",
            "use std::{\n    collections::BTreeMap,\n    fs::File,\n};\n",
            &[3],
        );
        check_text("crates/dns/src/lib.rs", "fn f() {\n    assert!(x < Instant::now());\n}\n", &[2]);
    }

    #[test]
    fn refuses_it_below_test_code() {
        let text = "#[cfg(test)]\nmod tests;\n\nfn f() {\n    Instant::now();\n}\n";
        check_text("crates/smtpserver/src/session/mod.rs", text, &[5]);
    }

    #[test]
    fn accepts_it_in_drivers_tests_and_comments() {
        check_text("crates/smtpserver/src/driver/mod.rs", "use tokio::net::TcpStream;\n", &[]);
        check_text("crates/spf/tests/rules.rs", "use std::fs;\n", &[]);
        check_text(
            "crates/spf/src/check.rs",
            "// no tokio:: here\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
            &[],
        );
        check_text(
            "crates/spf/src/check.rs",
            "fn f(metrics: brand::Name) {\n    ring::rand::X;\n    metrics;\n}\n",
            &[],
        );
    }
}
