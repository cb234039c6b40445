//! `docs/metrics.md`: every metric, its labels, and what it counts.

use super::rust::{constant, literals, macro_calls};
use super::{cell, heading};
use crate::rust::RustFile;
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, BTreeSet};

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
    let mut found: BTreeMap<String, Metric> = BTreeMap::new();
    for file in files {
        let text = &file.code_text();
        for kind in KINDS {
            let described = macro_calls(text, &format!("describe_{kind}"));
            let used = macro_calls(text, kind);
            for (call, describes) in
                described.iter().map(|call| (call, true)).chain(used.iter().map(|c| (c, false)))
            {
                let Some(name) = call.first().and_then(|first| name(text, first)) else { continue };
                let metric = found.entry(name.to_owned()).or_default();
                metric.kind = kind;
                metric.crates.insert(file.crate_name().to_owned());
                if describes {
                    metric.about = call.last().map_or_else(String::new, |about| literals(about).concat());
                } else {
                    let labels = call.iter().filter(|argument| argument.contains("=>"));
                    metric
                        .labels
                        .extend(labels.filter_map(|label| literals(label).first().map(|l| (*l).to_owned())));
                }
            }
        }
    }
    for (name, metric) in &found {
        ensure!(!metric.about.is_empty(), "{name} of {:?} is described nowhere", metric.crates);
    }
    Ok(found)
}

/// The name of a metric: a literal, or a constant of the same file. Others are variables, counted where they are set.
fn name<'a>(text: &'a str, argument: &'a str) -> Option<&'a str> {
    match argument.strip_prefix('"') {
        Some(_) => literals(argument).first().copied(),
        None => constant(text, argument.rsplit("::").next()?),
    }
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
