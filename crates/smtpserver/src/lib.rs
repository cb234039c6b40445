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
//!
//! ```
//! use moxd_smtpserver::{Ask, Kind, Peer, RequestId, Rules, Session, Step};
//! use std::time::SystemTime;
//!
//! let rules = Rules::new(Kind::Smtp, "mx.example".parse()?);
//! let (remote, local) = ("192.0.2.1:40000".parse()?, "192.0.2.25:25".parse()?);
//! let mut session = Session::new(rules.into(), Peer { cid: 1, id: RequestId::zero(), remote, local });
//! let (mut out, now) = (Vec::new(), SystemTime::UNIX_EPOCH);
//! session.greet(&mut out);
//!
//! // Two commands at once: the first is a question for whoever owns the session.
//! let input = b"HELO client.example\r\nNOOP\r\n";
//! let (taken, step) = session.receive(input, now, &mut out);
//! let Step::Ask(Ask::Hello(ask)) = step else { panic!("{step:?}") };
//! assert_eq!(ask.hello().name.to_string(), "client.example");
//! let _ = session.answer(ask.accept(), now, &mut out);
//! let (_, step) = session.receive(&input[taken..], now, &mut out);
//! assert!(matches!(step, Step::Continue));
//! assert_eq!(out, b"220 mx.example ESMTP moxd\r\n250 mx.example\r\n250 2.0.0 alrighty\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A whole server with a backend of its own is `examples/discard.rs`.

#![warn(clippy::indexing_slicing)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod backend;
mod client;
mod driver;
mod envelope;
mod error;
mod refusal;
pub mod replies;
mod rules;
mod session;

/// What this API speaks of beside its own types; with these a caller needs no other crate.
pub use {dns, ratelimit, sasl, smtp_parser};

pub use backend::{Backend, LoginFailure, LoginFailureReason, Refused, Standing};
pub use client::{Client, Hello, Login, Peer, RequestId, TlsFacts};
pub use driver::{
    COMMAND_BUCKETS, Certificate, GateRules, Logins, RequestKey, Reveal, Server, Settings, Stop, Tls,
    TlsRules, Transport,
};
pub use envelope::{Received, Sender};
pub use error::{Error, ErrorKind};
pub use refusal::{Refusal, clean};
pub use rules::{Delays, Kind, Limits, Rules, Timeouts};
pub use session::{
    Answer, Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender, CloseReason,
    Said, SecretReply, Session, Step, Tried, Unasked, Waiting,
};

#[doc(hidden)]
pub mod fuzzing;
