//! A header with an index by field name, for finding the signed fields.

use crate::canonical::{canonical_field, canonical_signature};
use crate::{Canonicalization, FieldNames};
use message::Headers;
use std::cmp::{Ordering, Reverse};
use std::ops::Range;

/// Where the fields of a header are, and which of them share a name. It has positions only, so that a verification can
/// outlive the buffer that it began with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    fields: Vec<Span>,
    /// Key of the name, and index into `fields`. Ordered by name; fields of one name from the bottom of the header up.
    by_name: Vec<(u64, usize)>,
}

#[derive(Debug, Clone)]
struct Span {
    raw: Range<usize>,
    /// Bytes of the name, at the start.
    name: usize,
}

/// A header with its index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    bytes: &'a [u8],
    index: &'a Index,
}

impl Index {
    pub(crate) fn new(headers: &Headers<'_>) -> Self {
        let spans = headers.iter().map(|field| Span { raw: field.range(), name: field.name.len() });
        let name = |at: usize| headers.fields().get(at).map_or(&b""[..], |field| field.name);
        let mut by_name: Vec<(u64, usize)> =
            headers.iter().enumerate().map(|(at, field)| (key(field.name), at)).collect();
        by_name.sort_unstable_by(|(a, i), (b, j)| {
            let names = || compare(name(*i), name(*j));
            a.cmp(b).then_with(names).then_with(|| Reverse(i).cmp(&Reverse(j)))
        });
        Self { fields: spans.collect(), by_name }
    }

    /// Joins the index with the bytes that it was made of.
    pub(crate) fn over<'a>(&'a self, bytes: &'a [u8]) -> Block<'a> {
        Block { bytes, index: self }
    }
}

/// Packs the first eight characters, in lower case, into a number with the same order: most comparisons need no more.
fn key(name: &[u8]) -> u64 {
    let mut start = [0; 8];
    for (to, from) in start.iter_mut().zip(name) {
        *to = from.to_ascii_lowercase();
    }
    u64::from_be_bytes(start)
}

/// Compares names without regard to case.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}

impl<'a> Block<'a> {
    /// The field with its line end.
    pub(crate) fn raw(&self, field: usize) -> &'a [u8] {
        let span = self.index.fields.get(field);
        span.and_then(|span| self.bytes.get(span.raw.clone())).unwrap_or_default()
    }

    fn name(&self, field: usize) -> &'a [u8] {
        self.raw(field).get(..self.name_length(field)).unwrap_or_default()
    }

    fn name_length(&self, field: usize) -> usize {
        self.index.fields.get(field).map_or(0, |span| span.name)
    }

    /// Returns where the fields of a name begin in the order by name.
    fn first(&self, name: &[u8]) -> usize {
        let wanted = key(name);
        self.index.by_name.partition_point(|(found, at)| {
            found.cmp(&wanted).then_with(|| compare(self.name(*at), name)) == Ordering::Less
        })
    }

    /// Returns the `n`th field from the bottom of those that begin at `first` in the order by name.
    fn nth(&self, first: usize, n: usize, name: &[u8]) -> Option<usize> {
        let (_, at) = self.index.by_name.get(first + n)?;
        self.name(*at).eq_ignore_ascii_case(name).then_some(*at)
    }

    /// Returns how many fields have this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        let first = self.first(name.as_bytes());
        (0..).take_while(|n| self.nth(first, *n, name.as_bytes()).is_some()).count()
    }

    /// Appends the signed fields, canonicalised, in the order of `names`; without `own`, which holds the signature.
    pub(crate) fn append_fields(
        &self,
        names: &FieldNames,
        own: Option<usize>,
        kind: Canonicalization,
        out: &mut Vec<u8>,
    ) {
        // How many fields of each name were appended so far, by where the name begins in the order.
        let mut taken = vec![0; self.index.by_name.len()];
        for name in names.iter() {
            let first = self.first(name.as_bytes());
            let Some(count) = taken.get_mut(first) else { continue };
            // RFC 6376 §5.4.2: the last field of a name is signed first, then the next one above it, and so on.
            // RFC 6376 §3.5: a name without a field, or without one left, stands for the null string.
            // RFC 6376 §5.4: the signature itself is not among them: it did not exist when the signer hashed.
            while let Some(field) = self.nth(first, *count, name.as_bytes()) {
                *count += 1;
                if Some(field) != own {
                    self.append(field, kind, out);
                    break;
                }
            }
        }
    }

    /// Appends one field, canonicalised.
    pub(crate) fn append(&self, field: usize, kind: Canonicalization, out: &mut Vec<u8>) {
        canonical_field(kind, self.raw(field), self.name_length(field), out);
    }

    /// Appends the field that holds the signature itself, without the range `removed`.
    pub(crate) fn append_signature(
        &self,
        field: usize,
        removed: Range<usize>,
        kind: Canonicalization,
        out: &mut Vec<u8>,
    ) {
        canonical_signature(kind, self.raw(field), self.name_length(field), removed, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, names: &str, want: &str) {
        let headers = message::headers(header.as_bytes());
        let index = Index::new(&headers);
        let mut out = Vec::new();
        let names = names.parse().unwrap();
        index.over(header.as_bytes()).append_fields(&names, None, Canonicalization::Simple, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn fields_are_taken_from_the_bottom() {
        let header = "A: 1\r\nReceived: x\r\na: 2\r\nReceived-SPF: y\r\nB: 3\r\nA: 4\r\n";
        check(header, "a", "A: 4\r\n");
        check(header, "A:b:a:a:a:c", "A: 4\r\nB: 3\r\na: 2\r\nA: 1\r\n");
        check(header, "c:received:received:received-spf", "Received: x\r\nReceived-SPF: y\r\n");
        check("", "a", "");
    }

    #[test]
    fn counts_by_name() {
        let header = "From: a\r\nfrom : b\r\nFromage: c\r\n";
        let headers = message::headers(header.as_bytes());
        let index = Index::new(&headers);
        let count = |name| index.over(header.as_bytes()).count(name);
        assert_eq!([count("FROM"), count("fromage"), count("fro")], [2, 1, 0]);
    }
}
