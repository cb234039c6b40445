//! An SMTP server: a pure [`Session`], and a thin driver ([`Server`]) that gives it sockets, TLS and time.
//! A [`Backend`] decides everything about mail: who may log in, who may send to whom, where a message goes.
//! Every reply text is in [`replies`], and which command is legal when is in one table.
//!
//! What this crate does not know:
//! - mailboxes, queues, files: the backend gets a message in slices, and owns it once it has accepted it;
//! - SPF, DKIM, DMARC, junk, DNS: judging is up to the backend;
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
//! let mut session = Session::<()>::new(rules.into(), Peer { cid: 1, id: RequestId::zero(), remote, local });
//! let (mut out, now) = (Vec::new(), SystemTime::UNIX_EPOCH);
//! session.greet(&mut out);
//!
//! // Two commands at once: the first is a question for the session's owner.
//! let input = b"HELO client.example\r\nNOOP\r\n";
//! let (taken, step) = session.receive(input, now, &mut out);
//! let Step::Ask(Ask::Hello(ask)) = step else { panic!("{step:?}") };
//! assert_eq!(ask.hello().name.to_string(), "client.example");
//! let _ = ask.accept(now, &mut out);
//! let (_, step) = session.receive(&input[taken..], now, &mut out);
//! assert!(matches!(step, Step::Continue));
//! assert_eq!(out, b"220 mx.example ESMTP moxd\r\n250 mx.example\r\n250 2.0.0 alrighty\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A question borrows its session, and its answer is one of its methods. What must not happen does not compile: input
//! before the answer,
//!
//! ```compile_fail,E0499
//! # use moxd_smtpserver::{Ask, Session, Step};
//! # use std::time::SystemTime;
//! # fn f(mut session: Session<()>, now: SystemTime, out: &mut Vec<u8>) {
//! let (_, step) = session.receive(b"HELO client.example\r\n", now, out);
//! let _ = session.receive(b"NOOP\r\n", now, out);
//! if let Step::Ask(Ask::Hello(ask)) = step {
//!     let _ = ask.accept(now, out);
//! }
//! # }
//! ```
//!
//! a second answer,
//!
//! ```compile_fail,E0382
//! # use moxd_smtpserver::{Ask, Session, Step};
//! # use std::time::SystemTime;
//! # fn f(mut session: Session<()>, now: SystemTime, out: &mut Vec<u8>) {
//! # let (_, step) = session.receive(b"HELO client.example\r\n", now, out);
//! if let Step::Ask(Ask::Hello(ask)) = step {
//!     let _ = ask.accept(now, out);
//!     let _ = ask.accept(now, out);
//! }
//! # }
//! ```
//!
//! or the answer to another question:
//!
//! ```compile_fail,E0308
//! # use moxd_smtpserver::{Ask, Session, Step};
//! # use std::time::SystemTime;
//! # fn f(mut session: Session<()>, now: SystemTime, out: &mut Vec<u8>) {
//! # let (_, step) = session.receive(b"HELO client.example\r\n", now, out);
//! if let Step::Ask(Ask::Nonce(ask)) = step {
//!     let _ = ask.supply(true, now, out);
//! }
//! # }
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

/// The crates whose types stand in this API.
pub use {dns, ratelimit, sasl, smtp_parser};

pub use backend::{Backend, LoginFailure, LoginFailureReason, Refused, Standing};
pub use client::{Client, Hello, Login, Peer, RequestId, TlsFacts};
pub use driver::{
    COMMAND_BUCKETS, Certificate, GateRules, Logins, PANICS, RequestKey, Reveal, Server, Settings, Stop, Tls,
    TlsRules, Transport,
};
pub use envelope::{Received, Sender};
pub use error::{Error, ErrorKind};
pub use refusal::{Refusal, clean};
pub use rules::{Delays, Kind, Limits, Rules, Timeouts};
pub use session::{
    Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender, Attempted,
    CloseReason, Content, DirectRefusal, MessageReply, Next, ReplyOutcome, SecretReply, Session, Step,
    Waiting,
};

#[doc(hidden)]
pub mod fuzzing;
