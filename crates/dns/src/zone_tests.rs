use super::*;

const TEXT: &str = r#"
; a comment
example.test.        TXT   "v=spf1; " "-all"     ; joined
example.test.        MX    10 mail.example.test.
mail.example.test.   A     192.0.2.1
alias.test.          CNAME example.test.
loop.test.           CNAME loop.test.
*.wild.test.         A     192.0.2.9
a.b.empty.test.      A     192.0.2.7
_25._tcp.mail.test.  TLSA  3 1 1 00ff10
!servfail slow.test.
!timeout  dead.test. TXT
!secure   example.test.
"#;

#[track_caller]
fn check(name: &str, kind: Kind, want: Result<usize, LookupErrorKind>) {
    let zone = Zone::parse(TEXT).unwrap();
    let name: Name = name.parse().unwrap();
    let got = block_on_ready(zone.lookup(Question { name: &name, kind }));
    assert_eq!(got.map(|a| a.records.len()).map_err(|e| e.kind()), want, "{name} {kind}");
}

#[test]
fn answers_what_the_text_says() {
    check("example.test", Kind::Txt, Ok(1));
    check("EXAMPLE.test", Kind::Mx, Ok(1));
    check("example.test", Kind::A, Err(LookupErrorKind::NoData));
    check("other.test", Kind::A, Err(LookupErrorKind::NoName));
    check("_25._tcp.mail.test", Kind::Tlsa, Ok(1));
}

#[test]
fn follows_aliases_but_not_for_ever() {
    check("alias.test", Kind::Txt, Ok(1));
    check("alias.test", Kind::Cname, Ok(1));
    check("loop.test", Kind::A, Err(LookupErrorKind::Malformed));
}

#[test]
fn wildcards_cover_what_is_not_there() {
    check("x.wild.test", Kind::A, Ok(1));
    check("x.y.wild.test", Kind::A, Ok(1));
    check("x.wild.test", Kind::Mx, Err(LookupErrorKind::NoData));
}

#[test]
fn a_name_with_names_below_exists() {
    check("b.empty.test", Kind::A, Err(LookupErrorKind::NoData));
    check("c.empty.test", Kind::A, Err(LookupErrorKind::NoName));
}

#[test]
fn fails_as_directed() {
    check("slow.test", Kind::A, Err(LookupErrorKind::Temporary));
    check("dead.test", Kind::Txt, Err(LookupErrorKind::Timeout));
    check("dead.test", Kind::A, Err(LookupErrorKind::NoName));
}

#[test]
fn txt_strings_are_joined() {
    let zone = Zone::parse(TEXT).unwrap();
    let answer = block_on_ready(crate::txt(&zone, &"example.test".parse().unwrap())).unwrap();
    assert_eq!(*answer.records, [b"v=spf1; -all".to_vec()]);
    assert!(answer.is_secure());
}

#[test]
fn refuses_lines_it_does_not_know() {
    for (text, line) in
        [("x.test. A", 1), ("\nx.test. WKS 1", 2), ("!slow x.test.", 1), ("x.test. TLSA 3 1 1 f", 1)]
    {
        assert_eq!(Zone::parse(text).unwrap_err().line(), line, "{text:?}");
    }
}
