//! mbox: the messages of a file one after the other, each below a line that begins with `From `.
//!
//! RFC 4155 describes the form, but no two programs agree on it. [`Mbox`] reads what they write. [`Writer`] writes mboxrd:
//! each line of a message that begins with `From `, or with `>`s and `From `, gets one more `>`, so that reading returns the
//! same message.

mod quoting;
mod read;
mod separator;
mod write;

pub use read::{MAX_HEADER, Mbox, Message};
pub use write::Writer;
