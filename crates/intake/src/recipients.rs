//! MAIL and RCPT: who may send from which address, and whose mail we take.

use crate::special;
use crate::{Destination, Mode, NotHere, Settings};
use smtp_parser::{Localpart, Path};
use smtpserver::{Client, Login, Refusal, replies};

/// A recipient that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// As the client gave it.
    pub(crate) path: Path,
    /// Whose it is; none for an address of ours that nobody has, which is only told after DATA, so that addresses
    /// cannot be tried out for free.
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

/// The local part of a path that has one.
fn localpart(path: &Path) -> Option<&Localpart> {
    match path {
        Path::Mailbox(mailbox) => Some(&mailbox.localpart),
        Path::Literal(localpart, _) => Some(localpart),
        Path::Null | Path::Postmaster => None,
    }
}

/// What developer mode should fail with at this command, if the path asks for it.
fn on_request(settings: &Settings, path: &Path, prefix: &str) -> Result<(), Refusal> {
    let local =
        localpart(path).filter(|local| settings.mode == Mode::Develop && local.as_str().starts_with(prefix));
    match local.and_then(special::wish) {
        Some(wish) => Err(special::refusal(wish, (3, 0))),
        None => Ok(()),
    }
}

/// What developer mode should fail with after DATA, if the recipient asks for it.
pub(crate) fn wish_after_data(settings: &Settings, recipient: &Recipient) -> Option<special::Wish> {
    let local = localpart(&recipient.path).filter(|_| settings.mode == Mode::Develop)?;
    // These have failed at their own command already, or will fail in the queue.
    let elsewhere = ["mailfrom", "rcptto", "queue"].iter().any(|prefix| local.as_str().starts_with(prefix));
    if elsewhere { None } else { special::wish(local) }
}

/// May the client send from this path? (RFC 6409 §6.1 for users.)
pub(crate) fn sender(settings: &Settings, client: &Client, path: &Path) -> Result<(), Refusal> {
    if let Some(login) = &client.login {
        may_send_as(settings, login, path)?;
    } else if matches!(path, Path::Literal(..)) {
        return Err(Refusal::new(replies::SENDER_DOMAIN_REQUIRED));
    }
    on_request(settings, path, "mailfrom")
}

fn may_send_as(settings: &Settings, login: &Login, path: &Path) -> Result<(), Refusal> {
    let mailbox = match path {
        // RFC 5321 §4.5.5: a user's program may send notifications, which must not be answered.
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

/// Takes a recipient, or says why not. `sender` is the reverse path, `taken` what was accepted before.
pub(crate) fn recipient(
    settings: &Settings,
    client: &Client,
    sender: &Path,
    taken: &[Recipient],
    path: &Path,
) -> Result<Recipient, Refusal> {
    let submission = client.kind.is_submission();
    // RFC 5321 §4.5.5: a bounce goes to one address.
    if !submission && sender.is_null() && !taken.is_empty() {
        return Err(Refusal::new(replies::ONE_RECIPIENT_FOR_NULL));
    }
    on_request(settings, path, "rcptto")?;
    let to = match path {
        Path::Postmaster => settings.directory.resolve("postmaster", None, true),
        Path::Mailbox(m) => settings.directory.resolve(m.localpart.as_str(), Some(&m.domain), true),
        Path::Literal(local, _) if settings.mode == Mode::Develop => {
            settings.directory.resolve(local.as_str(), None, true)
        }
        Path::Literal(..) => return Err(Refusal::new(replies::RECIPIENT_LITERAL)),
        Path::Null => return Err(Refusal::new(replies::NO_SUCH_USER)),
    };
    let to = match to {
        Ok(to) => Some(to),
        Err(NotHere::Domain) if submission => return Err(Refusal::new(replies::RECIPIENT_ELSEWHERE)),
        Err(NotHere::Domain) => return Err(Refusal::new(replies::RECIPIENT_FOREIGN)),
        Err(NotHere::Address) if submission => return Err(Refusal::new(replies::NO_SUCH_USER)),
        Err(NotHere::Address) => None,
    };
    // An address that nobody has is refused after DATA, for the whole message; so it has to come alone, and the
    // client tries the others again with a message of their own.
    if !taken.is_empty() && (to.is_none() || taken.iter().any(|r| r.to.is_none())) {
        let refusal = Refusal::with(replies::RECIPIENT_ALONE, taken.len());
        // One that exists has done nothing, whatever stands before it: a list with one stale name is no search for names.
        return Err(if to.is_none() { refusal.about_unknown_recipient() } else { refusal });
    }
    Ok(Recipient { path: path.clone(), to })
}
