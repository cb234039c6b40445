//! What becomes of a message offered to moxd (house crate of moxd).
