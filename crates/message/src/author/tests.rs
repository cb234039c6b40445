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
    check("From: a@example.org, root\r\n", Ok("example.org"));
    let two = author(&headers(b"From: a@example.org, b@example.org\r\n"));
    assert_eq!(two.unwrap_err().kind(), FromErrorKind::SeveralAuthors);
}

/// Values of From in which a reader sees one address, at example.com.
const ONE_ADDRESS: [&str; 93] = [
    // Display names that need quotes.
    "[Ticket 7] <boss@example.com>",
    "Example, Inc. <boss@example.com>",
    "Sales: Boss <boss@example.com>",
    "boss@evil.example <boss@example.com>",
    "@Boss <boss@example.com>",
    "Boss; CEO <boss@example.com>",
    "Boss \\ CEO <boss@example.com>",
    "Boss <CEO> <boss@example.com>",
    "a:b:c <boss@example.com>",
    "http://evil.example/ <boss@example.com>",
    ".Boss. <boss@example.com>",
    "=?utf-8?q?Boss?= (CEO) [x] <boss@example.com>",
    // Before and behind the address.
    "Boss <boss@example.com> extra",
    "Boss <boss@example.com>, ",
    "Boss <boss@example.com>;",
    "root, boss@example.com",
    "Boss boss@example.com",
    "[x] boss@example.com.",
    "boss@example.com [x]",
    "mailto:boss@example.com",
    "boss@example.com:;",
    "boss@example.com; boss@example.com",
    // Brackets, quotes, comments without an end.
    "Boss <boss@example.com",
    "Boss boss@example.com>",
    "<<boss@example.com>>",
    "\"Boss <boss@example.com>",
    "Boss\" <boss@example.com>",
    "\"Boss\" \"x <boss@example.com>",
    "Boss (CEO <boss@example.com>",
    "(Boss <boss@example.com>",
    "Boss ((CEO) <boss@example.com>",
    "Boss CEO) <boss@example.com>",
    "\"x@evil.example\" [x] <boss@example.com>",
    "(x@evil.example) [x] boss@example.com",
    "boss@example.com (open",
    // Groups.
    "Team: boss@example.com",
    "Team:; boss@example.com",
    "Team: Sales: boss@example.com;",
    "a:; b:; Boss <boss@example.com>",
    // Obsolete forms.
    "<@relay.example:boss@example.com>",
    "<@relay.example, boss@example.com>",
    "[x] <boss @ example.com>",
    "Boss <boss@example . com>",
    "boss@example.com@evil.example",
    "boss@x@example.com",
    "Boss <boss@x@@example.com@y>",
    // Domains.
    "boss@Example.COM.",
    "boss@example..com",
    "boss@.example.com",
    "boss@[example.com]",
    // Invisible characters.
    "Boss\0 <boss@example.com>",
    "Boss <boss@exam\0ple.com>",
    "\u{1}boss@example.com\u{7f}",
    "Boss <boss@example.com\u{200e}>",
    "Boss <boss@\u{202d}example.com>",
    "Boss <bo\u{200b}ss@exam\u{ad}ple.com>",
    "[x] Bö\u{fffd}ss <boss@example.com>",
    "Boss <boss@example.com\u{a0}>",
    "Boss <boss@\u{3000}example.\u{2009}com>",
    "Boss\u{a0}boss@example.com\u{2028}",
    "Boss <boss@example.com\u{2800}>",
    // Folded.
    "Boss\r\n\t[x]\r\n <boss@example.com>",
    "Boss <boss@\r\n example.com",
    // The only address is in quotes, in a comment, or in encoded words.
    "\"boss@example.com\"",
    "\"Boss <boss@example.com>\"",
    "(boss@example.com)",
    "\"boss@example.com\":;",
    "=?utf-8?q?boss=40example=2Ecom?=",
    "=?utf-8?b?Qm9zcyA8Ym9zc0BleGFtcGxlLmNvbT4=?=",
    "Boss <=?utf-8?q?boss=40example.com?=>",
    "boss@=?utf-8?q?example.com?=",
    "=?x-none?q?boss=40example.com?=",
    "=?utf-8?q?boss=40exam=00ple.com?=",
    "=?iso-8859-1?q?boss=40example.com=A0?=",
    // Comments and quotes that some readers skip.
    "Boss <boss@exam(x)ple.com>",
    "boss@exam(x)ple.com",
    "Boss <boss@\"example.com\">",
    "Boss <boss@\"example\".com>",
    "Boss <boss@ex\\ample.com>",
    // Characters around the domain that no name has, and look-alikes.
    "Boss <boss@example.com/>",
    "Boss <boss@example.com?subject=x>",
    "Boss <boss@example.com->",
    "Boss <boss@$example.com>",
    "Boss \u{ff1c}boss@example.com\u{ff1e}",
    "\u{201c}boss@example.com\u{201d}",
    "Boss <boss@\u{300a}example.com\u{300b}>",
    "\u{1f4e7} boss@example.com\u{1f4e7}",
    "[x] \u{ab}boss@example.com\u{bb}",
    "boss@example\u{2024}com",
    "boss\u{ff20}example.com",
    "Boss <boss\u{fe6b}example.com>",
    "Boss\u{ff20}evil.example <boss@example.com>",
    "\u{ff1c}x@evil.example\u{ff1e} <boss@example.com>",
];

