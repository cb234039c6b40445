//! The client's side of an exchange.

use std::fmt;
use std::mem;

use crate::channel::Channel;
use crate::cram;
use crate::error::{Error, ErrorKind};
use crate::hash::{Hash, Secret, equal};
use crate::mechanism::Mechanism;
use crate::nonce::{MIN_NONCE, Nonce};
use crate::plain;
use crate::prepare::{self, Password};
use crate::scram::message::{self, ClientFinal, ServerFinal, ServerFirst};
use crate::scram::proof;
use crate::server::MAX_MESSAGE;

/// Fewest bytes of salt a client takes from a server.
pub const MIN_SALT: usize = 8;

/// Fewest iterations a client computes: with fewer, an eavesdropper who records the exchange finds the password cheaply.
/// RFC 5802 §5.1 recommends 4096; servers that announce 2048 exist.
pub const MIN_ITERATIONS: u32 = 2048;

/// Most iterations a client computes, about a second of work, so that a server cannot keep us busy.
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// The identity and password of a client. The password is never printed, and is zeroed when dropped.
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: Option<Password>,
}

impl Credentials {
    /// A user and its password, both normalised.
    ///
    /// # Errors
    /// Those of [`prepare::username`] and [`Password::new`].
    pub fn new(username: &str, password: &str) -> Result<Self, Error> {
        Ok(Self { username: prepare::username(username)?, password: Some(Password::new(password)?) })
    }

    /// For EXTERNAL: the user that the certificate stands for, or this one if it stands for several.
    ///
    /// # Errors
    /// Those of [`prepare::username`].
    pub fn certificate(username: Option<&str>) -> Result<Self, Error> {
        let username = username.map(prepare::username).transpose()?.unwrap_or_default();
        Ok(Self { username, password: None })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.username)
    }
}

/// One exchange, as the client sees it.
///
/// [`Client::begin`] gives the initial response, [`Client::step`] answers each challenge, and [`Client::finish`] says
/// whether to believe a server that reports success.
pub struct Client {
    mechanism: Mechanism,
    credentials: Credentials,
    channel: Channel,
    nonce: Nonce,
    state: State,
}

/// Between two messages.
enum State {
    /// Before the first message.
    Fresh,
    /// LOGIN: waiting for the prompt for the user name.
    LoginName,
    /// LOGIN: waiting for the prompt for the password.
    LoginPassword,
    /// CRAM-MD5: waiting for the challenge.
    Cram,
    /// SCRAM: our first message is out.
    ScramFirst { gs2_header: String, bare: String },
    /// SCRAM: the proof is out; only a server that knows the password can answer with this signature.
    ScramProved { signature: Secret },
    /// After the last message.
    Finished,
    /// After an error.
    Over,
}

impl Client {
    /// A new exchange. `nonce` is used in no other.
    pub fn new(mechanism: Mechanism, credentials: &Credentials, channel: &Channel, nonce: Nonce) -> Self {
        Self {
            mechanism,
            credentials: credentials.clone(),
            channel: channel.clone(),
            nonce,
            state: State::Fresh,
        }
    }

    /// Does the first message (or a later one) carry the password in clear?
    pub fn sends_password(&self) -> bool {
        self.mechanism.needs_tls() == crate::TlsNeed::Secrecy
    }

    /// The initial response. `None`: the server speaks first; an empty one is sent as `=` in SMTP (RFC 4954 §4).
    ///
    /// # Errors
    /// [`ErrorKind::TlsRequired`] where the channel is not what the mechanism works on, [`ErrorKind::Misuse`] where the
    /// credentials are not those it works with.
    pub fn begin(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let State::Fresh = mem::replace(&mut self.state, State::Over) else { return Err(out_of_turn()) };
        let (state, initial) = match self.mechanism {
            Mechanism::External if !self.channel.is_tls() => return Err(no_channel()),
            Mechanism::External => (State::Finished, Some(self.credentials.username.clone().into_bytes())),
            Mechanism::Plain => {
                let message = plain::print(&self.credentials.username, self.password()?.as_str());
                (State::Finished, Some(message.to_vec()))
            }
            Mechanism::Login => (State::LoginName, None),
            Mechanism::CramMd5 => (State::Cram, None),
            _ => {
                let gs2_header = self.gs2_header()?;
                let bare =
                    format!("n={},r={}", message::escape(&self.credentials.username), self.nonce.as_str());
                let message = format!("{gs2_header}{bare}").into_bytes();
                (State::ScramFirst { gs2_header, bare }, Some(message))
            }
        };
        self.state = state;
        Ok(initial)
    }

