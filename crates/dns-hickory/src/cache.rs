//! A bounded cache with an end of life for each entry.

use bounded_cache::BoundedCache;
use parking_lot::Mutex;
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// Values with an end of life, within a number of bytes.
pub(crate) struct Cache<K, V>(Mutex<BoundedCache<K, Entry<V>>>);

struct Entry<V> {
    value: V,
    /// Bytes it takes, with [`OVERHEAD`].
    size: usize,
    until: Instant,
}

/// Bytes an entry takes beside its data: hash table, pointers, times.
const OVERHEAD: usize = 256;

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// Creates a cache with room for about `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        Self(Mutex::new(BoundedCache::weighed(size, |_, entry: &Entry<V>| entry.size)))
    }

    /// Returns the value of `key` unless its lifetime has passed.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = Instant::now();
        let mut entries = self.0.lock();
        let entry = entries.get(key).filter(|entry| now < entry.until)?;
        Some(entry.value.clone())
    }

    /// Keeps a value of `size` bytes for `lifetime`.
    pub(crate) fn put(&self, key: K, value: V, size: usize, lifetime: Duration) {
        if !lifetime.is_zero() {
            let entry = Entry { value, size: size + OVERHEAD, until: Instant::now() + lifetime };
            self.0.lock().insert(key, entry);
        }
    }

    /// Lets `change` alter the value of `key` and the end of its life; removes it if `change` returns false.
    pub(crate) fn change(&self, key: &K, change: impl FnOnce(&mut V, &mut Instant) -> bool) {
        let mut entries = self.0.lock();
        let Some(entry) = entries.get(key) else { return };
        if !change(&mut entry.value, &mut entry.until) {
            entries.remove(key);
        }
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_entry_lives_as_long_as_it_was_given() {
        let cache = Cache::new(1 << 20);
        cache.put("a", 1, 10, MINUTE);
        cache.put("gone", 2, 10, Duration::ZERO);
        assert_eq!((cache.get(&"a"), cache.get(&"gone")), (Some(1), None));
        tokio::time::advance(MINUTE).await;
        assert_eq!(cache.get(&"a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_can_be_changed_or_taken_away() {
        let cache = Cache::new(20 * (OVERHEAD + 100));
        for n in 0..12 {
            cache.put(n, n, 100, MINUTE);
        }
        for key in [0, 11] {
            cache.change(&key, |value, until| {
                *value = 77;
                *until = Instant::now() + MINUTE / 2;
                true
            });
            assert_eq!(cache.get(&key), Some(77));
        }
        cache.change(&1, |_, _| false);
        cache.change(&10, |_, _| false);
        cache.change(&99, |_, _| unreachable!("there is nothing"));
        assert_eq!((cache.get(&1), cache.get(&10), cache.get(&9)), (None, None, Some(9)));
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!((cache.get(&0), cache.get(&9)), (None, Some(9)));
    }

    #[tokio::test]
    async fn its_size_is_bounded_and_what_is_used_stays() {
        let cache = Cache::new(20 * (OVERHEAD + 100));
        cache.put(0, 0, 100, MINUTE);
        for n in 1..1000 {
            cache.put(n, n, 100, MINUTE);
            assert_eq!(cache.get(&0), Some(0), "used each time");
            assert!(cache.0.lock().len() <= 20);
        }
        assert_eq!(cache.get(&999), Some(999));
        assert_eq!(cache.get(&500), None);
        cache.put(7, 7, 1 << 30, MINUTE);
        assert_eq!(cache.get(&7), None, "larger than the whole");
        cache.clear();
        assert_eq!(cache.get(&999), None);
    }
}
