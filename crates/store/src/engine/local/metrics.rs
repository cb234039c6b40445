//! The engine's metrics, named in one place.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

const COMMIT: &str = "mox_store_commit_duration_seconds";
const SYNC: &str = "mox_store_sync_duration_seconds";
/// Name of the histogram of batches that share a sync of the journal.
pub const GROUP_BATCHES: &str = "mox_store_group_batches";
const SYNCS: &str = "mox_store_syncs_total";
const COMMITS: &str = "mox_store_commits_total";

/// Handles of the metrics. They belong to the recorder that is installed when the engine is opened.
pub(super) struct Metrics {
    commit: Histogram,
    sync: Histogram,
    batch: Histogram,
    syncs: Counter,
    commits: Counter,
}

impl Metrics {
    pub(super) fn new() -> Metrics {
        describe_histogram!(COMMIT, "Time to write, sync and apply a group of batches.");
        describe_histogram!(SYNC, "Time to write a group and sync the journal.");
        describe_histogram!(GROUP_BATCHES, "Batches that shared one sync.");
        describe_counter!(SYNCS, "Syncs of the journal.");
        describe_counter!(COMMITS, "Committed batches.");
        Metrics {
            commit: histogram!(COMMIT),
            sync: histogram!(SYNC),
            batch: histogram!(GROUP_BATCHES),
            syncs: counter!(SYNCS),
            commits: counter!(COMMITS),
        }
    }

    pub(super) fn committed(&self, batches: usize, took: Duration) {
        self.commit.record(took.as_secs_f64());
        self.batch.record(batches as f64);
        self.commits.increment(batches as u64);
    }

    pub(super) fn synced(&self, took: Duration) {
        self.sync.record(took.as_secs_f64());
        self.syncs.increment(1);
    }
}
