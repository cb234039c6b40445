//! Blocks of runs that were read recently: a row that is read again costs no system call and no checksum.

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

/// Bytes that all blocks in the cache take together (our own choice: room for the rows of some hundred senders).
const CAPACITY: u64 = 4 * 1024 * 1024;
/// The usual size of a block in bytes, roughly.
const USUAL_BLOCK: u64 = 8 * 1024;
/// Memory that a cached block takes besides its bytes, roughly.
const OVERHEAD: u64 = 128;

/// A block's run, by the number of its opening, and its offset there.
pub(super) type BlockId = (u64, u64);

#[derive(Clone)]
struct ByBytes;

impl Weighter<BlockId, Bytes> for ByBytes {
    fn weight(&self, _: &BlockId, rows: &Bytes) -> u64 {
        rows.len() as u64 + OVERHEAD
    }
}

/// The rows of blocks whose checksums were right. Blocks of runs that are gone make room for others like all that are
/// not read any more.
pub(super) struct BlockCache(Cache<BlockId, Bytes, ByBytes>);

impl Default for BlockCache {
    fn default() -> BlockCache {
        BlockCache(Cache::with_weighter((CAPACITY / USUAL_BLOCK) as usize, CAPACITY, ByBytes))
    }
}

impl BlockCache {
    pub(super) fn get(&self, id: BlockId) -> Option<Bytes> {
        self.0.get(&id)
    }

    pub(super) fn insert(&self, id: BlockId, rows: Bytes) {
        self.0.insert(id, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_bounded_memory_whatever_is_read() {
        let cache = BlockCache::default();
        for n in 0..4000u64 {
            // Most have the usual size; some have a single row that is large.
            let len = if n % 50 == 0 { 70_000 } else { USUAL_BLOCK as usize };
            cache.insert((n % 7, n), Bytes::from(vec![n as u8; len]));
        }
        assert!(cache.0.weight() <= CAPACITY, "{} bytes", cache.0.weight());
        assert!(cache.0.len() > 300, "{} blocks", cache.0.len());
    }

    #[test]
    fn keeps_what_is_read_again_and_again() {
        let cache = BlockCache::default();
        let hot = 0..100u64;
        let block = Bytes::from(vec![0; USUAL_BLOCK as usize]);
        hot.clone().for_each(|n| cache.insert((0, n), block.clone()));
        for n in 0..5000 {
            assert!(cache.get((0, n % 100)).is_some() || n < 300, "{n}");
            if cache.get((0, n % 100)).is_none() {
                cache.insert((0, n % 100), block.clone());
            }
            cache.insert((1, n), block.clone());
        }
    }
}
