//! The stored form of a message record.
//!
//! One byte of version, one of kind, then fields: one byte that names the field, its length, its bytes. Empty fields are
//! left out. Unknown fields are skipped, so that a later version can add fields without a new format.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Expunged, Facts, Flags, Message, MessageId, ModSeq, Part, Recipient, Row, Sent, Thread, Training, Uid,
    Validation, Validations,
};
use crate::{
    codec::{Reader, put_bytes, put_varint, varint_len},
    engine::BodyId,
    mailbox::MailboxId,
    tables::{from_millis, millis},
};

/// Version of the record's format.
const VERSION: u8 = 1;
const MESSAGE: u8 = 1;
const EXPUNGED: u8 = 2;

/// The byte that names each field. A number is never used for another field later.
mod field {
    pub(super) const ID: u8 = 1;
    pub(super) const CREATED: u8 = 2;
    pub(super) const CHANGED: u8 = 3;
    pub(super) const ORIGINAL_MAILBOX: u8 = 4;
    pub(super) const DESTINED_MAILBOX: u8 = 5;
    pub(super) const BODY: u8 = 6;
    pub(super) const PREFIX: u8 = 7;
    pub(super) const RECEIVED: u8 = 8;
    pub(super) const FLAGS: u8 = 9;
    pub(super) const KEYWORD: u8 = 10;
    pub(super) const REJECT: u8 = 11;
    pub(super) const FORWARD: u8 = 12;
    pub(super) const TRAINING: u8 = 13;
    pub(super) const REASON: u8 = 14;
    pub(super) const MESSAGE_ID: u8 = 15;
    pub(super) const SUBJECT: u8 = 16;
    pub(super) const BASE_SUBJECT: u8 = 17;
    pub(super) const STRUCTURE: u8 = 18;
    pub(super) const SHA256: u8 = 19;
    pub(super) const VALIDATIONS: u8 = 20;
    pub(super) const REMOTE_IP: u8 = 21;
    pub(super) const EHLO_DOMAIN: u8 = 22;
    pub(super) const MAIL_FROM: u8 = 23;
    pub(super) const MAIL_FROM_LOCALPART: u8 = 24;
    pub(super) const MAIL_FROM_DOMAIN: u8 = 25;
    pub(super) const RCPT_TO_LOCALPART: u8 = 26;
    pub(super) const RCPT_TO_DOMAIN: u8 = 27;
    pub(super) const FROM_LOCALPART: u8 = 28;
    pub(super) const FROM_DOMAIN: u8 = 29;
    pub(super) const FROM_ORG_DOMAIN: u8 = 30;
    pub(super) const DKIM_DOMAIN: u8 = 31;
    pub(super) const ORIGINAL_EHLO_DOMAIN: u8 = 32;
    pub(super) const ORIGINAL_DKIM_DOMAIN: u8 = 33;
    pub(super) const THREAD: u8 = 34;
    pub(super) const PARENT: u8 = 35;
    pub(super) const THREAD_FLAGS: u8 = 36;
    pub(super) const WRITTEN_MESSAGE_ID: u8 = 37;
    pub(super) const SENT: u8 = 38;
    pub(super) const RECIPIENT: u8 = 39;
}

/// Writes fields, leaving out empty ones.
struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.push(field);
            put_bytes(self.0, bytes);
        }
    }

    fn text(&mut self, field: u8, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn texts(&mut self, field: u8, texts: &[String]) {
        for text in texts {
            self.0.push(field);
            put_bytes(self.0, text.as_bytes());
        }
    }

    fn number(&mut self, field: u8, n: u64) {
        if n != 0 {
            self.any_number(field, n);
        }
    }

    /// As [`Fields::number`], but writes zero as well.
    fn any_number(&mut self, field: u8, n: u64) {
        self.0.push(field);
        self.0.push(varint_len(n) as u8);
        put_varint(self.0, n);
    }

    fn part(&mut self, field: u8, part: Part) {
        self.0.push(field);
        self.0.push((varint_len(part.body.get()) + varint_len(part.size)) as u8);
        put_varint(self.0, part.body.get());
        put_varint(self.0, part.size);
    }
}

/// The stored form of a message. Mailbox and UID are part of its key.
pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(&[VERSION, MESSAGE]);
    let mut fields = Fields(&mut out);
    fields.number(field::ID, message.id.get());
    fields.number(field::CREATED, message.created.get());
    fields.number(field::CHANGED, message.changed.get());
    if message.original_mailbox != message.mailbox {
        fields.any_number(field::ORIGINAL_MAILBOX, u64::from(message.original_mailbox.get()));
    }
    if let Some(mailbox) = message.destined_mailbox {
        fields.any_number(field::DESTINED_MAILBOX, u64::from(mailbox.get()));
    }
    fields.part(field::BODY, message.body);
    if let Some(prefix) = message.prefix {
        fields.part(field::PREFIX, prefix);
    }
    encode_facts(&mut fields, &message.facts);
    encode_origin(&mut fields, &message.facts);
    if let Some(sent) = &message.sent {
        encode_sent(&mut fields, sent);
    }
    let thread = &message.thread;
    fields.number(field::THREAD, thread.id);
    for parent in &thread.parents {
        fields.any_number(field::PARENT, parent.get());
    }
    let flags =
        u64::from(thread.missing_link) | u64::from(thread.muted) << 1 | u64::from(thread.collapsed) << 2;
    fields.number(field::THREAD_FLAGS, flags);
    out
}

