use proptest::{collection::vec, prelude::*};

use super::*;

fn key(n: u64) -> Vec<u8> {
    format!("account {} of example{}.test", n % 50, n).into_bytes()
}

fn filter(keys: std::ops::Range<u64>, at_most: u64) -> Filter {
    let mut filter = Filter::for_keys(at_most);
    keys.for_each(|n| filter.insert(KeyHash::of(&key(n))));
    filter
}

fn encoded(filter: &Filter) -> Vec<u8> {
    let mut bytes = Vec::new();
    filter
        .encode(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
    bytes
}

fn decoded(bytes: &[u8]) -> Option<Filter> {
    let read = |at, len| Ok(bytes[at as usize..(at + len) as usize].to_vec());
    Filter::decode(bytes.len() as u64, read).unwrap()
}

/// How many of 10,000 keys that are not in the filter pass.
fn passing(filter: &Filter) -> usize {
    (1 << 40..).take(10_000).filter(|n| filter.may_contain(KeyHash::of(&key(*n)))).count()
}

#[test]
fn has_every_key_and_hardly_another() {
    for n in [1, 7, 100, 5000, 200_000] {
        let filter = filter(0..n, n);
        assert!((0..n).all(|k| filter.may_contain(KeyHash::of(&key(k)))), "{n} keys");
        let passing = passing(&filter);
        assert!(passing < 250, "{passing} of 10,000 beside {n} keys");
    }
}

#[test]
fn takes_bounded_memory_for_any_number_of_keys() {
    for n in [0, 1, 6_000_000, 7_000_000, 1 << 30, u64::MAX] {
        let filter = Filter::for_keys(n);
        assert!((filter.lines.len() * LINE) as u64 <= MAX, "{n} keys");
        assert!((1..=MAX_PROBES).contains(&filter.probes), "{n} keys");
    }
}

#[test]
fn shrinks_to_what_a_smaller_one_would_have_been() {
    // Lines are in multiples of 16: what is made for 16 times as many halves down to the same.
    let exact = filter(0..4096, 4096);
    for times in [2, 4, 8] {
        let mut large = filter(0..4096, 4096 * times);
        assert_eq!(large.lines.len(), exact.lines.len() * times as usize);
        large.shrink(4096);
        assert_eq!(large, exact);
    }
    let mut empty = Filter::for_keys(1000);
    empty.shrink(0);
    assert!(empty.lines.len() <= GRAIN as usize && passing(&empty) == 0);
}

#[test]
fn names_every_cut_and_flip() {
    let whole = encoded(&filter(0..90, 90));
    assert_eq!(decoded(&whole).as_ref(), Some(&filter(0..90, 90)));
    for i in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[i] ^= 0x10;
        assert_eq!(decoded(&flipped), None, "byte {i}");
        assert_eq!(decoded(&whole[..i]), None, "cut at {i}");
    }
}

/// A hash that changes would make rows of existing stores look absent.
#[test]
fn hashes_as_in_stored_filters() {
    for (key, hash) in [
        (&b""[..], 0),
        (b"a", 0x6649_c3c2_8722_64a2),
        (b"\x87\0\0\0\x01example.test\0", 0xb49e_86b7_f856_d3a4),
    ] {
        assert_eq!(KeyHash::of(key).0, hash, "{}", key.escape_ascii());
    }
}

proptest! {
    #[test]
    fn round_trips_without_losing_a_key(keys in vec(vec(any::<u8>(), 0..40), 0..300), more in 0..3000u64) {
        let mut filter = Filter::for_keys(keys.len() as u64 + more);
        keys.iter().for_each(|key| filter.insert(KeyHash::of(key)));
        filter.shrink(keys.len() as u64);
        let read = decoded(&encoded(&filter)).unwrap();
        prop_assert_eq!(&read, &filter);
        prop_assert!(keys.iter().all(|key| read.may_contain(KeyHash::of(key))));
    }
}
