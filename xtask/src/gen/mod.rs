//! `cargo xtask gen`: the documents that are read out of the sources.

mod errors;
mod metrics;
mod replies;
mod rfc_index;
mod rust;

use crate::workspace::{Source, crate_sources};
use anyhow::Result;
use std::path::Path;

/// What a document is made by: the sources in, the text after the heading out.
type Maker = fn(&[Source]) -> Result<String>;

/// Every generated document.
const DOCUMENTS: [(&str, Maker); 4] = [
    ("docs/errors.md", errors::document),
    ("docs/metrics.md", metrics::document),
    ("docs/replies.md", replies::document),
    ("docs/rfc-index.md", rfc_index::document),
];

/// Every generated document of the tree at `root`, with its path.
///
/// # Errors
/// A source cannot be read or understood.
pub fn documents(root: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let sources = crate_sources(root)?;
    let make = |(path, maker): (&str, Maker)| Ok((path.to_owned(), maker(&sources)?.into_bytes()));
    DOCUMENTS.into_iter().map(make).collect()
}

/// A heading, and how the document came to be.
fn heading(title: &str, about: &str) -> String {
    format!("# {title}\n\n<!-- Written by `cargo xtask gen`; change the sources instead. -->\n\n{about}\n")
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
