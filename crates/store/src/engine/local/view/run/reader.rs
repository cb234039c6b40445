//! Reading a run by keys that mostly lie near each other.

use std::sync::Arc;

use bytes::Bytes;

use super::{Extent, Run, covering};
use crate::{engine::local::view::block::Block, error::Result};

/// Reads a run by keys that mostly lie near each other: it keeps the blocks that it read last, decoded. Looking into
/// these is cheaper than the filter. For other keys [`Run::get`] is cheaper.
pub(in crate::engine::local::view) struct RunReader {
    run: Arc<Run>,
    index: Option<(u64, Block)>,
    data: Option<(u64, Block)>,
}

impl RunReader {
    pub(in crate::engine::local::view) fn new(run: &Arc<Run>) -> RunReader {
        RunReader { run: Arc::clone(run), index: None, data: None }
    }

    /// Whether it reads this run.
    pub(in crate::engine::local::view) fn reads(&self, run: &Arc<Run>) -> bool {
        Arc::ptr_eq(&self.run, run)
    }

    /// As [`Run::get`].
    pub(in crate::engine::local::view) fn get(&mut self, key: &[u8]) -> Result<Option<Option<Bytes>>> {
        let Some(i) = covering(&self.run.top, key) else { return Ok(None) };
        let index = kept(&mut self.index, &self.run, &self.run.top, i)?;
        let Some(i) = covering(index, key) else { return Ok(None) };
        let data = kept(&mut self.data, &self.run, index, i)?;
        let rank = data.rank(key);
        Ok((data.key(rank) == Some(key)).then(|| data.row(rank).and_then(|(_, value)| value)))
    }
}

/// The block that row `i` of `above` names: the one that was read last, or else read now.
fn kept<'a>(last: &'a mut Option<(u64, Block)>, run: &Run, above: &Block, i: usize) -> Result<&'a Block> {
    let extent = Extent::of(above, i).ok_or_else(|| run.damaged(run.trailer.top.offset))?;
    let block = match last.take() {
        Some((offset, block)) if offset == extent.offset => block,
        _ => run.block(extent)?,
    };
    Ok(&last.insert((extent.offset, block)).1)
}
