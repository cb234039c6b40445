//! SASL exchanges, server and client, step by step: PLAIN, LOGIN, CRAM-MD5, SCRAM with SHA-1 and SHA-256, each with
//! and without channel binding, and EXTERNAL. A [`Server`] or [`Client`] turns the other side's message into the next
//! one. When it needs a stored secret, it says which, and waits until its owner supplies it.
//!
//! What it does not know:
//! - transport, lines and base64 around messages: SMTP, IMAP or another protocol adds them;
//! - where secrets are stored, and how a password for PLAIN or LOGIN is verified (its owner should use a slow hash);
//! - whether a mechanism is allowed: [`Mechanism::needs_tls`] says what to demand of the connection;
//! - time and randomness: nonces and salts are arguments, so that every exchange can be replayed;
//! - TLS: the channel binding comes in as bytes, in a [`Channel`].
//!
//! What a server stores are no passwords but derived secrets ([`ScramSecret`], [`CramMd5Secret`]). [`Decoy`] makes up
//! secrets for users that do not exist, so that an exchange does not reveal who exists.
//!
//! ```
//! use moxd_sasl::*;
//! # fn main() -> Result<(), Error> {
//! let channel = Channel::tls();
//! let stored = ScramSecret::derive(Hash::Sha256, &Password::new("pencil")?, b"sixteen random o", DEFAULT_ITERATIONS);
//!
//! let credentials = Credentials::new("user@example.org", "pencil")?;
//! let mut client = Client::new(Mechanism::ScramSha256, &credentials, &channel, Nonce::from_random([1; 18]));
//! let mut server = Server::new(Mechanism::ScramSha256, &channel, Nonce::from_random([2; 18]));
//!
//! let initial = client.begin()?;
//! let mut step = server.begin(initial.as_deref())?;
//! let identity = loop {
//!     step = match step {
//!         Step::Challenge(challenge) => server.step(&client.step(&challenge)?)?,
//!         Step::Need(_) => server.supply(Verifier::Scram(stored.clone()))?,
//!         Step::Done(identity) => break identity,
//!     };
//! };
//! client.finish()?;
//! assert_eq!(identity.username, "user@example.org");
//! # Ok(())
//! # }
//! ```

#![warn(clippy::indexing_slicing)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod channel;
mod client;
mod cram;
mod decoy;
mod error;
mod hash;
mod mechanism;
mod nonce;
mod plain;
mod prepare;
mod scram;
mod server;

#[doc(hidden)]
pub mod fuzzing;

pub use channel::{Binding, Channel};
pub use client::{Client, Credentials, MAX_ITERATIONS, MIN_ITERATIONS, MIN_SALT};
pub use cram::CramMd5Secret;
pub use decoy::{Absent, Decoy, SEED_BYTES};
pub use error::{Error, ErrorKind, Fault};
pub use hash::Hash;
pub use mechanism::{Mechanism, TlsNeed, UnknownMechanism};
pub use nonce::{MAX_NONCE, MIN_NONCE, NONCE_BYTES, Nonce};
pub use prepare::{MAX_NAME, MAX_PASSWORD, MIN_NEW_PASSWORD, Password, username};
pub use scram::secret::{DEFAULT_ITERATIONS, SALT_BYTES, ScramSecret};
pub use server::{Identity, MAX_MESSAGE, MAX_SCRAM_FIRST, Need, Server, Step, Verifier};
