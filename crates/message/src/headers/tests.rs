use super::*;

#[track_caller]
fn check(block: &str, expected: &[(&str, &str)], findings: &[FindingKind]) {
    let found = headers(block.as_bytes());
    let fields: Vec<_> =
        found.iter().map(|field| (field.name.to_string(), field.unfolded().to_string())).collect();
    let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    assert_eq!(fields, expected, "{block:?}");
    assert_eq!(found.findings().iter().map(|f| f.kind).collect::<Vec<_>>(), findings, "{block:?}");
    crate::fuzzing::headers(block.as_bytes());
}

#[test]
fn accepts_fields_as_they_come() {
    check("A: 1\r\nB:2\r\n\r\nbody", &[("A", "1"), ("B", "2")], &[]);
    check("A: 1\r\n\t2\r\n  3\r\nB:\r\n\r\n", &[("A", "1\t2  3"), ("B", "")], &[]);
    check("Subject \t: x\r\n", &[("Subject", "x")], &[]);
    check("A:\r\n \r\n \tx \r\n", &[("A", "x")], &[]);
    check("X-!#$%&'*+-/=?^_`{|}~: a: b\r\n", &[("X-!#$%&'*+-/=?^_`{|}~", "a: b")], &[]);
    check("Subject: Grüße\r\n", &[("Subject", "Grüße")], &[]);
    check("", &[], &[]);
    check("\r\nA: 1\r\n", &[], &[]);
}

#[test]
fn tells_what_is_wrong_and_goes_on() {
    use FindingKind::*;
    check("A: 1\nB: 2\n\nC: 3", &[("A", "1"), ("B", "2")], &[BareLf]);
    check("A: 1\r2\r\n\r\n", &[("A", "1\r2")], &[BareCr]);
    check("A: 1\r\r\n\r\n", &[("A", "1")], &[BareCr]);
    check("A: \0\r\n", &[("A", "\0")], &[Nul]);
    check("A: 1\r\nno colon\r\n folded\r\nB: 2\r\n", &[("A", "1"), ("B", "2")], &[NoColon]);
    check(": x\r\nB: 2\r\n", &[("B", "2")], &[EmptyName]);
    check("A b: x\r\nÄ: x\r\nB: 2\r\n", &[("B", "2")], &[BadName]);
    check(" A: x\r\n more\r\nB: 2\r\n", &[("B", "2")], &[LeadingSpace]);
    check("From a@b Tue Nov  3 15:04:05 2026\r\nA: 1\r\n", &[("A", "1")], &[MboxLine]);
    check(">From a@b\r\n>>From c@d\r\n folded\r\nFrom : e@f\r\n", &[("From", "e@f")], &[MboxLine]);
    check("A: 1\r\nFrom a@b\r\n", &[("A", "1")], &[NoColon]);
    check("From\r\nA: 1\r\n", &[("A", "1")], &[NoColon]);
    check("A: 1\r\nB: 2", &[("A", "1"), ("B", "2")], &[Unterminated]);
    check(&format!("A: {}\r\n", "x".repeat(996)), &[("A", &"x".repeat(996))], &[LineTooLong]);
    check(&format!("A: {}\r\n", "x".repeat(995)), &[("A", &"x".repeat(995))], &[]);
}

#[test]
fn findings_have_their_place_and_number() {
    let found = headers(b"A: 1\r\nbad\r\nB: 2\r\nworse\r\n\r\n");
    assert_eq!(found.findings(), [Finding { kind: FindingKind::NoColon, offset: 6, count: 2 }]);
    assert_eq!(found.malformed(), Some(found.findings()[0]));
    let found = headers(b"A: 12\rx\r\n\r\n");
    assert_eq!(found.findings()[0].offset, 5);
    assert_eq!(found.malformed(), None);
}

#[test]
fn keeps_the_bytes_of_fields() {
    let block = b"Received : a\r\n\tb\r\nreceived:c\r\nX: d\r\n\r\n";
    let found = headers(block);
    let first = found.first("RECEIVED").unwrap();
    assert_eq!((&**first.raw, first.offset, first.range()), (&b"Received : a\r\n\tb\r\n"[..], 0, 0..18));
    assert_eq!(&**first.value, b" a\r\n\tb\r\n");
    assert_eq!(found.all("received").map(|field| field.offset).collect::<Vec<_>>(), [0, 18]);
    assert_eq!(found.all("received").next_back().unwrap().offset, 18);
    assert_eq!(crate::hops(&found), 2);
    assert_eq!(found.body_offset(), Some(block.len()));
    assert!(found.first("Y").is_none());
}

