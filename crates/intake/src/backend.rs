//! [`Intake`]: the answers to what an SMTP session asks.

use crate::body::{Arriving, HeaderRoom, Piece, not_kept};
use crate::events::Story;
use crate::evidence::{ConnectionJudges, Gathering, Judges, Origin, Reverse};
use crate::password::Passwords;
use crate::recipients::{self, Recipient};
use crate::signing::Hashing;
use crate::submission::Unwanted;
use crate::{Mode, Settings, metrics};
use parking_lot::RwLock;
use ratelimit::LoginKey;
use sasl::{Identity, Need, Verifier};
use smtp_parser::Path;
use smtpserver::{Backend, Client, Login, Received, Refusal, Refused, Sender, Standing};
use std::hash::RandomState;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::Store;

/// The outside world as functions, so that a test can replay anything.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// The time.
    pub now: fn() -> SystemTime,
    /// Fills with octets of a cryptographic generator.
    pub random: fn(&mut [u8]),
}

impl World {
    /// So many random octets.
    pub(crate) fn octets<const N: usize>(self) -> [u8; N] {
        let mut octets = [0; N];
        (self.random)(&mut octets);
        octets
    }
}

/// The backend of moxd's SMTP listeners: handles, and nothing about any message.
pub struct Intake {
    pub(crate) store: Store,
    judges: Option<Judges>,
    settings: RwLock<Arc<Settings>>,
    pub(crate) passwords: Passwords,
    headers: HeaderRoom,
    pub(crate) decoy_seed: [u8; sasl::SEED_OCTETS],
    /// Hashes login names that are nobody's.
    names: RandomState,
    pub(crate) world: World,
}

/// What is kept of a connection.
#[derive(Debug)]
pub struct Link {
    /// None where DNS is not asked.
    judges: Option<ConnectionJudges>,
    pub(crate) reverse: Reverse,
}

/// A message on its way in.
#[derive(Debug)]
pub struct Incoming {
    /// As they were at MAIL, to the end of the message.
    pub(crate) settings: Arc<Settings>,
    pub(crate) sender: Path,
    pub(crate) utf8: bool,
    pub(crate) require_tls: bool,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) arriving: Arriving,
    /// What is found out about it; nothing is asked about what users submit.
    pub(crate) gathering: Option<Gathering>,
    /// For the signatures of what users submit.
    pub(crate) hashing: Option<Hashing>,
    pub(crate) submission: bool,
}

impl Incoming {
    fn judge_body(&mut self, piece: &[u8]) {
        if let Some(gathering) = &mut self.gathering {
            gathering.body(piece);
        }
        if let Some(hashing) = &mut self.hashing {
            hashing.body(piece);
        }
    }
}

/// What signs a submission with this header: the selectors of its author's domain.
fn hashing(settings: &Settings, header: &[u8]) -> Option<Hashing> {
    let author = message::author(&message::headers(header)).ok()?;
    let domain = author.domain()?;
    let signers = settings.signers.get(domain)?.clone();
    let localpart = settings.directory.canonical(&author.localpart, domain);
    Some(Hashing::new(signers, header.to_vec(), localpart.as_deref(), domain))
}

/// Who sends, by what the session says.
fn origin(client: &Client, sender: &Sender) -> Origin {
    Origin {
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
    /// A backend over an open store. `judges` are none where DNS may not be asked: what would need it comes out as
    /// `none`.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn new(
        store: Store,
        judges: Option<Judges>,
        settings: Settings,
        world: World,
    ) -> Result<Self, store::Error> {
        metrics::describe();
        let seed = store.secret("sasl-decoy-seed", &world.octets::<{ sasl::SEED_OCTETS }>()).wait()?;
        let decoy_seed = seed.try_into().unwrap_or_else(|_| world.octets());
        Ok(Self {
            store,
            judges,
            settings: RwLock::new(Arc::new(settings)),
            passwords: Passwords::new(&world.octets()),
            headers: HeaderRoom::default(),
            decoy_seed,
            names: RandomState::new(),
            world,
        })
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Replaces the settings; messages that have begun keep the old ones.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write() = Arc::new(settings);
    }

    /// The header has ended: writes it on without what must not stay.
    async fn header_ends(&self, message: &mut Incoming) -> Result<(), Refusal> {
        let host = &message.settings.hostname;
        let mut unwanted = message.submission.then(|| Unwanted::new(message.settings.pedantic));
        // What is for nobody is refused in the end, and nothing more is asked about it.
        let has_reader = message.recipients.iter().any(|recipient| recipient.to.is_some());
        if let Some(gathering) = message.gathering.as_mut().filter(|_| has_reader) {
            gathering.header(message.arriving.header(), unix((self.world.now)()));
        }
        let written = message.arriving.write_header(|name, value| {
            // RFC 8601 §5: results that claim to be ours and are not.
            (name.eq_ignore_ascii_case(b"Authentication-Results") && message::claims(value, host))
                || unwanted.as_mut().is_some_and(|unwanted| unwanted.goes(name, value))
        });
        written.await.map_err(|e| not_kept(&e))?;
        if message.submission {
            message.hashing = hashing(&message.settings, message.arriving.header());
        }
        Ok(())
    }

    /// Takes the next piece of a message.
    async fn take(&self, message: &mut Incoming, content: &[u8]) -> Result<(), Refusal> {
        if let Piece::HeaderEnds(body) = message.arriving.push(content).await? {
            self.header_ends(message).await?;
            let start = content.len() - body;
            let body = content.get(start..).unwrap_or_default();
            message.arriving.write_body(body).await?;
            message.judge_body(body);
        } else if message.arriving.is_complete() {
            message.judge_body(content);
        }
        Ok(())
    }
}

