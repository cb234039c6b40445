#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moxd_smtp_parser::fuzzing::smtp_reply(data));
