//! Shared by the tests: the fixtures of a folder, and a resolver that answers from zone text.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use dns::zone::Zone;
use std::fs;
use std::path::{Path, PathBuf};

/// The time at which fixtures are verified, in Unix seconds.
pub const NOW: u64 = 1_700_000_000;

/// One fixture: `NN-name.msg` and the files beside it, empty where there are none.
pub struct Case {
    pub name: String,
    pub message: Vec<u8>,
    pub zone: String,
    pub policy: String,
    pub want: PathBuf,
}

/// All fixtures of a folder, in the order of their names.
pub fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "msg"));
    paths.sort();
    let text = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let shared = text(folder.join("keys.zone"));
    paths
        .into_iter()
        .map(|path| Case {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            message: fs::read(&path).unwrap(),
            zone: shared.clone() + &text(path.with_extension("zone")),
            policy: text(path.with_extension("policy")),
            want: path.with_extension("want"),
        })
        .collect()
}

impl Case {
    pub fn zone(&self) -> Zone {
        Zone::parse(&self.zone).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Compares with the `.want` file; with `UPDATE=1` in the environment, writes it. Returns what differs.
    #[allow(clippy::disallowed_methods, reason = "the switch of a test run")]
    pub fn compare(&self, found: &str) -> Option<String> {
        if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
            fs::write(&self.want, format!("{found}\n")).unwrap();
        }
        let want = fs::read_to_string(&self.want).unwrap_or_default();
        (want.trim_end() != found)
            .then(|| format!("{}:\n  want {}\n found {found}", self.name, want.trim_end()))
    }
}

/// Header with its empty line, and body.
pub fn split(message: &[u8]) -> (&[u8], &[u8]) {
    message.split_at(message::header_end(message).unwrap_or(message.len()))
}

/// The value, or a dash.
pub fn dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
