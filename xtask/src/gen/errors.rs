//! `docs/errors.md`: every token, and what it means.

use super::{cell, heading};
use crate::rust::RustFile;
use crate::tokens::{Token, tokens};
use anyhow::Result;
use std::collections::BTreeMap;

pub(super) fn document(files: &[RustFile]) -> Result<String> {
    let about = "Tokens stand in logs, metric labels, stored reasons and the replies of the control socket. Texts may \
                 change, tokens may not.";
    let mut out = heading("Error tokens", about);
    let mut crates: BTreeMap<String, BTreeMap<String, Token>> = BTreeMap::new();
    for token in tokens(files) {
        // Two variants of one kind may share a token; the table shows the meaning of the last.
        crates.entry(token.crate_name.clone()).or_default().insert(token.token.clone(), token);
    }
    for (name, tokens) in crates {
        out += &format!("\n## {name}\n\n| token | meaning | born in |\n| --- | --- | --- |\n");
        for (token, Token { path, meaning, .. }) in tokens {
            out += &format!("| `{token}` | {} | {path} |\n", cell(&meaning));
        }
    }
    Ok(out)
}
