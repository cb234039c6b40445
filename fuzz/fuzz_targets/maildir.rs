#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moxd_mailfiles::fuzzing::maildir(data));
