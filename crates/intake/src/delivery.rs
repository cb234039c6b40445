//! Mail from elsewhere, complete: what is checked last, and the one transaction that makes it ours.

use crate::backend::{Incoming, Intake, Link};
use crate::body::not_kept;
use crate::prefix::{Trace, delivered_to, return_path};
use crate::recipients::wish_after_data;
use crate::record::{described, sent_by, sent_to};
use crate::{metrics, special};
use dns::Name;
use smtpserver::{Client, Received, Refusal, replies};
use std::time::{Duration, SystemTime};
use store::NewMessage;

/// RFC 5321 §6.3: hops after which a message is going in circles.
const MAX_HOPS: usize = 100;
/// How long a client waits that has only tried addresses nobody has.
const UNKNOWN_RECIPIENTS_DELAY: Duration = Duration::from_secs(5);

impl Intake {
    /// Takes a message from another server.
    pub(crate) async fn deliver(
        &self,
        link: &mut Link,
        client: &Client,
        mut message: Incoming,
        _received: &Received,
    ) -> Result<(), Refusal> {
        let now = (self.world.now)();
        if message.recipients.iter().all(|recipient| recipient.to.is_none()) {
            metrics::delivery("unknownuser", "");
            return Err(Refusal::new(replies::NO_SUCH_USERS).after(UNKNOWN_RECIPIENTS_DELAY));
        }
        let parsed = message::headers(message.arriving.header());
        if message::hops(&parsed) > MAX_HOPS {
            return Err(Refusal::with(replies::LOOP, MAX_HOPS));
        }
        check_structure(&message)?;
        wishes(&message)?;

        let mut record = described(&parsed, now);
        sent_by(&mut record.facts.origin, client, &message.sender);
        let mut fields = String::new();
        let mut reverse = None;
        if let Some(gathering) = message.gathering.take() {
            let iprev = link.reverse.answer().await.cloned();
            let evidence = gathering.finish(iprev).await;
            reverse = evidence.iprev.as_ref().and_then(|iprev| iprev.name.clone());
            record.facts.validations = evidence.validations();
            record.facts.origin.dkim_domains =
                evidence.dkim_passed().iter().map(dns::Domain::unicode).collect();
            let results = evidence.authentication_results(&message.settings.hostname, message.utf8);
            fields = [results.field(), evidence.received_spf()].concat();
        }
        self.keep(client, message, &record, Prefix { fields, reverse }, now).await
    }

    /// One copy for each recipient, all in one transaction.
    pub(crate) async fn keep(
        &self,
        client: &Client,
        message: Incoming,
        record: &NewMessage,
        prefix: Prefix,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let trace = Trace {
            hostname: &message.settings.hostname,
            client,
            utf8: message.utf8,
            require_tls: message.require_tls,
            reverse: prefix.reverse,
            now,
        };
        let mut transaction = self.store.transaction(now);
        let body = message.arriving.finish();
        for recipient in &message.recipients {
            let Some(to) = &recipient.to else { continue };
            let account = self.open_account(&to.account, now).await?;
            let address = recipient.address();
            let mut copy = record.clone();
            sent_to(&mut copy.facts.origin, &recipient.path);
            copy.prefix = [
                delivered_to(&address),
                return_path(&message.sender),
                prefix.fields.clone(),
                trace.received(&recipient.path),
            ]
            .concat()
            .into_bytes();
            transaction.deliver(account, &to.mailbox, copy, &body);
        }
        match self.store.commit(transaction).await {
            Ok(receipt) => {
                for delivered in &receipt.delivered {
                    metrics::delivery("delivered", "localserve");
                    tracing::info!(id = delivered.id.get(), uid = delivered.uid.get(), "delivered");
                }
                Ok(())
            }
            Err(error) => {
                metrics::delivery("delivererror", "");
                tracing::error!(%error, "cannot deliver");
                Err(not_kept(&error))
            }
        }
    }

    /// The number of an account, which is made at its first use.
    pub(crate) async fn open_account(
        &self,
        name: &str,
        now: SystemTime,
    ) -> Result<store::AccountId, Refusal> {
        self.store.open_account(name, store::INITIAL_MAILBOXES, now).await.map_err(|error| {
            metrics::delivery("accounterror", "");
            tracing::error!(%error, account = name, "cannot open the account");
            not_kept(&error)
        })
    }
}

/// What stands before a message, whoever the recipient is.
pub(crate) struct Prefix {
    /// Header fields with what was found out.
    fields: String,
    /// The name that the client's address resolves to.
    reverse: Option<Name>,
}

/// Developer mode: fails as a recipient's local part asks.
pub(crate) fn wishes(message: &Incoming) -> Result<(), Refusal> {
    let wishes =
        message.recipients.iter().filter_map(|recipient| wish_after_data(&message.settings, recipient));
    let refusals: Vec<_> = wishes.map(|wish| special::refusal(wish, (0, 0))).collect();
    if refusals.is_empty() { Ok(()) } else { Err(Refusal::all(&refusals)) }
}

/// Developer mode: a message whose MIME structure is broken is refused, so that its maker notices.
pub(crate) fn check_structure(message: &Incoming) -> Result<(), Refusal> {
    let Some(sample) = message.arriving.sample() else { return Ok(()) };
    let (_, findings) = message::Part::parse(sample, message::Limits::default());
    match findings.first() {
        Some(finding) => Err(Refusal::with(replies::MALFORMED_MESSAGE, finding.kind.token())),
        None => Ok(()),
    }
}
