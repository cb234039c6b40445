//! A backend like that of developer mode: one user, any recipient, special local parts. It records everything.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use moxd_smtpserver::{
    Backend, Client, Hello, Kind, Login, LoginFailure, Received, Refusal, Sender, Standing, replies,
};
use ratelimit::LoginKey;
use sasl::{Absent, CramMd5Secret, Decoy, Hash, Identity, Need, Password, ScramSecret, Verifier};
use smtp_parser::{Code, Path};
use tokio::sync::Semaphore;

pub const USER: &str = "mox@localhost";
pub const PASSWORD: &str = "moxmoxmox";

/// An accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub sender: String,
    pub recipients: Vec<String>,
    pub content: Vec<u8>,
    pub received: Received,
}

/// Records the calls, in short words, and the messages.
#[derive(Default)]
pub struct TestBackend {
    pub events: Mutex<Vec<String>>,
    pub messages: Mutex<Vec<Taken>>,
    /// If set, each message needs a permit to be accepted.
    pub commits: Option<Arc<Semaphore>>,
    /// Panics at the recipient `fragile`.
    pub fragile: bool,
    /// SHA-256 of the key of a client certificate that stands for the user.
    pub client_key: Option<[u8; 32]>,
    /// Bytes of content after which it is refused.
    pub full_after: Option<usize>,
}

pub struct Transaction {
    sender: Path,
    recipients: Vec<Path>,
    content: Vec<u8>,
}

/// The failure that a local part asks for by its end, as in developer mode.
fn failure(path: &Path, begins: &str) -> Option<Refusal> {
    let text = path.mailbox()?.localpart.as_str().strip_prefix(begins)?;
    let code = match text {
        _ if text.ends_with("temperror") || text.ends_with("timeout") => 451,
        _ if text.ends_with("permerror") => 550,
        _ => text.get(text.len().checked_sub(3)?..)?.parse().ok().filter(|code| (400..600).contains(code))?,
    };
    let code = Code::new(code)?;
    let text = Refusal::with(replies::SPECIAL_LOCALPART, code);
    let refusal = Refusal::configured(code, 0, 0, text.text());
    let slow = path.to_string().ends_with("timeout@localhost>");
    Some(if slow { refusal.after(Duration::from_hours(1)) } else { refusal })
}

impl TestBackend {
    fn tell(&self, event: impl Into<String>) {
        self.events.lock().unwrap().push(event.into());
    }

    pub fn messages(&self) -> Vec<Taken> {
        self.messages.lock().unwrap().clone()
    }

    pub fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }
}

fn secret(hash: Hash) -> ScramSecret {
    let iterations = NonZeroU32::new(4096).unwrap();
    ScramSecret::derive(hash, &Password::new(PASSWORD).unwrap(), b"sixteen octets..", iterations)
}

impl Backend for TestBackend {
    type Connection = ();
    type Transaction = Transaction;

    fn connect(&self, client: &Client) {
        self.tell(format!("connect {}", client.ip()));
    }

    async fn hello(&self, (): &mut (), _: &Client, hello: &Hello) -> Result<(), Refusal> {
        self.tell(format!("hello {} {}", hello.name, hello.extended));
        match hello.name.to_string().as_str() {
            "nonexistent.example" if !hello.extended => Err(Refusal::new(replies::HELLO_UNRESOLVABLE)),
            _ => Ok(()),
        }
    }

    async fn secret(
        &self,
        (): &mut (),
        client: &Client,
        _: Standing,
        need: Need,
    ) -> Result<Verifier, Refusal> {
        Ok(match need {
            Need::Password { username, .. } | Need::Scram { username, .. }
                if username == "broken@localhost" =>
            {
                return Err(Refusal::new(replies::ERROR_PROCESSING));
            }
            Need::Password { username, password } => {
                let known = [USER, "disabled@localhost", "other@localhost"].contains(&username.as_str());
                Verifier::Checked(known && password.as_str() == PASSWORD)
            }
            Need::Scram { username, hash } if username == USER => Verifier::Scram(secret(hash)),
            Need::Scram { username, hash } => {
                let iterations = NonZeroU32::new(4096).unwrap();
                Verifier::Scram(Decoy::new(&[7; 32], &username, Absent::User).scram(hash, iterations))
            }
            Need::CramMd5 { username } if username == USER => {
                Verifier::CramMd5(CramMd5Secret::derive(&Password::new(PASSWORD).unwrap()))
            }
            Need::CramMd5 { username } => {
                Verifier::CramMd5(Decoy::new(&[7; 32], &username, Absent::User).cram_md5())
            }
            Need::Certificate { .. } => {
                let key = client.tls.as_ref().and_then(|tls| tls.client_key);
                Verifier::Certificate(
                    key.filter(|key| Some(*key) == self.client_key).map(|_| USER.to_owned()),
                )
            }
        })
    }

