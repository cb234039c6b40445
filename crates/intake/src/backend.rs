//! [`Intake`]: the answers to what an SMTP session asks.

use crate::body::{Arriving, HeaderRoom, Piece, not_kept};
use crate::events::MessageLog;
use crate::evidence::{ConnectionJudges, Gathering, Judges, Reverse, SessionOrigin};
use crate::offered::{Envelope, Offer, Offered, OfferedMessage};
use crate::outgoing::Ledgers;
use crate::password::Passwords;
use crate::recipients;
use crate::record::written_id;
use crate::signing::Hashing;
use crate::submission::Unwanted;
use crate::{Environment, IntakeSettings, metrics};
use parking_lot::RwLock;
use ratelimit::LoginKey;
use sasl::{Identity, Need, Verifier};
use smtp_parser::Path;
use smtpserver::{Backend, Client, Login, Received, Refusal, Refused, Sender, Standing};
use std::hash::RandomState;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::Store;

/// The backend of moxd's SMTP listeners. It holds handles, and nothing about any message.
pub struct Intake {
    pub(crate) store: Store,
    judges: Option<Judges>,
    settings: RwLock<Arc<IntakeSettings>>,
    pub(crate) passwords: Passwords,
    pub(crate) outgoing: Ledgers,
    headers: HeaderRoom,
    pub(crate) decoy_seed: [u8; sasl::SEED_BYTES],
    /// Hashes login names that belong to no account.
    names: RandomState,
    pub(crate) environment: Environment,
}

/// Judges and reverse DNS of one client, for all of its messages.
#[derive(Debug)]
pub struct ConnectionState {
    /// None on submission listeners, and where DNS is not queried.
    judges: Option<ConnectionJudges>,
    pub(crate) reverse: Reverse,
}

/// Hashes a submission with this header for signing. None where the domain of its author does not sign.
fn hashing(settings: &IntakeSettings, header: &[u8]) -> Option<Hashing> {
    let author = message::author(&message::headers(header)).ok()?;
    let domain = author.domain()?;
    let signers = settings.signers.get(domain)?.clone();
    let localpart = settings.directory.canonical(&author.localpart, domain);
    Some(Hashing::new(signers, header.to_vec(), localpart.as_deref(), domain))
}

/// Describes the sender as the session knows it: the client's address and HELO name, and the reverse path.
fn session_origin(client: &Client, sender: &Sender) -> SessionOrigin {
    SessionOrigin {
        ip: client.ip(),
        helo: client.hello.as_ref().map(|hello| hello.name.clone()),
        mail_from: sender.path.mailbox().cloned(),
        receiver: client.hostname.clone(),
    }
}

/// Seconds since 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Intake {
    /// A backend over an open store. Without `judges` no DNS is queried, and every result that would need it is `none`.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn new(
        store: Store,
        judges: Option<Judges>,
        settings: IntakeSettings,
        environment: Environment,
    ) -> Result<Self, store::Error> {
        metrics::describe();
        let seed = environment.bytes::<{ sasl::SEED_BYTES }>();
        let seed = store.secret("sasl-decoy-seed", &seed).wait()?;
        let decoy_seed = seed.try_into().unwrap_or_else(|_| environment.bytes());
        Ok(Self {
            outgoing: Ledgers::new(store.clone(), environment),
            store,
            judges,
            settings: RwLock::new(Arc::new(settings)),
            passwords: Passwords::new(&environment.bytes()),
            headers: HeaderRoom::default(),
            decoy_seed,
            names: RandomState::new(),
            environment,
        })
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<IntakeSettings> {
        self.settings.read().clone()
    }

    /// Replaces the settings. Messages whose transfer has begun keep the old ones.
    pub fn set_settings(&self, settings: IntakeSettings) {
        *self.settings.write() = Arc::new(settings);
    }

    /// Handles the end of the header: drops the fields that must not stay, writes the rest, and starts the work that needs
    /// a header.
    async fn header_ends(&self, offer: &mut Offer) -> Result<(), Refusal> {
        let Offer { message, offered } = offer;
        let host = &message.settings.hostname;
        let mut unwanted = offered.is_submission().then(|| Unwanted::new(message.settings.pedantic));
        if let Offered::FromServer { gathering } = offered {
            // A message without a recipient who exists is refused in the end, so moxd sends no more queries about it.
            if message.envelope.recipients.iter().any(|recipient| recipient.to.is_some()) {
                gathering.header(message.arriving.header(), unix((self.environment.now)()));
            }
        }
        let written = message.arriving.write_header(|name, value| {
            // RFC 8601 §5: drops results that claim to be ours.
            (name.eq_ignore_ascii_case(b"Authentication-Results") && message::claims(value, host))
                || unwanted.as_mut().is_some_and(|unwanted| unwanted.drops(name, value))
        });
        written.await.map_err(|e| not_kept(&e))?;
        if let Offered::FromUser { hashing, .. } = offered {
            *hashing = self::hashing(&message.settings, message.arriving.header());
        }
        Ok(())
    }

    /// Takes the next piece of a message.
    async fn take(&self, offer: &mut Offer, content: &[u8]) -> Result<(), Refusal> {
        if let Piece::HeaderEnds(body) = offer.message.arriving.push(content).await? {
            self.header_ends(offer).await?;
            let start = content.len() - body;
            let body = content.get(start..).unwrap_or_default();
            offer.message.arriving.write_body(body).await?;
            offer.offered.body(body);
        } else if offer.message.arriving.is_complete() {
            offer.offered.body(content);
        }
        Ok(())
    }
}