    /// Answers a challenge, with its base64 undone.
    ///
    /// # Errors
    /// Any: cancel the exchange then (`*` in SMTP).
    pub fn step(&mut self, server: &[u8]) -> Result<Vec<u8>, Error> {
        let state = mem::replace(&mut self.state, State::Over);
        if server.len() > MAX_MESSAGE {
            return Err(Error::new(ErrorKind::TooLong, "challenge of more than 12288 bytes"));
        }
        let (state, answer) = match state {
            State::LoginName => (State::LoginPassword, self.credentials.username.clone().into_bytes()),
            State::LoginPassword => (State::Finished, self.password()?.as_bytes().to_vec()),
            State::Cram if !cram::is_challenge(server) => {
                return Err(Error::new(ErrorKind::ServerUntrusted, "CRAM-MD5 challenge is not one"));
            }
            State::Cram => {
                (State::Finished, cram::respond(&self.credentials.username, self.password()?, server))
            }
            State::ScramFirst { gs2_header, bare } => {
                self.scram_prove(&gs2_header, &bare, message::text(server)?)?
            }
            State::ScramProved { signature } => {
                check_signature(&signature, message::text(server)?)?;
                (State::Finished, Vec::new())
            }
            State::Finished => {
                return Err(Error::new(ErrorKind::Unfinished, "server goes on after the last message"));
            }
            State::Fresh | State::Over => return Err(out_of_turn()),
        };
        self.state = state;
        Ok(answer)
    }

    /// Checks whether the server may report success.
    ///
    /// # Errors
    /// [`ErrorKind::Unfinished`] where the server has not proved that it knows the password, or the exchange is not over.
    pub fn finish(self) -> Result<(), Error> {
        match self.state {
            State::Finished => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Unfinished,
                "server reports success before the exchange is at its end",
            )),
        }
    }

    fn password(&self) -> Result<&Password, Error> {
        self.credentials.password.as_ref().ok_or(Error::new(ErrorKind::Misuse, "mechanism needs a password"))
    }

    /// The header that announces channel binding.
    fn gs2_header(&self) -> Result<String, Error> {
        let flag = match (self.mechanism.is_plus(), self.channel.binding()) {
            (true, Some((binding, _))) => format!("p={}", binding.name()),
            (true, None) => return Err(no_channel()),
            // RFC 5802 §6: "y" tells a server that offers PLUS that we did not get to see it.
            (false, Some(_)) if !self.channel.plus_offered() => "y".to_owned(),
            (false, _) => "n".to_owned(),
        };
        Ok(flag + ",,")
    }

    fn scram_prove(
        &self,
        gs2_header: &str,
        bare: &str,
        server_first: &str,
    ) -> Result<(State, Vec<u8>), Error> {
        let hash = self.mechanism.hash().unwrap_or(Hash::Sha256);
        let first = ServerFirst::parse(server_first)?;
        // RFC 5802 §5.1: the client must verify that the nonce starts with its own.
        let added = first.nonce.strip_prefix(self.nonce.as_str());
        if added.is_none_or(|added| added.len() < MIN_NONCE) {
            return Err(Error::new(ErrorKind::Nonce, "nonce of the server does not extend ours"));
        }
        let bearable = MIN_ITERATIONS..=MAX_ITERATIONS;
        if first.salt.len() < MIN_SALT || !bearable.contains(&first.iterations.get()) {
            return Err(Error::new(
                ErrorKind::Parameters,
                "salt too short, or too few or too many iterations",
            ));
        }
        let bytes =
            if self.mechanism.is_plus() { self.channel.binding().map(|(_, bytes)| bytes) } else { None };
        let without_proof =
            ClientFinal::print_without_proof(gs2_header, bytes.unwrap_or_default(), first.nonce);
        let auth_message = proof::auth_message(bare, server_first, &without_proof);
        let salted = hash.salted(self.password()?.as_bytes(), &first.salt, first.iterations);
        let (proof, signature) = proof::prove(hash, &salted, &auth_message);
        Ok((State::ScramProved { signature }, ClientFinal::print(&without_proof, &proof).into_bytes()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, ..)", self.mechanism)
    }
}

fn check_signature(expected: &[u8], server_final: &str) -> Result<(), Error> {
    match ServerFinal::parse(server_final)? {
        ServerFinal::Refused => Err(Error::new(ErrorKind::ServerRefused, "server refuses the exchange")),
        ServerFinal::Signature(signature) if equal(&signature, expected) => Ok(()),
        ServerFinal::Signature(_) => {
            Err(Error::new(ErrorKind::ServerUntrusted, "server does not know the password either"))
        }
    }
}

fn out_of_turn() -> Error {
    Error::new(ErrorKind::Misuse, "SASL exchange is not at this point")
}

fn no_channel() -> Error {
    Error::new(ErrorKind::TlsRequired, "mechanism works on a TLS channel only")
}
