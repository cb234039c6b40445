//! The trials that moxd must stand, as functions that its tests run in a short form.

pub mod crash;
pub mod hostile;
pub mod powercut;
pub mod trial;
