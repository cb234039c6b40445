//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither shows it.
//!
//! [`message`] is the grammar, [`secret`] what is stored, [`proof`] the arithmetic both sides share.

pub(crate) mod message;
pub(crate) mod proof;
pub(crate) mod secret;
