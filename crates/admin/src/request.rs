//! The requests that a verb can make of the process that has the data directory open.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use store::Credentials;

/// Version of the requests and frames on the control socket; both sides must have the same.
pub(crate) const VERSION: u32 = 2;

/// A request with its version, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) version: u32,
    pub(crate) request: Request,
}

/// A format of mail in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailFormat {
    /// A folder for each mailbox, a file for each message.
    Maildir,
    /// One file.
    Mbox,
}

/// What a verb asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the arguments of the verbs, and have their names")]
pub enum Request {
    /// Read domains.toml and the TLS files again.
    Reload,
    /// Stop the server gracefully.
    Stop,
    /// The server's version, uptime and listeners.
    Status { json: bool },
    /// The addresses and accounts that are held back after failed logins.
    BlockedList { json: bool },
    /// Forgets the failed logins of an address, a network or an account; of all without a name.
    BlockedLift { name: Option<String>, json: bool },
    /// Shows the log level, or changes it until the server ends.
    LogLevel { filter: Option<String> },
    /// Mailboxes with counts. An account that is `configured` is made if the store does not have it yet.
    MailboxList { account: String, configured: bool, json: bool },
    /// Messages, oldest first. `configured` as above.
    MessageList { account: String, configured: bool, mailbox: Option<String>, json: bool },
    /// All bytes of one message.
    MessageShow { account: String, id: u64 },
    /// Removes messages.
    MessageDelete { account: String, ids: Vec<u64> },
    /// Writes files with all mail; `name` is the name of an mbox file. `configured` as above.
    Export { format: MailFormat, account: String, configured: bool, name: String, json: bool },
    /// Takes messages from the console.
    Import { account: String, mailbox: String, json: bool },
    /// Reports every inconsistency.
    Verify { json: bool },
    /// Makes a consistent copy.
    Backup { dir: PathBuf, json: bool },
    /// Gives back the space of removed mail; with `thorough`, no byte of it stays on the disk.
    Compact { thorough: bool },
    /// Replaces the secrets derived from a password.
    SetCredentials { account: String, secrets: Secrets },
}

impl Request {
    /// May it make the data directory? Not a backup: if the disk with the mail is not mounted, an empty backup would look like
    /// a good one.
    pub fn may_begin_store(&self) -> bool {
        !self.needs_server() && !matches!(self, Self::Backup { .. } | Self::Verify { .. })
    }

    /// Is it about the running server and not about mail at rest?
    pub fn needs_server(&self) -> bool {
        matches!(
            self,
            Self::Reload
                | Self::Stop
                | Self::Status { .. }
                | Self::BlockedList { .. }
                | Self::BlockedLift { .. }
                | Self::LogLevel { .. }
        )
    }
}

/// Secrets derived from a password, on their way to the store. `Debug` does not show them.
#[derive(Serialize, Deserialize)]
pub struct Secrets {
    plain: Option<String>,
    cram_md5: Option<String>,
    scram_sha1: Option<String>,
    scram_sha256: Option<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl From<Credentials> for Secrets {
    fn from(mut c: Credentials) -> Self {
        // Taken and not copied: `Credentials` wipes what it has when it is dropped.
        Self {
            plain: c.plain.take(),
            cram_md5: c.cram_md5.take(),
            scram_sha1: c.scram_sha1.take(),
            scram_sha256: c.scram_sha256.take(),
        }
    }
}

impl From<Secrets> for Credentials {
    fn from(s: Secrets) -> Self {
        Self { plain: s.plain, cram_md5: s.cram_md5, scram_sha1: s.scram_sha1, scram_sha256: s.scram_sha256 }
    }
}
