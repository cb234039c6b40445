//! The engine's metrics, named in one place.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

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
        describe_histogram!(
            "mox_store_commit_duration_seconds",
            "Time to write, sync and apply a group of batches."
        );
        describe_histogram!("mox_store_sync_duration_seconds", "Time to write a group and sync the journal.");
        describe_histogram!("mox_store_group_batches", "Batches that shared one sync.");
        describe_counter!("mox_store_syncs_total", "Syncs of the journal.");
        describe_counter!("mox_store_commits_total", "Committed batches.");
        Metrics {
            commit: histogram!("mox_store_commit_duration_seconds"),
            sync: histogram!("mox_store_sync_duration_seconds"),
            batch: histogram!("mox_store_group_batches"),
            syncs: counter!("mox_store_syncs_total"),
            commits: counter!("mox_store_commits_total"),
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
