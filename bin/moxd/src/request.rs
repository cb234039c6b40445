//! What can be asked of whoever has the data directory open.

use crate::cli::MailFormat;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use store::Credentials;

/// Version of the requests and frames on the control socket; both sides have to have the same.
pub(crate) const VERSION: u32 = 2;

/// A request with its version, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) version: u32,
    pub(crate) request: Request,
}

/// What is wanted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Read domains.toml and the TLS files again.
    Reload,
    /// Stop the server gracefully.
    Stop,
    /// How the server does.
    Status { json: bool },
    /// Who is held back after failed logins.
    BlockedList { json: bool },
    /// Lets go an address, a network or an account; everyone without a name.
    BlockedLift { name: Option<String>, json: bool },
    /// What the server logs: shown, or changed until it ends.
    LogLevel { filter: Option<String> },
    /// Mailboxes with counts. An account that is `configured` begins to exist with the first question about it.
    MailboxList { account: String, configured: bool, json: bool },
    /// Messages, oldest first. `configured` as above.
    MessageList { account: String, configured: bool, mailbox: Option<String>, json: bool },
    /// One message, whole.
    MessageShow { account: String, id: u64 },
    /// Removes messages.
    MessageDelete { account: String, ids: Vec<u64> },
    /// Writes files with all mail; `name` is that of an mbox file. `configured` as above.
    Export { format: MailFormat, account: String, configured: bool, name: String, json: bool },
    /// Takes messages from the console.
    Import { account: String, mailbox: String, json: bool },
    /// Every inconsistency.
    Verify { json: bool },
    /// A consistent copy.
    Backup { dir: PathBuf, json: bool },
    /// Gives back the room of removed mail; with `thorough`, no byte of it is left.
    Compact { thorough: bool },
    /// Replaces what is kept of a password.
    SetCredentials { account: String, secrets: Secrets },
}

impl Request {
    /// May it be asked before a server was ever started? A backup may not: one without mail would pass for one of the mail
    /// that is on a disk which is not mounted.
    pub(crate) fn may_begin_store(&self) -> bool {
        !self.needs_server() && !matches!(self, Self::Backup { .. } | Self::Verify { .. })
    }

    /// Is it about the running server, and not about mail at rest?
    pub(crate) fn needs_server(&self) -> bool {
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

/// Derived secrets on their way to who keeps them. Not printed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Secrets {
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
        // Taken, not copied: what is left is wiped when dropped.
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
