//! The copies of a message: one for each recipient, with the header fields of its own before the one body.

use crate::backend::{Incoming, Intake};
use crate::body::not_kept;
use crate::prefix::{Trace, delivered_to, return_path};
use crate::record::sent_to;
use crate::rulesets::{self, Subject};
use crate::{Destination, metrics};
use dns::{Domain, Name};
use smtpserver::{Client, Refusal};
use std::collections::BTreeSet;
use std::time::SystemTime;
use store::{AccountId, NewMessage, Transaction};

/// What stands before a message besides the trace of its way, whoever the recipient is.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// What was found out about mail from elsewhere; above the Received field.
    pub(crate) found: String,
    /// What was missing in a submission, and its signatures; below the Received field, which they do not cover.
    pub(crate) added: String,
    /// The name that the client's address resolves to.
    pub(crate) reverse: Option<Name>,
    /// The domains that SPF or DKIM has passed for.
    pub(crate) proven: BTreeSet<Domain>,
}

impl Intake {
    /// Adds one copy for each recipient that has an account, all over the same body.
    pub(crate) async fn add_copies(
        &self,
        transaction: &mut Transaction,
        client: &Client,
        message: Incoming,
        record: &NewMessage,
        fields: &Fields,
    ) -> Result<(), Refusal> {
        let now = record.facts.received;
        let trace = Trace {
            hostname: &message.settings.hostname,
            client,
            utf8: message.utf8,
            require_tls: message.require_tls,
            reverse: fields.reverse.clone(),
            now,
        };
        let return_path = return_path(&message.sender);
        let (header, body) = message.arriving.finish();
        for recipient in &message.recipients {
            let Some(to) = &recipient.to else { continue };
            let account = self.open_account(&to.account, now).await?;
            let rules = message.settings.directory.account(&to.account);
            let junk_flags = rules.and_then(|rules| rules.junk_flags.as_ref());
            let mut copy = record.clone();
            sent_to(&mut copy.facts.origin, &recipient.path);
            let (delivered_to, received) =
                (delivered_to(&recipient.address(message.utf8)), trace.received(&recipient.path));
            copy.prefix = [&delivered_to, &return_path, &fields.found, &received, &fields.added]
                .map(String::as_bytes)
                .concat();
            let mailbox = chosen(to, &copy, &fields.proven, &header);
            copy.facts.flags = junk_flags.map(|junk_flags| junk_flags.of(mailbox)).unwrap_or_default();
            transaction.deliver(account, mailbox, copy, &body);
        }
        Ok(())
    }

    /// The number of an account, which is made at its first use.
    pub(crate) async fn open_account(&self, name: &str, now: SystemTime) -> Result<AccountId, Refusal> {
        self.store.open_account(name, store::INITIAL_MAILBOXES, now).await.map_err(|error| {
            metrics::delivery("accounterror", "");
            tracing::error!(%error, account = name, "cannot open the account");
            not_kept(&error)
        })
    }
}

/// The mailbox for a copy: the destination's, unless a ruleset names another.
fn chosen<'d>(to: &'d Destination, copy: &NewMessage, proven: &BTreeSet<Domain>, header: &[u8]) -> &'d str {
    if to.rulesets.is_empty() {
        return &to.mailbox;
    }
    let [added, received] = [&copy.prefix, header].map(message::headers);
    let Some(subject) = Subject::new(&copy.facts.origin.mail_from, proven, &added, &received) else {
        tracing::info!(account = &*to.account, "the header cannot be read, so no ruleset applies");
        return &to.mailbox;
    };
    rulesets::first(&to.rulesets, &subject).map_or(&to.mailbox, |ruleset| &ruleset.mailbox)
}
