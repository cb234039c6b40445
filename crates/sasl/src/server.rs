//! The server's side of an exchange.

use std::fmt;
use std::mem;

use crate::channel::Channel;
use crate::cram::{self, CramMd5Secret};
use crate::decoy::Absent;
use crate::error::{Error, ErrorKind};
use crate::hash::{Hash, equal};
use crate::mechanism::Mechanism;
use crate::nonce::Nonce;
use crate::plain;
use crate::prepare::{self, Password};
use crate::scram::message::{self, ClientFinal, ClientFirst, Flag, ServerFinal, ServerFirst};
use crate::scram::proof;
use crate::scram::secret::ScramSecret;

/// Most bytes of one message, after base64 was undone.
///
/// RFC 4954 §4: a line of an exchange, still in base64, has at most 12288 bytes, which the session checks.
pub const MAX_MESSAGE: usize = 12_288;

/// Most bytes of a client's first SCRAM message. The server keeps it until the client has sent its proof, which may take
/// minutes. The longest name and nonce fit, unless most of the name is escaped.
pub const MAX_SCRAM_FIRST: usize = 2048;

/// What the owner has to do next.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Send this to the client, and call [`Server::step`] with its answer.
    Challenge(Vec<u8>),
    /// Answer this with [`Server::supply`].
    Need(Need),
    /// The client has proved that it is this user.
    Done(Identity),
}

/// What an exchange needs from its owner.
#[derive(Debug)]
pub enum Need {
    /// Check this password: answer with [`Verifier::Checked`].
    Password {
        /// The user, normalised.
        username: String,
        /// Its password, normalised.
        password: Password,
    },
    /// Fetch the SCRAM secret, or a [`crate::Decoy`]: answer with [`Verifier::Scram`].
    Scram {
        /// The user, normalised.
        username: String,
        /// For which hash.
        hash: Hash,
    },
    /// Fetch the CRAM-MD5 secret, or a [`crate::Decoy`]: answer with [`Verifier::CramMd5`].
    CramMd5 {
        /// The user, normalised.
        username: String,
    },
    /// Find out who the TLS client certificate stands for: answer with [`Verifier::Certificate`].
    Certificate {
        /// The user that the client wants to be, normalised; `None`: the user that the certificate stands for.
        username: Option<String>,
    },
}

/// The answer to a [`Need`].
#[derive(Debug)]
pub enum Verifier {
    /// Whether the password is right. The check must take as long for an unknown user as for a known one.
    Checked(bool),
    /// The SCRAM secret of the user.
    Scram(ScramSecret),
    /// The CRAM-MD5 secret of the user.
    CramMd5(CramMd5Secret),
    /// The user that the certificate stands for, if the client may log in as that user.
    Certificate(Option<String>),
}

/// The user that the client has proved to be.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user name, normalised, as the client gave it (for EXTERNAL: as [`Verifier::Certificate`] gave it).
    pub username: String,
    /// How it was proved.
    pub mechanism: Mechanism,
}

/// One exchange, as the server sees it.
///
/// It starts with [`Server::begin`]. After an error, and after [`Step::Done`], it is over.
pub struct Server {
    mechanism: Mechanism,
    channel: Channel,
    nonce: Nonce,
    state: State,
}

/// Between two messages.
enum State {
    /// Before the first message.
    Fresh,
    /// The empty challenge of a client-first mechanism, or the first prompt of LOGIN, is out.
    Prompted,
    /// LOGIN: the prompt for the password is out.
    LoginPassword { username: String },
    /// CRAM-MD5: the challenge is out.
    CramChallenged,
    /// The owner checks a password.
    Checking { username: String },
    /// CRAM-MD5: the owner fetches the secret.
    CramFetching { username: String, digest: String },
    /// SCRAM: the owner fetches the secret.
    ScramFetching(ScramFirst),
    /// SCRAM: the challenge is out.
    ScramChallenged(Box<ScramChallenge>),
    /// SCRAM: the proof was right, and our signature is out.
    ScramSigned { username: String },
    /// EXTERNAL: the owner looks at the certificate.
    Identifying,
    /// Done, or failed.
    Over,
}