fn encode_facts(fields: &mut Fields<'_>, facts: &Facts) {
    fields.number(field::RECEIVED, millis(facts.received));
    fields.number(field::FLAGS, u64::from(facts.flags.bits()));
    fields.texts(field::KEYWORD, &facts.keywords);
    fields.number(field::REJECT, u64::from(facts.is_reject));
    fields.number(field::FORWARD, u64::from(facts.is_forward));
    fields.number(field::TRAINING, facts.training as u64);
    fields.text(field::REASON, &facts.reason);
    fields.text(field::MESSAGE_ID, &facts.message_id);
    fields.text(field::WRITTEN_MESSAGE_ID, &facts.written_message_id);
    fields.text(field::SUBJECT, &facts.subject);
    fields.text(field::BASE_SUBJECT, &facts.base_subject);
    fields.bytes(field::STRUCTURE, &facts.structure);
    if let Some(hash) = &facts.sha256 {
        fields.bytes(field::SHA256, hash);
    }
    let v = &facts.validations;
    if *v != Validations::default() {
        let checked = u8::from(v.ehlo_validated)
            | u8::from(v.mail_from_validated) << 1
            | u8::from(v.from_validated) << 2;
        fields.bytes(field::VALIDATIONS, &[checked, v.ehlo as u8, v.mail_from as u8, v.from as u8]);
    }
}

fn encode_origin(fields: &mut Fields<'_>, facts: &Facts) {
    let origin = &facts.origin;
    match origin.remote_ip {
        Some(IpAddr::V4(ip)) => fields.bytes(field::REMOTE_IP, &ip.octets()),
        Some(IpAddr::V6(ip)) => fields.bytes(field::REMOTE_IP, &ip.octets()),
        None => {}
    }
    fields.text(field::EHLO_DOMAIN, &origin.ehlo_domain);
    fields.text(field::MAIL_FROM, &origin.mail_from);
    fields.text(field::MAIL_FROM_LOCALPART, &origin.mail_from_localpart);
    fields.text(field::MAIL_FROM_DOMAIN, &origin.mail_from_domain);
    fields.text(field::RCPT_TO_LOCALPART, &origin.rcpt_to_localpart);
    fields.text(field::RCPT_TO_DOMAIN, &origin.rcpt_to_domain);
    fields.text(field::FROM_LOCALPART, &origin.from_localpart);
    fields.text(field::FROM_DOMAIN, &origin.from_domain);
    fields.text(field::FROM_ORG_DOMAIN, &origin.from_org_domain);
    fields.texts(field::DKIM_DOMAIN, &origin.dkim_domains);
    fields.text(field::ORIGINAL_EHLO_DOMAIN, &origin.original_ehlo_domain);
    fields.texts(field::ORIGINAL_DKIM_DOMAIN, &origin.original_dkim_domains);
}

fn encode_sent(fields: &mut Fields<'_>, sent: &Sent) {
    fields.any_number(field::SENT, millis(sent.time));
    for Recipient { localpart, domain, org_domain } in &sent.recipients {
        let mut recipient = Vec::new();
        for text in [localpart, domain, org_domain] {
            put_bytes(&mut recipient, text.as_bytes());
        }
        fields.bytes(field::RECIPIENT, &recipient);
    }
}

/// The stored form of what remains of a removed message.
pub(crate) fn encode_expunged(expunged: &Expunged) -> Vec<u8> {
    let mut out = vec![VERSION, EXPUNGED];
    let mut fields = Fields(&mut out);
    fields.number(field::ID, expunged.id.get());
    fields.number(field::CREATED, expunged.created.get());
    fields.number(field::CHANGED, expunged.changed.get());
    out
}

/// Reads a stored row; `None` if it is damaged, or of a version that this one does not know.
pub(crate) fn decode(mailbox: MailboxId, uid: Uid, bytes: &[u8]) -> Option<Row> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return None;
    }
    let kind = reader.u8()?;
    let mut message = Message {
        id: MessageId::from_u64(0),
        mailbox,
        uid,
        original_mailbox: mailbox,
        destined_mailbox: None,
        created: ModSeq::default(),
        changed: ModSeq::default(),
        facts: Facts::new(from_millis(0)),
        sent: None,
        thread: Thread { id: 0, parents: Vec::new(), missing_link: false, muted: false, collapsed: false },
        prefix: None,
        body: Part { body: BodyId::from_u64(0), size: 0 },
    };
    while !reader.is_empty() {
        let field = reader.u8()?;
        decode_field(&mut message, field, reader.bytes()?)?;
    }
    match kind {
        MESSAGE => Some(Row::Message(message)),
        EXPUNGED => {
            let Message { id, mailbox, uid, created, changed, .. } = message;
            Some(Row::Expunged(Expunged { id, mailbox, uid, created, changed }))
        }
        _ => None,
    }
}

