//! Suggests the name that the operator probably meant.

/// The nearest of `names`, if it is near at all: as many changed, missing or added letters as a slip of the hand makes.
pub(crate) fn nearest(wrong: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    // A longer name is no slip, and comparing it would be work for nothing.
    if wrong.len() > 64 {
        return None;
    }
    names
        .map(|name| (distance(&wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// The number of letters to change, add or leave out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (cell, y) in row.iter_mut().zip(std::iter::once(None).chain(b.chars().map(Some))) {
            let above = *cell;
            *cell = match y {
                None => left,
                Some(y) => (diagonal + usize::from(x != y)).min(above + 1).min(left + 1),
            };
            diagonal = above;
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_slips() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("prot", "port", 2),
            ("hostnam", "hostname", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn finds_what_was_meant() {
        let names = || ["hostname", "data_dir", "port", "ips"].into_iter();
        for (wrong, expected) in [
            ("hostnam", Some("hostname")),
            ("Data-Dir", Some("data_dir")),
            ("prot", Some("port")),
            ("banana", None),
        ] {
            assert_eq!(nearest(wrong, names()), expected, "{wrong}");
        }
    }
}
