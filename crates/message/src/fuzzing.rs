//! Entry points for fuzzing, each with the properties it checks. Not part of the public API.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fuzz entry reports what is wrong by panicking"
)]

use crate::{
    AuthResults, Date, FindingKind, HeaderScan, Limits, MAX_ADDRESSES, Part, Scanned,
    addresses as read_addresses, base_subject, canonical_message_id, claims, decode_words, dsn as report,
    from_domain, header_end, headers as read_headers, references, without_claims,
};
use smtp_parser::Dialect;

/// Headers: fields tile the block, and pieces of any size have the same end.
pub fn headers(data: &[u8]) {
    let found = read_headers(data);
    let mbox = found.findings().iter().any(|finding| finding.kind == FindingKind::MboxLine);
    let mut at = 0;
    for field in &found {
        assert!(field.offset >= at);
        assert!(field.offset == at || (mbox && at == 0) || found.malformed().is_some());
        assert_eq!(&data[field.range()], &**field.raw);
        assert!(field.raw.starts_with(field.name) && field.raw.ends_with(field.value));
        assert!(!field.name.is_empty() && field.name.iter().all(|b| b.is_ascii_graphic() && *b != b':'));
        assert!(!field.unfolded().contains(&b'\n'));
        decode_words(field.value);
        base_subject(field.value);
        at = field.range().end;
    }
    let end = header_end(data);
    assert_eq!(found.body_offset(), end);
    if found.malformed().is_none() && !(mbox && at == 0) {
        let rest = &data[at..end.unwrap_or(data.len())];
        assert!(matches!(rest, b"" | b"\n" | b"\r\n"));
    }
    chunks(data, end);
    let _ = from_domain(&found);
    let host = "mx.example.org".parse().unwrap();
    let kept: Vec<u8> = without_claims(data, &host).iter().flat_map(|r| &data[r.clone()]).copied().collect();
    assert!(read_headers(&kept).all("Authentication-Results").all(|field| !claims(field.value, &host)));
    assert_eq!(without_claims(&kept, &host).len(), usize::from(!kept.is_empty()));
}

/// A header that arrives in pieces ends where the complete one does.
fn chunks(data: &[u8], end: Option<usize>) {
    let size = data.first().map_or(1, |first| usize::from(*first) % 7 + 1);
    for limit in [usize::MAX, data.len() / 2] {
        let mut scan = HeaderScan::new(limit);
        let mut at = 0;
        let mut found = Scanned::More;
        for piece in data.chunks(size) {
            found = scan.push(piece);
            if found != Scanned::More {
                break;
            }
            at += piece.len();
        }
        match found {
            Scanned::More => assert!(end.is_none() && data.len() <= limit),
            Scanned::End(n) => assert!(end == Some(at + n) && at + n <= limit),
            Scanned::TooLarge(n) => assert!(at + n == limit && end.is_none_or(|end| end > limit)),
        }
    }
}

/// MIME: parts tile the message, within the limits.
pub fn mime(data: &[u8]) {
    for limits in [Limits::default(), Limits { depth: 3, parts: 5, header: 100 }] {
        let (part, _) = Part::parse(data, limits);
        assert_eq!(part.range(), 0..data.len());
        assert!(part.walk().count() <= limits.parts);
        let mut level = vec![&part];
        let mut depth = 0;
        while !level.is_empty() {
            depth += 1;
            level.iter().for_each(|part| tiles(part, data));
            level = level.iter().flat_map(|part| &part.parts).collect();
        }
        assert!(depth <= limits.depth);
        part.has_utf8_header(data);
    }
}

fn tiles(part: &Part, data: &[u8]) {
    assert!(part.header.start <= part.header.end && part.header.end == part.body.start);
    assert!(part.body.start <= part.body.end && part.body.end <= data.len());
    let message = part.media_type().0 != "multipart";
    if let ([inner], true) = (part.parts.as_slice(), message) {
        assert_eq!(inner.range(), part.body);
    } else {
        let mut at = part.body.start;
        for inner in &part.parts {
            let gap = &data[at..inner.header.start];
            let delimiter = gap.strip_suffix(b"\n").unwrap_or(gap).rsplit(|b| *b == b'\n').next().unwrap();
            assert!(delimiter.starts_with(b"--"), "{:?}", bstr::BStr::new(gap));
            at = inner.body.end;
        }
        assert!(at <= part.body.end);
        assert!(part.parts.is_empty() || !message);
    }
    assert!(part.decoded(data, 50).len() <= 50);
    part.text(data, 50);
    part.filename();
}

/// Addresses: their number is bounded, and those with a form in SMTP are read back from that form.
pub fn addresses(data: &[u8]) {
    let list = read_addresses(data);
    assert!(list.mailboxes().count() <= MAX_ADDRESSES);
    for mailbox in list.mailboxes().filter_map(|address| address.mailbox()) {
        let again = read_addresses(mailbox.to_string().as_bytes());
        assert_eq!(again.malformed, 0);
        assert_eq!(again.mailboxes().next().unwrap().mailbox(), Some(mailbox));
    }
    if let Some(id) = canonical_message_id(data, Dialect::Lenient) {
        assert_eq!(canonical_message_id(format!("<{id}>").as_bytes(), Dialect::Strict), Some(id));
    }
    references(data);
    if let Ok(date) = String::from_utf8_lossy(data).parse::<Date>() {
        assert_eq!(date.to_string().parse(), Ok(date));
    }
}

/// Authentication-Results: writing what was read and reading it again gives the same field, on lines of allowed length.
pub fn auth_results(data: &[u8]) {
    let Ok(results) = AuthResults::parse(data) else { return };
    let field = results.field();
    assert_eq!(field.matches("\r\n").count(), field.matches("\r\n\t").count() + 1);
    assert!(field.split("\r\n").all(|line| line.len() <= 998));
    let again = AuthResults::parse(field.split_once(':').unwrap().1.as_bytes()).unwrap();
    assert_eq!(again.field(), field);
    let arc = results.arc_field(1);
    let (instance, again) = AuthResults::parse_arc(arc.split_once(':').unwrap().1.as_bytes()).unwrap();
    assert_eq!((instance, again.field()), (1, field));
}

/// Delivery reports: a report that was read is the same after it is written and read again.
pub fn dsn(data: &[u8]) {
    let (part, _) = Part::parse(data, Limits::default());
    let Some(read) = report::parse(&part, data) else { return };
    let letter = report::Letter {
        from: "postmaster@example.org".parse().unwrap(),
        to: "a@example.org".parse().unwrap(),
        subject: "report".to_owned(),
        message_id: "<1@example.org>".to_owned(),
        references: None,
        text: String::from_utf8_lossy(data).into_owned(),
        utf8: true,
    };
    let original = report::Original { message: data, utf8: true };
    let written = report::compose(&letter, &read, original, Date::new(0, 0)).unwrap();
    let (part, _) = Part::parse(&written, Limits::default());
    let again = report::parse(&part, &written).unwrap();
    assert_eq!(again.recipients.len(), read.recipients.len());
    let rewritten = report::compose(&letter, &again, original, Date::new(0, 0)).unwrap();
    assert_eq!(written, rewritten);
}
