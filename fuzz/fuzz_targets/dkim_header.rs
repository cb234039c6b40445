#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moxd_dkim::fuzzing::dkim_header(data));
