use super::*;

/// A list as `name|local@site` each, groups as `name: …;`, and the number of malformed entries.
fn dump(list: &AddressList) -> String {
    let one = |address: &Address| {
        let site = match &address.site {
            Site::Host(host) => format!("@{host}"),
            Site::Invalid(text) => format!("@?{text}"),
            Site::Missing => String::new(),
        };
        format!("{}|{}{site}", address.name.as_deref().unwrap_or_default(), address.localpart)
    };
    let entry = |entry: &Entry| match entry {
        Entry::Mailbox(address) => one(address),
        Entry::Group { name, members } => {
            format!("{name}: {};", members.iter().map(one).collect::<Vec<_>>().join(", "))
        }
    };
    let mut out: Vec<String> = list.entries.iter().map(entry).collect();
    out.extend((list.malformed > 0).then(|| format!("!{}", list.malformed)));
    out.join(", ")
}

#[track_caller]
fn check(value: &str, expected: &str) {
    assert_eq!(dump(&addresses(value.as_bytes())), expected, "{value}");
    crate::fuzzing::addresses(value.as_bytes());
}

#[test]
fn accepts_the_examples_of_rfc_5322() {
    // RFC 5322 §A.1: addressing examples.
    check("John Doe <jdoe@machine.example>", "John Doe|jdoe@machine.example");
    check("\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public|john.q.public@example.com");
    check(
        "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
        "Mary Smith|mary@x.test, |jdoe@example.org, Who?|one@y.test",
    );
    check(
        "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
        "|boss@nil.test, Giant; \"Big\" Box|sysservices@example.net",
    );
    check(
        "A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
        "A Group: Ed Jones|joe@where.test, |joe@where.test, John|jdoe@one.test;",
    );
    check("Undisclosed recipients:;", "Undisclosed recipients: ;");
    // RFC 5322 §A.5: white space, comments, and other oddities.
    check("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete@silly.test");
    check(
        "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  \
         John <jdoe@one.test> (my dear friend); (the end of the group)",
        "A Group: Chris Jones|c@public.example, |joe@example.org, John|jdoe@one.test;",
    );
    check("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "Hidden recipients: ;");
}

#[test]
fn accepts_obsolete_and_sloppy_forms() {
    check("Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|john.q.public@example.com");
    check(
        "Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test . example",
        "Mary Smith|mary@example.net, |jdoe@test.example",
    );
    check("a@example.org (A. Person)", "A. Person|a@example.org");
    check("a . b@example.org", "|a.b@example.org");
    check("a..b.@example.org", "|a..b.@example.org");
    check(",, a@example.org ,", "|a@example.org");
    check("\"a b\".c@example.org", "|a b.c@example.org");
    check("\"\"@example.org", "|@example.org");
    check("a@[192.0.2.1], b@[IPv6:2001:db8::1]", "|a@[192.0.2.1], |b@[IPv6:2001:db8::1]");
    check("a@example.org <a@Example.org> (x)", "x|a@example.org");
    check("=?utf-8?q?J=C3=BC?= <a@example.org>", "=?utf-8?q?J=C3=BC?=|a@example.org");
    check("a@under_score.example, b@example.org.", "|a@under_score.example, |b@example.org");
}

#[test]
fn accepts_utf8_and_international_domains() {
    check("Jürgen <jürgen@BÜCHER.example>", "Jürgen|jürgen@xn--bcher-kva.example");
}

#[test]
fn keeps_addresses_without_a_usable_domain() {
    check("root", "|root");
    check("<root>", "|root");
    check("a@-score.example", "|a@?-score.example");
    check("a@example..org", "|a@?example..org");
    check("a@[junk]", "|a@?[junk]");
}

#[test]
fn finds_addresses_where_the_grammar_is_broken() {
    check("John Doe, a@example.org", "|a@example.org, !1");
    check(
        "<a@example.org> <b@example.org>, c@example.org",
        "|a@example.org, |b@example.org, |c@example.org, !1",
    );
    check("<a@example.org, b@example.org>", "|a@example.org, |b@example.org, !2");
    check("a b@example.org", "|b@example.org, !1");
    check("a@b.example@c.example, a@b@c.example", "|a@b.example, |a@b@c.example, !2");
    check("a@example.org\rb@example.org", "|a@example.org, |b@example.org, !1");
    check("a@example.org (open", "|a@example.org, !1");
    check("\"open <a@example.org>", "|a@example.org, !1");
    check("g: a@example.org", "g: |a@example.org;, !1");
    check("g: h: a@example.org;", "g: |a@example.org;, !1");
    check("g:; junk, a@example.org", "g: ;, |junk, |a@example.org, !1");
    check("a@example.org; b@example.org", "|a@example.org, |b@example.org, !1");
    check("x@example.com <a@example.org>", "|a@example.org, !1");
    check("\"a b\"@example.org [x], c (d) @example.org [x]", "|a b@example.org, |c@example.org, !2");
}

#[test]
fn counts_what_has_no_address() {
    for value in
        ["@example.org", "a@", "<>", "\0", "[x] <@example.org>", "\"a@example.org\" [x]", "(a@example.org) ]"]
    {
        check(value, "!1");
    }
    check("\"open", "|open, !1");
    check("(open", "!1");
}

#[test]
fn long_lists_are_cut() {
    let list = addresses("a@example.org,".repeat(100_000).as_bytes());
    assert_eq!((list.mailboxes().count(), list.cut), (MAX_ADDRESSES, true));
    assert!(!addresses("a@example.org,".repeat(MAX_ADDRESSES).as_bytes()).cut);
    for many in ["a@b ", "[a@b,", "<a@b>", "@(", "\"(", "\\\"", "@[", "(a@b"] {
        assert!(addresses(many.repeat(50_000).as_bytes()).mailboxes().count() <= MAX_ADDRESSES);
    }
    addresses("(".repeat(1_000_000).as_bytes());
    addresses("<@".repeat(1_000_000).as_bytes());
    addresses("g:".repeat(1_000_000).as_bytes());
}

#[test]
fn gives_smtp_what_smtp_can_have() {
    let mailbox =
        |value: &str| addresses(value.as_bytes()).mailboxes().next()?.mailbox().map(|m| m.to_string());
    assert_eq!(mailbox("\"a b\" (c) @example.org").as_deref(), Some("\"a b\"@example.org"));
    assert_eq!(mailbox("root"), None);
    assert_eq!(mailbox("a@[192.0.2.1]"), None);
    assert_eq!(mailbox(&format!("{}@example.org", "a".repeat(500))), None);
}
