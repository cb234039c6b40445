//! `docs/metrics.md`: every metric, with its labels and its description.

use super::{cell, heading};
use crate::rust::RustFile;
use anyhow::{Result, ensure};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use syn::Lit;
use syn::visit::Visit;

const KINDS: [&str; 3] = ["counter", "gauge", "histogram"];

#[derive(Default)]
struct Metric {
    kind: &'static str,
    about: String,
    labels: BTreeSet<String>,
    crates: BTreeSet<String>,
}

pub(super) fn document(files: &[RustFile]) -> Result<String> {
    let about = "What `/metrics` of the running server shows, in the text format of Prometheus.";
    let mut out = heading("Metrics", about);
    out += "\n| metric | kind | labels | what | from |\n| --- | --- | --- | --- | --- |\n";
    for (name, metric) in metrics(files)? {
        let Metric { kind, about, labels, crates } = metric;
        let labels = labels.into_iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let crates = crates.into_iter().collect::<Vec<_>>().join(", ");
        out += &format!("| `{name}` | {kind} | {labels} | {} | {crates} |\n", cell(&about));
    }
    Ok(out)
}

fn metrics(files: &[RustFile]) -> Result<BTreeMap<String, Metric>> {
    let mut found = BTreeMap::new();
    for file in files {
        let mut finder = Finder { file, constants: BTreeMap::new(), calls: Vec::new() };
        finder.visit_file(&file.syntax);
        for call in &finder.calls {
            add(&mut found, call, &finder);
        }
    }
    for (name, metric) in &found {
        ensure!(!metric.about.is_empty(), "{name} of {:?} has no description", metric.crates);
    }
    Ok(found)
}

/// Adds what a call tells about its metric. A call with a variable for the name tells nothing.
fn add(found: &mut BTreeMap<String, Metric>, call: &Call, finder: &Finder<'_>) {
    let Some(name) = call.arguments.first().and_then(|first| finder.name(first)) else { return };
    let metric: &mut Metric = found.entry(name).or_default();
    metric.kind = call.kind;
    metric.crates.insert(finder.file.crate_name().to_owned());
    if call.describes {
        metric.about =
            call.arguments.last().map_or_else(String::new, |about| literals(about.clone()).concat());
    } else {
        // `"label" => value`
        let labels = call.arguments.iter().skip(1).filter(|argument| argument.to_string().contains("=>"));
        metric.labels.extend(labels.filter_map(|label| literals(label.clone()).into_iter().next()));
    }
}

/// `counter!(..)` or `describe_counter!(..)`.
struct Call {
    kind: &'static str,
    describes: bool,
    arguments: Vec<TokenStream>,
}

/// Collects the calls of a file, and the constants that name metrics.
struct Finder<'a> {
    file: &'a RustFile,
    constants: BTreeMap<String, String>,
    calls: Vec<Call>,
}

impl Finder<'_> {
    fn name(&self, argument: &TokenStream) -> Option<String> {
        match argument.clone().into_iter().last()? {
            TokenTree::Ident(constant) => self.constants.get(&constant.to_string()).cloned(),
            _ => literals(argument.clone()).into_iter().next(),
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_const(&mut self, node: &'ast syn::ItemConst) {
        if let Some(text) = literals(node.expr.to_token_stream()).into_iter().next() {
            self.constants.insert(node.ident.to_string(), text);
        }
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        let Some(last) = node.path.segments.last() else { return };
        let name = last.ident.to_string();
        let (describes, name) = name.strip_prefix("describe_").map_or((false, &*name), |kind| (true, kind));
        if let Some(kind) = KINDS.into_iter().find(|kind| *kind == name)
            && !self.file.is_test(last.ident.span().start().line)
        {
            self.calls.push(Call { kind, describes, arguments: arguments(node.tokens.clone()) });
        }
    }
}

/// The arguments of a macro, between its commas.
fn arguments(tokens: TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let arguments = tokens.split(is_comma).filter(|argument| !argument.is_empty());
    arguments.map(|argument| argument.iter().cloned().collect()).collect()
}

/// The string literals in `tokens`.
fn literals(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => found.extend(literals(group.stream())),
            TokenTree::Literal(literal) => {
                if let Lit::Str(text) = Lit::new(literal) {
                    found.push(text.value());
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    fn file(statements: &str) -> RustFile {
        let text = format!("const A: &str = \"x_total\";\nfn f() {{\n{statements}}}\n");
        RustFile::parse(&Source { path: "crates/x/src/metrics.rs".to_owned(), text }).unwrap()
    }

    #[test]
    fn finds_names_labels_and_texts() {
        let text = "describe_counter!(A, Unit::Count, \"What it, counts.\");\n\
            counter!(A, \"kind\" => kind, \"result\" => \"ok\").increment(1);\n\
            describe_gauge!(\"y\", \"Y.\");\ngauge!(\"y\").set(1);\n";
        let found = metrics(&[file(text)]).unwrap();
        let a = &found["x_total"];
        assert_eq!((a.kind, a.about.as_str()), ("counter", "What it, counts."));
        assert_eq!(a.labels.iter().collect::<Vec<_>>(), ["kind", "result"]);
        assert_eq!(found["y"].kind, "gauge");
    }

    #[test]
    fn refuses_a_metric_without_description() {
        assert!(metrics(&[file("counter!(\"z\").increment(1);")]).is_err());
    }
}