fn decode_field(message: &mut Message, field: u8, bytes: &[u8]) -> Option<()> {
    let mut reader = Reader::new(bytes);
    match field {
        field::ID => message.id = MessageId::from_u64(reader.varint()?),
        field::CREATED => message.created = ModSeq::from_u64(reader.varint()?),
        field::CHANGED => message.changed = ModSeq::from_u64(reader.varint()?),
        field::ORIGINAL_MAILBOX => message.original_mailbox = MailboxId::from_u32(reader.varint_u32()?),
        field::DESTINED_MAILBOX => message.destined_mailbox = Some(MailboxId::from_u32(reader.varint_u32()?)),
        field::BODY => message.body = part(&mut reader)?,
        field::PREFIX => message.prefix = Some(part(&mut reader)?),
        field::THREAD => message.thread.id = reader.varint()?,
        field::PARENT => message.thread.parents.push(MessageId::from_u64(reader.varint()?)),
        field::THREAD_FLAGS => {
            let flags = reader.varint()?;
            message.thread.missing_link = flags & 1 != 0;
            message.thread.muted = flags & 2 != 0;
            message.thread.collapsed = flags & 4 != 0;
        }
        field::SENT => {
            message.sent = Some(Sent { time: from_millis(reader.varint()?), recipients: Vec::new() });
        }
        field::RECIPIENT => message.sent.as_mut()?.recipients.push(recipient(&mut reader)?),
        _ => decode_fact(&mut message.facts, field, bytes)?,
    }
    Some(())
}

fn part(reader: &mut Reader<'_>) -> Option<Part> {
    Some(Part { body: BodyId::from_u64(reader.varint()?), size: reader.varint()? })
}

fn decode_fact(facts: &mut Facts, field: u8, bytes: &[u8]) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let text = || String::from_utf8(bytes.to_vec()).ok();
    let origin = &mut facts.origin;
    match field {
        field::RECEIVED => facts.received = from_millis(reader.varint()?),
        field::FLAGS => facts.flags = Flags::from_bits(u16::try_from(reader.varint()?).ok()?),
        field::KEYWORD => facts.keywords.push(text()?),
        field::REJECT => facts.is_reject = reader.varint()? != 0,
        field::FORWARD => facts.is_forward = reader.varint()? != 0,
        field::TRAINING => {
            facts.training = match reader.varint()? {
                0 => Training::None,
                1 => Training::Junk,
                2 => Training::NotJunk,
                _ => return None,
            }
        }
        field::REASON => facts.reason = text()?,
        field::MESSAGE_ID => facts.message_id = text()?,
        field::WRITTEN_MESSAGE_ID => facts.written_message_id = text()?,
        field::SUBJECT => facts.subject = text()?,
        field::BASE_SUBJECT => facts.base_subject = text()?,
        field::STRUCTURE => facts.structure = bytes.to_vec(),
        field::SHA256 => facts.sha256 = Some(reader.array()?),
        field::VALIDATIONS => facts.validations = validations(reader.array()?)?,
        field::REMOTE_IP => origin.remote_ip = Some(ip(bytes)?),
        field::EHLO_DOMAIN => origin.ehlo_domain = text()?,
        field::MAIL_FROM => origin.mail_from = text()?,
        field::MAIL_FROM_LOCALPART => origin.mail_from_localpart = text()?,
        field::MAIL_FROM_DOMAIN => origin.mail_from_domain = text()?,
        field::RCPT_TO_LOCALPART => origin.rcpt_to_localpart = text()?,
        field::RCPT_TO_DOMAIN => origin.rcpt_to_domain = text()?,
        field::FROM_LOCALPART => origin.from_localpart = text()?,
        field::FROM_DOMAIN => origin.from_domain = text()?,
        field::FROM_ORG_DOMAIN => origin.from_org_domain = text()?,
        field::DKIM_DOMAIN => origin.dkim_domains.push(text()?),
        field::ORIGINAL_EHLO_DOMAIN => origin.original_ehlo_domain = text()?,
        field::ORIGINAL_DKIM_DOMAIN => origin.original_dkim_domains.push(text()?),
        // A field of a later version.
        _ => {}
    }
    Some(())
}

fn recipient(reader: &mut Reader<'_>) -> Option<Recipient> {
    let mut text = || String::from_utf8(reader.bytes()?.to_vec()).ok();
    Some(Recipient { localpart: text()?, domain: text()?, org_domain: text()? })
}

fn validations([checked, ehlo, mail_from, from]: [u8; 4]) -> Option<Validations> {
    Some(Validations {
        ehlo_validated: checked & 1 != 0,
        mail_from_validated: checked & 2 != 0,
        from_validated: checked & 4 != 0,
        ehlo: Validation::from_code(ehlo)?,
        mail_from: Validation::from_code(mail_from)?,
        from: Validation::from_code(from)?,
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match <[u8; 4]>::try_from(bytes) {
        Ok(v4) => Some(Ipv4Addr::from(v4).into()),
        Err(_) => <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).into()),
    }
}

#[cfg(test)]
mod tests;
