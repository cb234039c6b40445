//! The table of dependencies in `docs/architecture.md`, made from the manifests.

use crate::layers::{dependencies, rule};
use crate::workspace::packages;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use toml::Table;

/// The page with the table.
pub(super) const PAGE: &str = "docs/architecture.md";
/// The lines of the page around the table.
const BEGIN: &str = "<!-- dependencies: written by `cargo xtask gen` from the manifests -->\n";
const END: &str = "<!-- end of dependencies -->\n";

/// Returns the page of the tree at `root` with a new table.
pub(super) fn document(root: &Path) -> Result<String> {
    let mut rows = Vec::new();
    for folder in packages(root)? {
        let path = root.join(&folder).join("Cargo.toml");
        let manifest = fs::read_to_string(&path)?.parse().with_context(|| path.display().to_string())?;
        rows.extend(row(&folder, &manifest));
    }
    replace(&fs::read_to_string(root.join(PAGE)).context(PAGE)?, &table(rows))
}

/// A package in the table.
struct Row {
    layer: u8,
    name: String,
    house: Vec<String>,
    outside: Vec<String>,
}

/// Composes the row of a package; `None` if the table of layers does not have it, which `cargo xtask tidy` reports.
fn row(folder: &str, manifest: &Table) -> Option<Row> {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let mut names: Vec<&str> = dependencies(manifest).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let (house, outside) = names.into_iter().map(str::to_owned).partition(|name| rule(name).is_some());
    Some(Row { layer: rule(name)?.layer, name: name.to_owned(), house, outside })
}

/// Writes the table with the highest layer first, like the drawing of the layers.
fn table(mut rows: Vec<Row>) -> String {
    rows.sort_by(|a, b| b.layer.cmp(&a.layer).then_with(|| a.name.cmp(&b.name)));
    let mut out = "| layer | crate | in this workspace | others |\n| --- | --- | --- | --- |\n".to_owned();
    for Row { layer, name, house, outside } in rows {
        out += &format!("| {layer} | `{name}` | {} | {} |\n", house.join(", "), outside.join(", "));
    }
    out
}

/// Replaces what stands between the marks of `page` by `table`.
fn replace(page: &str, table: &str) -> Result<String> {
    let (before, rest) =
        page.split_once(BEGIN).with_context(|| format!("{PAGE} has no line `{}`", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no line `{}`", END.trim()))?;
    Ok([before, BEGIN, "\n", table, "\n", END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_a_manifest_depends_on_outside_its_tests() {
        let manifest = "[dependencies]\nnom.workspace = true\ndns.workspace = true\n\
            [target.'cfg(unix)'.dependencies]\nbstr = \"1\"\n[dev-dependencies]\ntokio = \"1\"\n";
        let rows = row("crates/spf", &manifest.parse().unwrap());
        let expected = "| layer | crate | in this workspace | others |\n| --- | --- | --- | --- |\n\
            | 2 | `spf` | dns | bstr, nom |\n";
        assert_eq!(table(rows.into_iter().collect()), expected);
    }

    #[test]
    fn replaces_the_table_and_nothing_else() {
        let page = format!("# A\n\n{BEGIN}old\n{END}\nrest\n");
        let expected = format!("# A\n\n{BEGIN}\n| x |\n\n{END}\nrest\n");
        assert_eq!(replace(&page, "| x |\n").unwrap(), expected);
        assert_eq!(replace(&expected, "| x |\n").unwrap(), expected);
        assert!(replace("# A\n", "").is_err());
    }
}