/// The parts of a client's first SCRAM message that are needed later.
struct ScramFirst {
    username: String,
    client_nonce: String,
    bare: String,
    /// The binding that the client's next message must repeat: gs2 header, then the bytes of the channel.
    binding: Vec<u8>,
    hash: Hash,
}

/// The state while the client computes its proof.
struct ScramChallenge {
    first: ScramFirst,
    nonce: String,
    server_first: String,
    secret: ScramSecret,
}

impl Server {
    /// A new exchange. `nonce` must not be used in any other; CRAM-MD5 wants one by [`Nonce::stamped`].
    pub fn new(mechanism: Mechanism, channel: &Channel, nonce: Nonce) -> Self {
        Self { mechanism, channel: channel.clone(), nonce, state: State::Fresh }
    }

    /// Starts the exchange, with the initial response if the client sent one (an empty one is `Some(b"")`).
    ///
    /// Without it, the step is a challenge: empty where the client has to speak first.
    ///
    /// # Errors
    /// Those of [`Server::step`]; [`ErrorKind::InitialResponse`] where the mechanism does not allow one;
    /// [`ErrorKind::TlsRequired`] where the channel is not what the mechanism works on.
    pub fn begin(&mut self, initial: Option<&[u8]>) -> Result<Step, Error> {
        let State::Fresh = mem::replace(&mut self.state, State::Over) else { return Err(misuse()) };
        self.check_channel()?;
        match (initial, self.mechanism) {
            // RFC 4954 §4: an initial response where the server speaks first ends the exchange.
            (Some(_), Mechanism::CramMd5) => Err(Error::new(
                ErrorKind::InitialResponse,
                "CRAM-MD5 starts with a challenge and takes no initial response",
            )),
            // LOGIN has the same rule, but clients exist that send the user name at once.
            (Some(message), _) => {
                self.state = State::Prompted;
                self.step(message)
            }
            (None, Mechanism::CramMd5) => {
                self.state = State::CramChallenged;
                Ok(Step::Challenge(self.nonce.challenge().into_bytes()))
            }
            (None, Mechanism::Login) => {
                self.state = State::Prompted;
                Ok(Step::Challenge(b"Username:".to_vec()))
            }
            (None, _) => {
                self.state = State::Prompted;
                Ok(Step::Challenge(Vec::new()))
            }
        }
    }

    /// Takes the client's next message, with its base64 undone.
    ///
    /// # Errors
    /// Any. The exchange is over then.
    pub fn step(&mut self, client: &[u8]) -> Result<Step, Error> {
        let state = mem::replace(&mut self.state, State::Over);
        if client.len() > MAX_MESSAGE {
            return Err(Error::new(ErrorKind::TooLong, "message of more than 12288 bytes"));
        }
        match state {
            State::Prompted => match self.mechanism {
                Mechanism::Plain => self.plain(client),
                Mechanism::Login => self.login_name(client),
                Mechanism::External => self.external(client),
                _ => self.scram_first(client),
            },
            State::LoginPassword { username } => self.check_password(username, text(client)?),
            State::CramChallenged => {
                let (username, digest) = cram::parse(client)?;
                let username = known(prepare::username(username))?;
                let need = Need::CramMd5 { username: username.clone() };
                self.ask(State::CramFetching { username, digest: digest.to_owned() }, need)
            }
            State::ScramChallenged(challenge) => self.scram_final(*challenge, client),
            // RFC 4954 §4: SMTP has no data with its success reply, so the server's signature went out as a challenge,
            // and the client's answer to it is empty.
            State::ScramSigned { username } if client.is_empty() => Ok(self.done(username)),
            State::ScramSigned { .. } => {
                Err(Error::new(ErrorKind::Malformed, "SCRAM client goes on after the last message"))
            }
            State::Fresh
            | State::Checking { .. }
            | State::CramFetching { .. }
            | State::ScramFetching(_)
            | State::Identifying
            | State::Over => Err(misuse()),
        }
    }

