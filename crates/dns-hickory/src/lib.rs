//! The dns seam answered by hickory-resolver, with its own DNSSEC validation.
