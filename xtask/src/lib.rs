//! Development tasks of moxd: house rules, generated documents, fixtures, and the trials a server must stand, which its
//! tests run in a short form.

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
