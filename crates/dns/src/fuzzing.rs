//! Entry points for fuzzing, each with the property it checks. Not part of the public API.

use crate::{Domain, Host, Name, suffix, zone::Zone};

/// Names: a parsed name is the same after it is written and parsed again, and its parts agree with it.
pub fn name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.to_string().parse::<Name>().as_ref(), Ok(&name));
        assert!(name.parent().is_none_or(|parent| name.is_at_or_below(&parent)));
    }
    if let Ok(domain) = text.parse::<Domain>() {
        assert_eq!(domain.as_str().parse::<Domain>().as_ref(), Ok(&domain));
        let organizational = suffix::organizational(&domain);
        assert!(domain.is_at_or_below(&organizational));
        assert_eq!(suffix::organizational(&organizational), organizational);
        let _ = domain.unicode();
    }
    if let Ok(host) = text.parse::<Host>() {
        assert_eq!(host.to_string().parse::<Host>().as_ref(), Ok(&host));
    }
    let _ = Zone::parse(text);
}
