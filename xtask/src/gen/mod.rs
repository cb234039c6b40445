//! `cargo xtask gen`: writes the documents that are made from the sources.

mod errors;
mod layers;
pub(crate) mod metrics;
mod replies;
mod rfc_index;

use crate::workspace::crate_sources;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// The index whose entries end in line numbers.
const RFC_INDEX: &str = "docs/rfc-index.md";

/// Returns every generated document of the tree at `root`, with its path.
///
/// # Errors
/// A source cannot be read or understood.
pub fn documents(root: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = crate::rust::parse(&crate_sources(root)?)?;
    files.retain(|file| file.path.contains("/src/"));
    let texts = [
        (layers::PAGE, layers::document(root)?),
        ("docs/errors.md", errors::document(&files)?),
        ("docs/metrics.md", metrics::document(&files)?),
        ("docs/replies.md", replies::document(&files)?),
        (RFC_INDEX, rfc_index::document(&files)?),
    ];
    Ok(texts.into_iter().map(|(path, text)| (path.to_owned(), text.into_bytes())).collect())
}

/// Returns the documents to compare with the files. Every edit moves lines, and a check of line numbers would fail for nearly
/// every change: a document that differs in nothing else is returned as the file has it.
///
/// # Errors
/// As [`documents`].
pub fn documents_to_check(root: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut documents = documents(root)?;
    for (path, content) in documents.iter_mut().filter(|(path, _)| path == RFC_INDEX) {
        let found = fs::read(root.join(&*path)).unwrap_or_default();
        let without_lines = |text: &[u8]| rfc_index::without_lines(&String::from_utf8_lossy(text));
        if without_lines(&found) == without_lines(content) {
            *content = found;
        }
    }
    Ok(documents)
}

/// The beginning of a generated document.
fn heading(title: &str, about: &str) -> String {
    format!("# {title}\n\n<!-- Written by `cargo xtask gen`; change the sources instead. -->\n\n{about}\n")
}

/// Escapes text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
