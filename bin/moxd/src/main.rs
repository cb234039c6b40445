//! moxd
fn main() {}
