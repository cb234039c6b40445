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

/// A call of a macro of the crate `metrics` that names its metric, by a literal or by a constant.
pub(crate) struct MetricCall {
    /// The name of the metric.
    pub(crate) name: String,
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: &'static str,
    /// Is it the call that describes the metric?
    pub(crate) describes: bool,
    /// The file of the call.
    pub(crate) path: String,
    /// The line of the call, from 1.
    pub(crate) line: usize,
}

/// Returns all calls in `files` that name a metric, test code aside.
pub(crate) fn calls(files: &[&RustFile]) -> Vec<MetricCall> {
    let mut found = Vec::new();
    for finder in finders(files) {
        found.extend(finder.calls.iter().filter_map(|call| {
            let name = finder.name(call.arguments.first()?)?;
            let Call { kind, describes, line, .. } = *call;
            Some(MetricCall { name, kind, describes, path: finder.file.path.clone(), line })
        }));
    }
    found
}

fn metrics(files: &[RustFile]) -> Result<BTreeMap<String, Metric>> {
    let mut found = BTreeMap::new();
    for finder in finders(&files.iter().collect::<Vec<_>>()) {
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
    line: usize,
    arguments: Vec<TokenStream>,
}

/// Collects the calls of a file, and the constants that name metrics.
struct Finder<'a> {
    file: &'a RustFile,
    constants: BTreeMap<String, String>,
    /// Constants of other files that this one imports, such as `A` by `use other::A`.
    imported: BTreeMap<String, String>,
    calls: Vec<Call>,
}

/// Reads all of `files`. A constant that a file does not have is one of another file, if just one has it.
fn finders<'a>(files: &[&'a RustFile]) -> Vec<Finder<'a>> {
    let mut finders: Vec<Finder<'a>> = files.iter().map(|file| Finder::of(file)).collect();
    let mut everywhere: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (name, text) in finders.iter().filter(|finder| !finder.calls.is_empty()).flat_map(|f| &f.constants) {
        let known = everywhere.entry(name.clone());
        known.and_modify(|known| *known = None).or_insert_with(|| Some(text.clone()));
    }
    let unique = everywhere.into_iter().filter_map(|(name, text)| Some((name, text?)));
    let unique: BTreeMap<String, String> = unique.collect();
    finders.iter_mut().for_each(|finder| finder.imported.clone_from(&unique));
    finders
}

impl<'a> Finder<'a> {
    fn of(file: &'a RustFile) -> Self {
        let (constants, imported, calls) = Default::default();
        let mut finder = Self { file, constants, imported, calls };
        finder.visit_file(&file.syntax);
        finder
    }

    fn name(&self, argument: &TokenStream) -> Option<String> {
        match argument.clone().into_iter().last()? {
            TokenTree::Ident(constant) => {
                let constant = constant.to_string();
                self.constants.get(&constant).or_else(|| self.imported.get(&constant)).cloned()
            }
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
        let (name, line) = (last.ident.to_string(), last.ident.span().start().line);
        let (describes, name) = name.strip_prefix("describe_").map_or((false, &*name), |kind| (true, kind));
        if let Some(kind) = KINDS.into_iter().find(|kind| *kind == name)
            && !self.file.is_test(line)
        {
            self.calls.push(Call { kind, describes, line, arguments: arguments(node.tokens.clone()) });
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
    fn follows_a_constant_into_another_file() {
        let text = "use x::A;\nfn f() {\n    counter!(A, \"pkg\" => \"y\").increment(1);\n}\n".to_owned();
        let other = RustFile::parse(&Source { path: "crates/y/src/y.rs".to_owned(), text }).unwrap();
        let found = metrics(&[file("describe_counter!(A, \"What.\");\n"), other]).unwrap();
        assert_eq!(found["x_total"].crates.iter().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(found["x_total"].labels.iter().collect::<Vec<_>>(), ["pkg"]);
    }

    #[test]
    fn refuses_a_metric_without_description() {
        assert!(metrics(&[file("counter!(\"z\").increment(1);")]).is_err());
    }
}