    /// A suffix after `+` names the same user.
    fn login_key(&self, username: &str) -> LoginKey {
        let Some((name, domain)) = username.split_once('@') else { return LoginKey::Nobody(0) };
        LoginKey::Account(format!("{}@{domain}", name.split('+').next().unwrap_or_default()).into())
    }

    async fn login(&self, (): &mut (), _: &Client, identity: &Identity) -> Result<Login, Refusal> {
        if identity.username == "disabled@localhost" {
            return Err(Refusal::with(replies::ACCOUNT_DISABLED, "closed for the holidays"));
        }
        self.tell(format!("login {} {}", identity.username, identity.mechanism));
        let account = identity.username.split('@').next().unwrap();
        Ok(Login { account: account.into(), address: identity.username.parse().unwrap() })
    }

    fn login_failed(&self, (): &mut (), _: &Client, failure: &LoginFailure) {
        let name = failure.username.as_deref().unwrap_or("-");
        self.tell(format!("login failed {name} {:?}", failure.reason));
    }

    async fn sender(&self, (): &mut (), client: &Client, sender: &Sender) -> Result<Transaction, Refusal> {
        self.tell(format!("sender {}", sender.path));
        failure(&sender.path, "mailfrom").map_or(Ok(()), Err)?;
        if client.kind.is_submission()
            && sender.path.mailbox().is_some_and(|mailbox| !mailbox.localpart.as_str().starts_with("mox"))
        {
            return Err(Refusal::new(replies::SENDER_NOT_YOURS));
        }
        if let (Path::Literal(..), Kind::Smtp) = (&sender.path, client.kind) {
            return Err(Refusal::new(replies::SENDER_DOMAIN_REQUIRED));
        }
        Ok(Transaction { sender: sender.path.clone(), recipients: Vec::new(), content: Vec::new() })
    }

    async fn recipient(
        &self,
        (): &mut (),
        _: &Client,
        transaction: &mut Transaction,
        recipient: &Path,
    ) -> Result<(), Refusal> {
        self.tell(format!("recipient {recipient}"));
        if let Path::Mailbox(mailbox) = recipient {
            assert!(!self.fragile || mailbox.localpart.as_str() != "fragile", "a fault, on purpose");
        }
        if recipient.to_string() == "<nobody@localhost>" {
            return Err(Refusal::new(replies::NO_SUCH_USER).about_unknown_recipient());
        }
        failure(recipient, "rcptto").map_or(Ok(()), Err)?;
        transaction.recipients.push(recipient.clone());
        Ok(())
    }

    async fn content(&self, transaction: &mut Transaction, content: &[u8]) -> Result<(), Refusal> {
        transaction.content.extend_from_slice(content);
        match self.full_after {
            Some(most) if transaction.content.len() > most => Err(Refusal::new(replies::SYSTEM_FULL)),
            _ => Ok(()),
        }
    }

    async fn message(
        &self,
        (): &mut (),
        _: &Client,
        transaction: Transaction,
        received: &Received,
    ) -> Result<(), Refusal> {
        if transaction.recipients.iter().any(|path| path.to_string() == "<full@localhost>") {
            return Err(Refusal::new(replies::SYSTEM_FULL));
        }
        let failures: Vec<_> = transaction.recipients.iter().filter_map(|path| failure(path, "")).collect();
        if failures.len() == transaction.recipients.len() {
            let refusal = Refusal::all(&failures);
            let slow = transaction.recipients.iter().any(|path| path.to_string().starts_with("<slow"));
            return Err(if slow { refusal.slowly() } else { refusal });
        }
        if let Some(commits) = &self.commits {
            commits.acquire().await.unwrap().forget();
        }
        self.tell("message");
        self.messages.lock().unwrap().push(Taken {
            sender: transaction.sender.to_string(),
            recipients: transaction.recipients.iter().map(ToString::to_string).collect(),
            content: transaction.content,
            received: *received,
        });
        Ok(())
    }
}
