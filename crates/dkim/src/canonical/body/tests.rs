use super::*;
use proptest::prelude::*;
use proptest::sample::select;
use ring::digest::SHA256;

/// The canonical body, computed simply and in one piece; tests compare its hash with that of the canonicalizer.
fn reference(kind: Canonicalization, body: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|w| w == b"\r\n");
        let (line, more) = end.map_or((rest, &b""[..]), |end| (&rest[..end], &rest[end + 2..]));
        rest = more;
        let mut line = line.to_vec();
        if kind == Canonicalization::Relaxed {
            let blank = |b: &u8| matches!(b, b' ' | b'\t');
            line.iter_mut().filter(|b| blank(b)).for_each(|b| *b = b' ');
            line.dedup_by(|b, a| blank(a) && blank(b));
            line.pop_if(|b| blank(b));
        }
        lines.push(line);
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    if lines.is_empty() && kind == Canonicalization::Simple {
        lines.push(Vec::new());
    }
    lines.iter().flat_map(|line| [line, &b"\r\n"[..]].concat()).collect()
}

fn hash(kind: Canonicalization, limit: Option<u64>, pieces: &[&[u8]]) -> BodyHash {
    let mut canonicalizer = Canonicalizer::new(kind, limit);
    for piece in pieces {
        canonicalizer.push(piece);
    }
    canonicalizer.finish()
}

