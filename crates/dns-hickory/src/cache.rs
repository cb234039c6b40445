//! A bounded cache with an end of life for each entry.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// Two generations: what is used moves to the young one; when that is full, the old one is dropped and the young one
/// takes its place. What was used lately stays, and nothing is ever searched for something to evict.
pub(crate) struct Cache<K, V> {
    /// Octets in one generation.
    size: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, Entry<V>>,
    young_size: usize,
    old: HashMap<K, Entry<V>>,
}

struct Entry<V> {
    value: V,
    size: usize,
    until: Instant,
}

/// Octets an entry takes beside its data: hash table, pointers, times.
const OVERHEAD: usize = 256;

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// Room for about `size` octets.
    pub(crate) fn new(size: usize) -> Self {
        let generations = Generations { young: HashMap::new(), young_size: 0, old: HashMap::new() };
        Self { size: size / 2, generations: Mutex::new(generations) }
    }

    /// What is there and not over its time.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = Instant::now();
        let mut generations = self.lock();
        if let Some(entry) = generations.young.get(key) {
            return (now < entry.until).then(|| entry.value.clone());
        }
        let (key, entry) = generations.old.remove_entry(key)?;
        if now >= entry.until {
            return None;
        }
        let value = entry.value.clone();
        self.insert(&mut generations, key, entry);
        Some(value)
    }

    /// Keeps a value of `size` octets for a time.
    pub(crate) fn put(&self, key: K, value: V, size: usize, lifetime: Duration) {
        let size = size + OVERHEAD;
        if lifetime.is_zero() || size > self.size {
            return;
        }
        let entry = Entry { value, size, until: Instant::now() + lifetime };
        self.insert(&mut self.lock(), key, entry);
    }

    /// Changes what is there, and until when it stays; it goes at once if `change` returns false.
    pub(crate) fn change(&self, key: &K, change: impl FnOnce(&mut V, &mut Instant) -> bool) {
        let mut generations = self.lock();
        let is_young = generations.young.contains_key(key);
        let entries = if is_young { &mut generations.young } else { &mut generations.old };
        let Some(entry) = entries.get_mut(key) else { return };
        if change(&mut entry.value, &mut entry.until) {
            return;
        }
        let size = entries.remove(key).map_or(0, |entry| entry.size);
        if is_young {
            generations.young_size -= size;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut generations = self.lock();
        (generations.young, generations.old) = (HashMap::new(), HashMap::new());
        generations.young_size = 0;
    }

    fn insert(&self, generations: &mut Generations<K, V>, key: K, entry: Entry<V>) {
        if generations.young_size + entry.size > self.size {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_size = 0;
        }
        generations.young_size += entry.size;
        if let Some(before) = generations.young.insert(key, entry) {
            generations.young_size -= before.size;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations.lock()
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
            let generations = cache.lock();
            assert!(generations.young.len() + generations.old.len() <= 20);
        }
        assert_eq!(cache.get(&999), Some(999));
        assert_eq!(cache.get(&500), None);
        cache.put(7, 7, 1 << 30, MINUTE);
        assert_eq!(cache.get(&7), None, "larger than the whole");
        cache.clear();
        assert_eq!(cache.get(&999), None);
    }
}
