use super::*;

/// Rows as a block has them: shared bytes, and the others.
fn encoded(rows: &[(u64, &[u8])]) -> Bytes {
    let mut payload = Vec::new();
    for (shared, suffix) in rows {
        put_varint(&mut payload, *shared);
        put_varint(&mut payload, suffix.len() as u64);
        put_varint(&mut payload, 1);
        payload.extend_from_slice(suffix);
    }
    Bytes::from(payload)
}

#[test]
fn searches_blocks_that_share_less_than_they_could() {
    let block = encoded(&[(0, b"ab"), (0, b"ac"), (1, b"cd"), (0, b"b")]);
    for key in [&b"ab"[..], b"ac", b"acd", b"b"] {
        assert!(search(&block, key).unwrap().unwrap().is_exact, "{}", key.escape_ascii());
    }
    for key in [&b"abc"[..], b"acc", b"c"] {
        assert!(!search(&block, key).unwrap().unwrap().is_exact, "{}", key.escape_ascii());
    }
}

#[test]
fn refuses_rows_that_share_more_than_there_is() {
    for rows in [&[(1, &b"a"[..])][..], &[(0, b"a"), (2, b"b")], &[(0, b"a"), (u64::MAX, b"b")]] {
        let block = encoded(rows);
        assert!(Block::decode(&block).is_none() && search(&block, b"zz").is_none());
    }
}

#[test]
fn round_trips_rows() {
    let rows: [(&[u8], Option<&[u8]>); 4] =
        [(b"a", Some(b"1")), (b"ab", None), (b"abc", Some(b"")), (b"b", Some(b"2"))];
    let mut builder = Builder::default();
    for (key, value) in rows {
        builder.push(key, value);
    }
    assert_eq!(builder.first(), b"a");
    let mut file = Vec::new();
    let len = builder.finish(&mut file);
    assert_eq!(len, file.len());
    assert!(builder.is_empty());
    let bytes = Bytes::from(file);
    let encoded = super::rows(&bytes).unwrap();
    let block = Block::decode(&encoded).unwrap();
    for (i, (key, value)) in rows.into_iter().enumerate() {
        let (k, v) = block.row(i).unwrap();
        assert_eq!((&k[..], v.as_deref()), (key, value));
    }
    assert_eq!([&b""[..], b"a", b"aa", b"abc", b"z"].map(|k| block.rank(k)), [0, 0, 1, 2, 4]);
    for (asked, row, exact) in
        [("", None, false), ("a", Some(0), true), ("aa", Some(0), false)].into_iter().chain([
            ("ab", Some(1), true),
            ("abb", Some(1), false),
            ("abc", Some(2), true),
            ("abcd", Some(2), false),
            ("ac", Some(2), false),
            ("b", Some(3), true),
            ("z", Some(3), false),
        ])
    {
        let found = search(&encoded, asked.as_bytes()).unwrap().map(|f| (f.is_exact, f.value));
        let expected = row.map(|i: usize| (exact, block.row(i).unwrap().1));
        assert_eq!(found, expected, "{asked}");
    }
    for i in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[i] ^= 1;
        assert!(super::rows(&Bytes::from(flipped)).is_none(), "byte {i}");
        assert!(super::rows(&bytes.slice(..i)).is_none(), "cut at {i}");
    }
}
