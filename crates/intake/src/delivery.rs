//! Mail from elsewhere, complete: what is checked last, and the one transaction that makes it ours.

use crate::backend::{Incoming, Intake, Link};
use crate::body::clients_concern;
use crate::copies::Fields;
use crate::events::Story;
use crate::prefix::results_room;
use crate::recipients::wish_after_data;
use crate::record::{described, sent_by};
use crate::{Mode, metrics, special};
use message::{Finding, FindingKind, Headers, written_message_id};
use smtp_parser::Dialect;
use smtpserver::{Client, Refusal, replies};
use std::time::Duration;

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
        story: &mut Story,
    ) -> Result<(), Refusal> {
        let now = (self.world.now)();
        let parsed = message::headers(message.arriving.header());
        let mut record = described(&parsed, now);
        story.has_id(record.facts.message_id_as_written());
        if message.recipients.iter().all(|recipient| recipient.to.is_none()) {
            metrics::delivery("unknownuser", "");
            let refusal = Refusal::new(replies::NO_SUCH_USERS).after(UNKNOWN_RECIPIENTS_DELAY);
            return Err(refusal.about_unknown_recipient());
        }
        if message::hops(&parsed) > MAX_HOPS {
            return Err(Refusal::with(replies::LOOP, MAX_HOPS));
        }
        // What was not read may have the From field whose DMARC policy says no.
        if parsed.findings().iter().any(|finding| finding.kind == FindingKind::TooManyFields) {
            return Err(Refusal::with(replies::BAD_AUTHOR, FindingKind::TooManyFields.token()));
        }
        check_structure(&message)?;
        check_message_id(&message, &parsed)?;
        wishes(&message)?;

        sent_by(&mut record.facts.origin, client, &message.sender);
        let mut fields = Fields::default();
        if let Some(gathering) = message.gathering.take() {
            let iprev = link.reverse.answer().await.cloned();
            let evidence = gathering.finish(iprev).await;
            // The name that resolves back, else the first one that the address points to.
            let iprev = evidence.iprev.as_ref();
            fields.reverse =
                iprev.and_then(|iprev| iprev.name.as_ref().or_else(|| iprev.names.first()).cloned());
            record.facts.validations = evidence.validations();
            record.facts.origin.dkim_domains =
                evidence.dkim_passed().iter().map(dns::Domain::unicode).collect();
            let room = results_room(message.recipients.len());
            let results = evidence.authentication_results(&message.settings.hostname, message.utf8, room);
            fields.found = [results.field(), evidence.received_spf()].concat();
            fields.proven = evidence.vouching();
        }
        let mut transaction = self.store.transaction(now);
        let reason = if message.settings.mode == Mode::Develop { "localserve" } else { "" };
        let recipients = message.recipients.len();
        let added = self.add_copies(&mut transaction, client, message, &record, &fields, story).await;
        added.map_err(|error| failed("accounterror", recipients, &error))?;
        match self.store.commit(transaction).await {
            Ok(receipt) => {
                for delivered in &receipt.delivered {
                    metrics::delivery("delivered", reason);
                    tracing::debug!(id = delivered.id.get(), uid = delivered.uid.get(), "delivered");
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "cannot deliver");
                Err(failed("delivererror", recipients, &error))
            }
        }
    }
}

/// One of the accounts, or the commit, has failed: none of the recipients has the message, so each is counted with
/// `result`, and the client tries again for all of them.
fn failed(result: &'static str, recipients: usize, error: &store::Error) -> Refusal {
    (0..recipients).for_each(|_| metrics::delivery(result, ""));
    clients_concern(error).unwrap_or_else(|| Refusal::new(replies::ERROR_PROCESSING))
}

/// Developer mode: fails as a recipient's local part asks.
pub(crate) fn wishes(message: &Incoming) -> Result<(), Refusal> {
    let wishes =
        message.recipients.iter().filter_map(|recipient| wish_after_data(&message.settings, recipient));
    let refusals: Vec<_> = wishes.map(|wish| special::refusal(wish, (0, 0))).collect();
    if refusals.is_empty() { Ok(()) } else { Err(Refusal::all(&refusals)) }
}

/// Pedantic mode: text behind a Message-ID is refused; otherwise it is passed over.
pub(crate) fn check_message_id(message: &Incoming, parsed: &Headers<'_>) -> Result<(), Refusal> {
    let mut fields = parsed.all("Message-ID").filter(|_| message.settings.pedantic);
    if fields.all(|field| written_message_id(field.value, Dialect::Strict).is_some()) {
        return Ok(());
    }
    Err(Refusal::with(replies::MALFORMED_MESSAGE, "text around the Message-ID"))
}

/// Pedantic developer mode: a message whose MIME structure is broken is refused, so that its maker notices.
pub(crate) fn check_structure(message: &Incoming) -> Result<(), Refusal> {
    let Some((sample, whole)) = message.arriving.sample() else { return Ok(()) };
    let (_, findings) = message::Part::parse(sample, message::Limits::default());
    // The end of a part may be in what is not at hand.
    let ours = |finding: &&Finding| whole || finding.kind != FindingKind::UnclosedMultipart;
    match findings.iter().find(ours) {
        Some(finding) => Err(Refusal::with(replies::MALFORMED_MESSAGE, finding.kind.token())),
        None => Ok(()),
    }
}
