//! The copies of a message: one for each recipient, with header fields of its own before the one body.

use crate::backend::Intake;
use crate::events::MessageLog;
use crate::offered::Envelope;
use crate::prefix::{MAX_PREFIX, Trace, delivered_to, return_path};
use crate::recipients::Recipient;
use crate::record::set_recipient;
use crate::rulesets::Candidate;
use crate::verdict::{Action, History, Reason, VerdictRules, decide};
use crate::{Destination, Evidence, IntakeSettings};
use dns::{Domain, Name};
use message::Headers;
use smtpserver::Client;
use std::collections::BTreeSet;
use std::time::SystemTime;
use store::{AccountId, Body, NewMessage, Transaction};

/// The header fields before every copy of a message, besides those that name its recipient.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// The results of checks of mail from other servers; above the Received field.
    pub(crate) results: String,
    /// The fields that a submission lacked, and its DKIM signatures. They stand below the Received field, which the signatures
    /// do not cover.
    pub(crate) added: String,
    /// A name that the client's address points to, the one that resolves back if there is one.
    pub(crate) reverse: Option<Name>,
}

/// A complete message, ready to be copied to its recipients.
pub(crate) struct Copies<'a> {
    pub(crate) settings: &'a IntakeSettings,
    pub(crate) client: &'a Client,
    pub(crate) envelope: &'a Envelope,
    /// The header as it was written.
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a Body,
    /// The record of all copies, but for the recipient.
    pub(crate) record: &'a NewMessage,
    pub(crate) fields: &'a Fields,
    /// None for submissions: users are not judged.
    pub(crate) evidence: Option<&'a Evidence>,
}

impl Intake {
    /// Adds one copy for each recipient that has an account, all over the same body.
    pub(crate) async fn add_copies(
        &self,
        transaction: &mut Transaction,
        copies: &Copies<'_>,
        log: &mut MessageLog,
    ) -> Result<(), store::Error> {
        let &Copies { settings, envelope, record, fields, .. } = copies;
        let now = record.facts.received;
        let trace = Trace {
            hostname: &settings.hostname,
            client: copies.client,
            utf8: envelope.utf8,
            require_tls: envelope.require_tls,
            reverse: fields.reverse.clone(),
            now,
        };
        let return_path = return_path(&envelope.sender);
        let proven = copies.evidence.map(Evidence::vouching).unwrap_or_default();
        let mut choice = Choice { copies, proven: &proven, candidate: None };
        for (place, recipient) in envelope.recipients.iter().enumerate() {
            let Some(to) = &recipient.to else { continue };
            let account = self.open_account(&to.account, now).await?;
            let mut copy = record.clone();
            set_recipient(&mut copy.facts.origin, &recipient.path);
            copy.prefix = prefix(recipient, envelope.utf8, &return_path, &trace, fields);
            let mailbox = choice.mailbox(to, &copy.prefix);
            let rules = settings.directory.account(&to.account);
            let junk_flags = rules.and_then(|rules| rules.junk_flags.as_ref());
            copy.facts.flags = junk_flags.map(|junk_flags| junk_flags.of(mailbox)).unwrap_or_default();
            copy.facts.reason = copies.reason().token().to_owned();
            log.set_mailbox(place, mailbox);
            transaction.deliver(account, mailbox, copy, copies.body);
        }
        Ok(())
    }

    /// Returns the number of an account, which is created at its first use.
    pub(crate) async fn open_account(&self, name: &str, now: SystemTime) -> Result<AccountId, store::Error> {
        let opened = self.store.open_account(name, store::INITIAL_MAILBOXES, now).await;
        opened.inspect_err(|error| tracing::error!(%error, account = name, "cannot open the account"))
    }
}

impl Copies<'_> {
    /// Why a copy is delivered.
    fn reason(&self) -> Reason {
        let Some(evidence) = self.evidence else { return Reason::NotDecided };
        let verdict = decide(evidence, &History::default(), &VerdictRules::default());
        match verdict.action {
            Action::Accept => verdict.reason,
        }
    }
}

/// All header fields before one copy.
fn prefix(
    recipient: &Recipient,
    utf8: bool,
    return_path: &str,
    trace: &Trace<'_>,
    fields: &Fields,
) -> Vec<u8> {
    let delivered_to = delivered_to(&recipient.address(utf8));
    let received = trace.received(&recipient.path);
    let prefix = [&delivered_to, return_path, &fields.results, &received, &fields.added].concat();
    debug_assert!(prefix.len() <= MAX_PREFIX, "every part of the prefix is bounded");
    prefix.into_bytes()
}

/// Chooses the mailbox of each copy.
struct Choice<'a> {
    copies: &'a Copies<'a>,
    /// The domains that SPF or DKIM has passed for.
    proven: &'a BTreeSet<Domain>,
    /// Made for the first recipient with rulesets; none inside for a header that cannot be read.
    candidate: Option<Option<Candidate<'a>>>,
}

impl<'a> Choice<'a> {
    /// The mailbox that the first matching ruleset names, else that of the address.
    fn mailbox(&mut self, to: &'a Destination, prefix: &[u8]) -> &'a str {
        if to.rulesets.is_empty() {
            return &to.mailbox;
        }
        let added = message::headers(prefix);
        let (copies, proven) = (self.copies, self.proven);
        let candidate = self.candidate.get_or_insert_with(|| candidate(copies, proven, &added));
        let ruleset = candidate.as_mut().and_then(|candidate| candidate.first(&to.rulesets, &added));
        ruleset.map_or(&to.mailbox, |ruleset| &ruleset.mailbox)
    }
}

fn candidate<'a>(
    copies: &Copies<'a>,
    proven: &'a BTreeSet<Domain>,
    added: &Headers<'_>,
) -> Option<Candidate<'a>> {
    let received = message::headers(copies.header);
    let candidate = Candidate::new(&copies.record.facts.origin.mail_from, proven, added, &received);
    if candidate.is_none() {
        tracing::info!("the header cannot be read, so no ruleset applies");
    }
    candidate
}
