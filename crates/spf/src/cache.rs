//! Records that were read before.

use crate::{Error, Record};
use dns::Name;
use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records by their domain, so that what many senders include is read once and not for each message.
///
/// It keeps no answers of DNS: every evaluation asks anew, and a kept record serves only if the answer is, octet for octet,
/// the text that it was read from. So it cannot be stale, and nobody can plant a wrong record in it. Hand it to
/// [`Query::cache`](crate::Query::cache); one may serve all evaluations of a process.
pub struct Cache {
    /// Records in a generation.
    capacity: usize,
    generations: Mutex<[Generation; 2]>,
}

/// The first is filled; when it is full, it replaces the second. What is used stays.
type Generation = HashMap<Name, Kept>;

/// A record with the text that it was read from.
struct Kept {
    text: Box<[u8]>,
    record: Arc<Record<'static>>,
}

/// Octets of the longest record that is kept; RFC 7208 §3.4 wants them to fit into 512.
const MAX_KEPT: usize = 4_096;

impl Cache {
    /// Room for about so many records.
    pub fn new(records: usize) -> Self {
        Self { capacity: records.div_ceil(2), generations: Mutex::default() }
    }

    /// Reads the record of a domain as [`Record::parse`] does. Only good ones are kept.
    pub(crate) fn read(&self, domain: &Name, text: &[u8]) -> Result<Arc<Record<'static>>, Error> {
        if let Some(record) = self.find(domain, text) {
            return Ok(record);
        }
        let record = Arc::new(Record::parse(text)?.into_owned());
        if text.len() <= MAX_KEPT && self.capacity > 0 {
            let kept = Kept { text: text.into(), record: Arc::clone(&record) };
            keep(&mut self.lock(), self.capacity, domain.clone(), kept);
        }
        Ok(record)
    }

    fn find(&self, domain: &Name, text: &[u8]) -> Option<Arc<Record<'static>>> {
        let mut generations = self.lock();
        let [young, old] = &mut *generations;
        if let Some(kept) = young.get(domain) {
            return (*kept.text == *text).then(|| Arc::clone(&kept.record));
        }
        let (domain, kept) = old.remove_entry(domain).filter(|(_, kept)| *kept.text == *text)?;
        let record = Arc::clone(&kept.record);
        keep(&mut generations, self.capacity, domain, kept);
        Some(record)
    }

    fn lock(&self) -> MutexGuard<'_, [Generation; 2]> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep([young, old]: &mut [Generation; 2], capacity: usize, domain: Name, kept: Kept) {
    if young.len() >= capacity {
        *old = mem::take(young);
    }
    young.insert(domain, kept);
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose records are held.
    fn held(cache: &Cache) -> Vec<String> {
        let mut names: Vec<_> = cache.lock().iter().flat_map(|g| g.keys().map(ToString::to_string)).collect();
        names.sort();
        names
    }

    fn read(cache: &Cache, domain: &str, text: &str) -> Result<Arc<Record<'static>>, Error> {
        cache.read(&domain.parse().unwrap(), text.as_bytes())
    }

    #[test]
    fn reads_once_and_gives_the_same() {
        let cache = Cache::new(4);
        let text = "v=spf1 a:%{d} include:i.test -all";
        let first = read(&cache, "a.test", text).unwrap();
        assert!(Arc::ptr_eq(&first, &read(&cache, "a.test", text).unwrap()));
        assert_eq!(*first, text.parse().unwrap());
    }

    #[test]
    fn a_changed_record_is_read_anew() {
        let cache = Cache::new(4);
        for text in ["v=spf1 -all", "v=spf1 +all", "v=spf1 -all"] {
            assert_eq!(read(&cache, "a.test", text).unwrap().to_string(), text.replace('+', ""));
        }
        assert_eq!(held(&cache), ["a.test"]);
    }

    #[test]
    fn keeps_what_is_used_within_its_bound() {
        let cache = Cache::new(4);
        for n in 0..100 {
            read(&cache, "popular.test", "v=spf1 -all").unwrap();
            read(&cache, &format!("n{n}.test"), "v=spf1 +all").unwrap();
            assert!(held(&cache).len() <= 4, "{:?}", held(&cache));
        }
        assert!(held(&cache).contains(&"popular.test".to_owned()));
        assert!(held(&cache).contains(&"n99.test".to_owned()));
    }

    #[test]
    fn keeps_neither_faults_nor_giants() {
        let cache = Cache::new(4);
        assert!(read(&cache, "a.test", "v=spf1 foo").is_err());
        assert!(read(&cache, "a.test", "v=spf1 foo").is_err());
        read(&cache, "b.test", &format!("v=spf1{}", " ".repeat(MAX_KEPT))).unwrap();
        assert_eq!(held(&cache), Vec::<String>::new());
        let none = Cache::new(0);
        read(&none, "c.test", "v=spf1").unwrap();
        assert_eq!(held(&none), Vec::<String>::new());
    }
}
