//! Message-IDs in the one form in which they are compared.

/// The canonical form of a Message-ID header's value: lower case, without brackets, without needless quoting.
///
/// `None` when the value has no `<…>`, or when something other than a space follows
/// the closing bracket.
///
/// ```
/// use moxd_store::canonical_message_id;
/// assert_eq!(canonical_message_id(" <A.B@Example.org>\r\n"), Some("a.b@example.org".to_owned()));
/// assert_eq!(canonical_message_id("<\"ab\"@x.test> (comment)"), Some("ab@x.test".to_owned()));
/// assert_eq!(canonical_message_id("no brackets"), None);
/// ```
#[must_use]
pub fn canonical_message_id(value: &str) -> Option<String> {
    let (inner, after) = value.trim().strip_prefix('<')?.split_once('>')?;
    let follows = after.is_empty() || after.starts_with(' ');
    if !follows || inner.is_empty() {
        return None;
    }
    Some(unquoted(&inner.to_lowercase()))
}

/// The address without quotes around a local part that needs none.
fn unquoted(id: &str) -> String {
    let Some((quoted, domain)) = id.strip_prefix('"').and_then(|rest| rest.rsplit_once("\"@")) else {
        return id.to_owned();
    };
    let mut local = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => local.extend(chars.next()),
            c => local.push(c),
        }
    }
    if is_dot_atom(&local) { format!("{local}@{domain}") } else { id.to_owned() }
}

/// RFC 5322 §3.2.3: atext in runs between single dots; RFC 6532 §3.2 adds everything outside ASCII.
fn is_dot_atom(text: &str) -> bool {
    let atext = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_canonical_form() {
        #[track_caller]
        fn check(value: &str, expected: Option<&str>) {
            assert_eq!(canonical_message_id(value).as_deref(), expected, "{value:?}");
        }
        check("<a@b>", Some("a@b"));
        check("\t<A@B.TEST>\r\n", Some("a@b.test"));
        check("<a@b> trailing", Some("a@b"));
        check("<a@b>trailing", None);
        check("a@b", None);
        check("<a@b", None);
        check("<>", None);
        check("", None);
        check("<not an address>", Some("not an address"));
        check("<\"a.b\"@c>", Some("a.b@c"));
        check("<\"a\\b\"@c>", Some("ab@c"));
        check("<\"a b\"@c>", Some("\"a b\"@c"));
        check("<\"a..b\"@c>", Some("\"a..b\"@c"));
        check("<\"\"@c>", Some("\"\"@c"));
        check("<ÄÖ@b>", Some("äö@b"));
    }
}
