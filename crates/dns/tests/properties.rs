#![allow(clippy::unwrap_used, missing_docs, reason = "test code")]

use proptest::prelude::*;

proptest! {
    #[test]
    fn any_text_is_a_name_or_not(text in "\\PC{0,80}") {
        moxd_dns::fuzzing::name(text.as_bytes());
    }

    #[test]
    fn name_like_text(text in "[a-zA-Z0-9ü_*-]{0,20}(\\.[a-z0-9äxn-]{0,66}){0,5}\\.?") {
        moxd_dns::fuzzing::name(text.as_bytes());
    }

    #[test]
    fn zone_like_text(text in "[!a-z. \"0-9\\\\;\\n]{0,200}") {
        moxd_dns::fuzzing::name(text.as_bytes());
    }
}
