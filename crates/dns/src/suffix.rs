//! Public suffixes: the names under which anyone can register a domain.
//!
//! The list is compiled in. Only its ICANN section counts: a company that gives out names below its own domain is one
//! organization for the DMARC of RFC 7489 §3.2.

use crate::{Domain, Name};
use psl::{List, Psl, Type};

/// Returns the organizational domain: the public suffix and one label before it (RFC 7489 §3.2). A public suffix or a single
/// label is its own organizational domain.
pub fn organizational(domain: &Domain) -> Domain {
    let suffix_labels = suffix_labels(domain.as_str());
    let labels: Vec<&str> = domain.name().labels().collect();
    let keep = (suffix_labels + 1).min(labels.len());
    let kept = labels.get(labels.len() - keep..).unwrap_or_default().join(".");
    kept.parse().unwrap_or_else(|_| domain.clone())
}

/// Returns the registered domain of a name of any kind, such as `_dmarc.example.org`: the public suffix and one label before
/// it. None for the root and for a public suffix.
pub fn registered(name: &Name) -> Option<Name> {
    if name.is_root() {
        return None;
    }
    let keep = suffix_labels(name.as_str()) + 1;
    (name.labels().count() >= keep).then(|| name.last_labels(keep)).flatten()
}

/// Is this name a public suffix, which belongs to no single organization?
pub fn is_public(domain: &Domain) -> bool {
    suffix_labels(domain.as_str()) >= domain.name().labels().count()
}

/// Counts the labels of the longest ICANN suffix. An unlisted top-level domain counts as a suffix.
fn suffix_labels(name: &str) -> usize {
    let mut rest = name;
    loop {
        let Some(suffix) = List.suffix(rest.as_bytes()) else { return 1 };
        let labels = suffix.as_bytes().split(|b| *b == b'.').count();
        if suffix.typ() != Some(Type::Private) {
            return labels;
        }
        // A private suffix is below an ICANN suffix: look again with one label less than the private suffix has.
        let Some(start) = rest.len().checked_sub(suffix.as_bytes().len()) else { return 1 };
        match rest.get(start..).and_then(|s| s.split_once('.')) {
            Some((_, parent)) => rest = parent,
            None => return labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(domain: &str, want: &str, public: bool) {
        let domain: Domain = domain.parse().unwrap();
        assert_eq!(organizational(&domain).as_str(), want);
        assert_eq!(is_public(&domain), public, "{domain}");
    }

    #[test]
    fn organizational_domains() {
        check("a.b.example.com", "example.com", false);
        check("example.com", "example.com", false);
        check("com", "com", true);
        check("a.example.co.uk", "example.co.uk", false);
        check("co.uk", "co.uk", true);
        check("x.unlisted", "x.unlisted", false);
        check("unlisted", "unlisted", true);
    }

    #[test]
    fn what_stands_behind_a_name_of_any_kind() {
        let check = |name: &str, want: Option<&str>| {
            let name: Name = name.parse().unwrap();
            assert_eq!(registered(&name).as_ref().map(Name::as_str), want, "{name}");
        };
        check("_dmarc.a.example.com", Some("example.com"));
        check("s._domainkey.someone.github.io", Some("github.io"));
        check("_dmarc.co.uk", Some("_dmarc.co.uk"));
        check("co.uk", None);
        check("com", None);
        check(".", None);
    }

    #[test]
    fn wildcard_and_exception_rules() {
        check("a.b.c.kawasaki.jp", "b.c.kawasaki.jp", false);
        check("c.kawasaki.jp", "c.kawasaki.jp", true);
        check("a.city.kawasaki.jp", "city.kawasaki.jp", false);
    }

    #[test]
    fn the_private_section_does_not_count() {
        check("someone.github.io", "github.io", false);
        check("a.someone.blogspot.co.uk", "blogspot.co.uk", false);
    }

    #[test]
    fn international_suffixes() {
        check("a.b.xn--p1ai", "b.xn--p1ai", false);
    }
}
