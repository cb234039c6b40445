//! Shows that every rule of the suite can fail: for each there is a broken engine that fails it.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code")]

mod flawed;

use std::collections::BTreeSet;

use flawed::{Fault, Flawed};
use moxd_store_conformance::{Fixture, RULES, assert_conforms};

/// A fault of an engine, and the rules that it must fail.
const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::ReversesOperations, &["applies_operations_in_order", "agrees_with_a_map"]),
    (Fault::AppliesRefusedBatches, &["refuses_a_batch_entirely", "agrees_with_a_map"]),
    (Fault::NumbersConflictsFromOne, &["refuses_a_batch_entirely", "accepts_a_token_once"]),
    (Fault::ComparesBeginnings, &["compares_whole_values"]),
    (Fault::IgnoresAbsent, &["lets_one_handle_create_a_row", "accepts_a_token_once"]),
    (Fault::DecidesWhenAwaited, &["decides_in_the_order_of_the_calls", "commits_what_is_not_waited_for"]),
    (Fault::LosesEveryTenthBatch, &["adds_up_under_contention", "adds_up_across_handles"]),
    (Fault::TakesAFullPageForMore, &["reads_ranges_in_pages"]),
    (Fault::IncludesTheEnd, &["reads_ranges_to_their_ends", "reads_ranges_in_pages"]),
    (Fault::ReadsBackwardFromTheStart, &["reads_ranges_in_pages", "agrees_with_a_map"]),
    (Fault::ForgetsTokens, &["accepts_a_token_once", "keeps_rows_and_tokens"]),
    (Fault::HasNoLimits, &["keeps_its_limits"]),
    (Fault::NeverCloses, &["refuses_batches_once_closed"]),
    (Fault::ReadsLate, &["reads_its_own_writes"]),
    (
        Fault::SkipsRowsWhileOthersWrite,
        &["reads_ranges_while_batches_are_written", "reads_ranges_while_another_handle_writes"],
    ),
    (Fault::CountsALinkOnce, &["counts_links_to_bodies", "counts_links_across_handles"]),
    (Fault::KeepsUnlinkedBodies, &["counts_links_to_bodies"]),
    (Fault::LinksToNothing, &["refuses_unknown_bodies", "forgets_bodies_that_no_batch_has_stored"]),
    (Fault::TakesBodiesOfOthers, &["refuses_bodies_that_another_engine_has_placed"]),
    (Fault::StoresBodiesFirst, &["stores_no_body_of_a_refused_batch"]),
    (Fault::StoresBodiesAgain, &["never_brings_back_a_removed_body"]),
    (Fault::StoresUnlinkedBodies, &["stores_no_body_that_the_batch_unlinks_again"]),
    (Fault::CountsLinksOneByOne, &["counts_the_links_of_a_batch_together"]),
    (Fault::IgnoresOffsets, &["reads_bodies_from_any_offset"]),
    (Fault::RepeatsStamps, &["gives_out_each_stamp_once", "tells_rows_with_stamps_apart"]),
    (Fault::NumbersBodiesApart, &["numbers_bodies_by_stamps", "gives_out_each_stamp_once"]),
    (Fault::SnapshotsLag, &["takes_snapshots_of_one_moment"]),
    (Fault::SnapshotsAreLive, &["keeps_a_snapshot_as_it_was"]),
    (Fault::LosesRowsWhenReopened, &["keeps_rows_and_tokens"]),
    (Fault::LosesLinksWhenReopened, &["keeps_bodies_and_their_links"]),
    (
        Fault::NumbersOpeningsAlike,
        &["gives_out_new_stamps_after_every_opening", "gives_out_each_stamp_to_one_handle"],
    ),
    (Fault::CachesRows, &["reads_what_another_handle_has_written"]),
];

#[test]
fn accepts_the_engine_without_a_fault() {
    assert_conforms(|| fixture(None));
}

#[test]
fn refuses_every_broken_engine() {
    let mut kept = Vec::new();
    for (fault, rules) in FAULTS {
        for name in *rules {
            let rule = RULES.iter().find(|rule| rule.name == *name).unwrap();
            if rule.broken_by(&fixture(Some(*fault))).is_none() {
                kept.push((fault, name));
            }
        }
    }
    assert!(kept.is_empty(), "these engines should break these rules: {kept:?}");
}

#[test]
fn has_no_rule_that_cannot_be_broken() {
    let broken: BTreeSet<_> = FAULTS.iter().flat_map(|(_, rules)| rules.iter().copied()).collect();
    let all: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(broken, all);
}

#[test]
fn binds_engines_to_the_rules_of_their_scope() {
    let rule = RULES.iter().find(|rule| rule.name == "keeps_rows_and_tokens").unwrap();
    let engine = || Flawed::open(&Flawed::no_data(), None);
    assert!(rule.broken_by(&Fixture::volatile(engine)).is_none());
    assert!(rule.broken_by(&Fixture::durable(engine)).is_some(), "each opening has data of its own");
}

fn fixture(fault: Option<Fault>) -> Fixture {
    let data = Flawed::no_data();
    Fixture::shared(move || Flawed::open(&data, fault))
}
