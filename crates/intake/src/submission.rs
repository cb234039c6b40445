//! Mail from users: what is demanded of it, what is added to it, and the limits of an account.

use crate::backend::{Incoming, Intake, unix};
use crate::body::not_kept;
use crate::copies::Fields;
use crate::delivery::{check_message_id, check_structure, wishes};
use crate::events::Story;
use crate::metrics;
use crate::prefix::MAX_ADDED;
use crate::record::{described, sent_by};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use message::{AuthResults, Date, FindingKind, Headers, MethodResult};
use smtpserver::{Client, Login, Refusal, replies};
use std::time::SystemTime;
use store::{ErrorKind, SubmissionLimits};

impl Intake {
    /// Takes a message from a user.
    pub(crate) async fn submit(
        &self,
        client: &Client,
        login: &Login,
        mut message: Incoming,
        story: &mut Story,
    ) -> Result<(), Refusal> {
        let now = (self.world.now)();
        let parsed = message::headers(message.arriving.header());
        let mut record = described(&parsed, now);
        story.has_id(record.facts.message_id_as_written());
        check(&message, login, &parsed)?;
        check_structure(&message)?;
        check_message_id(&message, &parsed)?;
        wishes(&message)?;
        sent_by(&mut record.facts.origin, client, &message.sender);
        let missing = self.missing_fields(&message, &parsed, now);
        if let Some(id) = missing.message_id {
            story.has_id(&id);
            record.facts.set_message_id(id.to_lowercase(), id);
        }
        let signatures = message.hashing.take().map(|hashing| hashing.finish(&missing.fields, unix(now)));
        let added = [missing.fields, signatures.unwrap_or_default(), results(&message).field()].concat();
        if added.len() > MAX_ADDED {
            metrics::submission("badheader", 1);
            return Err(Refusal::with(replies::BAD_AUTHOR, FindingKind::TooManyFields.token()));
        }

        let rules = message.settings.directory.account(&login.account).cloned().unwrap_or_default();
        let limits = SubmissionLimits {
            messages: rules.messages_per_day,
            first_time_recipients: rules.first_time_recipients_per_day,
        };
        let sender = self.open_account(&login.account, now).await.map_err(|error| refused(&error, limits))?;
        let mut transaction = self.store.transaction(now);
        let addresses: Vec<String> = message.recipients.iter().map(|r| r.address(true)).collect();
        transaction.submission(sender, &addresses, Some(limits));
        let count = message.recipients.len() as u64;
        let fields = Fields { added, ..Fields::default() };
        let added = self.add_copies(&mut transaction, client, message, &record, &fields, story).await;
        added.map_err(|error| refused(&error, limits))?;
        match self.store.commit(transaction).await {
            Ok(_) => {
                metrics::submission("ok", count);
                Ok(())
            }
            Err(error) => Err(refused(&error, limits)),
        }
    }

    /// The fields that every message has, where this one has not.
    fn missing_fields(&self, message: &Incoming, parsed: &Headers<'_>, now: SystemTime) -> Missing {
        let mut missing = Missing::default();
        if parsed.first("Message-ID").is_none() {
            let host = &message.settings.hostname;
            let host = if message.utf8 { host.unicode() } else { host.to_string() };
            let id = format!("{}@{host}", BASE64URL.encode(self.world.octets::<16>()));
            missing.fields.push_str(&format!("Message-ID: <{id}>\r\n"));
            missing.message_id = Some(id);
        }
        if parsed.first("Date").is_none() {
            missing.fields.push_str(&format!("Date: {}\r\n", Date::from(now)));
        }
        missing
    }
}

/// Which header fields of a submission do not stay.
#[derive(Debug)]
pub(crate) struct Unwanted {
    pedantic: bool,
    has_date: bool,
    has_message_id: bool,
}

impl Unwanted {
    pub(crate) fn new(pedantic: bool) -> Self {
        Self { pedantic, has_date: false, has_message_id: false }
    }

    /// Does this field go? To be asked of one after the other.
    pub(crate) fn goes(&mut self, name: &[u8], value: &[u8]) -> bool {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        // RFC 6409 §8.2, §8.3: a Date or Message-ID that breaks the syntax is replaced, as one that is missing is added.
        if is("Date") {
            let readable = String::from_utf8_lossy(value).parse::<Date>().is_ok();
            return !first(&mut self.has_date, readable);
        }
        if is("Message-ID") {
            let readable = !message::references(value).is_empty();
            return !first(&mut self.has_message_id, readable);
        }
        // RFC 5322 §3.6.3, §3.6.6: blind copies stay blind.
        is("Bcc") || is("Resent-Bcc")
            // RFC 5321 §4.4: added at final delivery; a client that sends one resends what it received.
            || (!self.pedantic && is("Return-Path"))
    }
}

/// Is it the first that is readable? RFC 5322 §3.6: these fields occur once.
fn first(had: &mut bool, readable: bool) -> bool {
    let first = readable && !*had;
    *had |= first;
    first
}

/// Fields that a submission has not and gets.
#[derive(Debug, Default)]
struct Missing {
    fields: String,
    message_id: Option<String>,
}

/// RFC 6409 §8: what a submitted message has to be.
fn check(message: &Incoming, login: &Login, parsed: &Headers<'_>) -> Result<(), Refusal> {
    let settings = &message.settings;
    let bad = |result, refusal| {
        metrics::submission(result, 1);
        Err(refusal)
    };
    if let Some(finding) = parsed.malformed() {
        return bad("badmessage", Refusal::with(replies::BAD_AUTHOR, finding.kind.token()));
    }
    // RFC 5322 §3.6.2: exactly one author, whose address is the user's.
    let author = match message::author(parsed) {
        Ok(author) => author,
        Err(error) => return bad("badmessage", Refusal::with(replies::BAD_AUTHOR, error)),
    };
    let owner = settings.directory.find(&author.localpart, author.domain(), true);
    if !owner.is_ok_and(|owner| owner.account == login.account) {
        return bad("badfrom", Refusal::new(replies::SENDER_NOT_YOURS));
    }
    if !settings.pedantic {
        return Ok(());
    }
    if parsed.first("Return-Path").is_some() {
        return bad("badheader", Refusal::new(replies::HAS_RETURN_PATH));
    }
    // RFC 6532 §3: a header in UTF-8 is for those who were asked whether they take one.
    if !message.utf8 && !message.arriving.header().is_ascii() {
        return bad("badheader", Refusal::new(replies::NEEDS_SMTPUTF8));
    }
    Ok(())
}

/// RFC 8601 §2.7.4: that the sender has logged in.
fn results(message: &Incoming) -> AuthResults {
    let mut results = AuthResults::of_host(&message.settings.hostname, message.utf8);
    let auth = MethodResult::new("auth", "pass");
    results.methods.push(match message.sender.mailbox() {
        Some(sender) => auth.mailbox("smtp", "mailfrom", sender, message.utf8),
        None => auth.property("smtp", "mailfrom", ""),
    });
    results
}

fn refused(error: &store::Error, limits: SubmissionLimits) -> Refusal {
    let (result, refusal) = match error.kind() {
        ErrorKind::MessageLimit => {
            ("messagelimiterror", Refusal::with(replies::TOO_MANY_MESSAGES, limits.messages))
        }
        ErrorKind::RecipientLimit => (
            "recipientlimiterror",
            Refusal::with(replies::TOO_MANY_NEW_RECIPIENTS, limits.first_time_recipients),
        ),
        _ => ("queueerror", not_kept(error)),
    };
    metrics::submission(result, 1);
    refusal
}
