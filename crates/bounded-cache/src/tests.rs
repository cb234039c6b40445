use super::*;
use proptest::prelude::*;

#[test]
fn never_holds_more_than_its_capacity_and_keeps_what_is_used() {
    let mut cache: BoundedCache<u32, u32> = BoundedCache::new(10);
    for key in 1..1000 {
        *cache.get_or_insert_with(&0, || 0) += 1;
        *cache.get_or_insert_with(&key, || 0) += 1;
        assert!(cache.len() <= 10);
    }
    assert_eq!(cache.peek(&0), Some(&999));
    assert_eq!(cache.peek(&1), None);
    assert_eq!(cache.peek(&999), Some(&1));
}

#[test]
fn keeps_an_entry_that_is_used_when_the_young_generation_is_full() {
    let mut cache: BoundedCache<u32, u32> = BoundedCache::new(4);
    for key in 0..4 {
        *cache.get_or_insert_with(&key, || 0) += 1;
    }
    assert_eq!(*cache.get_or_insert_with(&0, || 0), 1, "it was old, and the young ones are two");
}

#[test]
fn peeking_is_no_use() {
    let mut cache: BoundedCache<u32, u32> = BoundedCache::new(4);
    for key in 0..100 {
        cache.insert(key, key);
        let _ = cache.peek(&0);
    }
    assert_eq!(cache.get(&0), None);
}

#[test]
fn refuses_entries_heavier_than_half_of_it() {
    let mut cache: BoundedCache<u32, usize> = BoundedCache::weighed(100, |_, weight| *weight);
    cache.insert(1, 50);
    cache.insert(2, 51);
    assert_eq!((cache.peek(&1), cache.peek(&2)), (Some(&50), None));
    // Inserting a value that is too large also removes the key's old value.
    cache.insert(1, 51);
    assert!(cache.is_empty());
    let mut none: BoundedCache<u32, u32> = BoundedCache::new(0);
    none.insert(1, 1);
    assert!(none.is_empty());
    assert_eq!(*none.get_or_insert_with(&1, || 7), 7);
    assert_eq!(*none.get_or_insert_with(&2, || 8), 8);
    assert!(none.len() <= 2);
}

/// An operation on a cache.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8, usize),
    Get(u8),
    Remove(u8),
    RetainEven,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..40_u8, 0..30_usize).prop_map(|(key, weight)| Step::Insert(key, weight)),
        6 => (0..40_u8).prop_map(Step::Get),
        2 => (0..40_u8).prop_map(Step::Remove),
        1 => Just(Step::RetainEven),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The cache returns only the last value inserted for a key, and never exceeds its size.
    #[test]
    fn agrees_with_a_map_as_far_as_it_remembers(steps in prop::collection::vec(step(), 0..200)) {
        const CAPACITY: usize = 100;
        let mut cache: BoundedCache<u8, (usize, usize)> = BoundedCache::weighed(CAPACITY, |_, (_, weight)| *weight);
        let mut model: HashMap<u8, (usize, usize)> = HashMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(key, weight) => {
                    cache.insert(key, (number, weight));
                    model.insert(key, (number, weight));
                    prop_assert_eq!(cache.peek(&key), model.get(&key), "the last one is there");
                }
                Step::Get(key) => {
                    let found = cache.get(&key).copied();
                    prop_assert!(found.is_none() || found == model.get(&key).copied());
                    prop_assert_eq!(cache.peek(&key).copied(), found);
                }
                Step::Remove(key) => {
                    cache.remove(&key);
                    model.remove(&key);
                    prop_assert_eq!(cache.peek(&key), None);
                }
                Step::RetainEven => {
                    cache.retain(|key, _| key % 2 == 0);
                    model.retain(|key, _| key % 2 == 0);
                }
                Step::Clear => {
                    cache.clear();
                    model.clear();
                }
            }
            let weights = cache.young.values().map(|(_, weight)| weight).sum::<usize>();
            prop_assert_eq!(weights, cache.young_weight);
            prop_assert!(weights + cache.old.values().map(|(_, weight)| weight).sum::<usize>() <= CAPACITY);
            prop_assert!(cache.keys().all(|key| cache.peek(key) == model.get(key)));
            prop_assert_eq!(cache.keys().count(), cache.len());
        }
    }
}
