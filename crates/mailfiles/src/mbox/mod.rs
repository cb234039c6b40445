//! mbox: messages one after the other in a file, each below a line that begins with `From `.
//!
//! RFC 4155 describes the format, but programs differ in it. [`Mbox`] reads what they write. [`Writer`] writes mboxrd: a line of
//! a message that begins with `From `, or with `>`s and `From `, gets one more `>`, so that reading returns the same message.

mod quoting;
mod read;
mod separator;
mod write;

pub use read::{MAX_HEADER, Mbox, Message};
pub use write::Writer;
