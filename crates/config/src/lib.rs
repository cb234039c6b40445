//! Configuration text to typed settings (house crate of moxd).
