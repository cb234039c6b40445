//! Running moxd once, and what it promises about its end: exit status, standard output, standard error.

use nix::pty::{OpenptyResult, openpty};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// The binary under test.
pub const MOXD: &str = env!("CARGO_BIN_EXE_moxd");

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Runs moxd with nothing on standard input.
pub fn moxd<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    moxd_reading(arguments, b"")
}

/// Runs moxd with these bytes on standard input.
pub fn moxd_reading<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, input: &[u8]) -> Ended {
    let mut command = Command::new(MOXD);
    command.args(arguments);
    run(command, input)
}

/// Runs moxd with a terminal as standard error; [`Ended::stderr`] is what the terminal shows.
pub fn moxd_at_terminal<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let mut command = Command::new(MOXD);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(slave));
    let child = command.spawn().unwrap();
    drop(command);
    let mut shown = Vec::new();
    // A terminal that closes is an error, not the end of the input.
    let _ = File::from(master).read_to_end(&mut shown);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(shown).unwrap();
    Ended { status: output.status.code(), stdout: output.stdout, stderr }
}

/// Runs a command to its end.
pub fn run(mut command: Command, input: &[u8]) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A verb may close the pipe without reading its input.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Ended { status: output.status.code(), stdout: output.stdout, stderr }
}

impl Ended {
    /// Asserts success: status 0 and nothing on standard error; returns standard output.
    #[track_caller]
    pub fn done(self) -> Vec<u8> {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""));
        self.stdout
    }

    /// The same as text.
    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.done()).unwrap()
    }

    /// The same as JSON: one document, and nothing else on standard output.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_slice(&self.done()).unwrap()
    }

    /// Asserts a failure: status 1, nothing on standard output, and one line that says why.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_eq!((self.status, self.stdout.as_slice()), (Some(1), &b""[..]), "{}", self.stderr);
        self.complaint()
    }

    /// One line on standard error, without its `moxd: `.
    #[track_caller]
    pub fn complaint(self) -> String {
        let line = self.stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {:?}", self.stderr));
        assert!(!line.contains('\n'), "more than a line: {line}");
        line.strip_prefix("moxd: ").unwrap_or_else(|| panic!("no \"moxd: \" before: {line}")).to_owned()
    }

    /// Asserts wrong arguments: status 2, nothing on standard output, and one line that says why.
    #[track_caller]
    pub fn wrong_arguments(self) -> String {
        assert_eq!((self.status, self.stdout.as_slice()), (Some(2), &b""[..]), "{}", self.stderr);
        self.complaint()
    }
}

/// The keys of an object, sorted.
#[track_caller]
pub fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Is this an object with exactly these keys?
#[track_caller]
pub fn has_keys(value: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(keys(value), expected, "{value}");
}
