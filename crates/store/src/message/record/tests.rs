//! Records that are written are read again, and nothing else is.

use super::*;
use crate::message::Origin;

fn sample() -> Message {
    let text = |text: &str| text.to_owned();
    let origin = Origin {
        remote_ip: Some(IpAddr::from([192, 0, 2, 1])),
        ehlo_domain: text("mail.a.test"),
        mail_from: text("x@a.test"),
        mail_from_localpart: text("x"),
        mail_from_domain: text("a.test"),
        rcpt_to_localpart: text("mox"),
        rcpt_to_domain: text("b.test"),
        from_localpart: text("ü"),
        from_domain: text("sub.a.test"),
        from_org_domain: text("a.test"),
        dkim_domains: vec![text("a.test"), text("c.test")],
        original_ehlo_domain: text("d.test"),
        original_dkim_domains: vec![text("e.test")],
    };
    let facts = Facts {
        received: from_millis(1_700_000_000_123),
        origin,
        validations: Validations {
            from_validated: true,
            ehlo: Validation::Pass,
            from: Validation::Relaxed,
            ..Validations::default()
        },
        flags: Flags::SEEN | Flags::MDN_SENT,
        keywords: vec![text("$label"), text("")],
        is_reject: true,
        is_forward: true,
        training: Training::NotJunk,
        reason: text("no-bad-signals"),
        message_id: text("1@a.test"),
        written_message_id: text("1@A.test"),
        subject: text("Re: hello"),
        base_subject: text("hello"),
        structure: vec![0, 1, 2],
        sha256: Some([7; 32]),
    };
    Message {
        id: MessageId::from_u64(9),
        mailbox: MailboxId::from_u32(2),
        uid: Uid::from_u32(5),
        original_mailbox: MailboxId::from_u32(1),
        destined_mailbox: Some(MailboxId::from_u32(3)),
        created: ModSeq::from_u64(10),
        changed: ModSeq::from_u64(12),
        facts,
        sent: Some(Sent {
            time: from_millis(1_600_000_000_456),
            recipients: [("bob", "mail.c.test", "c.test"), ("", "", "")]
                .map(|(localpart, domain, org_domain)| Recipient {
                    localpart: text(localpart),
                    domain: text(domain),
                    org_domain: text(org_domain),
                })
                .into(),
        }),
        thread: Thread {
            id: 4,
            parents: vec![MessageId::from_u64(4)],
            missing_link: true,
            muted: false,
            collapsed: true,
        },
        prefix: Some(Part { body: BodyId::from_u64(1 << 41), size: 500 }),
        body: Part { body: BodyId::from_u64(2 << 41), size: 5000 },
    }
}

#[track_caller]
fn check(bytes: &[u8], expected: Option<Row>) {
    assert_eq!(decode(MailboxId::from_u32(2), Uid::from_u32(5), bytes), expected);
}

#[test]
fn round_trips_messages() {
    let message = sample();
    check(&encode(&message), Some(Row::Message(message)));
    let mut v6 = sample();
    v6.facts.origin.remote_ip = Some("2001:db8::1".parse().unwrap());
    check(&encode(&v6), Some(Row::Message(v6)));
    let mut bare = sample();
    (bare.facts, bare.sent) = (Facts::new(from_millis(0)), None);
    bare.prefix = None;
    assert!(encode(&bare).len() < 60);
    check(&encode(&bare), Some(Row::Message(bare)));
}

#[test]
fn round_trips_what_remains_of_a_removed_message() {
    let Message { id, mailbox, uid, created, changed, .. } = sample();
    let expunged = Expunged { id, mailbox, uid, created, changed };
    check(&encode_expunged(&expunged), Some(Row::Expunged(expunged)));
}

#[test]
fn passes_over_fields_of_later_versions() {
    let mut bytes = encode(&sample());
    bytes.extend_from_slice(&[200, 3, 1, 2, 3]);
    check(&bytes, Some(Row::Message(sample())));
}

#[test]
fn refuses_what_makes_no_sense() {
    check(&[], None);
    check(&[VERSION + 1, MESSAGE], None);
    check(&[VERSION, 3], None);
    check(&[VERSION, MESSAGE, field::TRAINING, 1, 3], None);
    check(&[VERSION, MESSAGE, field::SUBJECT, 2, 0xff, 0xff], None);
    check(&[VERSION, MESSAGE, field::SUBJECT, 9, b'a'], None);
    check(&[VERSION, MESSAGE, field::VALIDATIONS, 4, 0, 11, 0, 0], None);
    check(&[VERSION, MESSAGE, field::REMOTE_IP, 3, 1, 2, 3], None);
    check(&[VERSION, MESSAGE, field::RECIPIENT, 3, 0, 0, 0], None);
    check(&[VERSION, MESSAGE, field::SENT, 1, 1, field::RECIPIENT, 2, 0, 0], None);
}
