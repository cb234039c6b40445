//! What every engine under the store must do, as tests that any engine can run.
//!
//! The seam ([`store::engine`]) states the rules; each [`Rule`] here holds an engine to one of them, through the public
//! interface alone. An engine's own crate runs them all:
//!
//! ```
//! use store::engine::memory::Memory;
//! use moxd_store_conformance::{Fixture, assert_conforms};
//!
//! assert_conforms(|| Fixture::volatile(|| Memory::new()));
//! ```
//!
//! What this crate does not test: what a crash or a full disk leaves behind. Each engine has failures of its own, and
//! needs tests of its own for them.
#![allow(clippy::panic, clippy::unwrap_used, reason = "test code: a broken rule panics")]
#![allow(clippy::missing_panics_doc, reason = "panicking is what these functions are for")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use store::engine::Engine;

mod bodies;
mod concurrent;
mod reopened;
mod rows;
mod shared;
mod snapshots;
mod steps;

/// The data of one engine, empty at first, and how to open it.
pub struct Fixture {
    open: Box<dyn Fn() -> Arc<dyn Engine>>,
    scope: Scope,
}

/// What an engine promises about its data; each scope includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nothing outlives the engine.
    Volatile,
    /// Acknowledged batches are there when the data is opened again.
    Durable,
    /// The data may be open several times at once.
    Shared,
}

impl Fixture {
    /// Data that is gone with its engine: `open` makes an empty engine.
    pub fn volatile<E: Engine>(open: impl Fn() -> Arc<E> + 'static) -> Fixture {
        Fixture::new(Scope::Volatile, open)
    }

    /// Data that outlives its engine: `open` opens the same data each time, which is empty the first time.
    pub fn durable<E: Engine>(open: impl Fn() -> Arc<E> + 'static) -> Fixture {
        Fixture::new(Scope::Durable, open)
    }

    /// Data that several engines may have open at once: `open` opens the same data each time.
    pub fn shared<E: Engine>(open: impl Fn() -> Arc<E> + 'static) -> Fixture {
        Fixture::new(Scope::Shared, open)
    }

    fn new<E: Engine>(scope: Scope, open: impl Fn() -> Arc<E> + 'static) -> Fixture {
        Fixture { open: Box::new(move || open()), scope }
    }

    fn open(&self) -> Arc<dyn Engine> {
        (self.open)()
    }
}

/// One rule of the seam.
#[derive(Clone, Copy)]
pub struct Rule {
    /// What an engine does that keeps the rule.
    pub name: &'static str,
    /// The engines that the rule binds: those of this scope and of greater ones.
    pub scope: Scope,
    check: fn(&Fixture),
}

macro_rules! rules {
    ($($module:ident: $scope:ident { $($name:ident)* })*) => {
        /// All rules.
        pub const RULES: &[Rule] = &[$($(
            Rule { name: stringify!($name), scope: Scope::$scope, check: $module::$name },
        )*)*];
    };
}

rules! {
    rows: Volatile {
        applies_operations_in_order
        refuses_a_batch_entirely
        compares_whole_values
        decides_in_the_order_of_the_calls
        commits_what_is_not_waited_for
        reads_ranges_in_pages
        reads_ranges_to_their_ends
        agrees_with_a_map
        accepts_a_token_once
        keeps_its_limits
        refuses_batches_once_closed
    }
    bodies: Volatile {
        counts_links_to_bodies
        refuses_unknown_bodies
        refuses_bodies_that_another_engine_has_placed
        stores_no_body_of_a_refused_batch
        stores_no_body_that_the_batch_unlinks_again
        never_brings_back_a_removed_body
        counts_the_links_of_a_batch_together
        reads_bodies_from_any_offset
        forgets_bodies_that_no_batch_has_stored
        numbers_bodies_by_stamps
    }
    concurrent: Volatile {
        adds_up_under_contention
        reads_its_own_writes
        reads_ranges_while_batches_are_written
        gives_out_each_stamp_once
        tells_rows_with_stamps_apart
    }
    snapshots: Volatile {
        keeps_a_snapshot_as_it_was
        takes_snapshots_of_one_moment
    }
    reopened: Durable {
        keeps_rows_and_tokens
        keeps_bodies_and_their_links
        gives_out_new_stamps_after_every_opening
    }
    shared: Shared {
        reads_what_another_handle_has_written
        adds_up_across_handles
        lets_one_handle_create_a_row
        reads_ranges_while_another_handle_writes
        counts_links_across_handles
        gives_out_each_stamp_to_one_handle
    }
}

/// A rule that an engine does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// [`Rule::name`] of it.
    pub rule: &'static str,
    /// The failure that the check found, in the words of its assertion.
    pub report: String,
}

impl Rule {
    /// Holds an engine to this rule, and returns how it breaks it; `None` if it keeps it, or is not bound by it.
    #[must_use]
    pub fn broken_by(&self, fixture: &Fixture) -> Option<Broken> {
        if self.scope > fixture.scope {
            return None;
        }
        let panic = catch_unwind(AssertUnwindSafe(|| (self.check)(fixture))).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Some(Broken { rule: self.name, report: text.unwrap_or_default() })
    }
}

/// Holds an engine to all rules of its scope, each with data of its own, and returns those that it breaks.
pub fn broken_rules(fixture: impl Fn() -> Fixture) -> Vec<Broken> {
    RULES.iter().filter_map(|rule| rule.broken_by(&fixture())).collect()
}

/// Panics with the list of the rules that an engine breaks, if there are any.
#[track_caller]
pub fn assert_conforms(fixture: impl Fn() -> Fixture) {
    let broken = broken_rules(fixture);
    assert!(broken.is_empty(), "the engine breaks {} of {} rules: {broken:#?}", broken.len(), RULES.len());
}
