//! Every limit of the grammar, with its source; in bytes unless the comment says otherwise.

/// RFC 4954 §4: a line of an AUTH exchange, without CRLF.
pub const MAX_AUTH_LINE: usize = 12_288;
/// RFC 5321 §4.5.3.1.1: a local part.
pub const MAX_LOCALPART: usize = 64;
/// A local part in the lenient dialect: real bounce and list addresses are that long.
pub const MAX_LOCALPART_LENIENT: usize = 128;
/// RFC 5321 §4.5.3.1.3: a forward path, including its angle brackets.
pub const MAX_PATH: usize = 256;
/// RFC 5321 §4.5.3.1.6: a line of text, including CRLF, without the dot added for transparency.
pub const MAX_TEXT_LINE: usize = 1000;
/// RFC 5321 §4.5.3.1.5: a reply line, including CRLF. Our own replies keep to it.
pub const MAX_REPLY_LINE: usize = 512;
/// The longest reply line that we accept: some servers send long URLs of help pages.
pub const MAX_REPLY_LINE_LENIENT: usize = 4096;
/// The longest reply that we accept: real replies to EHLO are below 2 KiB.
pub const MAX_REPLY: usize = 65_536;
/// RFC 4422 §3.1: a SASL mechanism name.
pub const MAX_MECHANISM: usize = 20;
/// RFC 1870 §3: digits of a SIZE value.
pub const MAX_SIZE_DIGITS: usize = 20;
/// RFC 4865 §5: digits of a HOLDFOR value.
pub const MAX_HOLDFOR_DIGITS: usize = 9;
/// RFC 3461 §4.4: an ENVID value, as xtext.
pub const MAX_ENVID: usize = 100;
/// RFC 3461 §4.2: an ORCPT value, as xtext with its address type.
pub const MAX_ORCPT: usize = 500;
/// RFC 9422 §4: digits of a value of the LIMITS keyword.
pub const MAX_LIMIT_DIGITS: usize = 6;
/// Most SASL mechanisms that are kept of a reply to EHLO.
pub const MAX_MECHANISMS: usize = 64;
