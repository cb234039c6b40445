//! A map that forgets, so that strangers cannot fill the memory.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// A map of at most so many entries, which drops those not touched for longest.
///
/// It has two generations. What is touched moves to the young one; when that is half of all that is allowed, it becomes
/// the old one, and the old one is dropped: no list to keep, and no search for a victim.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Hash + Eq + Clone, V: Default> Table<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The entry of `key`, new and empty if need be.
    pub(crate) fn touch(&mut self, key: &K) -> &mut V {
        if !self.young.contains_key(key) && self.young.len() >= (self.capacity / 2).max(1) {
            self.old = mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key.clone()).or_insert_with(|| old.remove(key).unwrap_or_default())
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Keeps the entries whose key `keep` says yes to.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.young.retain(|key, _| keep(key));
        self.old.retain(|key, _| keep(key));
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.young.keys().chain(self.old.keys())
    }

    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_holds_more_than_its_capacity_and_keeps_what_is_touched() {
        let mut table: Table<u32, u32> = Table::new(10);
        for key in 1..1000 {
            *table.touch(&0) += 1;
            *table.touch(&key) += 1;
            assert!(table.len() <= 10);
        }
        assert_eq!(table.get(&0), Some(&999));
        assert_eq!(table.get(&1), None);
        assert_eq!(table.get(&999), Some(&1));
    }
}
