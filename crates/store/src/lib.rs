//! Durable accounts, mailboxes and messages of a mail server; made for moxd.
//!
//! A transaction collects steps. A commit does all of them or none, and answers once they are on the disk.
//!
//! What this crate does not know: SMTP, IMAP, DNS, TLS and their replies; how mail is judged; which addresses an account
//! has (the configuration says); the clock and the environment (times are arguments); what rows in the tables of other
//! crates mean; the control socket. It parses no mail: its callers give it the facts about a message.
//!
//! ```
//! use std::{io::Read, time::SystemTime};
//! use moxd_store::{Facts, INITIAL_MAILBOXES, NewMessage, Store};
//!
//! let now = SystemTime::UNIX_EPOCH;
//! let store = Store::memory();
//! let account = store.open_account("mox", INITIAL_MAILBOXES, now).wait()?;
//!
//! let mut body = store.body_writer();
//! body.write(b"Subject: hello\r\n\r\nworld\r\n").wait()?;
//! let mut message = NewMessage::new(Facts::new(now));
//! message.prefix = b"Received: from a.test\r\n".to_vec();
//! let mut transaction = store.transaction(now);
//! transaction.deliver(account, "Inbox", message, &body.finish());
//! let receipt = store.commit(transaction).wait()?;
//!
//! let stored = store.message(account, receipt.delivered[0].id)?.expect("just delivered");
//! let mut text = String::new();
//! store.content(&stored)?.read_to_string(&mut text)?;
//! assert_eq!(text, "Received: from a.test\r\nSubject: hello\r\n\r\nworld\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod check;
mod codec;
mod credentials;
pub mod engine;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod mailbox;
mod message;
mod pending;
mod store;
mod tables;
mod transaction;

pub use account::{AccountId, INITIAL_MAILBOXES, InitialMailbox};
pub use check::{Finding, FindingKind};
pub use credentials::Credentials;
pub use engine::{
    Body, BodyId, BodyReader, BodyWriter, Copied,
    local::{GROUP_BATCHES as GROUP_BATCHES_METRIC, Options, Progress},
};
pub use error::{Error, ErrorKind, Result};
pub use mailbox::{Counts, MAX_NAME, Mailbox, MailboxId, Role, mailbox_name};
pub use message::{
    Expunged, Facts, Flags, Message, MessageId, ModSeq, NewMessage, Origin, Part, Recipient, Row, Sent,
    Thread, Training, Uid, Validation, Validations,
};
pub use pending::Pending;
pub use store::{Content, MAX_PAGE, Store};
pub use tables::{Index, Table};
pub use transaction::{Change, Delivered, Receipt, Transaction};
