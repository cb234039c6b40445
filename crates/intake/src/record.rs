//! What the record of a message says of it.

use dns::{Domain, suffix};
use message::{
    Headers, author, base_subject, canonical_message_id, decode_words, references, written_message_id,
};
use smtp_parser::{Dialect, Path};
use smtpserver::Client;
use std::time::SystemTime;
use store::{Facts, NewMessage, Origin};

/// The most octets of a subject that are kept in the record.
const MAX_SUBJECT: usize = 400;
/// The most octets of a Message-ID or a local part, since a line has no more (RFC 5322 §2.1.1). A longer one is nobody's, and
/// is not kept: a record has its bounds.
const MAX_KEPT: usize = 998;

/// The record of a message as far as its header tells: author, subject, and what it answers. Nothing of it is proven.
pub fn described(headers: &Headers<'_>, received: SystemTime) -> NewMessage {
    let value =
        |name: &str| headers.first(name).map(|field| field.unfolded().into_owned()).unwrap_or_default();
    let mut facts = Facts::new(received);
    if let Ok(author) = author(headers) {
        let domain = author.domain();
        facts.origin.from_domain = domain.map(Domain::unicode).unwrap_or_default();
        facts.origin.from_org_domain =
            domain.map(|d| suffix::organizational(d).unicode()).unwrap_or_default();
        facts.origin.from_localpart =
            Some(author.localpart).filter(|l| l.len() <= MAX_KEPT).unwrap_or_default();
    }
    let subject = value("Subject");
    facts.subject = decode_words(&subject).chars().take(MAX_SUBJECT).collect();
    facts.base_subject = base_subject(&subject).0;
    let id = value("Message-ID");
    if let Some(written) = written_message_id(&id, Dialect::Lenient).filter(|id| id.len() <= MAX_KEPT) {
        facts.set_message_id(canonical_message_id(&id, Dialect::Lenient).unwrap_or_default(), written);
    }
    let mut message = NewMessage::new(facts);
    let answers = value("References");
    message.references = references(if answers.is_empty() { value("In-Reply-To") } else { answers }.as_ref());
    message
}

/// Adds who sent the message, and from where.
pub(crate) fn sent_by(origin: &mut Origin, client: &Client, sender: &Path) {
    origin.remote_ip = Some(client.ip());
    let hello = client.hello.as_ref().and_then(|hello| hello.name.domain());
    origin.ehlo_domain = hello.map(Domain::unicode).unwrap_or_default();
    if let Some(mailbox) = sender.mailbox() {
        origin.mail_from = mailbox.to_string();
        origin.mail_from_localpart = mailbox.localpart.as_str().to_owned();
        origin.mail_from_domain = mailbox.domain.unicode();
    }
}

/// Adds who gets this copy.
pub(crate) fn sent_to(origin: &mut Origin, recipient: &Path) {
    match recipient {
        Path::Mailbox(mailbox) => {
            origin.rcpt_to_localpart = mailbox.localpart.as_str().to_owned();
            origin.rcpt_to_domain = mailbox.domain.unicode();
        }
        path => origin.rcpt_to_localpart = path.to_string().trim_matches(['<', '>']).to_owned(),
    }
}
