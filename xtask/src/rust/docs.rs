//! Attributes that hold text, doc comments first of all.

use syn::{Attribute, Expr, Lit, Meta};

/// Returns the doc comment among `attributes`, with its line breaks; empty if there is none.
pub fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| string_value(&attribute.meta, "doc"));
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Returns the text of `name = "text"`; `None` if `meta` has another form or another name.
pub fn string_value(meta: &Meta, name: &str) -> Option<String> {
    let Meta::NameValue(pair) = meta else { return None };
    let Expr::Lit(value) = &pair.value else { return None };
    match &value.lit {
        Lit::Str(text) if pair.path.is_ident(name) => Some(text.value()),
        _ => None,
    }
}
