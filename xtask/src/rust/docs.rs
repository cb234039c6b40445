//! Doc comments.

use syn::{Attribute, Expr, Lit, Meta};

/// Returns the doc comment among `attributes`, with its line breaks; empty if there is none.
pub fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else { return None };
        let Expr::Lit(value) = &pair.value else { return None };
        match &value.lit {
            Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value()),
            _ => None,
        }
    });
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}