#[track_caller]
fn check(body: &str, simple: &str, relaxed: &str) {
    for (kind, want) in [(Canonicalization::Simple, simple), (Canonicalization::Relaxed, relaxed)] {
        let body = body.as_bytes();
        assert_eq!(reference(kind, body), want.as_bytes(), "{kind}");
        let wanted = ring::digest::digest(&SHA256, want.as_bytes());
        for at in 0..=body.len() {
            let (start, end) = body.split_at(at);
            assert_eq!(
                hash(kind, None, &[start, end]).digest.as_ref(),
                wanted.as_ref(),
                "{kind}, cut at {at}"
            );
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(hash(kind, None, &bytes).digest.as_ref(), wanted.as_ref(), "{kind}, byte by byte");
    }
}

#[test]
fn empty_bodies() {
    // RFC 6376 §3.4.3: an empty simple body is one CRLF. RFC 6376 §3.4.4: an empty relaxed one has no bytes.
    check("", "\r\n", "");
    check("\r\n", "\r\n", "");
    check("\r\n\r\n\r\n", "\r\n", "");
    check(" ", " \r\n", "");
    check(" \t\r\n \r\n", " \t\r\n \r\n", "");
}

#[test]
fn ends_of_bodies() {
    check("a", "a\r\n", "a\r\n");
    check("a\r\n", "a\r\n", "a\r\n");
    check("a\r\n\r\n\r\n", "a\r\n", "a\r\n");
    check("a\r\n \r\n\t\r\n", "a\r\n \r\n\t\r\n", "a\r\n");
    check("a \t", "a \t\r\n", "a\r\n");
    check("a\r", "a\r\r\n", "a\r\r\n");
    check("a\r\n\r", "a\r\n\r\r\n", "a\r\n\r\r\n");
    check("a\n", "a\n\r\n", "a\n\r\n");
}

#[test]
fn white_space_in_lines() {
    check("a  b\tc \t d\r\n", "a  b\tc \t d\r\n", "a b c d\r\n");
    check(" a\r\n\t\tb \r\n", " a\r\n\t\tb \r\n", " a\r\n b\r\n");
    check("a\r\n\r\n\r\n b\r\n", "a\r\n\r\n\r\n b\r\n", "a\r\n\r\n\r\n b\r\n");
    check("a\r\n  \r\n \t\r\nb", "a\r\n  \r\n \t\r\nb\r\n", "a\r\n\r\n\r\nb\r\n");
}

#[test]
fn only_crlf_ends_a_line() {
    check("a \rb\r\n", "a \rb\r\n", "a \rb\r\n");
    check("a \nb\r\n", "a \nb\r\n", "a \nb\r\n");
    check("a \r\r\nb\r\n", "a \r\r\nb\r\n", "a \r\r\nb\r\n");
    check("a\r \r\n\r \rb", "a\r \r\n\r \rb\r\n", "a\r\r\n\r \rb\r\n");
    check("\n\n\n", "\n\n\n\r\n", "\n\n\n\r\n");
    check("\0 \0\r\n", "\0 \0\r\n", "\0 \0\r\n");
}

#[test]
fn long_runs_and_changes_meet_at_every_offset() {
    for length in 180..330 {
        let run = "x".repeat(length);
        let body = format!("{run}  {run}\t\r\n{run} \r\n\r\n{run}\r\n\r\n");
        let relaxed = format!("{run} {run}\r\n{run}\r\n\r\n{run}\r\n");
        for kind in [Canonicalization::Simple, Canonicalization::Relaxed] {
            let want = reference(kind, body.as_bytes());
            if kind == Canonicalization::Relaxed {
                assert_eq!(want, relaxed.as_bytes());
            }
            let want = ring::digest::digest(&SHA256, &want);
            assert_eq!(hash(kind, None, &[body.as_bytes()]).digest.as_ref(), want.as_ref());
        }
    }
}

/// The parts that generated bodies consist of.
const PARTS: &[&str] =
    &["a", "word", "two words ", "a\tb", " ", "\t", "\r\n", " \r\n", "\r", "\n", "\0", "ü"];

proptest! {
    #[test]
    fn pieces_hash_as_the_whole(
        // A part occurs once, or often enough to fill the blocks that the canonicalizer scans.
        parts in prop::collection::vec((select(PARTS), prop_oneof![3 => Just(1), 1 => 2..90_usize]), 0..60),
        cuts in prop::collection::vec(1..400_usize, 1..5),
        limit in any::<prop::sample::Index>(),
    ) {
        let body: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
        let (mut pieces, mut rest) = (Vec::new(), body.as_bytes());
        for cut in cuts.iter().cycle() {
            let Some((piece, more)) = rest.split_at_checked(*cut) else { break };
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        for kind in [Canonicalization::Simple, Canonicalization::Relaxed] {
            let canonical = reference(kind, body.as_bytes());
            let want = ring::digest::digest(&SHA256, &canonical);
            let found = hash(kind, None, &pieces).digest;
            prop_assert_eq!(found.as_ref(), want.as_ref(), "{}", kind);
            let limit = limit.index(canonical.len() + 2);
            let want = ring::digest::digest(&SHA256, canonical.get(..limit).unwrap_or(&canonical));
            let found = hash(kind, Some(limit as u64), &pieces);
            prop_assert_eq!(found.digest.as_ref(), want.as_ref(), "{}, limit {}", kind, limit);
            prop_assert_eq!(found.complete, limit <= canonical.len());
        }
    }
}

#[test]
fn limits_count_canonical_bytes() {
    let check = |limit: u64, want: &str, complete: bool| {
        let found = hash(Canonicalization::Relaxed, Some(limit), &[b"a  b\r\n", b"\r\n\r\nc \r\n\r\n"]);
        assert_eq!(found.digest.as_ref(), ring::digest::digest(&SHA256, want.as_bytes()).as_ref(), "{limit}");
        assert_eq!(found.complete, complete, "{limit}");
    };
    check(0, "", true);
    check(2, "a ", true);
    check(6, "a b\r\n\r", true);
    check(10, "a b\r\n\r\n\r\nc", true);
    check(12, "a b\r\n\r\n\r\nc\r\n", true);
    check(13, "a b\r\n\r\n\r\nc\r\n", false);
}

#[test]
fn blank_lines_and_blanks_without_end_take_no_memory() {
    let mut canonicalizer = Canonicalizer::new(Canonicalization::Relaxed, None);
    for _ in 0..1000 {
        canonicalizer.push(&b"\r\n".repeat(1000));
        canonicalizer.push(&b" \t".repeat(1000));
    }
    assert_eq!(canonicalizer.held.line_ends, 1_000_000);
    assert_eq!(canonicalizer.finish().digest.as_ref(), ring::digest::digest(&SHA256, b"").as_ref());
}

#[test]
fn each_canonicalization_is_hashed_once() {
    let mut hasher =
        BodyHasher::new([Canonicalization::Relaxed, Canonicalization::Simple, Canonicalization::Relaxed]);
    assert_eq!(hasher.0.len(), 2);
    hasher.update(b"a  b");
    let hashes = hasher.finish();
    let want = ring::digest::digest(&SHA256, b"a b\r\n");
    assert_eq!(hashes.get(Canonicalization::Relaxed), Some(want.as_ref()));
    assert_eq!(BodyHasher::new([]).finish().get(Canonicalization::Simple), None);
}
