//! An SMTP server: a pure [`Session`], and a thin driver ([`Server`]) that gives it sockets, TLS and time.
//! What becomes of mail is decided by a [`Backend`]: who may log in, who may send to whom, where a message goes.
//! All that goes over the wire is in [`replies`]; which command is legal when is in one table.
//!
//! What it does not know:
//! - mailboxes, queues, files: a message is slices handed to the backend, and it is ours when the backend says so;
//! - SPF, DKIM, DMARC, junk, DNS: judging is the backend's;
//! - configuration files: [`Rules`] are plain values;
//! - under `session`: sockets, clocks, randomness, runtimes. Time and nonces are arguments, so that a conversation can
//!   be replayed.
#![warn(clippy::indexing_slicing)]

mod backend;
mod client;
pub mod developer;
mod driver;
mod envelope;
mod error;
mod refusal;
pub mod replies;
mod rules;
mod session;

pub use backend::{Backend, LoginFailure, LoginFailureReason};
pub use client::{Client, Hello, Login, Peer, RequestId, TlsFacts};
pub use driver::{
    COMMAND_BUCKETS, Certificate, GateRules, RequestKey, Reveal, Server, Settings, Stop, Tls, TlsRules,
    Transport,
};
pub use envelope::{Received, Sender};
pub use error::{Error, ErrorKind};
pub use refusal::{Refusal, clean};
pub use rules::{Delays, Kind, Limits, Rules, Timeouts};
pub use session::{
    Answer, Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender, CloseReason,
    Said, SecretReply, Session, Step, Waiting,
};

#[doc(hidden)]
pub mod fuzzing;
