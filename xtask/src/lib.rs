//! Development tasks of moxd: house rules, generated documents, fixtures, and stress trials of a running server. The tests of
//! the binary run short forms of the trials.

pub mod crash;
pub mod fixtures;
pub mod fuzz;
pub mod r#gen;
pub mod hostile;
pub mod layers;
pub mod powercut;
pub mod rust;
pub mod seed;
pub mod tidy;
pub mod tokens;
pub mod trial;
pub mod workspace;
