//! MAIL and RCPT: which senders a client may use, and which recipients this server accepts.

use crate::offered::Envelope;
use crate::{Destination, IntakeSettings, NotHere};
use smtp_parser::Path;
use smtpserver::{Login, Refusal, replies};

/// A recipient that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// As the client gave it.
    pub(crate) path: Path,
    /// The owner; none for an address of our domains without an account. The client learns that only after DATA, so that
    /// probing for addresses costs it a message each.
    pub(crate) to: Option<Destination>,
}

impl Recipient {
    /// The address without brackets, as in `Delivered-To`. `utf8`: its domain in Unicode.
    pub(crate) fn address(&self, utf8: bool) -> String {
        match &self.path {
            Path::Mailbox(mailbox) if utf8 => mailbox.unicode(),
            Path::Mailbox(mailbox) => mailbox.to_string(),
            path => path.to_string().trim_matches(['<', '>']).to_owned(),
        }
    }
}

/// Refuses a reverse path that the client must not send from (RFC 6409 §6.1 for users).
pub(crate) fn check_sender(
    settings: &IntakeSettings,
    login: Option<&Login>,
    path: &Path,
) -> Result<(), Refusal> {
    match (login, path) {
        (Some(login), _) => may_send_as(settings, login, path),
        (None, Path::Literal(..)) => Err(Refusal::new(replies::SENDER_DOMAIN_REQUIRED)),
        (None, _) => Ok(()),
    }
}

fn may_send_as(settings: &IntakeSettings, login: &Login, path: &Path) -> Result<(), Refusal> {
    let mailbox = match path {
        // RFC 5321 §4.5.5: a user's program may send notifications, which have a null reverse path.
        Path::Null => return Ok(()),
        Path::Mailbox(mailbox) => mailbox,
        Path::Postmaster | Path::Literal(..) => return Err(Refusal::new(replies::SENDER_NOT_YOURS)),
    };
    let owner = settings.directory.find(mailbox.localpart.as_str(), Some(&mailbox.domain), false);
    if owner.is_ok_and(|owner| owner.account == login.account) {
        Ok(())
    } else {
        Err(Refusal::new(replies::SENDER_NOT_YOURS))
    }
}

/// Resolves a recipient, or refuses it. `envelope` has the recipients that were taken before.
pub(crate) fn recipient(
    settings: &IntakeSettings,
    is_submission: bool,
    envelope: &Envelope,
    path: &Path,
) -> Result<Recipient, Refusal> {
    let taken = &envelope.recipients;
    // RFC 5321 §4.5.5: a bounce goes to one address.
    if !is_submission && envelope.sender.is_null() && !taken.is_empty() {
        return Err(Refusal::new(replies::ONE_RECIPIENT_FOR_NULL));
    }
    let to = match path {
        Path::Postmaster => settings.directory.resolve("postmaster", None, true),
        Path::Mailbox(m) => settings.directory.resolve(m.localpart.as_str(), Some(&m.domain), true),
        Path::Literal(local, _) if settings.directory.takes_everything() => {
            settings.directory.resolve(local.as_str(), None, true)
        }
        Path::Literal(..) => return Err(Refusal::new(replies::RECIPIENT_LITERAL)),
        Path::Null => return Err(Refusal::new(replies::NO_SUCH_USER)),
    };
    let to = match to {
        Ok(to) => Some(to),
        Err(NotHere::Domain) if is_submission => return Err(Refusal::new(replies::RECIPIENT_ELSEWHERE)),
        Err(NotHere::Domain) => return Err(Refusal::new(replies::RECIPIENT_FOREIGN)),
        Err(NotHere::Address) if is_submission => return Err(Refusal::new(replies::NO_SUCH_USER)),
        Err(NotHere::Address) => None,
    };
    // An address without an account is refused after DATA, for the whole message. So it must be the only recipient, and the
    // client sends the others in a message of their own.
    if !taken.is_empty() && (to.is_none() || taken.iter().any(|r| r.to.is_none())) {
        let refusal = Refusal::with(replies::RECIPIENT_ALONE, taken.len());
        // A recipient that exists is not counted as a probe, whatever came before it: a list with one stale name is no search
        // for names.
        return Err(if to.is_none() { refusal.about_unknown_recipient() } else { refusal });
    }
    Ok(Recipient { path: path.clone(), to })
}
