//! The copies of a message: one for each recipient, with the header fields of its own before the one body.

use crate::backend::{Incoming, Intake};
use crate::events::Story;
use crate::prefix::{MAX_PREFIX, Trace, delivered_to, return_path};
use crate::record::sent_to;
use crate::rulesets::Subject;
use dns::{Domain, Name};
use smtpserver::Client;
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
    /// A name that the client's address points to, the one that resolves back if there is one.
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
        story: &mut Story,
    ) -> Result<(), store::Error> {
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
        // Made for the first recipient with rulesets; there are none for a header that cannot be read.
        let mut subject: Option<Option<Subject<'_>>> = None;
        for (place, recipient) in message.recipients.iter().enumerate() {
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
            debug_assert!(copy.prefix.len() <= MAX_PREFIX, "every part of the prefix is bounded");
            let mut mailbox = &to.mailbox;
            if !to.rulesets.is_empty() {
                let added = message::headers(&copy.prefix);
                let begin = || {
                    let received = message::headers(&header);
                    let mail_from = &record.facts.origin.mail_from;
                    let subject = Subject::new(mail_from, &fields.proven, &added, &received);
                    if subject.is_none() {
                        tracing::info!("the header cannot be read, so no ruleset applies");
                    }
                    subject
                };
                let subject = subject.get_or_insert_with(begin);
                let ruleset = subject.as_mut().and_then(|subject| subject.first(&to.rulesets, &added));
                mailbox = ruleset.map_or(mailbox, |ruleset| &ruleset.mailbox);
            }
            copy.facts.flags = junk_flags.map(|junk_flags| junk_flags.of(mailbox)).unwrap_or_default();
            story.goes_to(place, mailbox);
            transaction.deliver(account, mailbox, copy, &body);
        }
        Ok(())
    }

    /// The number of an account, which is made at its first use.
    pub(crate) async fn open_account(&self, name: &str, now: SystemTime) -> Result<AccountId, store::Error> {
        let opened = self.store.open_account(name, store::INITIAL_MAILBOXES, now).await;
        opened.inspect_err(|error| tracing::error!(%error, account = name, "cannot open the account"))
    }
}
