//! mbox: the messages of a file one after the other, each below a line that begins with `From `.
//!
//! There is no standard but RFC 4155, and no two programs agree. [`Mbox`] reads what they write; [`Writer`] writes the form
//! called mboxrd, in which every line of a message that begins with `>`s and `From ` gets one more `>`, so that reading
//! gives the same message again.

mod fields;
mod quoting;
mod read;
mod separator;
mod write;

pub use read::{MAX_HEADER, Mbox, Message};
pub use write::Writer;