impl Backend for Intake {
    type Connection = ConnectionState;
    type Transaction = Offer;

    fn connect(&self, client: &Client) -> ConnectionState {
        let judges = self.judges.as_ref().filter(|_| !client.kind.is_submission());
        let judges = judges.map(|judges| judges.for_connection(client.ip()));
        let reverse = Reverse::start(judges.as_ref().map(|ours| &ours.judges), client.ip());
        ConnectionState { judges, reverse }
    }

    async fn secret(
        &self,
        _connection: &mut ConnectionState,
        _client: &Client,
        standing: Standing,
        need: Need,
    ) -> Result<Verifier, Refusal> {
        self.verifier(standing, need).await
    }

    fn login_key(&self, username: &str) -> LoginKey {
        crate::login::key(&self.settings(), &self.names, username)
    }

    async fn login(
        &self,
        _connection: &mut ConnectionState,
        _client: &Client,
        identity: &Identity,
    ) -> Result<Login, Refusal> {
        self.account(identity)
    }

    async fn sender(
        &self,
        connection: &mut ConnectionState,
        client: &Client,
        sender: &Sender,
    ) -> Result<Offer, Refusal> {
        let settings = self.settings();
        let login = client.login.as_deref();
        recipients::check_sender(&settings, login, &sender.path).inspect_err(|refusal| {
            MessageLog::at_command(login.is_some(), &sender.path, None).refused(refusal)
        })?;
        let offered = match login {
            Some(login) => Offered::FromUser { login: login.clone(), hashing: None },
            None => {
                let judges = connection.judges.as_ref().map(|ours| &ours.judges);
                Offered::FromServer {
                    gathering: Box::new(Gathering::new(judges, session_origin(client, sender))),
                }
            }
        };
        let envelope = Envelope {
            sender: sender.path.clone(),
            utf8: sender.smtputf8,
            require_tls: sender.require_tls,
            recipients: Vec::new(),
        };
        let arriving = Arriving::new(self.store.body_writer(), &self.headers);
        Ok(Offer { message: OfferedMessage { settings, envelope, arriving }, offered })
    }

    async fn recipient(
        &self,
        _connection: &mut ConnectionState,
        _client: &Client,
        offer: &mut Offer,
        path: &Path,
    ) -> Result<(), Refusal> {
        let Offer { message, offered } = offer;
        let is_submission = offered.is_submission();
        let recipient = recipients::recipient(&message.settings, is_submission, &message.envelope, path)
            .inspect_err(|refusal| {
                recipient_refused(is_submission, &message.envelope.sender, path, refusal)
            })?;
        // The same address twice is one recipient.
        if !message.envelope.recipients.contains(&recipient) {
            message.envelope.recipients.push(recipient);
        }
        // SPF is queried even if the address does not exist. Otherwise the DNS server of the sender's domain could tell
        // which addresses exist.
        if let Offered::FromServer { gathering } = offered {
            gathering.recipient();
        }
        Ok(())
    }

    async fn content(&self, offer: &mut Offer, content: &[u8]) -> Result<(), Refusal> {
        self.take(offer, content).await
    }

    fn refused(&self, client: &Client, what: Refused<'_, Offer>, refusal: &Refusal) {
        match what {
            Refused::Sender(path) => {
                MessageLog::at_command(client.kind.is_submission(), path, None).refused(refusal);
            }
            Refused::Recipient(offer, path) => {
                let sender = &offer.message.envelope.sender;
                recipient_refused(offer.offered.is_submission(), sender, path, refusal);
            }
            Refused::Message(offer, size) => {
                let mut log = MessageLog::of(offer, size);
                if let Some(id) = written_id(&message::headers(offer.message.arriving.header())) {
                    log.set_id(&id);
                }
                log.refused(refusal);
            }
        }
    }

    async fn message(
        &self,
        connection: &mut ConnectionState,
        client: &Client,
        mut offer: Offer,
        received: &Received,
    ) -> Result<(), Refusal> {
        let mut log = MessageLog::of(&offer, received.size);
        let label = offer.message.settings.acceptance_label();
        let ended = match offer.message.arriving.is_complete() {
            true => Ok(()),
            false => self.header_ends(&mut offer).await,
        };
        let Offer { message, offered } = offer;
        let result = match (ended, offered) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Offered::FromUser { login, hashing }) => {
                self.submit(client, message, &login, hashing, &mut log).await
            }
            (Ok(()), Offered::FromServer { gathering }) => {
                self.deliver(connection, client, message, *gathering, &mut log).await
            }
        };
        match &result {
            Ok(()) => {
                log.accepted(label);
                if let Some(judges) = &connection.judges {
                    judges.allowance.renew();
                }
            }
            Err(refusal) => log.refused(refusal),
        }
        result
    }
}

/// Counts and logs a recipient that was refused at RCPT.
fn recipient_refused(is_submission: bool, sender: &Path, recipient: &Path, refusal: &Refusal) {
    metrics::recipient_refused(is_submission, refusal.code());
    MessageLog::at_command(is_submission, sender, Some(recipient)).refused(refusal);
}
