//! Fills the record of a message from its header and its envelope.

use dns::{Domain, suffix};
use message::{
    Date, Headers, addresses, author, base_subject, canonical_message_id, decode_words, references,
    shown_author, written_message_id,
};
use smtp_parser::{Dialect, Path};
use smtpserver::Client;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{Facts, NewMessage, Origin, Recipient, Sent};

/// Characters of a subject, and of its base, that are kept in the record.
const MAX_SUBJECT: usize = 400;
/// Characters that are kept of a From field without a single author: the length of the longest address (RFC 5321 §4.5.3.1).
const MAX_SHOWN: usize = 320;
/// Bytes of a Message-ID or a local part at most: a line has no more (RFC 5322 §2.1.1). Longer ones are not kept, because a
/// record has its bounds.
const MAX_KEPT: usize = 998;
/// Bytes of the recipients of a sent message that are kept at most: some hundreds of recipients.
const MAX_SENT_TO: usize = 32 * 1024;

/// The record of a message, filled from its header: author, subject, and the messages that it answers. Nothing in a header
/// is proven.
pub fn facts_from_header(headers: &Headers<'_>, received: SystemTime) -> NewMessage {
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
    } else {
        // Without a domain this does not count for reputation. It is shown in lists of messages.
        let shown = shown_author(headers).unwrap_or_default();
        facts.origin.from_localpart = shown.chars().take(MAX_SHOWN).collect();
    }
    let subject = value("Subject");
    facts.subject = decode_words(&subject).chars().take(MAX_SUBJECT).collect();
    facts.base_subject = base_subject(&subject).0.chars().take(MAX_SUBJECT).collect();
    if let Some(written) = written_id(headers) {
        let id = canonical_message_id(&value("Message-ID"), Dialect::Lenient);
        facts.set_message_id(id.unwrap_or_default(), written);
    }
    let mut message = NewMessage::new(facts);
    let answers = value("References");
    let answers = if answers.is_empty() { value("In-Reply-To") } else { answers };
    message.references = references(&answers).into();
    message
}

/// The Message-ID of a header, as it is written.
pub(crate) fn written_id(headers: &Headers<'_>) -> Option<String> {
    let value = headers.first("Message-ID")?.unfolded().into_owned();
    written_message_id(&value, Dialect::Lenient).filter(|id| id.len() <= MAX_KEPT)
}

/// The recipients of a message that the account sent, from its header.
pub fn recipients_from_header(headers: &Headers<'_>, received: SystemTime) -> Sent {
    let date = headers.first("Date").map(|field| String::from_utf8_lossy(&field.unfolded()).parse::<Date>());
    let date = date.and_then(Result::ok).and_then(|date| u64::try_from(date.unix()).ok());
    // A date in the future would make the recipients count as known for longer than they should.
    let time = date.map_or(received, |seconds| UNIX_EPOCH + Duration::from_secs(seconds)).min(received);
    let (mut recipients, mut bytes) = (BTreeSet::new(), 0);
    let fields = headers.iter().filter(|field| ["To", "Cc", "Bcc"].iter().any(|name| field.is(name)));
    // One field at a time: all addresses of a large header together would be many times its size.
    for address in fields.flat_map(|field| addresses(&field.unfolded()).into_mailboxes()) {
        let Some(domain) = address.domain().filter(|_| !address.localpart.is_empty()) else { continue };
        let recipient = Recipient {
            org_domain: suffix::organizational(domain).unicode(),
            domain: domain.unicode(),
            localpart: address.localpart,
        };
        bytes += recipient.localpart.len() + recipient.domain.len() + recipient.org_domain.len();
        if bytes > MAX_SENT_TO {
            break;
        }
        recipients.insert(recipient);
    }
    Sent { time, recipients: recipients.into_iter().collect() }
}

/// Adds the sender and the client to a record.
pub(crate) fn set_sender(origin: &mut Origin, client: &Client, sender: &Path) {
    origin.remote_ip = Some(client.ip());
    let hello = client.hello.as_ref().and_then(|hello| hello.name.domain());
    origin.ehlo_domain = hello.map(Domain::unicode).unwrap_or_default();
    if let Some(mailbox) = sender.mailbox() {
        origin.mail_from = mailbox.to_string();
        origin.mail_from_localpart = mailbox.localpart.as_str().to_owned();
        origin.mail_from_domain = mailbox.domain.unicode();
    }
}

/// Adds the recipient of a copy to its record.
pub(crate) fn set_recipient(origin: &mut Origin, recipient: &Path) {
    match recipient {
        Path::Mailbox(mailbox) => {
            origin.rcpt_to_localpart = mailbox.localpart.as_str().to_owned();
            origin.rcpt_to_domain = mailbox.domain.unicode();
        }
        path => origin.rcpt_to_localpart = path.to_string().trim_matches(['<', '>']).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_recipients_of_a_sent_message() {
        #[track_caller]
        fn check(header: &str, time: u64, expected: &[&str]) {
            let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
            let sent = recipients_from_header(&message::headers(header.as_bytes()), at(1_000_000_000));
            let recipients: Vec<_> = sent
                .recipients
                .iter()
                .map(|r| format!("{}@{} of {}", r.localpart, r.domain, r.org_domain))
                .collect();
            assert_eq!(
                (sent.time, recipients),
                (at(time), expected.iter().map(ToString::to_string).collect())
            );
        }
        check(
            "Date: Thu, 1 Jan 1998 00:00:00 +0000\r\nTo: Ann <ann@mail.a.example>, team: bob@b.example, ann@mail.a.example;\r\n\
             Cc: \"c c\"@xn--bcher-kva.example\r\nBcc: dan@b.example\r\nFrom: eve@b.example\r\n\r\n",
            883_612_800,
            &[
                "ann@mail.a.example of a.example",
                "bob@b.example of b.example",
                "c c@b\u{fc}cher.example of b\u{fc}cher.example",
                "dan@b.example of b.example",
            ],
        );
        // No address, malformed addresses, and a date in the future.
        check("Date: 1 Jan 2100 00:00 +0000\r\nTo: undisclosed-recipients:;\r\n\r\n", 1_000_000_000, &[]);
        check("Date: today\r\nTo: <@>, a@[192.0.2.1], b, \"\"@b.example\r\n\r\n", 1_000_000_000, &[]);
    }

    #[test]
    fn remembers_no_more_recipients_than_a_record_can_hold() {
        let to = format!("To: {}\r\n", vec!["someone@somewhere.example"; 900].join(", "));
        let many: String = (0..5000).map(|n| format!("Cc: {n}@{}.example\r\n", "x".repeat(60))).collect();
        for header in [to + &many, many.clone()] {
            let sent = recipients_from_header(&message::headers(header.as_bytes()), UNIX_EPOCH);
            let bytes: usize = sent.recipients.iter().map(|r| r.localpart.len() + r.domain.len()).sum();
            assert!(bytes <= MAX_SENT_TO && !sent.recipients.is_empty(), "{bytes}");
        }
    }
}
