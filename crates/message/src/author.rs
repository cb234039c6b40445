//! Who says to have written a message: the one From address that DMARC and reputation rest on.

use crate::{Address, FindingKind, FromError, FromErrorKind, Headers, Site, addresses};
use dns::{Domain, Host};

/// The one author of a message: exactly one From field with exactly one address that has a domain.
///
/// # Errors
/// There is no such author; the kind says why. A message without a clear author proves nothing about anybody.
pub fn author(headers: &Headers<'_>) -> Result<Address, FromError> {
    let fail = |kind| Err(FromError::new(kind));
    let limited = |kind| matches!(kind, FindingKind::HeaderTooLarge | FindingKind::TooManyFields);
    if headers.findings().iter().any(|finding| limited(finding.kind)) {
        // A second From may be among what was not read.
        return fail(FromErrorKind::Unread);
    }
    let mut fields = headers.all("From");
    // RFC 5322 §3.6: the From field occurs once, no less and no more.
    let Some(field) = fields.next() else { return fail(FromErrorKind::NoField) };
    if fields.next().is_some() {
        return fail(FromErrorKind::SeveralFields);
    }
    let list = addresses(field.value);
    if list.unreadable > 0 {
        return fail(FromErrorKind::Malformed);
    }
    let mut mailboxes = list.mailboxes();
    let Some(address) = mailboxes.next() else { return fail(FromErrorKind::NoAuthor) };
    if mailboxes.next().is_some() {
        return fail(FromErrorKind::SeveralAuthors);
    }
    match &address.site {
        Site::Host(Host::Domain(_)) => Ok(address.clone()),
        Site::Host(Host::Ip(_)) => fail(FromErrorKind::AddressLiteral),
        Site::Invalid(_) => fail(FromErrorKind::BadDomain),
        Site::Missing => fail(FromErrorKind::NoDomain),
    }
}

/// The domain of the one [`author`] of a message.
///
/// # Errors
/// As [`author`].
///
/// ```
/// use moxd_message::{FromErrorKind, from_domain, headers};
///
/// let one = headers(b"From: J <j@Example.ORG>\r\n\r\n");
/// assert_eq!(from_domain(&one)?.as_str(), "example.org");
/// let two = headers(b"From: a@example.org, b@example.com\r\n\r\n");
/// assert_eq!(from_domain(&two).unwrap_err().kind(), FromErrorKind::SeveralAuthors);
/// # Ok::<(), moxd_message::FromError>(())
/// ```
pub fn from_domain(headers: &Headers<'_>) -> Result<Domain, FromError> {
    let address = author(headers)?;
    address.domain().cloned().ok_or_else(|| FromError::new(FromErrorKind::NoDomain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_FIELDS, headers};

    #[track_caller]
    fn check(block: &str, expected: Result<&str, FromErrorKind>) {
        let found = from_domain(&headers(block.as_bytes()));
        assert_eq!(found.as_ref().map(Domain::as_str).map_err(|e| e.kind()), expected, "{block}");
    }

    #[test]
    fn accepts_one_author() {
        check("From: a@Example.ORG\r\n", Ok("example.org"));
        check("to: x@y\r\nFROM : \"b@evil.example\" <a@example.org> (c@evil.example)\r\n", Ok("example.org"));
        check("From: ü@bücher.example\r\n", Ok("xn--bcher-kva.example"));
        // RFC 6854 §2: a group may stand in From.
        check("From: Team: a@example.org;\r\n", Ok("example.org"));
    }

    #[test]
    fn refuses_everything_that_leaves_doubt() {
        check("To: a@example.org\r\n", Err(FromErrorKind::NoField));
        check("From: a@example.org\r\nfrom: a@example.org\r\n", Err(FromErrorKind::SeveralFields));
        check("From:\r\n", Err(FromErrorKind::NoAuthor));
        check("From: Nobody:;\r\n", Err(FromErrorKind::NoAuthor));
        check("From: a@example.org, b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: g: a@example.org, a@example.org;\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: a@example.org, <b@example.com\r\n", Err(FromErrorKind::Malformed));
        check("From: <a@example.org> <b@example.com>\r\n", Err(FromErrorKind::Malformed));
        check("From: a@example.org\rFrom: b@example.com\r\n", Err(FromErrorKind::Malformed));
        check("From: root\r\n", Err(FromErrorKind::NoDomain));
        check("From: a@exa_mple.org\r\n", Err(FromErrorKind::BadDomain));
        check("From: a@[192.0.2.1]\r\n", Err(FromErrorKind::AddressLiteral));
        let many = "A: b\r\n".repeat(MAX_FIELDS - 1);
        check(&format!("{many}From: a@example.org\r\n"), Ok("example.org"));
        check(&format!("{many}From: a@example.org\r\nA: b\r\n"), Err(FromErrorKind::Unread));
    }
}