    /// Takes the answer to [`Step::Need`].
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] or [`ErrorKind::SecretAbsent`]; [`ErrorKind::Misuse`] where `verifier` is not of the kind
    /// that was needed.
    pub fn supply(&mut self, verifier: Verifier) -> Result<Step, Error> {
        match (mem::replace(&mut self.state, State::Over), verifier) {
            (State::Checking { username }, Verifier::Checked(right)) => {
                if right {
                    Ok(self.done(username))
                } else {
                    Err(refused(None))
                }
            }
            (State::CramFetching { username, digest }, Verifier::CramMd5(secret)) => {
                let right = cram::verify(&secret, self.nonce.challenge().as_bytes(), digest.as_bytes());
                if right && secret.absent.is_none() {
                    Ok(self.done(username))
                } else {
                    Err(refused(secret.absent))
                }
            }
            (State::ScramFetching(first), Verifier::Scram(secret)) if secret.hash == first.hash => {
                Ok(self.scram_challenge(first, secret))
            }
            (State::Identifying, Verifier::Certificate(username)) => match username {
                Some(username) => Ok(self.done(username)),
                None => Err(refused(None)),
            },
            _ => Err(misuse()),
        }
    }

    /// The mechanism of this exchange.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    fn check_channel(&self) -> Result<(), Error> {
        let possible = match self.mechanism {
            Mechanism::External => self.channel.is_tls(),
            mechanism => !mechanism.is_plus() || self.channel.binding().is_some(),
        };
        possible
            .then_some(())
            .ok_or(Error::new(ErrorKind::TlsRequired, "mechanism works on a TLS channel only"))
    }

    fn done(&self, username: String) -> Step {
        Step::Done(Identity { username, mechanism: self.mechanism })
    }

    fn ask(&mut self, state: State, need: Need) -> Result<Step, Error> {
        self.state = state;
        Ok(Step::Need(need))
    }

    fn plain(&mut self, client: &[u8]) -> Result<Step, Error> {
        let message = plain::parse(client)?;
        let username = known(prepare::username(message.username))?;
        // RFC 4616 §2: an empty authorization name means the user itself.
        check_authzid(Some(message.authzid).filter(|authzid| !authzid.is_empty()), &username)?;
        self.check_password(username, message.password)
    }

    fn login_name(&mut self, client: &[u8]) -> Result<Step, Error> {
        let username = known(prepare::username(text(client)?))?;
        self.state = State::LoginPassword { username };
        Ok(Step::Challenge(b"Password:".to_vec()))
    }

    fn check_password(&mut self, username: String, password: &str) -> Result<Step, Error> {
        let password = known(Password::new(password))?;
        self.ask(State::Checking { username: username.clone() }, Need::Password { username, password })
    }

    fn external(&mut self, client: &[u8]) -> Result<Step, Error> {
        // RFC 4422 §A.1: an empty message asks for the user that the certificate stands for.
        let username = match text(client)? {
            "" => None,
            name => Some(known(prepare::username(name))?),
        };
        self.ask(State::Identifying, Need::Certificate { username })
    }

    fn scram_first(&mut self, client: &[u8]) -> Result<Step, Error> {
        let hash = self.mechanism.hash().ok_or(misuse())?;
        if client.len() > MAX_SCRAM_FIRST {
            return Err(Error::new(ErrorKind::TooLong, "first SCRAM message of more than 2048 bytes"));
        }
        let first = ClientFirst::parse(message::text(client)?)?;
        let bytes = self.expected_binding(first.flag)?;
        let binding = [first.gs2_header.as_bytes(), bytes].concat();
        let username = known(prepare::username(&first.username))?;
        check_authzid(first.authzid.as_deref(), &username)?;
        let need = Need::Scram { username: username.clone(), hash };
        let (client_nonce, bare) = (first.nonce.to_owned(), first.bare.to_owned());
        self.ask(State::ScramFetching(ScramFirst { username, client_nonce, bare, binding, hash }), need)
    }

    /// The bytes that a client with this flag has to send back.
    fn expected_binding(&self, flag: Flag<'_>) -> Result<&[u8], Error> {
        match (flag, self.mechanism.is_plus()) {
            (Flag::Bound(_), false) => Err(Error::new(
                ErrorKind::BindingUnsupported,
                "SCRAM client binds to the channel in a mechanism without PLUS",
            )),
            (Flag::Bound(name), true) => match self.channel.binding() {
                Some((binding, bytes)) if binding.name() == name => Ok(bytes),
                _ => Err(Error::new(
                    ErrorKind::BindingType,
                    "SCRAM client binds to what this channel does not have",
                )),
            },
            // RFC 5802 §6: with "y" although we offer PLUS, an attacker has removed PLUS from the offer.
            (Flag::CouldHave, false) if self.channel.plus_offered() => Err(Error::new(
                ErrorKind::BindingRefused,
                "SCRAM client did not see that channel binding is offered",
            )),
            (Flag::No | Flag::CouldHave, true) => {
                Err(Error::new(ErrorKind::BindingRequired, "SCRAM client does not bind in a PLUS mechanism"))
            }
            (Flag::No | Flag::CouldHave, false) => Ok(&[]),
        }
    }

    fn scram_challenge(&mut self, first: ScramFirst, secret: ScramSecret) -> Step {
        let nonce = format!("{}{}", first.client_nonce, self.nonce.as_str());
        let server_first =
            ServerFirst::print(&first.client_nonce, self.nonce.as_str(), &secret.salt, secret.iterations);
        let challenge = server_first.clone().into_bytes();
        self.state = State::ScramChallenged(Box::new(ScramChallenge { first, nonce, server_first, secret }));
        Step::Challenge(challenge)
    }

    fn scram_final(&mut self, challenge: ScramChallenge, client: &[u8]) -> Result<Step, Error> {
        let ScramChallenge { first, nonce, server_first, secret } = challenge;
        let message = ClientFinal::parse(message::text(client)?)?;
        // RFC 5802 §5.1: "c=" repeats the gs2 header and carries the channel binding.
        if !equal(&message.binding, &first.binding) {
            return Err(Error::new(ErrorKind::BindingMismatch, "channel bindings do not match"));
        }
        // RFC 5802 §5.1: the nonce must be the one that we sent.
        if message.nonce != nonce {
            return Err(refused(None));
        }
        let auth_message = proof::auth_message(&first.bare, &server_first, message.without_proof);
        let right = proof::verify(&secret, &message.proof, &auth_message);
        if !right || secret.absent.is_some() {
            return Err(refused(secret.absent));
        }
        let signature = ServerFinal::print_signature(&proof::server_signature(&secret, &auth_message));
        self.state = State::ScramSigned { username: first.username };
        Ok(Step::Challenge(signature.into_bytes()))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}, ..)", self.mechanism)
    }
}

const fn misuse() -> Error {
    Error::new(ErrorKind::Misuse, "SASL exchange is not at this point")
}

/// The error for a wrong password, a wrong proof, and a user that does not exist, which look the same to the client.
fn refused(absent: Option<Absent>) -> Error {
    let kind = match absent {
        Some(Absent::Secret) => ErrorKind::SecretAbsent,
        Some(Absent::User) | None => ErrorKind::Credentials,
    };
    Error::new(kind, "user unknown or password wrong")
}

/// Reports a name or password that cannot be normalised as wrong, since no user has it.
fn known<T>(prepared: Result<T, Error>) -> Result<T, Error> {
    prepared.map_err(|_| refused(None))
}

fn text(message: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(message).map_err(|_| Error::new(ErrorKind::Encoding, "message is not UTF-8"))
}

/// Refuses clients that want to act for another user.
fn check_authzid(authzid: Option<&str>, username: &str) -> Result<(), Error> {
    match authzid.map(prepare::username) {
        None => Ok(()),
        Some(Ok(authzid)) if authzid == username => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Authzid, "acting for another user is not supported")),
    }
}
