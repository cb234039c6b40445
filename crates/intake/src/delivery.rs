//! Mail from other servers, complete: the last checks, and the one transaction that takes the message.

use crate::backend::{ConnectionState, Intake};
use crate::body::clients_concern;
use crate::copies::{Copies, Fields};
use crate::events::MessageLog;
use crate::evidence::Gathering;
use crate::metrics;
use crate::offered::OfferedMessage;
use crate::prefix::results_room;
use crate::record::{facts_from_header, set_sender};
use message::{FindingKind, Headers, written_message_id};
use smtp_parser::Dialect;
use smtpserver::{Client, Refusal, replies};
use std::time::Duration;

/// RFC 5321 §6.3: hops after which a message is going in circles.
const MAX_HOPS: usize = 100;
/// How long a client waits for the reply if none of its recipients exists.
const UNKNOWN_RECIPIENTS_DELAY: Duration = Duration::from_secs(5);

impl Intake {
    /// Takes a message from another server.
    pub(crate) async fn deliver(
        &self,
        connection: &mut ConnectionState,
        client: &Client,
        message: OfferedMessage,
        gathering: Gathering,
        log: &mut MessageLog,
    ) -> Result<(), Refusal> {
        let now = (self.environment.now)();
        let OfferedMessage { settings, envelope, arriving } = message;
        let parsed = message::headers(arriving.header());
        let mut record = facts_from_header(&parsed, now);
        log.set_id(record.facts.message_id_as_written());
        if envelope.recipients.iter().all(|recipient| recipient.to.is_none()) {
            metrics::delivery("unknownuser", "");
            let refusal = Refusal::new(replies::NO_SUCH_USERS).after(UNKNOWN_RECIPIENTS_DELAY);
            return Err(refusal.about_unknown_recipient());
        }
        check_header(&parsed)?;
        check_message_id(settings.pedantic, &parsed)?;

        set_sender(&mut record.facts.origin, client, &envelope.sender);
        let iprev = connection.reverse.answer().await.cloned();
        let evidence = gathering.finish(iprev).await;
        record.facts.validations = evidence.validations();
        record.facts.origin.dkim_domains = evidence.dkim_passed().iter().map(dns::Domain::unicode).collect();
        let room = results_room(envelope.recipients.len());
        let results = evidence.authentication_results(&settings.hostname, envelope.utf8, room);
        // The name that resolves back, else the first one that the address points to.
        let iprev = evidence.iprev.as_ref();
        let fields = Fields {
            results: [results.field(), evidence.received_spf()].concat(),
            reverse: iprev.and_then(|iprev| iprev.name.as_ref().or_else(|| iprev.names.first()).cloned()),
            ..Fields::default()
        };

        let (header, body) = arriving.finish();
        let copies = Copies {
            settings: &settings,
            client,
            envelope: &envelope,
            header: &header,
            body: &body,
            record: &record,
            fields: &fields,
            evidence: Some(&evidence),
        };
        let recipients = envelope.recipients.len();
        let mut transaction = self.store.transaction(now);
        let added = self.add_copies(&mut transaction, &copies, log).await;
        added.map_err(|error| failed("accounterror", recipients, &error))?;
        match self.store.commit(transaction).await {
            Ok(receipt) => {
                for delivered in &receipt.delivered {
                    metrics::delivery("delivered", settings.acceptance_label());
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

/// Refuses messages that go in circles, and headers with more fields than are read.
fn check_header(parsed: &Headers<'_>) -> Result<(), Refusal> {
    if message::hops(parsed) > MAX_HOPS {
        return Err(Refusal::with(replies::LOOP, MAX_HOPS));
    }
    // A field that was not read may be the From field whose DMARC policy says to reject.
    if parsed.findings().iter().any(|finding| finding.kind == FindingKind::TooManyFields) {
        return Err(Refusal::with(replies::BAD_AUTHOR, FindingKind::TooManyFields.token()));
    }
    Ok(())
}

/// The reply after an account or the commit has failed. No recipient has the message, so each is counted with `result`, and
/// the client tries again for all of them.
fn failed(result: &'static str, recipients: usize, error: &store::Error) -> Refusal {
    (0..recipients).for_each(|_| metrics::delivery(result, ""));
    clients_concern(error).unwrap_or_else(|| Refusal::new(replies::ERROR_PROCESSING))
}

/// Pedantic mode: refuses text around a Message-ID, which otherwise is ignored.
pub(crate) fn check_message_id(pedantic: bool, parsed: &Headers<'_>) -> Result<(), Refusal> {
    let mut fields = parsed.all("Message-ID").filter(|_| pedantic);
    if fields.all(|field| written_message_id(field.value, Dialect::Strict).is_some()) {
        return Ok(());
    }
    Err(Refusal::with(replies::MALFORMED_MESSAGE, "text around the Message-ID"))
}
