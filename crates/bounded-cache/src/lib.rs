//! A map of bounded size that drops the least recently used entries, so that strangers cannot fill the memory.
//!
//! What it does not know:
//! - the time: an entry that expires has its end of life in its value, and the caller looks at it;
//! - locks: methods that change something take `&mut self`;
//! - what it holds.
//!
//! ```
//! use moxd_bounded_cache::BoundedCache;
//!
//! let mut squares = BoundedCache::new(100);
//! for n in 0..1_000_u64 {
//!     squares.insert(n, n * n);
//!     assert_eq!(squares.get(&0), Some(&mut 0), "an entry in use stays");
//! }
//! assert!(squares.len() <= 100);
//! assert_eq!(squares.get(&1), None);
//! ```

#![warn(clippy::indexing_slicing)]

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests;

/// A map whose entries together weigh no more than its capacity.
///
/// It has two generations. An entry that is used moves to the young one; when that weighs half of the capacity, it becomes
/// the old one, and the old one is dropped.
#[derive(Clone, Debug)]
pub struct BoundedCache<K, V> {
    young: HashMap<K, V>,
    young_weight: usize,
    old: HashMap<K, V>,
    /// Weight of a generation.
    half: usize,
    weigh: fn(&K, &V) -> usize,
}

impl<K: Hash + Eq, V> BoundedCache<K, V> {
    /// Creates a cache of up to `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Self::weighed(capacity, |_, _| 1)
    }

    /// Creates a cache whose entries weigh up to `capacity` together, such as bytes. A capacity of 0 keeps nothing.
    ///
    /// The weight of an entry must not change while it is in the cache.
    pub fn weighed(capacity: usize, weigh: fn(&K, &V) -> usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { young, young_weight: 0, old, half: capacity / 2, weigh }
    }

    /// Returns the value of `key`, and counts that as a use.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.put(key, value);
        }
        self.young.get_mut(key)
    }

    /// Returns the value of `key` without counting that as a use.
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Returns the value of `key`, made by `make` where there is none, and counts that as a use. The entry is kept until
    /// the next one comes even if it is heavier than half of the capacity.
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key).unwrap_or_else(make);
            self.put(key.clone(), value);
        }
        self.young.get_mut(key).expect("it was put there if it was not there")
    }

    /// Keeps a value in place of one that may be there. An entry heavier than half of the capacity is not kept.
    pub fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        if (self.weigh)(&key, &value) <= self.half {
            self.put(key, value);
        }
    }

    /// Takes an entry out.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some((key, value)) = self.young.remove_entry(key) else { return self.old.remove(key) };
        self.young_weight = self.young_weight.saturating_sub((self.weigh)(&key, &value));
        Some(value)
    }

    /// Removes the entries for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let (weigh, mut weight) = (self.weigh, 0);
        self.young.retain(|key, value| {
            let kept = keep(key, value);
            weight += if kept { weigh(key, value) } else { 0 };
            kept
        });
        self.young_weight = weight;
        self.old.retain(keep);
    }

    /// Removes everything, and frees its memory.
    pub fn clear(&mut self) {
        (self.young, self.old) = (HashMap::new(), HashMap::new());
        self.young_weight = 0;
    }

    /// The keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.young.keys().chain(self.old.keys())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// Puts an entry that is in neither generation into the young one.
    fn put(&mut self, key: K, value: V) {
        let weight = (self.weigh)(&key, &value);
        if self.young_weight.saturating_add(weight) > self.half {
            self.old = mem::take(&mut self.young);
            self.young_weight = 0;
        }
        self.young_weight += weight;
        self.young.insert(key, value);
    }
}
