//! SMTP grammar: commands, replies, paths, parameters, EHLO keywords, and the DATA decoder.
//! The values only a parser may create ([`Localpart`], [`Mailbox`], [`Code`], [`EnhancedCode`]) live here too.
//! Parsers are total: any bytes give a value or a [`SyntaxError`], in bounded time and memory.
//!
//! It does not know sessions or states: the server decides which command is legal when, and how it replies to an error. It
//! does not know sockets, TLS, time, or message headers, and it does not decode base64. How strict it is is an argument
//! ([`Dialect`]), never a global.
//!
//! ```
//! use moxd_smtp_parser::{Command, Dialect};
//!
//! let line = b"MAIL FROM:<sender@example.org> SIZE=1024 BODY=8BITMIME";
//! let Command::Mail(mail) = Command::parse(line, Dialect::Strict)? else { unreachable!() };
//! assert_eq!(mail.path.to_string(), "<sender@example.org>");
//! assert_eq!(mail.params.size, Some(1024));
//!
//! let error = Command::parse(b"RCPT TO:<a b@example.org>", Dialect::Strict).unwrap_err();
//! assert_eq!(error.kind().token(), "smtp-parser.bad-path");
//! # Ok::<(), moxd_smtp_parser::SyntaxError>(())
//! ```

#![warn(clippy::indexing_slicing)]

mod code;
mod command;
mod data;
mod date;
mod dialect;
mod error;
mod extensions;
mod grammar;
pub mod limits;
mod param;
mod path;
mod reply;
mod xtext;

/// The crate whose names stand in paths and greetings.
pub use dns;

pub use code::{Code, EnhancedCode};
pub use command::{Auth, Bdat, Command, Hello, Mail, Rcpt, Verb, VrfyArgs};
pub use data::{Data, DataDecoder, DataFacts, DataFault};
pub use date::utc_text;
pub use dialect::Dialect;
pub use error::{SyntaxError, SyntaxErrorKind};
pub use extensions::{Extensions, PeerLimits};
pub use param::{Body, FutureRelease, MailParams, Notify, OriginalRecipient, RcptParams, Return, Submitter};
pub use path::{Localpart, Mailbox, Path};
pub use reply::Reply;
pub use xtext::{Xtext, xtext};

#[doc(hidden)]
pub mod fuzzing;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
