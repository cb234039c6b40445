//! Log events about messages: one for each recipient, `delivery` for mail from other servers and `submission` for mail from
//! users. Refused messages are logged like accepted ones, so that the log answers "did that mail come?".

use crate::offered::Offer;
use smtp_parser::Path;
use smtpserver::Refusal;
use std::borrow::Cow;

/// Characters of one field at most. Strangers choose them, and a log line must stay readable.
const MAX_FIELD: usize = 320;

/// The reply code of success (RFC 5321 §4.2.2).
const ACCEPTED: u16 = 250;

/// The fields of a message's log events.
pub(crate) struct MessageLog {
    submission: bool,
    from: String,
    message_id: String,
    size: u64,
    recipients: Vec<Recipient>,
}

/// One recipient, and the account and mailbox of its copy; empty if there is none, or none yet.
struct Recipient {
    address: String,
    account: String,
    mailbox: String,
}

impl MessageLog {
    /// A message of `size` bytes, as far as it has come.
    pub(crate) fn of(offer: &Offer, size: u64) -> Self {
        let message = &offer.message;
        let recipients = message.envelope.recipients.iter().map(|recipient| Recipient {
            address: recipient.address(true),
            account: recipient.to.as_ref().map(|to| to.account.to_string()).unwrap_or_default(),
            mailbox: String::new(),
        });
        Self {
            submission: offer.offered.is_submission(),
            from: address(&message.envelope.sender),
            message_id: String::new(),
            size,
            recipients: recipients.collect(),
        }
    }

    /// A transaction that ends, so far, with this recipient; none if the sender was refused.
    pub(crate) fn at_command(submission: bool, sender: &Path, recipient: Option<&Path>) -> Self {
        let address_of = recipient.map(address).unwrap_or_default();
        let recipient = Recipient { address: address_of, account: String::new(), mailbox: String::new() };
        let (message_id, size) = (String::new(), 0);
        Self { submission, from: address(sender), message_id, size, recipients: vec![recipient] }
    }

    /// Sets the Message-ID, as it is written.
    pub(crate) fn set_id(&mut self, id: &str) {
        id.clone_into(&mut self.message_id);
    }

    /// Sets the mailbox of the copy for the recipient at `place`.
    pub(crate) fn set_mailbox(&mut self, place: usize, mailbox: &str) {
        if let Some(recipient) = self.recipients.get_mut(place) {
            mailbox.clone_into(&mut recipient.mailbox);
        }
    }

    /// Logs that the message was accepted.
    pub(crate) fn accepted(&self, reason: &str) {
        self.write("accept", reason, ACCEPTED);
    }

    /// Logs that the message, its sender or a recipient was refused.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.write("reject", refusal.text(), refusal.code().get());
    }

    fn write(&self, verdict: &str, reason: &str, code: u16) {
        let (from, message_id, size) = (shown(&self.from), shown(&self.message_id), self.size);
        let (from, message_id, reason) = (&*from, &*message_id, &*shown(reason));
        for Recipient { address, account, mailbox } in &self.recipients {
            let (to, mailbox) = (&*shown(address), &*shown(mailbox));
            // Scripts rely on these fields.
            if self.submission {
                tracing::info!(
                    account,
                    mailbox,
                    from,
                    to,
                    message_id,
                    size,
                    verdict,
                    reason,
                    code,
                    "submission"
                );
            } else {
                tracing::info!(
                    account, mailbox, from, to, message_id, size, verdict, reason, code, "delivery"
                );
            }
        }
    }
}

/// An address as people write it; empty for the null path.
fn address(path: &Path) -> String {
    match path {
        Path::Mailbox(mailbox) => mailbox.unicode(),
        path => path.to_string().trim_matches(['<', '>']).to_owned(),
    }
}

/// A field on one line, cut at [`MAX_FIELD`]. Escapes characters that control a terminal or change the direction of text, which
/// JSON would leave as they are.
fn shown(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    if !text.contains(harmful) && text.len() <= MAX_FIELD {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == MAX_FIELD {
            out.push('…');
            break;
        }
        if harmful(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_on_their_line_and_within_their_bound() {
        assert_eq!(shown("Grüße@a.example"), "Grüße@a.example");
        assert_eq!(shown("a\n\u{9b}\u{202e}b"), "a\\u{a}\\u{9b}\\u{202e}b");
        assert_eq!(shown(&"x".repeat(MAX_FIELD)).chars().count(), MAX_FIELD);
        let long = "ü".repeat(10_000);
        assert_eq!(shown(&long).chars().count(), MAX_FIELD + 1);
    }
}
