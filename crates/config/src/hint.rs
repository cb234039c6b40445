//! Suggests the name that the operator probably meant.

/// Returns the most similar of `names`, if it differs by no more letters than a typing error changes.
pub(crate) fn nearest(wrong: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    // A much longer name is no typing error, and need not be compared.
    if wrong.len() > 64 {
        return None;
    }
    names
        .map(|name| (strsim::levenshtein(&wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = || ["hostname", "data_dir", "port", "ips"].into_iter();
        for (wrong, expected) in [
            ("hostnam", Some("hostname")),
            ("Data-Dir", Some("data_dir")),
            ("prot", Some("port")),
            ("hst_nme", Some("hostname")),
            ("hst_nm", None),
            ("banana", None),
        ] {
            assert_eq!(nearest(wrong, names()), expected, "{wrong}");
        }
    }
}
