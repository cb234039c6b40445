//! Who says to have written a message: the one From address that DMARC and reputation rest on.

use crate::{Address, FindingKind, FromError, FromErrorKind, Headers, Site, addresses};
use dns::{Domain, Host};

/// The one author of a message: exactly one From field with exactly one address that has a domain.
///
/// # Errors
/// There is no such author; the kind says why. A message without a clear author proves nothing about anybody.
pub fn author(headers: &Headers<'_>) -> Result<Address, FromError> {
    let mut authors = authors(headers)?.into_iter();
    match (authors.next(), authors.next()) {
        (Some(author), None) => {
            site(&author)?;
            Ok(author)
        }
        (None, _) => Err(FromError::new(FromErrorKind::NoAuthor)),
        (Some(_), Some(_)) => Err(FromError::new(FromErrorKind::SeveralAuthors)),
    }
}

/// All addresses of the one From field.
fn authors(headers: &Headers<'_>) -> Result<Vec<Address>, FromError> {
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
    Ok(list.mailboxes().cloned().collect())
}

/// The domain of an address.
fn site(address: &Address) -> Result<&Domain, FromError> {
    Err(FromError::new(match &address.site {
        Site::Host(Host::Domain(domain)) => return Ok(domain),
        Site::Host(Host::Ip(_)) => FromErrorKind::AddressLiteral,
        Site::Invalid(_) => FromErrorKind::BadDomain,
        Site::Missing => FromErrorKind::NoDomain,
    }))
}

/// The domain of the author of a message: of all its authors, should there be several (RFC 9989 §5.3.1). Otherwise naming
/// a domain twice would switch its policy off.
///
/// # Errors
/// As [`author`], but that several authors of one domain are none.
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
    let authors = authors(headers)?;
    let Some((first, others)) = authors.split_first() else {
        return Err(FromError::new(FromErrorKind::NoAuthor));
    };
    let domain = site(first)?;
    for other in others {
        if site(other)? != domain {
            return Err(FromError::new(FromErrorKind::SeveralAuthors));
        }
    }
    Ok(domain.clone())
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
        check("From: Head Office <boss@Head_Office.example.com>\r\n", Ok("head_office.example.com"));
        check("From: <boss@_.bücher_.example.com.>\r\n", Ok("_.xn--bcher_-3ya.example.com"));
        // RFC 6854 §2: a group may stand in From.
        check("From: Team: a@example.org;\r\n", Ok("example.org"));
    }

    #[test]
    fn accepts_several_authors_of_one_domain() {
        check("From: a@example.org, B <b@EXAMPLE.org>\r\n", Ok("example.org"));
        check("From: g: a@example.org, a@example.org;\r\n", Ok("example.org"));
        check("From: a@example.org, b@sub.example.org\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: a@example.org, root\r\n", Err(FromErrorKind::NoDomain));
        let two = author(&headers(b"From: a@example.org, b@example.org\r\n"));
        assert_eq!(two.unwrap_err().kind(), FromErrorKind::SeveralAuthors);
    }

    #[test]
    fn refuses_everything_that_leaves_doubt() {
        check("To: a@example.org\r\n", Err(FromErrorKind::NoField));
        check("From: a@example.org\r\nfrom: a@example.org\r\n", Err(FromErrorKind::SeveralFields));
        check("From:\r\n", Err(FromErrorKind::NoAuthor));
        check("From: Nobody:;\r\n", Err(FromErrorKind::NoAuthor));
        check("From: a@example.org, b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
        check("From: a@example.org, <b@example.com\r\n", Err(FromErrorKind::Malformed));
        check("From: <a@example.org> <b@example.com>\r\n", Err(FromErrorKind::Malformed));
        check("From: a@example.org\rFrom: b@example.com\r\n", Err(FromErrorKind::Malformed));
        check("From: root\r\n", Err(FromErrorKind::NoDomain));
        check("From: a@-example.org\r\n", Err(FromErrorKind::BadDomain));
        check("From: a@[192.0.2.1]\r\n", Err(FromErrorKind::AddressLiteral));
        let many = "A: b\r\n".repeat(MAX_FIELDS - 1);
        check(&format!("{many}From: a@example.org\r\n"), Ok("example.org"));
        check(&format!("{many}From: a@example.org\r\nA: b\r\n"), Err(FromErrorKind::Unread));
    }
}
