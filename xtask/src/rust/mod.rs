//! Reads Rust files as syntax, so that rules and documents need not guess from text.

mod docs;
mod paths;
mod test_code;

pub use docs::{doc, string_value};
pub use paths::{Path, paths};

use crate::workspace::Source;
use anyhow::Result;
use std::collections::BTreeSet;

/// A parsed Rust file.
pub struct RustFile {
    /// The path from the root, with `/`.
    pub path: String,
    /// The source text.
    pub text: String,
    /// The parsed text, with spans that lead to lines.
    pub syntax: syn::File,
    /// For each line: is it compiled for tests only?
    test_lines: Vec<bool>,
}

impl RustFile {
    /// Parses one file. It finds test code from the path and the text of this file alone; [`parse`] also knows the module above.
    ///
    /// # Errors
    /// The text is not Rust.
    pub fn parse(source: &Source) -> Result<Self> {
        let Source { path, text } = source.clone();
        let syntax = syn::parse_file(&text)
            .map_err(|error| anyhow::anyhow!("{path}:{}: {error}", error.span().start().line))?;
        let mut test_lines = vec![test_code::is_in_test_folder(&path); text.lines().count()];
        for lines in test_code::find(&syntax) {
            test_lines
                .iter_mut()
                .take(lines.last)
                .skip(lines.first.saturating_sub(1))
                .for_each(|is| *is = true);
        }
        Ok(Self { path, text, syntax, test_lines })
    }

    /// Returns the crate of the file, by the name of its folder: `dns` for `crates/dns/src/name.rs`.
    pub fn crate_name(&self) -> &str {
        match self.path.split_once('/') {
            Some(("crates" | "bin", rest)) => rest.split('/').next().unwrap_or_default(),
            Some((folder, _)) => folder,
            None => "",
        }
    }

    /// Is line `number` (from 1) compiled for tests only?
    pub fn is_test(&self, number: usize) -> bool {
        number.checked_sub(1).and_then(|at| self.test_lines.get(at)).copied().unwrap_or(false)
    }

    /// Returns the lines that are not test code, with their numbers from 1.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(number, _)| !self.is_test(*number))
    }
}

/// Parses those of `sources` that are Rust. Files that another file declares with `#[cfg(test)] mod name;` are test code.
///
/// # Errors
/// A file is not Rust.
pub fn parse(sources: &[Source]) -> Result<Vec<RustFile>> {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    let mut files: Vec<RustFile> = rust.map(RustFile::parse).collect::<Result<_>>()?;
    let modules: BTreeSet<String> = files.iter().flat_map(test_code::modules).collect();
    for file in &mut files {
        if test_code::belongs_to(&file.path, &modules) {
            file.test_lines.fill(true);
        }
    }
    Ok(files)
}
