//! The engine reaches the file system and threads through one module each, so that a model can stand in for both.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The engine's source files, without those of tests.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let sources = |path: PathBuf| match path.is_dir() {
        true if path.ends_with("tests") => Vec::new(),
        true => sources(&path),
        false if path.ends_with("tests.rs") => Vec::new(),
        false => vec![path],
    };
    paths.flat_map(sources).filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

/// The lines of a file before its tests, numbered, without comments.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = (1..).zip(text.lines()).take_while(|(_, line)| *line != "mod tests {");
    let code = lines.map(|(n, line)| (n, line.split("//").next().unwrap_or_default().to_owned()));
    code.collect()
}

#[test]
fn files_and_threads_have_one_module_each() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/local");
    let files = [
        "std::fs",
        "fs::",
        "File::open",
        "File::create",
        "rustix",
        "nix::",
        ".exists()",
        ".is_dir()",
        ".is_file()",
    ];
    let threads = ["thread::", "std::thread"];
    let mut misplaced = Vec::new();
    for path in sources(&folder) {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        for (n, line) in code(&path) {
            let touches = |words: &[&str]| words.iter().any(|word| line.contains(word));
            let is_misplaced = (touches(&files) && !name.starts_with("disk/"))
                || (touches(&threads) && name != "threads.rs");
            if is_misplaced {
                misplaced.push(format!("{name}:{n}: {line}"));
            }
        }
    }
    assert!(misplaced.is_empty(), "{misplaced:#?}");
}