#[test]
fn limits_fields_and_bytes() {
    let many = "A: b\r\n".repeat(MAX_FIELDS);
    check(&many, &[("A", "b")].repeat(MAX_FIELDS), &[]);
    let more = format!("{many}From: late@example.org\r\n\r\nbody");
    let found = headers(more.as_bytes());
    assert_eq!(found.fields().len(), MAX_FIELDS);
    assert_eq!(found.malformed().unwrap().kind, FindingKind::TooManyFields);
    assert_eq!(found.body_offset(), Some(more.len() - 4));
    let large = format!("A: {}\r\nB: c\r\n\r\n", "x".repeat(MAX_HEADER_SIZE));
    let found = headers(large.as_bytes());
    assert_eq!(found.fields().len(), 0);
    assert_eq!(found.malformed().unwrap().kind, FindingKind::HeaderTooLarge);
    assert_eq!(found.body_offset(), Some(large.len()));
}

#[test]
fn finds_the_end_in_pieces() {
    for block in
        ["A: 1\r\nB: 2\r\n\r\nbody\r\n\r\n", "\r\nbody", "\nbody", "A\n\nb", "A\r\n\r\r\n\r\nb", "A\r\n\r"]
    {
        let end = header_end(block.as_bytes());
        for size in 1..block.len() {
            let mut scan = HeaderScan::new(MAX_HEADER_SIZE);
            let mut at = 0;
            let mut found = None;
            for piece in block.as_bytes().chunks(size) {
                match scan.push(piece) {
                    Scanned::End(n) if found.is_none() => found = Some(at + n),
                    Scanned::End(n) => assert_eq!(n, 0),
                    other => assert_eq!((other, found), (Scanned::More, None)),
                }
                at += piece.len();
            }
            assert_eq!(found, end, "{block:?} by {size}");
        }
    }
}

#[test]
fn stops_at_the_limit() {
    let mut scan = HeaderScan::new(10);
    assert_eq!(scan.push(b"A: 1\r\n"), Scanned::More);
    assert_eq!(scan.push(b"B: 2\r\n\r\n"), Scanned::TooLarge(4));
    assert_eq!(scan.push(b"\r\n\r\n"), Scanned::TooLarge(0));
    let mut scan = HeaderScan::new(8);
    assert_eq!(scan.push(b"A: 1\r\n\r\nbody"), Scanned::End(8));
    let mut scan = HeaderScan::new(0);
    assert_eq!(scan.push(b""), Scanned::More);
    assert_eq!(scan.push(b"\n"), Scanned::TooLarge(0));
}

#[test]
fn fields_go_by_name_or_value() {
    let block = b"A: 1\r\nB: 2\r\n 3\r\nb: 4\r\nC: 5\r\n\r\nB: body";
    let kept = without_fields(block, |name, _| name.eq_ignore_ascii_case(b"b"));
    assert_eq!(kept, [0..6, 22..block.len()]);
    let mbox = b"From a@b\r\n>From c@d\r\nA: 1\r\nFrom e@f\r\nB: 2\r\n";
    let kept = |goes: &[u8]| without_fields(mbox, |name, _| name == goes).first().map(|range| range.start);
    assert_eq!((kept(b"-"), kept(b"A"), mbox[37..].first()), (Some(21), Some(37), Some(&b'B')));
    assert_eq!(without_fields(b"From a@b\r\n", |_, _| false), Vec::<Range<usize>>::new());
    // A block that begins with a continuation line would extend a field that is put before it.
    for (block, start) in [
        (&b" ; x\r\n\ty\r\nA: 1\r\n"[..], 10),
        (b"From a@b\r\n x\r\nA: 1\r\n", 14),
        (b"G: 1\r\n x\r\nA: 1\r\n", 10),
        (b"\t\r\n\r\nbody", 3),
        (b"\r\n body", 0),
        (b"x\r\n y\r\nA: 1\r\n", 0),
    ] {
        let kept = without_fields(block, |name, _| name == b"G");
        assert_eq!(kept, std::slice::from_ref(&(start..block.len())), "{}", block.as_bstr());
    }
    let kept = without_fields(block, |_, value| value == b" 1\r\n");
    assert_eq!(kept.iter().map(|range| (range.start, range.end)).collect::<Vec<_>>(), [(6, block.len())]);
    assert_eq!(without_fields(b"A: 1\r\n", |_, _| true), Vec::<Range<usize>>::new());
}