/// If a reader sees one address in a From value, its domain is found.
#[test]
fn breaking_the_grammar_switches_no_policy_off() {
    for from in ONE_ADDRESS {
        check(&format!("From: {from}\r\n"), Ok("example.com"));
        crate::fuzzing::addresses(from.as_bytes());
    }
    for from in [&b"boss@example.com\xa0"[..], b"B\xf6ss <boss@exam\xadple.com>"] {
        let found = from_domain(&headers(&[b"From: ", from, b"\r\n"].concat())).unwrap();
        assert_eq!(found.as_str(), "example.com", "{from:?}");
    }
    // The name cannot exist and so has no policy; the one above it counts.
    for domain in ["-x.example.com", "a!b.example.com", "xn--a.example.com", "x.-.example.com"] {
        check(&format!("From: boss@{domain}\r\n"), Ok("example.com"));
    }
    check("From: =?utf-8?q?x?= boss@mail.example.com, \"x\" root\r\n", Ok("mail.example.com"));
    // Names that end in combining marks.
    check(
        "From: a@\u{92d}\u{93e}\u{930}\u{924}\u{92e}\u{94d}.\u{92d}\u{93e}\u{930}\u{924}\u{92e}\u{94d}\r\n",
        Ok("xn--h2breg3eve.xn--h2breg3eve"),
    );
    check("From: [x] ann@a_b.example.com\r\n", Ok("a_b.example.com"));
    check("From: boss@exa!mple.com\r\n", Err(FromErrorKind::BadDomain));
    check("From: a@[999.0.2.1]\r\n", Err(FromErrorKind::BadDomain));
}

#[test]
fn shows_the_from_field_where_there_is_no_one_author() {
    for (from, shown) in [
        ("Mail System <MAILER-DAEMON>", "MAILER-DAEMON"),
        ("Ann <ann@example.com>, Bob <bob@example.org>", "ann@example.com"),
        ("Anna, Bert <b@bücher.example>", "b@bücher.example"),
        ("ann@-.example", "ann@-.example"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("=?utf-8?q?J=C3=BCrgen?= !", "Jürgen !"),
        ("[x]", "[x]"),
        ("", ""),
    ] {
        let header = format!("From: {from}\r\nFrom: other@example.net\r\n");
        assert_eq!(shown_author(&headers(header.as_bytes())).as_deref(), Some(shown), "{from}");
    }
    assert_eq!(shown_author(&headers(b"To: x@y\r\n")), None);
}

#[test]
fn refuses_a_from_field_without_a_clear_author() {
    check("To: a@example.org\r\n", Err(FromErrorKind::NoField));
    check("From: a@example.org\r\nfrom: a@example.org\r\n", Err(FromErrorKind::SeveralFields));
    check("From:\r\n", Err(FromErrorKind::NoAuthor));
    check("From: Nobody:;\r\n", Err(FromErrorKind::NoAuthor));
    check("From: a@example.org, b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
    check("From: a@example.org, <b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
    check("From: <a@example.org> <b@example.com>\r\n", Err(FromErrorKind::SeveralAuthors));
    check("From: a@example.org\rFrom: b@example.com\r\n", Err(FromErrorKind::SeveralAuthors));
    check("From: a@\r\n", Err(FromErrorKind::Malformed));
    check("From: root\r\n", Err(FromErrorKind::NoDomain));
    check("From: a@-example\r\n", Err(FromErrorKind::BadDomain));
    check("From: a@[192.0.2.1]\r\n", Err(FromErrorKind::AddressLiteral));
    let many = "A: b\r\n".repeat(MAX_FIELDS - 1);
    check(&format!("{many}From: a@example.org\r\n"), Ok("example.org"));
    check(&format!("{many}From: a@example.org\r\nA: b\r\n"), Err(FromErrorKind::Unread));
}
