//! Mail from users: the rules for it, the fields that it gets, and the limits of an account.

use crate::IntakeSettings;
use crate::backend::{Intake, unix};
use crate::body::not_kept;
use crate::copies::{Copies, Fields};
use crate::delivery::check_message_id;
use crate::events::MessageLog;
use crate::metrics;
use crate::offered::{Envelope, OfferedMessage};
use crate::outgoing::{Exceeded, NotReserved, OutgoingLimits, Sending};
use crate::prefix::MAX_ADDED;
use crate::record::{facts_from_header, set_sender};
use crate::signing::Hashing;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use message::{AuthResults, Date, FindingKind, Headers, MethodResult};
use smtpserver::{Client, Login, Refusal, replies};
use std::time::SystemTime;
use store::ErrorKind;

/// How often a submission is tried again when its account's ledger was replaced meanwhile (our own limit; see
/// [`crate::outgoing`]).
const MAX_ATTEMPTS: usize = 16;

impl Intake {
    /// Takes a message from a user.
    pub(crate) async fn submit(
        &self,
        client: &Client,
        message: OfferedMessage,
        login: &Login,
        hashing: Option<Hashing>,
        log: &mut MessageLog,
    ) -> Result<(), Refusal> {
        let now = (self.environment.now)();
        let OfferedMessage { settings, envelope, arriving } = message;
        let parsed = message::headers(arriving.header());
        let mut record = facts_from_header(&parsed, now);
        log.set_id(record.facts.message_id_as_written());
        check(&settings, &envelope, login, &parsed, arriving.header())?;
        check_message_id(settings.pedantic, &parsed)?;
        set_sender(&mut record.facts.origin, client, &envelope.sender);
        let missing = self.missing_fields(&settings, envelope.utf8, &parsed, now);
        if let Some(id) = missing.message_id {
            log.set_id(&id);
            record.facts.set_message_id(id.to_lowercase(), id);
        }
        let signatures = hashing.map(|hashing| hashing.finish(&missing.fields, unix(now)));
        let results = results(&settings, &envelope).field();
        let added = [missing.fields, signatures.unwrap_or_default(), results].concat();
        if added.len() > MAX_ADDED {
            metrics::submission("badheader", 1);
            return Err(Refusal::with(replies::BAD_AUTHOR, FindingKind::TooManyFields.token()));
        }
        let (header, body) = arriving.finish();
        let copies = Copies {
            settings: &settings,
            client,
            envelope: &envelope,
            header: &header,
            body: &body,
            record: &record,
            fields: &Fields { added, ..Fields::default() },
            evidence: None,
        };
        self.commit_submission(&copies, login, log).await?;
        metrics::submission("ok", envelope.recipients.len() as u64);
        Ok(())
    }

    /// Adds a submission to the store, if the limits of the account allow it.
    async fn commit_submission(
        &self,
        copies: &Copies<'_>,
        login: &Login,
        log: &mut MessageLog,
    ) -> Result<(), Refusal> {
        let now = copies.record.facts.received;
        let rules = copies.settings.directory.account(&login.account).cloned().unwrap_or_default();
        let limits = OutgoingLimits {
            messages: rules.messages_per_day,
            first_time_recipients: rules.first_time_recipients_per_day,
        };
        let account = self.open_account(&login.account, now).await.map_err(|error| failed(&error))?;
        let recipients: Vec<String> =
            copies.envelope.recipients.iter().map(|recipient| recipient.address(true)).collect();
        let sending = Sending { account, recipients: &recipients, limits, now };
        let mut attempts = 1;
        loop {
            let mut transaction = self.store.transaction(now);
            let added = self.add_copies(&mut transaction, copies, log).await;
            added.map_err(|error| failed(&error))?;
            let reserved = self.outgoing.reserve(&mut transaction, sending).await;
            let reservation = reserved.map_err(|error| not_reserved(&error, limits))?;
            match self.store.commit(transaction).await {
                Ok(_) => {
                    reservation.keep();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Conflict && attempts < MAX_ATTEMPTS => attempts += 1,
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    /// Makes the fields that every message must have and this one lacks.
    fn missing_fields(
        &self,
        settings: &IntakeSettings,
        utf8: bool,
        parsed: &Headers<'_>,
        now: SystemTime,
    ) -> Missing {
        let mut missing = Missing::default();
        if parsed.first("Message-ID").is_none() {
            let host = &settings.hostname;
            let host = if utf8 { host.unicode() } else { host.to_string() };
            let id = format!("{}@{host}", BASE64URL.encode(self.environment.bytes::<16>()));
            missing.fields.push_str(&format!("Message-ID: <{id}>\r\n"));
            missing.message_id = Some(id);
        }
        if parsed.first("Date").is_none() {
            missing.fields.push_str(&format!("Date: {}\r\n", Date::from(now)));
        }
        missing
    }
}

/// Finds the header fields of a submission that do not stay.
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

    /// Is this field dropped? To be called for all fields in their order.
    pub(crate) fn drops(&mut self, name: &[u8], value: &[u8]) -> bool {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        // RFC 6409 §8.2, §8.3: a Date or Message-ID with bad syntax is replaced, just as a missing one is added.
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
            // RFC 5321 §4.4: final delivery adds it. A client that sends one resends a message that it received.
            || (!self.pedantic && is("Return-Path"))
    }
}

/// Is this the first readable field of its name? RFC 5322 §3.6: these fields occur once.
fn first(had: &mut bool, readable: bool) -> bool {
    let first = readable && !*had;
    *had |= first;
    first
}

/// Fields that a submission lacks and gets.
#[derive(Debug, Default)]
struct Missing {
    fields: String,
    message_id: Option<String>,
}

/// RFC 6409 §8: refuses a submission that is not as the user may send it.
fn check(
    settings: &IntakeSettings,
    envelope: &Envelope,
    login: &Login,
    parsed: &Headers<'_>,
    header: &[u8],
) -> Result<(), Refusal> {
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
    // RFC 6532 §3: a header in UTF-8 needs SMTPUTF8.
    if !envelope.utf8 && !header.is_ascii() {
        return bad("badheader", Refusal::new(replies::NEEDS_SMTPUTF8));
    }
    Ok(())
}

/// RFC 8601 §2.7.4: says that the sender has logged in.
fn results(settings: &IntakeSettings, envelope: &Envelope) -> AuthResults {
    let mut results = AuthResults::of_host(&settings.hostname, envelope.utf8);
    let auth = MethodResult::new("auth", "pass");
    results.methods.push(match envelope.sender.mailbox() {
        Some(sender) => auth.mailbox("smtp", "mailfrom", sender, envelope.utf8),
        None => auth.property("smtp", "mailfrom", ""),
    });
    results
}

/// The reply after the store has failed.
fn failed(error: &store::Error) -> Refusal {
    metrics::submission("queueerror", 1);
    not_kept(error)
}

/// The reply after a submission got no places.
fn not_reserved(error: &NotReserved, limits: OutgoingLimits) -> Refusal {
    let (result, refusal) = match error {
        NotReserved::Store(error) => return failed(error),
        NotReserved::Exceeded(Exceeded::Messages) => {
            ("messagelimiterror", Refusal::with(replies::TOO_MANY_MESSAGES, limits.messages))
        }
        NotReserved::Exceeded(Exceeded::FirstTimeRecipients) => (
            "recipientlimiterror",
            Refusal::with(replies::TOO_MANY_NEW_RECIPIENTS, limits.first_time_recipients),
        ),
    };
    metrics::submission(result, 1);
    refusal
}
