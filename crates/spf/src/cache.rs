//! A cache of parsed records.

use crate::{Error, Record};
use bounded_cache::BoundedCache;
use dns::Name;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Parsed records by domain, so that a record which many senders include is parsed once and not for each message.
///
/// It does not cache DNS answers: every evaluation queries DNS, and uses a cached record only if the answer is byte for byte
/// the text that the record was parsed from. So no cached record can be stale, and no sender can plant a wrong one. Pass it to
/// [`Query::cache`](crate::Query::cache); one cache may serve all evaluations of a process.
pub struct Cache(Mutex<BoundedCache<Name, Kept>>);

/// A record with the text that it was read from.
struct Kept {
    text: Box<[u8]>,
    record: Arc<Record<'static>>,
}

/// Bytes of the longest record that is kept; RFC 7208 §3.4 recommends that records fit into 512.
const MAX_KEPT: usize = 4_096;
/// Bytes that a kept record takes beside its data: the hash table, pointers, counters.
const OVERHEAD: usize = 256;

/// Estimates the bytes a record takes in memory: a text of many short terms takes far more once it is parsed.
fn size(domain: &Name, kept: &Kept) -> usize {
    OVERHEAD + domain.as_str().len() + 2 * kept.text.len() + kept.record.terms_size()
}

impl Cache {
    /// Creates a cache of about `bytes` bytes; with 0 it keeps nothing.
    pub fn new(bytes: usize) -> Self {
        Self(Mutex::new(BoundedCache::weighed(bytes, size)))
    }

    /// Parses the record of a domain as [`Record::parse`] does, and keeps it if it is well-formed.
    pub(crate) fn read(&self, domain: &Name, text: &[u8]) -> Result<Arc<Record<'static>>, Error> {
        if let Some(record) = self.find(domain, text) {
            return Ok(record);
        }
        let record = Arc::new(Record::parse(text)?.into_owned());
        if text.len() <= MAX_KEPT {
            let kept = Kept { text: text.into(), record: Arc::clone(&record) };
            self.0.lock().insert(domain.clone(), kept);
        }
        Ok(record)
    }

    fn find(&self, domain: &Name, text: &[u8]) -> Option<Arc<Record<'static>>> {
        let mut records = self.0.lock();
        let kept = records.get(domain).filter(|kept| *kept.text == *text)?;
        Some(Arc::clone(&kept.record))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for some four short records.
    const SMALL: usize = 4_000;

    /// Whose records are held.
    fn held(cache: &Cache) -> Vec<String> {
        let mut names: Vec<_> = cache.0.lock().keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    fn read(cache: &Cache, domain: &str, text: &str) -> Result<Arc<Record<'static>>, Error> {
        cache.read(&domain.parse().unwrap(), text.as_bytes())
    }

    #[test]
    fn reads_once_and_gives_the_same() {
        let cache = Cache::new(SMALL);
        let text = "v=spf1 a:%{d} include:i.test -all";
        let first = read(&cache, "a.test", text).unwrap();
        assert!(Arc::ptr_eq(&first, &read(&cache, "a.test", text).unwrap()));
        assert_eq!(*first, text.parse().unwrap());
    }

    #[test]
    fn parses_a_changed_record_again() {
        let cache = Cache::new(SMALL);
        for text in ["v=spf1 -all", "v=spf1 +all", "v=spf1 -all"] {
            assert_eq!(read(&cache, "a.test", text).unwrap().to_string(), text.replace('+', ""));
        }
        assert_eq!(held(&cache), ["a.test"]);
    }

    #[test]
    fn keeps_what_is_used_within_its_bound() {
        let cache = Cache::new(SMALL);
        for n in 0..100 {
            read(&cache, "popular.test", "v=spf1 -all").unwrap();
            read(&cache, &format!("n{n}.test"), "v=spf1 +all").unwrap();
            assert!(held(&cache).len() <= SMALL / OVERHEAD, "{:?}", held(&cache));
        }
        assert!(held(&cache).contains(&"popular.test".to_owned()));
        assert!(held(&cache).contains(&"n99.test".to_owned()));
    }

    #[test]
    fn records_of_many_terms_count_by_what_they_take() {
        let cache = Cache::new(1 << 20);
        // The most terms that a text of this length has.
        let text = format!("v=spf1{}", " a".repeat((MAX_KEPT - 6) / 2));
        for n in 0..100 {
            read(&cache, &format!("n{n}.test"), &text).unwrap();
        }
        let terms = (MAX_KEPT - 6) / 2 * size_of::<crate::Directive<'_>>();
        let count = held(&cache).len();
        assert!(count > 0 && count * terms <= 1 << 20, "{count} records of {terms} bytes");
    }

    #[test]
    fn keeps_neither_faults_nor_giants() {
        let cache = Cache::new(1 << 20);
        assert!(read(&cache, "a.test", "v=spf1 foo").is_err());
        assert!(read(&cache, "a.test", "v=spf1 foo").is_err());
        read(&cache, "b.test", &format!("v=spf1{}", " ".repeat(MAX_KEPT))).unwrap();
        assert_eq!(held(&cache), Vec::<String>::new());
        let none = Cache::new(0);
        read(&none, "c.test", "v=spf1").unwrap();
        assert_eq!(held(&none), Vec::<String>::new());
    }
}