impl Backend for Intake {
    type Connection = Link;
    type Transaction = Incoming;

    fn connect(&self, client: &Client) -> Link {
        let judges = self.judges.as_ref().filter(|_| !client.kind.is_submission());
        let judges = judges.map(|judges| judges.for_connection(client.ip()));
        let reverse = Reverse::start(judges.as_ref().map(|ours| &ours.judges), client.ip());
        Link { judges, reverse }
    }

    async fn secret(
        &self,
        _link: &mut Link,
        _client: &Client,
        standing: Standing,
        need: Need,
    ) -> Result<Verifier, Refusal> {
        self.verifier(standing, need).await
    }

    fn login_key(&self, username: &str) -> LoginKey {
        crate::login::key(&self.settings(), &self.names, username)
    }

    async fn login(&self, _link: &mut Link, _client: &Client, identity: &Identity) -> Result<Login, Refusal> {
        self.account(identity)
    }

    async fn sender(&self, link: &mut Link, client: &Client, sender: &Sender) -> Result<Incoming, Refusal> {
        let settings = self.settings();
        let submission = client.kind.is_submission();
        recipients::sender(&settings, client, &sender.path)
            .inspect_err(|refusal| Story::begun(submission, &sender.path, None).refused(refusal))?;
        // Without pedantry the message should arrive first.
        let keep_sample = settings.mode == Mode::Develop && settings.pedantic;
        let judges = link.judges.as_ref().map(|ours| &ours.judges);
        let gathering = (!submission).then(|| Gathering::new(judges, origin(client, sender)));
        Ok(Incoming {
            settings,
            sender: sender.path.clone(),
            utf8: sender.smtputf8,
            require_tls: sender.require_tls,
            recipients: Vec::new(),
            arriving: Arriving::new(self.store.body_writer(), &self.headers, keep_sample),
            gathering,
            hashing: None,
            submission,
        })
    }

    async fn recipient(
        &self,
        _link: &mut Link,
        client: &Client,
        message: &mut Incoming,
        path: &Path,
    ) -> Result<(), Refusal> {
        let taken = &message.recipients;
        let recipient = recipients::recipient(&message.settings, client, &message.sender, taken, path)
            .inspect_err(|refusal| {
                metrics::recipient_refused(message.submission, refusal.code());
                Story::begun(message.submission, &message.sender, Some(path)).refused(refusal);
            })?;
        // The same address twice is one recipient.
        if !message.recipients.contains(&recipient) {
            message.recipients.push(recipient);
        }
        // Also where nobody has the address: who answers for the sender's domain must not be told that by a question.
        if let Some(gathering) = &mut message.gathering {
            gathering.recipient();
        }
        Ok(())
    }

    async fn content(&self, message: &mut Incoming, content: &[u8]) -> Result<(), Refusal> {
        self.take(message, content).await
    }

    fn refused(&self, client: &Client, what: Refused<'_, Incoming>, refusal: &Refusal) {
        let story = match what {
            Refused::Sender(path) => Story::begun(client.kind.is_submission(), path, None),
            Refused::Recipient(message, path) => {
                metrics::recipient_refused(message.submission, refusal.code());
                Story::begun(message.submission, &message.sender, Some(path))
            }
            Refused::Message(message, size) => Story::of(message, size),
        };
        story.refused(refusal);
    }

    async fn message(
        &self,
        link: &mut Link,
        client: &Client,
        mut message: Incoming,
        received: &Received,
    ) -> Result<(), Refusal> {
        let mut story = Story::of(&message, received.size);
        let ended = match message.arriving.is_complete() {
            true => Ok(()),
            false => self.header_ends(&mut message).await,
        };
        let result = match (ended, &client.login) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Some(login)) => self.submit(client, login, message, &mut story).await,
            (Ok(()), None) => self.deliver(link, client, message, &mut story).await,
        };
        match &result {
            Ok(()) => {
                story.accepted(if self.settings().mode == Mode::Develop { "localserve" } else { "" });
                if let Some(judges) = &link.judges {
                    judges.allowance.renew();
                }
            }
            Err(refusal) => story.refused(refusal),
        }
        result
    }
}
